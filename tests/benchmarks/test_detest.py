"""DETEST: errors near the tolerance, and none much above SciPy's."""

import pytest
import torch

from benchmarks.detest import TOLERANCES, by_neurode, by_scipy, methods, reference, verdict
from benchmarks.detest_problems import DETEST
from tests.kinds import EXPLICIT

PROBLEMS = {problem.name: problem for problem in DETEST}


def test_there_are_five_problems_in_each_of_five_classes():
    assert sorted(PROBLEMS) == [f"{letter}{number}" for letter in "ABCDE" for number in range(1, 6)]
    for problem in DETEST:
        assert problem.field(torch.tensor(0.5, dtype=torch.float64), problem.y0).shape == problem.y0.shape


def test_the_orbits_come_back_after_a_period():
    """An ellipse of half axis one has the period 2 pi: its energy is -1/2 for every eccentricity."""
    for number in range(1, 6):
        x, y, u, v = PROBLEMS[f"D{number}"].y0
        assert (u**2 + v**2) / 2 - 1 / torch.hypot(x, y) == pytest.approx(-0.5)


def test_a_decay_that_is_known_is_the_reference():
    exact = torch.exp(-torch.linspace(0, 20, 21, dtype=torch.float64)).unsqueeze(1)
    torch.testing.assert_close(torch.from_numpy(reference(PROBLEMS["A1"])), exact, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("name", ["A3", "B5", "D2"])
def test_errors_shrink_with_the_tolerance(name):
    errors = [by_neurode(PROBLEMS[name], "dopri5", tolerance).error for tolerance in TOLERANCES]
    assert errors[0] > 20 * errors[1] > 400 * errors[2]
    assert errors[1] < 3 * by_scipy(PROBLEMS[name], "RK45", 1e-6).error


@pytest.mark.slow
@pytest.mark.parametrize("tolerance", TOLERANCES)
@pytest.mark.parametrize("method", methods())
def test_the_errors_of_a_method_are_near_the_tolerance_and_not_above_three_of_scipys(method, tolerance):
    found = verdict(method, tolerance)
    assert found.median < 100
    if method in EXPLICIT or method in ("rodas5p", "radau5", "auto"):
        assert found.worst < 3, found.where
