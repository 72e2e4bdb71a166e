"""Work and precision: the problems are the same for each contender, and a measurement can be drawn and read again."""

import csv

import numpy as np
import pytest
import torch

from benchmarks import work_precision
from benchmarks.work_precision import Point, draw, measure, neurode_solver, read, reference
from benchmarks.work_precision_problems import PROBLEMS


@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda problem: problem.name)
def test_a_field_is_the_same_in_torch_and_in_numpy(problem):
    start = np.array(problem.start) + 0.1
    own = problem.field(torch, torch.tensor(0.7, dtype=torch.float64), torch.from_numpy(start))
    np.testing.assert_allclose(own.numpy(), problem.field(np, 0.7, start), rtol=1e-13, atol=1e-14)
    assert own.shape == start.shape


def test_the_orbit_about_earth_and_moon_closes():
    (orbit,) = [problem for problem in PROBLEMS if problem.closed]
    end, calls = neurode_solver("dop853")(orbit, 1e-11)
    np.testing.assert_allclose(end, reference(orbit), atol=1e-5)
    assert calls > 1000


def test_a_measurement_is_drawn_and_read_again(monkeypatch, tmp_path):
    monkeypatch.setattr(work_precision, "TOLERANCES", (1e-3, 1e-5))
    monkeypatch.setattr(work_precision, "PROBLEMS", PROBLEMS[:2] * 2)
    points = measure(["neurode tsit5", "SciPy RK45"])
    assert points[0].error > 10 * points[1].error
    assert points[0].calls < points[1].calls
    axes = draw(points, "calls").axes
    assert [line.get_label() for line in axes[0].get_lines()] == ["neurode tsit5", "SciPy RK45"]
    path = tmp_path / "points.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(Point.__dataclass_fields__)
        writer.writerows(tuple(vars(point).values()) for point in points)
    assert read(path) == points
