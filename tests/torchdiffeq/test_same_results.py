"""What torchdiffeq gives, neurode.torchdiffeq gives: results and gradients, over random problems."""

import pytest
import torch
import torchdiffeq
from hypothesis import HealthCheck, given, settings

from neurode import torchdiffeq as ours
from tests.torchdiffeq.random_problems import RandomProblem, problems


def compare(problem: RandomProblem) -> None:
    # With steps that are told both make the same ones. Chosen steps keep the errors below the tolerance, and time
    # gradients of the dense output a power worse: torchdiffeq's is of low order for all but dopri5.
    tolerance = 1e-11 if problem.told else 1e4 * problem.arguments["rtol"]
    tolerance = min(tolerance, 2e-2)
    theirs, own = problem.answers(torchdiffeq), problem.answers(ours)
    for name, one, other in zip(["solution", "y0", "t", *"abc"], theirs, own, strict=True):
        torch.testing.assert_close(other, one, rtol=tolerance, atol=tolerance, msg=lambda m, n=name: f"{n}: {m}")


@settings(max_examples=200, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
@given(problems())
def test_random_problems_have_the_same_results_and_gradients(problem):
    compare(problem)


@pytest.mark.slow
@settings(max_examples=1500, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(problems())
def test_many_more_random_problems_have_the_same_results_and_gradients(problem):
    compare(problem)
