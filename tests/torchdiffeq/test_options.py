"""Every option that torchdiffeq documents has its effect, and no more than that."""

import math
from importlib import import_module

import pytest
import torch
import torchdiffeq
from torch import nn

from neurode import torchdiffeq as ours

T = torch.tensor([0.0, 1.0, 2.0], dtype=torch.float64)
Y0 = torch.tensor([1.0, 2.0], dtype=torch.float64)
ADAPTIVE = [name for name, method in ours.METHODS.items() if method.kind == "adaptive"]
FIXED = [name for name, method in ours.METHODS.items() if method.kind == "fixed"]
SMALLEST = 5e-324


class Seen:
    """A field that remembers the times it was asked at."""

    def __init__(self, slope=lambda t, y: y * torch.cos(t)):
        self.slope, self.times = slope, []

    def __call__(self, t, y):
        self.times.append(t.item())
        return self.slope(t, y)


class Steps(Seen):
    """It also remembers its callbacks."""

    def __init__(self):
        super().__init__()
        self.events = []

    def callback_step(self, t0, y0, dt):
        self.events.append(("step", t0.item(), tuple(y0.shape), dt.item()))

    def callback_accept_step(self, t0, y0, dt):
        self.events.append(("accept", t0.item(), tuple(y0.shape), dt.item()))

    def callback_reject_step(self, t0, y0, dt):
        self.events.append(("reject", t0.item(), tuple(y0.shape), dt.item()))


@pytest.mark.parametrize("method", ADAPTIVE + FIXED)
@pytest.mark.parametrize("t", [T, T.flip(0)], ids=["forward", "backward"])
def test_every_method_solves_a_time_dependent_problem_in_both_directions(method, t):
    options = {"step_size": 0.01} if method in FIXED else {}
    found = ours.odeint(lambda t, y: y * torch.cos(t), Y0, t, method=method, options=options)
    exact = torch.stack([Y0 * torch.exp(torch.sin(time) - torch.sin(t[0])) for time in t])
    # Of order one, and behind it the others.
    tolerance = 0.05 if "euler" in method else 1e-3
    torch.testing.assert_close(found, exact, rtol=tolerance, atol=0.0)


def test_the_field_is_never_asked_outside_of_the_interval():
    field = Seen()
    ours.odeint(field, Y0, T)
    assert min(field.times) >= 0
    assert max(field.times) <= 2


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("method", ["dopri5", "bosh3"])
def test_a_jump_is_never_asked_at_and_costs_less_than_finding_it(method, sign):
    t, jump = T * sign, torch.tensor([0.5 * sign])
    slope = lambda t, y: -y if abs(t) < 0.5 else y * y / 4  # noqa: E731
    blind, told = Seen(slope), Seen(slope)
    plain = ours.odeint(blind, Y0, t, method=method, rtol=1e-7, atol=1e-9)
    found = ours.odeint(told, Y0, t, method=method, rtol=1e-7, atol=1e-9, options={"jump_t": jump})
    assert 0.5 * sign not in told.times
    assert len(told.times) < len(blind.times)
    torch.testing.assert_close(found, plain, rtol=2e-4, atol=2e-4)


def test_a_step_ends_at_each_forced_time():
    field = Steps()
    ours.odeint(field, Y0, T, options={"step_t": torch.tensor([0.3, 1.7], dtype=torch.float64)}, method="dopri5")
    ends = {round(time + size, 9) for name, time, _, size in field.events if name == "accept"}
    assert {0.3, 1.7, 2.0} <= ends


def test_first_step_and_max_step_are_kept():
    field = Steps()
    ours.odeint(field, Y0, T, method="dopri5", options={"first_step": 0.011, "max_step": 0.2})
    sizes = [size for name, _, _, size in field.events if name == "step"]
    assert sizes[0] == 0.011
    assert max(sizes) <= 0.2 * (1 + 1e-3)  # a rest too short for a step of its own is taken along


def test_a_step_as_short_as_min_step_always_counts():
    field = Steps()
    ours.odeint(field, Y0, T, rtol=1e-12, atol=1e-12, method="dopri5", options={"min_step": 0.25})
    steps = [(name, size) for name, _, _, size in field.events if name != "step"]
    assert all(name == "accept" for name, size in steps if size <= 0.25)
    assert len(steps) <= 12


