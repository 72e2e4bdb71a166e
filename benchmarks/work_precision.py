"""Work and precision: the error at the end against calls of f and seconds, beside SciPy, torchdiffeq and diffrax.

    python -m benchmarks.work_precision

Four non-stiff problems, one state each in float64, rtol = atol from 1e-3 to 1e-11. Error: the largest of all
components at t1, relative to 1 + |y|. Writes benchmarks/results/work_precision_<date>.csv and two pictures into
docs/pictures.
"""

import argparse
import csv
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import scipy.integrate
import torch

from benchmarks.work_precision_problems import PROBLEMS, Problem
from neurode import solve
from neurode.report.picture import write_png
from neurode.report.style import AMBER, BLUE, GREEN, MUTED, PURPLE, VERMILION, drawing, new_figure, powers_of_ten

if TYPE_CHECKING:
    from matplotlib.figure import Figure

HERE = Path(__file__).parent
TOLERANCES = tuple(10.0**-power for power in range(3, 12))
End = tuple[np.ndarray, int]
"""The state at t1, and the calls of f."""


def neurode_solver(method: str) -> Callable[[Problem, float], End]:
    def run(problem: Problem, tolerance: float) -> End:
        y0 = torch.tensor(problem.start, dtype=torch.float64)
        with torch.no_grad():
            found = solve(
                lambda t, y: problem.field(torch, t, y), y0, [0.0, problem.t1], method=method, rtol=tolerance,
                atol=tolerance, save="end", engine="eager",
            )  # fmt: skip
        return found.ys[-1].numpy(), int(found.stats.num_evaluations)

    return run


def scipy_solver(method: str) -> Callable[[Problem, float], End]:
    def run(problem: Problem, tolerance: float) -> End:
        found = scipy.integrate.solve_ivp(
            lambda t, y: problem.field(np, t, y), (0, problem.t1), problem.start, method, rtol=tolerance, atol=tolerance
        )
        return found.y[:, -1], found.nfev

    return run


def torchdiffeq_solver(method: str) -> Callable[[Problem, float], End]:
    import torchdiffeq

    def run(problem: Problem, tolerance: float) -> End:
        calls = 0

        def field(t, y):
            nonlocal calls
            calls += 1
            return problem.field(torch, t, y)

        y0, ts = torch.tensor(problem.start, dtype=torch.float64), torch.tensor([0.0, problem.t1], dtype=torch.float64)
        with torch.no_grad():
            end = torchdiffeq.odeint(field, y0, ts, method=method, rtol=tolerance, atol=tolerance)[-1]
        return end.numpy(), calls

    return run


def diffrax_solver(method: str, stages: int) -> Callable[[Problem, float], End]:
    import diffrax
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)
    programs: dict[str, Callable] = {}

    def program(problem: Problem) -> Callable:
        term = diffrax.ODETerm(lambda t, y, args: problem.field(jnp, t, y))

        def one(y0, tolerance):
            return diffrax.diffeqsolve(
                term, getattr(diffrax, method)(), 0.0, problem.t1, None, y0, max_steps=200_000,
                stepsize_controller=diffrax.PIDController(rtol=tolerance, atol=tolerance),
            )  # fmt: skip

        return jax.jit(one)

    def run(problem: Problem, tolerance: float) -> End:
        solver = programs.setdefault(problem.name, program(problem))
        found = solver(jnp.asarray(problem.start), tolerance)
        # Each step makes all stages but the one handed over; two calls more choose the first step.
        return np.asarray(found.ys[-1]), stages * int(found.stats["num_steps"]) + 2

    return run


CONTENDERS: dict[str, tuple[Callable[[], Callable[[Problem, float], End]], str, str]] = {
    "neurode bosh3": (lambda: neurode_solver("bosh3"), GREEN, "o-"),
    "neurode dopri5": (lambda: neurode_solver("dopri5"), BLUE, "o-"),
    "neurode tsit5": (lambda: neurode_solver("tsit5"), BLUE, "s-"),
    "neurode vern7": (lambda: neurode_solver("vern7"), VERMILION, "o-"),
    "neurode dop853": (lambda: neurode_solver("dop853"), PURPLE, "o-"),
    "neurode dopri8": (lambda: neurode_solver("dopri8"), PURPLE, "s-"),
    "SciPy RK45": (lambda: scipy_solver("RK45"), MUTED, "o--"),
    "SciPy DOP853": (lambda: scipy_solver("DOP853"), MUTED, "s--"),
    "torchdiffeq dopri5": (lambda: torchdiffeq_solver("dopri5"), AMBER, "o--"),
    "torchdiffeq dopri8": (lambda: torchdiffeq_solver("dopri8"), AMBER, "s--"),
    "diffrax Tsit5": (lambda: diffrax_solver("Tsit5", 6), GREEN, "v:"),
    "diffrax Dopri8": (lambda: diffrax_solver("Dopri8", 13), GREEN, "^:"),
}

