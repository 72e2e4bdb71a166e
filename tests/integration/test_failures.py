"""Failures are data: a Status per sample, a sentence with the remedy when thrown, the solved part when not."""

import pytest
import torch

from neurode import AdaptiveSteps, SolveError, Status, solve
from neurode.methods.catalogue import METHODS
from tests.kinds import ADAPTIVE_ONE_OF_EACH, ONE_OF_EACH

ONE = torch.tensor([[1.0]], dtype=torch.float64)


def explode(t, y):
    """y' = y^2 from 1 is 1 / (1 - t)."""
    return y * y


@pytest.mark.parametrize("batching", ["joint", "per_sample"])
@pytest.mark.parametrize("method", ADAPTIVE_ONE_OF_EACH)
def test_too_many_steps_raise_with_time_step_tolerance_and_remedy(method, batching):
    with pytest.raises(SolveError) as caught:
        solve(lambda t, y: -y, ONE, [0.0, 1e4], method=method, rtol=1e-7, atol=1e-9, max_steps=20, batching=batching)
    message = str(caught.value)
    for part in (
        "used up max_steps",
        "t=",
        "[0, 10000]",
        "after 20 steps",
        "step size",
        method,
        "rtol=1e-07",
        "atol=1e-09",
    ):
        assert part in message
    assert "larger max_steps" in message
    assert "throw=False" in message
    assert caught.value.status is Status.MAX_STEPS
    assert int(caught.value.solution.stats.num_steps.max()) == 20


@pytest.mark.parametrize("batching", ["joint", "per_sample"])
def test_the_part_that_was_solved_comes_back_without_throw(batching):
    ts = torch.linspace(0, 100, 101, dtype=torch.float64)
    options = {"rtol": 1e-7, "atol": 1e-9, "batching": batching}
    whole = solve(lambda t, y: torch.cos(t) - y, ONE, ts, **options)
    part = solve(lambda t, y: torch.cos(t) - y, ONE, ts, max_steps=30, throw=False, **options)
    assert int(part.status) == Status.MAX_STEPS
    assert not part.succeeded
    solved = ts <= float(part.reached)
    assert 1 < solved.sum() < 101
    assert torch.equal(part.ys[solved], whole.ys[solved])
    assert torch.isnan(part.ys[~solved]).all()


@pytest.mark.parametrize("batching", ["joint", "per_sample"])
@pytest.mark.parametrize("method", ADAPTIVE_ONE_OF_EACH)
def test_a_solution_that_runs_to_infinity_ends_with_a_sentence(method, batching):
    with pytest.raises(SolveError, match=r"(step size fell below|became NaN or infinite).*t=.*of \[0, 2\]") as caught:
        solve(explode, ONE, [0.0, 2.0], method=method, batching=batching)
    assert caught.value.status in (Status.STEP_TOO_SMALL, Status.NON_FINITE)
    assert float(caught.value.solution.reached) == pytest.approx(1.0, abs=2e-2)


@pytest.mark.parametrize("method", ADAPTIVE_ONE_OF_EACH)
def test_a_jump_that_no_step_can_meet_is_a_step_too_small(method):
    """The field jumps so hard that below min_step the error is still above the tolerance."""
    controller = AdaptiveSteps(min_step=1e-3)

    def f(t, y):
        return torch.where(t > 0.5, 1e6, 0.0) + 0 * y

    with pytest.raises(SolveError, match=r"step size fell below .*looser rtol and atol") as caught:
        solve(f, ONE, [0.0, 1.0], method=method, controller=controller)
    assert caught.value.status is Status.STEP_TOO_SMALL


@pytest.mark.parametrize("batching", ["joint", "per_sample"])
@pytest.mark.parametrize("method", ONE_OF_EACH)
def test_a_field_that_becomes_nan_is_found_by_every_method(method, batching):
    def f(t, y):
        return torch.where(t > 0.5, float("nan"), 1.0) * y

    options = {} if METHODS[method].has_error else {"step_size": 0.1}
    with pytest.raises(SolveError, match=r"became NaN or infinite.*Check y0, args and the parameters"):
        solve(f, ONE, [0.0, 1.0], method=method, batching=batching, **options)
    solution = solve(f, ONE, [0.0, 0.25, 1.0], method=method, batching=batching, throw=False, **options)
    assert int(solution.status) == Status.NON_FINITE
    assert torch.isfinite(solution.ys[:2]).all()
    assert torch.isnan(solution.ys[2]).all()


@pytest.mark.parametrize("method", ONE_OF_EACH)
def test_y0_with_nan_is_found_before_long(method):
    with pytest.raises(SolveError, match="became NaN or infinite"):
        solve(lambda t, y: -y, torch.full((2,), float("nan")), [0.0, 1.0], method=method, step_size=None)


def test_the_message_names_the_first_bad_sample_and_counts_them():
    y0 = torch.tensor([[-1.0], [3.0], [-1.0], [2.0]], dtype=torch.float64)
    with pytest.raises(SolveError, match=r"sample 1 \(2 of 4 failed\)"):
        solve(explode, y0, [0.0, 1.0], batching="per_sample")


def test_steps_and_status_of_every_sample_are_its_own():
    y0 = torch.tensor([[-1.0], [3.0], [-2.0]], dtype=torch.float64)
    solution = solve(explode, y0, [0.0, 1.0], batching="per_sample", throw=False)
    assert solution.status.shape == solution.reached.shape == (3,)
    assert solution.status.tolist()[0] == solution.status.tolist()[2] == Status.SUCCESS
    assert solution.reached.tolist()[0] == 1.0
    assert solution.reached[1].item() == pytest.approx(1 / 3, abs=1e-3)


def test_the_gradient_of_a_partly_solved_batch_is_that_of_the_solved_samples():
    y0 = torch.tensor([[-1.0], [3.0]], dtype=torch.float64, requires_grad=True)
    solution = solve(explode, y0, [0.0, 1.0], batching="per_sample", throw=False, rtol=1e-9, atol=1e-11)
    (gradient,) = torch.autograd.grad(solution.ys[-1, 0, 0], y0)
    assert gradient[0].item() == pytest.approx(1 / 4, rel=1e-6)
    assert gradient[1].item() == 0
