"""SciPy as a solver from outside: the same answers in the same forms, and its failures in a sentence."""

import sys

import pytest
import torch

from neurode import MissingExtraError, SolveError, scipy_reference, solve
from neurode.integration.outside import SCIPY_METHODS
from tests.problems import forced_decay, linear_system

TS = torch.tensor([0.0, 0.7, 2.0], dtype=torch.float64)


@pytest.mark.parametrize("method", SCIPY_METHODS)
def test_each_of_its_methods_gives_the_known_solution(method):
    problem = forced_decay()
    loose = {"rtol": 1e-6, "atol": 1e-8} if method in ("RK23", "BDF", "Radau") else {}
    found = scipy_reference(problem.f, problem.y0, TS, method=method, **loose)
    torch.testing.assert_close(found.ys, problem.exact_at(TS), rtol=0, atol=3e-5 if loose else 1e-7)
    assert found.stats.engine == "scipy"
    assert found.stats.num_evaluations > 10


def test_tuples_arguments_single_precision_and_falling_times_are_as_in_solve():
    def f(t, y, rate):
        return -rate * y[0], y[0] + torch.cos(t) * y[1]

    y0 = torch.tensor([1.0, 2.0]), torch.tensor([[0.5]]).expand(2, 1)[:, 0].clone()
    rate = torch.tensor(0.3)
    own = solve(f, y0, TS.flip(0), args=rate, rtol=1e-6, atol=1e-7).ys
    for one, other in zip(scipy_reference(f, y0, TS.flip(0), args=rate).ys, own, strict=True):
        assert one.dtype == torch.float32
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_options_go_to_scipy():
    problem = linear_system()
    free = scipy_reference(problem.f, problem.y0, TS).stats.num_evaluations
    assert scipy_reference(problem.f, problem.y0, TS, max_step=0.02).stats.num_evaluations > 3 * free


def test_an_explosion_is_told_with_the_time_and_what_to_try():
    with pytest.raises(SolveError, match=r"SciPy's RK45 failed at t=.* of \[0, 2\].*Loosen rtol") as caught:
        scipy_reference(lambda t, y: y**2, torch.ones(1, dtype=torch.float64), [0.0, 0.5, 2.0], method="RK45")
    assert torch.isnan(caught.value.solution.ys[-1]).all()
    assert caught.value.solution.ys[1].item() == pytest.approx(2)


def test_an_unknown_method_is_named_beside_those_there_are():
    with pytest.raises(ValueError, match=r"unknown method 'dopri5' of SciPy\. It has: RK23, RK45"):
        scipy_reference(lambda t, y: y, torch.ones(1), [0.0, 1.0], method="dopri5")


def test_without_scipy_the_line_that_installs_it_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy.integrate", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'neurode\[scipy\]'"):
        scipy_reference(lambda t, y: y, torch.ones(1), [0.0, 1.0])
