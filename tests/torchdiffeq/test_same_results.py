"""What torchdiffeq gives, neurode.torchdiffeq gives: results and gradients, over random problems."""

from dataclasses import replace

import pytest
import torch
import torchdiffeq
from hypothesis import HealthCheck, given, settings

from neurode import torchdiffeq as ours
from tests.torchdiffeq.random_problems import RandomProblem, problems


def compare(problem: RandomProblem) -> None:
    # With steps that are told both make the same ones. Chosen steps differ: then torchdiffeq solves with tolerances so
    # tight that what it says is the truth, since at ours its gradients of time may be several percent off.
    if problem.told:
        tolerance, oracle = 1e-11, problem
    else:
        # The dense output's slope, which gradients of time hang on, is a power worse than the solution.
        tolerance = min(1e4 * problem.arguments["rtol"], 2e-2)
        tight = {"method": "dopri5", "rtol": 1e-10, "atol": 1e-11, "options": {}}
        oracle = replace(problem, adjoint=False, arguments=tight)
    theirs, own = oracle.answers(torchdiffeq), problem.answers(ours)
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