@pytest.mark.parametrize("library", [torchdiffeq, ours], ids=["theirs", "ours"])
def test_a_larger_norm_takes_more_steps_and_sees_the_state_in_its_own_shape(library):
    shapes, calls = set(), []
    for factor in (1, 100):
        field = Seen(lambda t, y: (y[1], -y[0]))

        def norm(parts, factor=factor):
            shapes.add(tuple(tuple(part.shape) for part in parts))
            return factor * max(part.abs().max() for part in parts)

        library.odeint(field, (Y0, Y0), T, method="dopri5", options={"norm": norm})
        calls.append(len(field.times))
    assert shapes == {((2,), (2,))}
    assert calls[1] > calls[0]


def test_of_a_tuple_the_worst_part_counts():
    """Many idle numbers beside a busy one: the mean over all would hide its error."""
    y0 = (torch.ones(1, dtype=torch.float64), torch.ones(1000, dtype=torch.float64))
    field = lambda t, y: (y[0] * torch.cos(5 * t) * 5, torch.zeros_like(y[1]))  # noqa: E731
    found = ours.odeint(field, y0, T, rtol=1e-6, atol=1e-6)[0][-1].item()
    assert abs(found - math.exp(math.sin(10))) < 1e-4
    torch.testing.assert_close(
        found, torchdiffeq.odeint(field, y0, T, rtol=1e-6, atol=1e-6)[0][-1].item(), rtol=1e-5, atol=0
    )


def test_each_part_of_a_tuple_has_its_own_tolerance():
    field = Seen(lambda t, y: (torch.cos(t) * y[0], torch.cos(t) * y[1]))
    calls = []
    for tolerances in ((1e-3, 1e-3), (1e-3, 1e-10), (1e-10, 1e-3)):
        field.times.clear()
        ours.odeint(field, (Y0, Y0), T, rtol=tolerances, atol=tolerances)
        calls.append(len(field.times))
    assert calls[1] > 2 * calls[0]
    assert calls[2] > 2 * calls[0]


