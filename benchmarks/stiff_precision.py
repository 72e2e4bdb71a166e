"""Work and precision on stiff problems: the error at the end against evaluations, beside SciPy.

    python -m benchmarks.stiff_precision

Four stiff problems with published ends (tests/stiff.py), one state each in float64, rtol from 1e-3 to 1e-8. Work:
calls of f, and for each Jacobian as many more as it has columns (SciPy takes them by differences, neurode by autograd).
Error: the largest relative one of all components at t1. Writes benchmarks/results/stiff_precision_<date>.csv and a
picture into docs/pictures.
"""

import argparse
import csv
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from scipy.integrate import solve_ivp

from neurode import solve
from neurode.report.picture import write_png
from neurode.report.style import AMBER, BLUE, GREEN, MUTED, PURPLE, VERMILION, drawing, new_figure, powers_of_ten
from tests.stiff import STIFF, StiffProblem

if TYPE_CHECKING:
    from matplotlib.figure import Figure

HERE = Path(__file__).parent
TOLERANCES = tuple(10.0**-power for power in range(3, 9))
ABSOLUTE = {"robertson": 1e-9, "van der pol": 1e-3, "hires": 1e-4, "oregonator": 1.0}
"""atol in terms of rtol: below the smallest component that matters."""
LOW_ORDER = 1e-5
"""A method of order three is not for tolerances below this."""
Run = Callable[[StiffProblem, float], tuple[float, int]]
"""The error at the end, and the work."""


def neurode_solver(method: str) -> Run:
    def run(problem: StiffProblem, rtol: float) -> tuple[float, int]:
        with torch.no_grad():
            found = solve(
                problem.f, problem.start, [0.0, problem.t1], method=method, rtol=rtol, save="end",
                atol=rtol * ABSOLUTE[problem.name],
            )  # fmt: skip
        stats = found.stats
        return problem.error(found.ys[-1]), int(stats.num_evaluations + len(problem.y0) * stats.num_jacobians)

    return run


def scipy_solver(method: str) -> Run:
    def run(problem: StiffProblem, rtol: float) -> tuple[float, int]:
        calls = 0

        def field(t, y):
            nonlocal calls
            calls += 1
            return problem.f(t, torch.from_numpy(y)).numpy()

        found = solve_ivp(
            field, (0, problem.t1), problem.y0, method=method, rtol=rtol, atol=rtol * ABSOLUTE[problem.name]
        )
        # The differences that a Jacobian is made of are among these calls.
        return problem.error(torch.from_numpy(found.y[:, -1].copy())), calls

    return run


CONTENDERS: dict[str, tuple[Run, str, str]] = {
    "neurode rodas5p": (neurode_solver("rodas5p"), BLUE, "o-"),
    "neurode radau5": (neurode_solver("radau5"), PURPLE, "o-"),
    "neurode auto": (neurode_solver("auto"), GREEN, "s-"),
    "neurode kvaerno3": (neurode_solver("kvaerno3"), AMBER, "o-"),
    "neurode bdf": (neurode_solver("bdf"), VERMILION, "s-"),
    "SciPy Radau": (scipy_solver("Radau"), MUTED, "o--"),
    "SciPy BDF": (scipy_solver("BDF"), MUTED, "s--"),
}


@dataclass(frozen=True)
class Point:
    """One solve."""

    problem: str
    contender: str
    rtol: float
    error: float
    work: int


def measure(names: list[str]) -> list[Point]:
    points = []
    for problem in STIFF:
        for name in names:
            for rtol in TOLERANCES:
                if rtol < LOW_ORDER and name == "neurode kvaerno3":
                    break
                error, work = CONTENDERS[name][0](problem, rtol)
                points.append(Point(problem.name, name, rtol, error, work))
            print(problem.name, name, f"{points[-1].error:.1e}", points[-1].work, flush=True)
    return points


def draw(points: list[Point]) -> "Figure":
    """A panel a problem; further down is more precise, further left is cheaper."""
    with drawing():
        figure = new_figure(8.4, 8.0)
        for axes, problem in zip(figure.subplots(2, 2).flat, STIFF, strict=True):
            for name, (_, colour, look) in CONTENDERS.items():
                own = [point for point in points if point.problem == problem.name and point.contender == name]
                if own:
                    errors = [point.error for point in own]
                    axes.plot([point.work for point in own], errors, look, color=colour, markersize=4, label=name)
            axes.set_xscale("log")
            axes.set_yscale("log")
            powers_of_ten(axes.xaxis)
            powers_of_ten(axes.yaxis)
            axes.set_title(problem.name, loc="left")
            axes.set_xlabel("evaluations, Jacobian columns counted")
            axes.set_ylabel("relative error at the end")
            axes.grid(which="major", alpha=0.3)
        handles, labels = figure.axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False)
    return figure


def read(path: Path) -> list[Point]:
    with path.open(newline="") as file:
        return [
            Point(row["problem"], row["contender"], float(row["rtol"]), float(row["error"]), int(row["work"]))
            for row in csv.DictReader(file)
        ]


def main(arguments: list[str] | None = None) -> Path:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.stiff_precision", description=__doc__.splitlines()[0])
    parser.add_argument("--only", default=",".join(CONTENDERS), help="contenders, comma-separated; default: all")
    parser.add_argument("--read", type=Path, default=None, help="draw this .csv of an earlier run, and measure nothing")
    options = parser.parse_args(arguments)
    path = options.read or HERE / "results" / f"stiff_precision_{datetime.now():%Y-%m-%d}.csv"
    if options.read is None:
        with path.open("w", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(Point.__dataclass_fields__)
            writer.writerows(tuple(vars(point).values()) for point in measure(options.only.split(",")))
    write_png(draw(read(path)), HERE.parent / "docs" / "pictures" / "stiff_precision.png", dpi=110)
    return path


if __name__ == "__main__":
    print(main())
