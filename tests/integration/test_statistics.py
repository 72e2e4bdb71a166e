"""The counts of a solution are those of a counter inside the field."""

import pytest
import torch

from neurode import solve
from neurode.gradients.catalogue import GRADIENTS
from neurode.methods.catalogue import METHODS
from tests.kinds import CORE
from tests.problems import forced_decay, van_der_pol
from tests.stubs import Recording

Y0 = torch.tensor([[2.0, 0.0], [0.5, -1.0], [-0.1, 0.2]], dtype=torch.float64)


@pytest.mark.parametrize("requires_grad", [False, True], ids=["plain", "with gradients"])
@pytest.mark.parametrize("gradient", GRADIENTS)
@pytest.mark.parametrize("method", CORE)
def test_joint_evaluations_are_the_calls_of_the_field(method, gradient, requires_grad):
    f = Recording(van_der_pol(3.0))
    y0 = Y0.clone().requires_grad_(requires_grad)
    options = {} if METHODS[method].has_error else {"step_size": 0.1}
    stats = solve(f, y0, [0.0, 3.0], method=method, gradient=gradient, throw=False, **options).stats
    assert stats.num_evaluations.shape == ()
    assert stats.num_evaluations == f.calls
    assert stats.num_steps == stats.num_accepted + stats.num_rejected


@pytest.mark.parametrize("requires_grad", [False, True], ids=["plain", "with gradients"])
@pytest.mark.parametrize("gradient", GRADIENTS)
@pytest.mark.parametrize("method", CORE)
def test_per_sample_evaluations_are_the_rows_the_field_saw(method, gradient, requires_grad):
    f = Recording(van_der_pol(3.0))
    y0 = Y0.clone().requires_grad_(requires_grad)
    ts = torch.tensor([[0.0, 0.0, 0.0], [3.0, 1.0, 2.0]], dtype=torch.float64)
    options = {} if METHODS[method].has_error else {"step_size": 0.1}
    solution = solve(f, y0, ts, method=method, gradient=gradient, batching="per_sample", throw=False, **options)
    stats = solution.stats
    assert stats.num_evaluations.shape == (3,)
    assert stats.num_evaluations.sum() == sum(f.rows)
    assert torch.equal(stats.num_steps, stats.num_accepted + stats.num_rejected)
    assert torch.equal(stats.num_accepted, solve_steps(y0, ts, method=method, gradient=gradient, **options))


def solve_steps(y0, ts, **options):
    """Accepted steps as the lengths of the saved steps show them."""
    options |= {"batching": "per_sample", "save": "steps", "throw": False}
    return solve(van_der_pol(3.0), y0.detach(), ts, **options).lengths - 1


@pytest.mark.parametrize("method", CORE)
def test_a_constant_step_costs_as_many_calls_as_the_method_has_new_stages(method):
    problem, stepper = forced_decay(), METHODS[method]
    stats = solve(problem.f, problem.y0, [0.0, 1.0], method=method, step_size=0.1).stats
    stages = stepper.tableau.num_stages
    expected = 10 * (stages - 1) + 1 if stepper.carries_first else 10 * stages
    assert (stats.num_steps.item(), stats.num_rejected.item()) == (10, 0)
    assert stats.num_evaluations.item() == expected


def test_the_engine_that_ran_is_named():
    assert solve(lambda t, y: -y, Y0, [0.0, 1.0]).stats.engine == "eager"


def test_the_last_step_size_starts_a_following_solve_well():
    from neurode import AdaptiveSteps

    problem = forced_decay()
    first = solve(problem.f, problem.y0, [0.0, 1.0])
    following = solve(
        problem.f,
        first.ys[-1],
        [1.0, 2.0],
        controller=AdaptiveSteps(first_step=float(first.last_step)),
    )
    assert following.stats.num_rejected <= 1
    torch.testing.assert_close(following.ys[-1], problem.exact(2.0), rtol=1e-5, atol=1e-6)
