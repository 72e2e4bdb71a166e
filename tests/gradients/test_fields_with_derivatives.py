"""Fields that differentiate something themselves: an energy whose gradient is the field."""

import pytest
import torch
from torch import nn

from neurode import Adjoint, solve
from neurode.gradients.catalogue import GRADIENTS
from tests.gradients.ways import by_autograd

TS = torch.tensor([0.0, 0.7, 2.0], dtype=torch.float64)
BOUNDS = {"rtol": 1e-5, "atol": 1e-7}
WAYS = pytest.mark.parametrize("gradient", GRADIENTS)
BATCHINGS = pytest.mark.parametrize("batching", ["joint", "per_sample"])


class Energy(nn.Module):
    """A network H(q, p)."""

    def __init__(self):
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.weight = nn.Parameter(torch.randn(2, 6, generator=generator, dtype=torch.float64))
        self.out = nn.Parameter(torch.randn(6, generator=generator, dtype=torch.float64))

    def forward(self, y):
        return torch.tanh(y @ self.weight) @ self.out + y.square().sum(-1) / 2


def turned(slope):
    return torch.stack([slope[..., 1], -slope[..., 0]], dim=-1)


def by_torch_func(energy):
    return lambda t, y: turned(torch.func.grad(lambda state: energy(state).sum())(y))


def by_autograd_grad(energy):
    """As the documentation shows it: the state itself where it is followed, or else a leaf of one's own."""

    def field(t, y):
        followed = torch.is_grad_enabled()
        with torch.enable_grad():
            state = y if y.requires_grad else y.detach().requires_grad_()
            (slope,) = torch.autograd.grad(energy(state).sum(), state, create_graph=followed)
        return turned(slope)

    return field


def by_hand(energy):
    def field(t, y):
        hidden = torch.tanh(y @ energy.weight)
        return turned(((1 - hidden**2) * energy.out) @ energy.weight.T + y)

    return field


FIELDS = {"torch.func.grad": by_torch_func, "autograd.grad": by_autograd_grad}
KINDS = pytest.mark.parametrize("kind", FIELDS)


def y0():
    return torch.tensor([[0.5, -1.0], [1.5, 0.3]], dtype=torch.float64)


def gradients(make, batching, wants_y0, **options):
    energy, start = Energy(), y0().requires_grad_(wants_y0)
    ys = solve(make(energy), start, TS, batching=batching, **BOUNDS, **options).ys
    inputs = [*energy.parameters(), *([start] if wants_y0 else [])]
    return [ys, *torch.autograd.grad(ys.square().sum(), inputs)]


@WAYS
@BATCHINGS
@KINDS
@pytest.mark.parametrize("wants_y0", [True, False])
def test_a_field_that_is_a_derivative_has_the_gradient_of_one_written_out(wants_y0, kind, batching, gradient):
    found = gradients(FIELDS[kind], batching, wants_y0, gradient=gradient)
    way = {"gradient": gradient} if gradient == "adjoint" else by_autograd(gradient)
    due = gradients(by_hand, batching, wants_y0, **way)
    for one, other in zip(found, due, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9)
    assert all(part.abs().max() > 1e-3 for part in found[1:])


@KINDS
def test_the_adjoint_of_such_a_field_comes_near_the_exact_gradient(kind):
    tight = {"rtol": 1e-9, "atol": 1e-11}
    found = []
    for gradient in ("checkpointed", Adjoint(**tight)):
        energy = Energy()
        solve(FIELDS[kind](energy), y0(), TS, gradient=gradient, **tight).ys.square().sum().backward()
        found.append(energy.weight.grad)
    torch.testing.assert_close(found[1], found[0], rtol=1e-6, atol=1e-6)


@WAYS
@KINDS
def test_without_gradients_it_solves_and_leaves_no_graph(kind, gradient):
    energy = Energy()
    with torch.no_grad():
        ys = solve(FIELDS[kind](energy), y0(), TS, gradient=gradient, **BOUNDS).ys
        due = solve(by_hand(energy), y0(), TS, gradient=gradient, **BOUNDS).ys
    assert not ys.requires_grad
    torch.testing.assert_close(ys, due, rtol=1e-9, atol=1e-9)


@WAYS
def test_by_torch_func_nothing_is_left_to_differentiate_where_nothing_wants_a_gradient(gradient):
    energy = Energy().requires_grad_(False)
    assert not solve(by_torch_func(energy), y0(), TS, gradient=gradient, **BOUNDS).ys.requires_grad
    with torch.inference_mode():
        ys = solve(by_torch_func(energy), y0(), TS, gradient=gradient, **BOUNDS).ys
    assert torch.isfinite(ys).all()


@KINDS
def test_second_derivatives_go_through_a_direct_solve(kind):
    energy, start = Energy(), y0().requires_grad_()

    def loss(start):
        return solve(FIELDS[kind](energy), start, TS, method="rk4", step_size=0.5, gradient="direct").ys.square().sum()

    assert torch.autograd.gradgradcheck(loss, (start,))
