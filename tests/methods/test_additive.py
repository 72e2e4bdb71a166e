"""kencarp4 on fields in two parts: its order in both, what Newton's iteration sees, gradients, and what it saves."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from neurode import Checkpointed, ConstantSteps, Newton, PerSample, SplitField, solve
from neurode.core.equation import Equation
from neurode.core.state import layout_of
from neurode.methods.catalogue import METHODS, stepper_of
from neurode.methods.tableaus.kencarp4 import KENCARP4

BATCHINGS = pytest.mark.parametrize("batching", ["joint", "per_sample"])
Y0 = torch.tensor([[1.0, 0.5], [-0.4, 0.8]], dtype=torch.float64)


def coupled(t, y):
    return torch.stack((y[..., 1], -y[..., 0] * y[..., 1]), dim=-1)


def damped(t, y):
    return -1.5 * y + 0.3 * y.flip(-1)


def driven(t, y):
    return torch.cos(2 * t) * torch.sin(y)


def leaning(t, y):
    return -2 * y * torch.cos(t) - 0.2 * y**3


AUTONOMOUS = SplitField(explicit=coupled, implicit=damped)
TIMED = SplitField(explicit=driven, implicit=leaning)
PROBLEMS = pytest.mark.parametrize("field", [AUTONOMOUS, TIMED], ids=["autonomous", "time-dependent"])


def slope(sizes, errors) -> float:
    return float(np.polyfit(np.log(sizes), np.log(errors), 1)[0])


@PROBLEMS
def test_with_both_parts_at_work_the_error_shrinks_with_the_declared_order_at_ends_and_between(field):
    ts = torch.tensor([0.0, 2.0], dtype=torch.float64)
    exact = solve(field, Y0, ts, method="dop853", rtol=1e-13, atol=1e-14, save="dense")
    ends, inside, sizes = [], [], (2 / 30, 2 / 60, 2 / 120)
    for size in sizes:
        found = solve(field, Y0, ts, method="kencarp4", step_size=size, save="dense")
        edges = torch.arange(round(2 / size), dtype=torch.float64).unsqueeze(1) * size
        asked = (edges + size * torch.tensor([0.2, 0.5, 0.8], dtype=torch.float64)).reshape(-1)
        ends.append((found.ys[-1] - exact.ys[-1]).abs().max().item())
        inside.append((found.evaluate(asked) - exact.evaluate(asked)).abs().max().item())
    assert slope(sizes, ends) == pytest.approx(4, abs=0.2)
    assert slope(sizes, inside) == pytest.approx(4, abs=0.2)


@PROBLEMS
def test_the_error_estimate_of_a_step_of_both_parts_shrinks_with_its_order(field):
    layout, stepper, sizes, errors = layout_of(Y0, per_sample=False), METHODS["kencarp4"], (0.08, 0.04, 0.02), []
    for size in sizes:
        equation = Equation(field, None, layout=layout)
        errors.append(stepper.step(equation, 0.2, 0.2 + size, Y0, None, traced=False).error.abs().max().item())
    assert slope(sizes, errors) == pytest.approx(stepper.error_order, abs=0.2)
    assert stepper.error_order == 4


class Noted:
    """A field that notes what it is called for: values, graphs, times."""

    def __init__(self, f):
        self.f, self.calls, self.graphs, self.times = f, 0, 0, []

    def __call__(self, t, y):
        self.calls += 1
        self.graphs += y.requires_grad
        self.times.append(float(t))
        return self.f(t, y)


def test_newton_never_calls_the_explicit_part_and_it_is_called_once_a_stage():
    mild, stiff = Noted(driven), Noted(leaning)
    field = SplitField(explicit=mild, implicit=stiff)
    solution = solve(field, Y0, [0.0, 1.0], method="kencarp4", step_size=0.1, save="end", engine="eager")
    # The sum is called once, before the first step; a Jacobian is a call with a graph.
    assert mild.calls == 1 + 10 * KENCARP4.num_stages
    assert mild.graphs == 0
    assert stiff.graphs == int(solution.stats.num_jacobians) == 10
    assert int(solution.stats.num_evaluations) == mild.calls + stiff.calls - 1
    assert min(mild.times + stiff.times) >= 0
    assert max(mild.times + stiff.times) <= 1


def advection_diffusion(cells: int, diffusion: float) -> tuple[SplitField, torch.Tensor]:
    """u_t = -u u_x + diffusion u_xx on a ring, and a wave to begin with."""
    width = 1 / cells

    def carry(t, u):
        half = u * u / 2
        return -(half.roll(-1, -1) - half.roll(1, -1)) / (2 * width)

    def spread(t, u):
        return diffusion * (u.roll(-1, -1) - 2 * u + u.roll(1, -1)) / width**2

    x = torch.arange(cells, dtype=torch.float64) * width
    return SplitField(explicit=carry, implicit=spread), 1 + 0.5 * torch.sin(2 * torch.pi * x)


def test_where_diffusion_is_stiff_it_takes_a_tenth_of_the_calls_of_an_explicit_method():
    field, u0 = advection_diffusion(64, diffusion=0.5)
    exact = solve(field, u0, [0.0, 0.5], method="dop853", rtol=1e-10, atol=1e-12, save="end").ys[-1]
    cost = {}
    for method in ("kencarp4", "dopri5", "esdirk5"):
        solution = solve(field, u0, [0.0, 0.5], method=method, rtol=1e-4, atol=1e-6, save="end")
        assert (solution.ys[-1] - exact).abs().max() < 1e-4
        cost[method] = int(solution.stats.num_evaluations)
    assert 10 * cost["kencarp4"] < cost["dopri5"]


@BATCHINGS
@pytest.mark.parametrize("form", ["tensor", "tuple", "dict"])
def test_gradients_agree_with_differences_for_every_form_of_the_state(batching, form):
    def as_state(y):
        return {"tensor": y, "tuple": (y[:, :1], y[:, 1:]), "dict": {"a": y[:, :1], "b": y[:, 1:]}}[form]

    def whole(state):
        return state if form == "tensor" else torch.cat(tuple(state.values() if form == "dict" else state), dim=-1)

    def part(f):
        def own(t, state, args):
            clock = t.unsqueeze(-1) if t.ndim == 1 else t
            return as_state(f(clock, whole(state)) * args[0] * args[1])

        return own

    field = SplitField(explicit=part(driven), implicit=part(leaning))
    shared = torch.tensor(1.2, dtype=torch.float64, requires_grad=True)
    own = torch.tensor([[0.9], [1.1]], dtype=torch.float64, requires_grad=True)
    ts = torch.tensor([0.0, 0.25, 0.5], dtype=torch.float64, requires_grad=True)
    y0 = Y0.clone().requires_grad_()

    def outputs(gradient):
        def of(y, shared, own, ts):
            args = (shared, PerSample(own))
            control = {"controller": ConstantSteps(), "gradient": gradient, "batching": batching}
            return whole(solve(field, as_state(y), ts, args=args, method="kencarp4", **control).ys)

        return of

    assert torch.autograd.gradcheck(outputs("checkpointed"), (y0, shared, own, ts), fast_mode=True)
    weights = torch.cos(torch.arange(12, dtype=torch.float64)).view(3, 2, 2)
    due = torch.autograd.grad((outputs("direct")(y0, shared, own, ts) * weights).sum(), (y0, shared, own, ts))
    for way in ("checkpointed", Checkpointed(2)):
        found = torch.autograd.grad((outputs(way)(y0, shared, own, ts) * weights).sum(), (y0, shared, own, ts))
        for one, other in zip(found, due, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-11)


def test_gradients_of_parameters_in_both_parts_are_those_of_the_sum_solved_tightly():
    torch.manual_seed(2)
    mild, stiff = (torch.nn.Linear(2, 2).double() for _ in range(2))
    field = SplitField(explicit=lambda t, y: torch.tanh(mild(y)), implicit=lambda t, y: stiff(y) - 30 * y)
    leaves = [*mild.parameters(), *stiff.parameters()]

    def gradients(method):
        loss = solve(field, Y0, [0.0, 0.5], method=method, rtol=1e-7, atol=1e-9, save="end").ys.square().sum()
        return torch.autograd.grad(loss, leaves)

    for one, other in zip(gradients("kencarp4"), gradients("dopri5"), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)


def test_second_derivatives_by_direct_are_exact():
    def outputs(y):
        options = {"method": "kencarp4", "gradient": "direct", "step_size": 0.25, "save": "end"}
        return solve(TIMED, y, [0.0, 0.5], **options).ys

    assert torch.autograd.gradgradcheck(outputs, (Y0.clone().requires_grad_(),), atol=1e-6)


@pytest.mark.parametrize("way", ["direct", "checkpointed"])
@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")
def test_transforms_of_torch_func_see_both_parts(way):
    def loss(start, a):
        field = SplitField(explicit=lambda t, y, a: torch.sin(y) * a, implicit=lambda t, y, a: -4 * a * y)
        return solve(field, start, [0.0, 0.3, 0.5], args=a, method="kencarp4", step_size=0.3, gradient=way).ys.sum()

    a = torch.tensor(1.3, dtype=torch.float64)
    leaf = a.clone().requires_grad_()
    (due,) = torch.autograd.grad(loss(Y0, leaf), leaf)
    torch.testing.assert_close(torch.func.grad(loss, 1)(Y0, a), due)
    rows = torch.func.vmap(torch.func.grad(loss, 1), (0, None))(torch.stack((Y0, Y0)), a)
    torch.testing.assert_close(rows, torch.stack((due, due)))


def test_a_sample_of_a_split_field_is_solved_alone_as_in_a_batch():
    rate = torch.tensor([[5.0], [500.0]], dtype=torch.float64)
    field = SplitField(explicit=lambda t, y, k: torch.cos(t) + 0 * y, implicit=lambda t, y, k: -k * y)
    options = {"method": "kencarp4", "batching": "per_sample", "rtol": 1e-4, "atol": 1e-6}
    both = solve(field, Y0, [0.0, 1.0], args=PerSample(rate), **options)
    for i in range(2):
        own = solve(field, Y0[i : i + 1], [0.0, 1.0], args=PerSample(rate[i : i + 1]), **options)
        assert torch.equal(own.stats.num_steps, both.stats.num_steps[i : i + 1])
        torch.testing.assert_close(own.ys[:, 0], both.ys[:, i], rtol=1e-10, atol=1e-12)


def test_a_jacobian_of_ones_own_is_that_of_the_implicit_part():
    shapes = []

    def jacobian(t, y):
        shapes.append(y.shape)
        return torch.diag_embed(-2 * torch.cos(t) - 0.6 * y**2)

    own = replace(METHODS["kencarp4"], newton=Newton(jacobian=jacobian))
    found = solve(TIMED, Y0, [0.0, 0.5], method=own, step_size=0.1).ys
    torch.testing.assert_close(found, solve(TIMED, Y0, [0.0, 0.5], method="kencarp4", step_size=0.1).ys)
    assert len(shapes) == 5


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"order": 5}, "declared of order 5, but breaks one of order 5"),
        ({"c": (0, 0.5, 0.4, 0.62, 0.85, 1)}, "row 2 of explicit does not sum to its node"),
        ({"explicit": KENCARP4.implicit}, "explicit must be strictly lower triangular"),
        ({"b_error": (0.1, -0.1, 0, 0, 0, 0)}, "b_error breaks a condition of order 2"),
        ({"b": KENCARP4.b[:-1]}, "both tables must be 5 x 5"),
    ],
)
def test_an_additive_table_with_a_wrong_number_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        replace(KENCARP4, **change)


def test_a_mixed_condition_is_checked_too():
    """An explicit table of order four of its own, with the same nodes and weights, that does not go with the other."""
    explicit = [list(row) for row in KENCARP4.explicit]
    explicit[3][0] += 1e-3
    explicit[3][1] -= 1e-3
    with pytest.raises(ValueError, match="breaks one of order"):
        replace(KENCARP4, explicit=tuple(map(tuple, explicit)))


def test_a_table_is_a_method():
    assert stepper_of(KENCARP4) == METHODS["kencarp4"]
