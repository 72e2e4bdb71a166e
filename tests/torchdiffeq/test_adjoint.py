"""odeint_adjoint: its backward solve can be seen, steered and changed as torchdiffeq's."""

import pytest
import torch
import torchdiffeq
from torch import nn

from neurode import torchdiffeq as ours

T = torch.tensor([0.0, 0.4, 1.0], dtype=torch.float64)
BOTH = pytest.mark.parametrize("library", [torchdiffeq, ours], ids=["theirs", "ours"])


class Field(nn.Module):
    def __init__(self, unused: bool = False):
        super().__init__()
        torch.manual_seed(0)
        self.net = nn.Linear(2, 2, dtype=torch.float64)
        if unused:
            self.unused = nn.Linear(3, 3, dtype=torch.float64)
        self.times = []

    def forward(self, t, y):
        self.times.append(t.item())
        return torch.tanh(self.net(y)) * torch.cos(t)


def start() -> torch.Tensor:
    return torch.tensor([[0.5, -0.3]], dtype=torch.float64, requires_grad=True)


@pytest.mark.parametrize("method", [name for name in ours.METHODS if name != "scipy_solver"])
def test_the_adjoint_agrees_with_the_direct_gradient_for_every_method(method):
    options = {"step_size": 0.02} if ours.METHODS[method].kind == "fixed" else {}
    gradients = []
    for solve in (ours.odeint, ours.odeint_adjoint):
        field, y0, t = Field(), start(), T.clone().requires_grad_()
        found = solve(field, y0, t, method=method, options=options, rtol=1e-5, atol=1e-6)
        gradients.append(torch.autograd.grad(found.sin().sum(), (y0, t, *field.parameters())))
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(other, one, rtol=0.05, atol=2e-2 if "euler" in method else 1e-3)


def test_an_unused_parameter_gets_zeros():
    field = Field(unused=True)
    ours.odeint_adjoint(field, start(), T).sum().backward()
    assert field.unused.weight.grad.abs().max() == 0
    assert field.net.weight.grad.abs().max() > 0


def test_parameters_given_by_a_generator_are_the_only_ones():
    field = Field()
    ours.odeint_adjoint(field, start(), T, adjoint_params=(p for p in [field.net.bias])).sum().backward()
    assert field.net.weight.grad is None
    assert field.net.bias.grad is not None


@BOTH
@pytest.mark.parametrize("parts", [False, True])
def test_the_norm_sees_each_part_of_the_backward_state(library, parts):
    shapes = set()

    def norm(state):
        shapes.add(tuple(tuple(part.shape) for part in state))
        return max(part.abs().max() for part in state)

    field = Field()
    func = (lambda t, y: (field(t, y[0]), -y[1])) if parts else field
    y0 = (start(), torch.ones(3, dtype=torch.float64)) if parts else start()
    found = library.odeint_adjoint(
        func, y0, T, adjoint_params=tuple(field.parameters()), adjoint_options={"norm": norm}
    )
    (found[0] if parts else found).sum().backward()
    state = ((1, 2), (3,), (1, 2), (3,)) if parts else ((1, 2), (1, 2))
    assert shapes == {((), *state, (2, 2), (2,))}


@BOTH
def test_the_options_of_the_way_back_can_be_changed_before_it(library):
    calls = []
    found = library.odeint_adjoint(Field(), start(), T)
    before = found.grad_fn.adjoint_options["norm"]
    found.grad_fn.adjoint_options["norm"] = lambda state: calls.append(len(state)) or before(state)
    found.sum().backward()
    assert set(calls) == {5}


@BOTH
def test_behind_a_tuple_the_options_are_two_nodes_further(library):
    func = lambda t, y: (-y[0], -y[1])  # noqa: E731
    found = library.odeint_adjoint(func, (start(), start()), T, adjoint_params=())
    node = found[0].grad_fn.next_functions[0][0].next_functions[0][0]
    assert "norm" in node.adjoint_options