@pytest.mark.parametrize("method", FIXED)
def test_fixed_steps_call_back_once_a_step(method):
    field = nn.Linear(2, 2)
    calls = []

    class Field(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = field

        def forward(self, t, y):
            return torch.tanh(self.net(y))

    module = Field()
    module.callback_step = lambda t0, y0, dt: calls.append((round(t0.item(), 4), round(dt.item(), 4)))
    t = torch.tensor([1.0, 0.0])
    ours.odeint(module, torch.ones(2), t, method=method, options={"step_size": 0.1})
    assert calls == [(round(1 - 0.1 * number, 4), 0.1) for number in range(10)]


def test_accepted_and_rejected_steps_are_all_of_them_and_follow_each_other():
    field = Steps()
    ours.odeint(field, Y0, T, rtol=1e-9, atol=1e-9, method="dopri5", options={"first_step": 2.0})
    names = [name for name, *_ in field.events]
    assert names[:2] == ["step", "reject"]
    assert names[::2] == ["step"] * (len(names) // 2)
    assert set(names[1::2]) == {"accept", "reject"}
    assert all(one[1:] == other[1:] for one, other in zip(field.events[::2], field.events[1::2], strict=True))


@pytest.mark.parametrize("method", FIXED)
@pytest.mark.parametrize("perturb", [True, False])
def test_perturbed_steps_do_not_ask_at_their_ends(method, perturb):
    field = Seen(lambda t, y: -y)
    ours.odeint(field, Y0, T[:2], method=method, options={"step_size": 0.5, "perturb": perturb})
    assert (0.0 in field.times) is not perturb
    assert (0.5 in field.times) is not perturb
    if perturb:
        assert SMALLEST in field.times


@pytest.mark.parametrize("library", [torchdiffeq, ours], ids=["theirs", "ours"])
@pytest.mark.parametrize("sign", [1, -1])
def test_a_grid_constructor_is_given_the_times_as_the_user_has_them(library, sign):
    given = []

    def grid(func, y0, t):
        given.append(t.tolist())
        return torch.linspace(float(t[0]), float(t[-1]), 11, dtype=t.dtype)

    found = library.odeint(lambda t, y: y, Y0, T * sign, method="euler", options={"grid_constructor": grid})
    assert given == [(T * sign).tolist()]
    torch.testing.assert_close(found[-1], Y0 * (1 + 0.2 * sign) ** 10)


@pytest.mark.parametrize("interp", ["linear", "cubic"])
def test_gradients_by_times_on_and_between_grid_points_are_those_of_differences(interp):
    # A straight line has a kink at 0.6, where steps meet.
    t = torch.tensor([0.0, 0.55, 0.6 if interp == "cubic" else 0.7, 1.0], dtype=torch.float64)
    options = {"step_size": 0.3, "interp": interp}
    value = lambda t: ours.odeint(Seen(), Y0, t, method="rk4", options=options).sin().sum()  # noqa: E731
    gradient = torch.autograd.functional.jacobian(value, t)
    for number in range(4):
        shift = torch.zeros_like(t)
        shift[number] = 1e-6
        difference = (value(t + shift) - value(t - shift)) / 2e-6
        assert abs(difference - gradient[number]) < 1e-6


@pytest.mark.parametrize("shape", [(), (1,), (3, 2)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.complex64, torch.complex128])
def test_shapes_and_dtypes_are_those_of_the_start(shape, dtype):
    y0 = torch.ones(shape, dtype=dtype)
    t = torch.tensor([0.0, 0.5, 1.0])
    field = lambda t, y: y * (1j if dtype.is_complex else 1)  # noqa: E731
    for method in ("dopri5", "rk4", "bosh3"):
        found = ours.odeint(field, y0, t, method=method)
        theirs = torchdiffeq.odeint(field, y0, t, method=method)
        assert found.shape == (3, *shape)
        assert found.dtype == dtype
        torch.testing.assert_close(found, theirs, rtol=1e-4, atol=1e-4)
    assert ours.odeint(field, y0, t[:1]).equal(y0.unsqueeze(0))


def test_the_time_the_field_gets_is_a_number_of_the_states_real_dtype():
    seen = set()

    def field(t, y):
        seen.add((t.ndim, t.dtype, y.dtype))
        return y

    for dtype in (torch.float32, torch.float64, torch.complex64):
        ours.odeint(field, torch.ones(2, dtype=dtype), torch.tensor([0.0, 1.0], dtype=torch.float64))
    assert seen == {
        (0, torch.float32, torch.float32), (0, torch.float64, torch.float64), (0, torch.float32, torch.complex64),
    }  # fmt: skip


def test_second_derivatives_are_exact():
    y0 = torch.tensor([0.3, -0.2], dtype=torch.float64, requires_grad=True)
    func = lambda y0: ours.odeint(lambda t, y: torch.sin(y) * t, y0, T, rtol=1e-5, atol=1e-5)  # noqa: E731
    assert torch.autograd.gradgradcheck(func, (y0,), atol=1e-4)


@pytest.mark.parametrize("solver", ["RK45", "LSODA", "BDF"])
def test_scipy_solves_and_gives_gradients_through_the_adjoint(solver):
    y0 = Y0.clone().requires_grad_()
    named = {"method": "scipy_solver", "options": {"solver": solver}, "rtol": 1e-8, "atol": 1e-10}
    field = lambda t, y: y * torch.cos(t)  # noqa: E731
    assert not ours.odeint(field, y0, T, **named).requires_grad
    found = ours.odeint_adjoint(field, y0, T.flip(0), **named, adjoint_params=())
    gradient = torch.autograd.grad(found[-1].sum(), y0)[0]
    torch.testing.assert_close(gradient, torch.full_like(Y0, math.exp(-math.sin(2))), rtol=1e-5, atol=1e-5)


def test_what_scipy_could_not_solve_is_nan_and_said():
    explodes = lambda t, y: y**2  # noqa: E731
    with pytest.warns(UserWarning, match="SciPy's solver gave . of 3 times, the others are NaN"):
        found = ours.odeint(explodes, Y0, T, method="scipy_solver", options={"solver": "RK45"})
    assert found.shape == (3, 2)
    assert found[-1].isnan().all()


def test_the_names_of_the_methods_are_where_programs_look_for_them():
    own, theirs = (import_module(f"{name}._impl.odeint").SOLVERS for name in ("neurode.torchdiffeq", "torchdiffeq"))
    assert set(theirs) <= set(own)


@pytest.mark.parametrize("method", ["explicit_adams", "implicit_adams"])
def test_adams_takes_the_order_that_is_asked_for(method):
    """A larger one than there is gives the largest."""
    t = torch.linspace(0, 2, 81, dtype=torch.float64)
    exact = Y0 * torch.exp(torch.sin(t[-1]))

    def error(**options):
        found = ours.odeint(lambda t, y: y * torch.cos(t), Y0, t, method=method, options=options)[-1]
        return (found - exact).abs().max().item()

    assert error(max_order=7) < error() / 4 < error(max_order=4) / 100
    assert error() == error(max_order=5)
    assert error(max_order=12) == error(max_order=7)
