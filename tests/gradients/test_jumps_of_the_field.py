"""Gradients of solves that are parted where the field jumps (jump_t), and that end steps at forced times (step_t)."""

import pytest
import torch

from neurode import AdaptiveSteps, Adjoint, Checkpointed, Direct, Reversible, solve
from tests.problems import SmoothField

WAYS = {
    "direct": Direct(),
    "checkpointed": Checkpointed(),
    "checkpointed with 4 states": Checkpointed(4),
    "reversible": Reversible(),
    "adjoint": Adjoint(),
}


class Switched(torch.nn.Module):
    """Two networks: one before t=0.6, the other from there on."""

    def __init__(self):
        super().__init__()
        self.before, self.after = SmoothField(seed=1), SmoothField(seed=2)

    def forward(self, t, y):
        return torch.where(t < 0.6, self.before(t, y), self.after(t, y))


def halves(field: Switched, y0, ts, batching):
    """The same as two solves, one after the other."""
    options = {"rtol": 1e-10, "atol": 1e-12, "batching": batching, "gradient": "direct"}
    middle = torch.tensor([0.6], dtype=torch.float64)
    first = solve(field.before, y0, torch.cat((ts[ts < 0.6], middle)), **options)
    second = solve(field.after, first.ys[-1], torch.cat((middle, ts[ts > 0.6])), **options)
    return torch.cat((first.ys[:-1], second.ys[1:]))


@pytest.mark.parametrize("batching", ["joint", "per_sample"])
@pytest.mark.parametrize("name", WAYS)
def test_the_gradient_of_a_parted_solve_is_that_of_its_two_halves(name, batching):
    field = Switched()
    y0 = torch.tensor([[0.4, -0.3], [1.0, 0.2]], dtype=torch.float64, requires_grad=True)
    ts = torch.linspace(0, 1.2, 5, dtype=torch.float64)
    ts = torch.cat((ts[:2], ts[3:])).requires_grad_()
    inputs = [y0, ts, *field.parameters()]
    controller = AdaptiveSteps(jump_t=(0.6,), step_t=(0.25,))
    whole = solve(field, y0, ts, rtol=1e-10, atol=1e-12, batching=batching, gradient=WAYS[name], controller=controller)
    expected = halves(field, y0, ts, batching)
    torch.testing.assert_close(whole.ys, expected, rtol=1e-8, atol=1e-8)
    found = torch.autograd.grad((whole.ys**2).sum(), inputs)
    for one, other in zip(found, torch.autograd.grad((expected**2).sum(), inputs), strict=True):
        torch.testing.assert_close(one, other, rtol=2e-6, atol=1e-7)
