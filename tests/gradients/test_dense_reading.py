"""Reading a joint solve at own times of every sample has the gradient of reading each sample alone."""

import pytest
import torch

from neurode import solve
from tests.gradients.ways import EXACT
from tests.problems import SmoothField

OWN = torch.tensor([[0.1, 1.9, 0.0], [0.2, 0.3, 2.0], [1.0, 0.0, 0.7]], dtype=torch.float64)
WEIGHTS = torch.cos(torch.arange(18, dtype=torch.float64)).reshape(3, 3, 2)


def start():
    values = torch.tensor([[0.5, -1.0], [1.5, 0.3], [-0.2, 0.1]], dtype=torch.float64)
    return values.requires_grad_()


@pytest.mark.parametrize("batching", ["joint", "per_sample"])
@pytest.mark.parametrize("gradient", EXACT)
def test_own_times_have_the_gradient_of_each_sample_read_alone(gradient, batching):
    def gradients(read):
        field, y0, asked = SmoothField(), start(), OWN.clone().requires_grad_()
        span = torch.tensor([0.0, 2.0], dtype=torch.float64, requires_grad=True)
        solution = solve(field, y0, span, save="dense", gradient=gradient, batching=batching)
        loss = (read(solution, asked) * WEIGHTS).sum()
        return torch.autograd.grad(loss, (y0, asked, span, *field.parameters()))

    together = gradients(lambda solution, asked: solution.evaluate(asked))
    apart = gradients(
        lambda solution, asked: torch.stack([solution.evaluate(asked[:, i])[:, i] for i in range(3)], dim=1)
    )
    for one, other in zip(together, apart, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("gradient", EXACT)
def test_one_solve_may_be_read_many_times_and_also_at_its_ts(gradient):
    """The values at ts and two readings, in one loss: their gradients add up."""
    ts = torch.tensor([0.0, 1.3, 2.0], dtype=torch.float64)

    def gradient_of(*losses):
        field, y0 = SmoothField(), start()
        solution = solve(field, y0, ts, save="dense", gradient=gradient)
        return torch.autograd.grad(sum(loss(solution) for loss in losses), (y0, *field.parameters()))

    parts = [
        lambda solution: solution.ys.square().sum(),
        lambda solution: solution.evaluate(OWN).sum(),
        lambda solution: solution.evaluate(0.4).exp().sum(),
    ]
    whole, each = gradient_of(*parts), [gradient_of(part) for part in parts]
    for place, total in enumerate(whole):
        torch.testing.assert_close(total, sum(one[place] for one in each), rtol=1e-11, atol=1e-11)