def test_the_seminorm_leaves_parameters_out_and_takes_no_more_calls():
    calls = []
    for options in ({}, {"norm": "seminorm"}):
        field = Field()
        found = ours.odeint_adjoint(field, start(), T, rtol=1e-9, atol=1e-9, adjoint_options=options)
        state = tuple(torch.full(shape, 1.0) for shape in ((), (1, 2), (1, 2))) + (torch.tensor([1e6]),)
        assert (found.grad_fn.adjoint_options["norm"](state) > 10) is not bool(options) or not options
        field.times.clear()
        found.sum().backward()
        calls.append(len(field.times))
    assert calls[1] <= calls[0]


def test_the_default_norm_counts_parameters():
    found = ours.odeint_adjoint(Field(), start(), T)
    state = tuple(torch.full(shape, 1.0) for shape in ((), (1, 2), (1, 2))) + (torch.tensor([1e6]),)
    assert found.grad_fn.adjoint_options["norm"](state) == 1e6


@BOTH
@pytest.mark.parametrize("method", ["dopri5", "euler"])
def test_callbacks_of_the_way_back_are_called_back_in_time(library, method):
    field, seen = Field(), []
    field.callback_step_adjoint = lambda t0, state, dt: seen.append((t0.item(), dt.item(), len(state)))
    options = {"step_size": 0.1} if method == "euler" else {}
    found = library.odeint_adjoint(field, start(), T[[0, 2]], method=method, options=options)
    assert not seen
    found.sum().backward()
    times = [time for time, _, _ in seen]
    assert times[0] == 1.0
    assert times == sorted(times, reverse=True)
    assert all(size > 0 and parts == 5 for _, size, parts in seen)
    assert method != "euler" or len(seen) == 10


def test_the_way_back_has_tolerances_and_a_method_of_its_own():
    calls = []
    for named in ({}, {"adjoint_rtol": 1e-2, "adjoint_atol": 1e-2}, {"adjoint_method": "bosh3"}):
        field = Field()
        found = ours.odeint_adjoint(field, start(), T, rtol=1e-8, atol=1e-8, **named)
        field.times.clear()
        found.sum().backward()
        calls.append(len(field.times))
    assert calls[1] < calls[0] < calls[2]


@pytest.mark.parametrize("atol", [(1e-6, 1e-8), [1e-6, 1e-8], 1e-7])
def test_tolerances_of_each_part_hold_on_the_way_back_too(atol):
    y0 = start()
    func = lambda t, y: (-y[0], y[1].sum() * y[0])  # noqa: E731
    found = ours.odeint_adjoint(func, (y0, y0.detach()), T, atol=atol, adjoint_params=())
    gradient = torch.autograd.grad(found[0][-1].sum(), y0)[0]
    torch.testing.assert_close(gradient, torch.full_like(y0, 0.36787944), rtol=1e-5, atol=1e-5)


def test_the_backward_solve_goes_interval_by_interval():
    seen = []

    def grid(func, y0, t):
        seen.append(t.tolist())
        return torch.linspace(float(t[0]), float(t[-1]), 5, dtype=t.dtype)

    found = ours.odeint_adjoint(Field(), start(), T, method="rk4", options={"grid_constructor": grid})
    found.sum().backward()
    assert seen == [[0.0, 0.4, 1.0], [1.0, 0.4], [0.4, 0.0]]


def test_complex_states_have_the_gradient_of_the_direct_solve():
    y0 = torch.tensor([1.0 + 0.5j, -0.3j], dtype=torch.complex128, requires_grad=True)
    rate = torch.tensor(0.7 + 0.2j, dtype=torch.complex128, requires_grad=True)
    gradients = []
    for solve, named in ((ours.odeint, {}), (ours.odeint_adjoint, {"adjoint_params": (rate,)})):
        found = solve(lambda t, y: rate * torch.sin(y), y0, T, **named)
        gradients.append(torch.autograd.grad(found.abs().sum(), (y0, rate)))
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(other, one, rtol=1e-5, atol=1e-5)
