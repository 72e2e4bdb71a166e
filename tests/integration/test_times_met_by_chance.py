"""An output time at which a step of an adaptive solve ends by chance."""

import pytest
import torch

from neurode import AdaptiveSteps, MLPField, solve


@pytest.mark.parametrize("batching", ["joint", "per_sample"])
@pytest.mark.parametrize("engine", ["auto", "eager"])
@pytest.mark.parametrize("gradient", ["direct", "checkpointed"])
def test_it_has_the_gradient_of_its_time(batching, engine, gradient):
    torch.manual_seed(0)
    field = MLPField(2, hidden=(4,)).double()
    ts = torch.tensor([0.0, 0.25, 1.0], dtype=torch.float64, requires_grad=True)
    solution = solve(
        field,
        torch.ones(3, 2, dtype=torch.float64),
        ts,
        batching=batching,
        engine=engine,
        gradient=gradient,
        controller=AdaptiveSteps(first_step=0.25),
        rtol=1e-3,
        atol=1e-3,
    )
    (found,) = torch.autograd.grad(solution.ys[1].sum(), ts)
    with torch.no_grad():
        time = ts[1] if batching == "joint" else ts[1].expand(3, 1)
        slope = field(time, solution.ys[1]).sum()
    assert float(found[1]) == pytest.approx(float(slope), rel=1e-3)