LOOSE, LOW_ORDER = ("neurode bosh3",), 1e-8
"""Of order three, and so not for tolerances below this."""


@dataclass(frozen=True)
class Point:
    """One solve. seconds: the least of three (fewer where they are long)."""

    problem: str
    contender: str
    tolerance: float
    error: float
    calls: int
    seconds: float


def reference(problem: Problem) -> np.ndarray:
    """A closed orbit's own beginning, else DOP853 at a tolerance of 1e-13."""
    if problem.closed:
        return np.array(problem.start)
    return scipy_solver("DOP853")(problem, 1e-13)[0]


def measure(names: list[str]) -> list[Point]:
    points = []
    for problem in PROBLEMS:
        exact = reference(problem)
        for name in names:
            run = CONTENDERS[name][0]()
            run(problem, TOLERANCES[0])  # compiles, and finds what is looked up once
            for tolerance in TOLERANCES:
                if tolerance < LOW_ORDER and name in LOOSE:
                    break
                spent: list[float] = []
                while len(spent) < 3 and sum(spent) < 0.4:
                    begin = time.perf_counter()
                    end, calls = run(problem, tolerance)
                    spent.append(time.perf_counter() - begin)
                error = float((np.abs(end - exact) / (1 + np.abs(exact))).max())
                points.append(Point(problem.name, name, tolerance, error, calls, min(spent)))
            print(
                problem.name,
                name,
                f"{points[-1].error:.1e}",
                points[-1].calls,
                f"{points[-1].seconds:.3f} s",
                flush=True,
            )
    return points


def draw(points: list[Point], work: str) -> "Figure":
    """work: "calls" or "seconds". A panel a problem; further down is more precise, further left is cheaper."""
    with drawing():
        figure = new_figure(8.4, 10.0)
        for axes, problem in zip(figure.subplots(2, 2).flat, PROBLEMS, strict=True):
            for name, (_, colour, look) in CONTENDERS.items():
                own = [point for point in points if point.problem == problem.name and point.contender == name]
                if own:
                    amounts = [getattr(point, work) for point in own]
                    axes.plot(amounts, [max(p.error, 1e-15) for p in own], look, color=colour, markersize=4, label=name)
            axes.set_xscale("log")
            axes.set_yscale("log")
            powers_of_ten(axes.xaxis)
            powers_of_ten(axes.yaxis)
            axes.set_title(problem.name, loc="left")
            axes.set_xlabel("calls of f" if work == "calls" else "seconds")
            axes.set_ylabel("error at the end")
            axes.grid(which="major", alpha=0.3)
        handles, labels = figure.axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False)
    return figure


def read(path: Path) -> list[Point]:
    def point(row: dict[str, str]) -> Point:
        tolerance, error, seconds = (float(row[name]) for name in ("tolerance", "error", "seconds"))
        return Point(row["problem"], row["contender"], tolerance, error, int(row["calls"]), seconds)

    with path.open(newline="") as file:
        return [point(row) for row in csv.DictReader(file)]


def main(arguments: list[str] | None = None) -> Path:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.work_precision", description=__doc__.splitlines()[0])
    parser.add_argument("--only", default=",".join(CONTENDERS), help="contenders, comma-separated; default: all")
    parser.add_argument("--read", type=Path, default=None, help="draw this .csv of an earlier run, and measure nothing")
    options = parser.parse_args(arguments)
    path = options.read or HERE / "results" / f"work_precision_{datetime.now():%Y-%m-%d}.csv"
    if options.read is None:
        points = measure(options.only.split(","))
        with path.open("w", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(Point.__dataclass_fields__)
            writer.writerows(tuple(vars(point).values()) for point in points)
    for work in ("calls", "seconds"):
        picture = HERE.parent / "docs" / "pictures" / f"work_precision_{work}.png"
        write_png(draw(read(path), work), picture, dpi=110)
    return path


if __name__ == "__main__":
    print(main())
