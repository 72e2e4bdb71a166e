"""DETEST: what error each adaptive method of order four and more reaches for a tolerance, beside SciPy's.

    python -m benchmarks.detest

On each of the 25 problems with rtol = atol = 1e-3, 1e-6, 1e-9: the largest error at t = 1, 2, ..., 20, read by the
method's dense output, divided by 1 + |y|; and the calls of f. Writes benchmarks/results/detest_<date>_<time>.md.
"""

import argparse
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from statistics import median

import numpy as np
import scipy.integrate
import torch

from benchmarks.detest_problems import DETEST, T1, DetestProblem
from benchmarks.hardware import description
from neurode import solve
from neurode.methods.catalogue import METHODS

RESULTS = Path(__file__).parent / "results"
TOLERANCES = (1e-3, 1e-6, 1e-9)
TIMES = torch.linspace(0, T1, 21, dtype=torch.float64)
MANY = 1_000_000


@dataclass(frozen=True)
class Reached:
    """error: the largest one, relative to 1 + |y|. calls: of f."""

    error: float
    calls: int


def methods() -> list[str]:
    """The adaptive ones of order four and more."""
    return [name for name, stepper in METHODS.items() if stepper.has_error and stepper.order >= 4]


def rival_of(method: str) -> str:
    """SciPy's method that one of ours is held against: its own BDF, DOP853 from order six on, else RK45."""
    if method == "bdf":
        return "BDF"
    return "DOP853" if METHODS[method].order >= 6 else "RK45"


@cache
def reference(problem: DetestProblem) -> np.ndarray:
    """(21, dim), by DOP853 at a tolerance of 1e-13."""
    return _scipy(problem, "DOP853", 1e-13)[0]


def _scipy(problem: DetestProblem, method: str, tolerance: float) -> tuple[np.ndarray, int]:
    def right(t, y):
        return problem.field(torch.tensor(t, dtype=torch.float64), torch.from_numpy(y)).numpy()

    found = scipy.integrate.solve_ivp(
        right, (0, T1), problem.y0.numpy(), method, TIMES.numpy(), rtol=tolerance, atol=tolerance
    )
    assert found.success, found.message
    return found.y.T, found.nfev


@cache
def by_scipy(problem: DetestProblem, method: str, tolerance: float) -> Reached:
    return _reached(problem, *_scipy(problem, method, tolerance))


def by_neurode(problem: DetestProblem, method: str, tolerance: float) -> Reached:
    with torch.no_grad():
        solution = solve(
            problem.field, problem.y0, TIMES, method=method, rtol=tolerance, atol=tolerance, max_steps=MANY,
            engine="eager",
        )  # fmt: skip
    return _reached(problem, solution.ys.numpy(), int(solution.stats.num_evaluations))


def _reached(problem: DetestProblem, ys: np.ndarray, calls: int) -> Reached:
    exact = reference(problem)
    return Reached(float((np.abs(ys - exact) / (1 + np.abs(exact))).max()), calls)


@dataclass(frozen=True)
class Verdict:
    """One method at one tolerance over all problems.

    median: of the errors, in units of the tolerance. worst: the largest ratio of an error to SciPy's (the larger one of
    RK45's and DOP853's, or the tolerance if they are both smaller), and where. nearest: the same with SciPy's nearest
    method alone (or the tolerance). calls: ratio of all calls of f to those of SciPy's nearest method.
    """

    method: str
    tolerance: float
    median: float
    worst: float
    where: str
    nearest: float
    nearest_where: str
    calls: float

    @property
    def row(self) -> str:
        cells = (
            self.method, f"{self.tolerance:.0e}", f"{self.median:.2g}", f"{self.worst:.2g} ({self.where})",
            f"{self.nearest:.2g} ({self.nearest_where})", rival_of(self.method), f"{self.calls:.2f}",
        )  # fmt: skip
        return "| " + " | ".join(cells) + " |"


def verdict(method: str, tolerance: float, problems: Iterable[DetestProblem] = DETEST) -> Verdict:
    own, rivals, names, ratios, alone = [], [], [], [], []
    for problem in problems:
        own.append(by_neurode(problem, method, tolerance))
        rivals.append(by_scipy(problem, rival_of(method), tolerance))
        names.append(problem.name)
        theirs = [by_scipy(problem, name, tolerance).error for name in ("RK45", "DOP853")]
        # An error far below the tolerance is luck; a larger one than SciPy's of that size is no failure.
        ratios.append(own[-1].error / max(*theirs, tolerance))
        alone.append(own[-1].error / max(rivals[-1].error, tolerance))
    calls = sum(one.calls for one in own) / sum(one.calls for one in rivals)
    middle, worst, nearest = median(x.error for x in own) / tolerance, int(np.argmax(ratios)), int(np.argmax(alone))
    return Verdict(
        method, tolerance, middle, ratios[worst], names[worst], alone[nearest], names[nearest], calls
    )  # fmt: skip


def main(arguments: list[str] | None = None) -> Path:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.detest", description=__doc__.splitlines()[0])
    parser.add_argument("--methods", default=",".join(methods()), help="comma-separated; default: all")
    parser.add_argument("--tolerances", default="1e-3,1e-6,1e-9", help="comma-separated")
    options = parser.parse_args(arguments)
    now = datetime.now()
    command = f"python -m benchmarks.detest --methods {options.methods} --tolerances {options.tolerances}"
    lines = [f"# DETEST, {now:%Y-%m-%d %H:%M}", "", f"`{command}`", ""]
    lines += [*description(), "- SciPy " + scipy.__version__, "- " + " ".join(__doc__.split("\n\n")[2].split()), ""]
    lines += [
        "Median: of the 25 errors, in units of the tolerance. Largest ratio: of an error to the larger one of SciPy's "
        "RK45 and DOP853, or to the tolerance where both are smaller; and on which problem. To one alone: to the error "
        "of the SciPy method named, or to the tolerance. Calls: of f over all problems, in units of its calls.",
        "",
        "| method | tolerance | median error | largest ratio | to one alone | which is | calls |",
        "|---|---|---|---|---|---|---|",
    ]
    for method in options.methods.split(","):
        for tolerance in options.tolerances.split(","):
            lines.append(verdict(method, float(tolerance)).row)
            print(lines[-1], flush=True)
    path = RESULTS / f"detest_{now:%Y-%m-%d_%H%M}.md"
    path.write_text("\n".join(lines) + "\n")
    return path


if __name__ == "__main__":
    print(main())
