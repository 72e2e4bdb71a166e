"""The story's third line: a solver that chooses its own steps."""

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import torch

from neurode.integration.solution import Solution
from neurode.report.page import Formula, Page
from neurode.report.picture import Picture
from neurode.report.style import (
    AMBER,
    BLUE,
    GREEN,
    INK,
    MUTED,
    VERMILION,
    drawing,
    legend_above,
    new_figure,
    number,
    powers_of_ten,
)
from neurode.solving import solve

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SPAN = 120.0
RTOL, ATOL = 1e-4, 1e-6
_LOOKS = {"euler": (VERMILION, "s"), "rk4": (AMBER, "D"), "tsit5": (GREEN, "^"), "dopri5": (BLUE, "o")}


@dataclass(frozen=True)
class ChosenSteps:
    """An adaptive solve: times of the accepted steps (n,), states there (n, 2), and a fine curve for the eye.

    rejected: attempted steps that were too inexact. evaluations: calls of the field.
    """

    times: np.ndarray
    states: np.ndarray
    curve_times: np.ndarray
    curve: np.ndarray
    evaluations: int
    rejected: int


@dataclass(frozen=True)
class WorkPrecision:
    """Evaluations and error at the end of several solves of one method."""

    method: str
    evaluations: np.ndarray
    errors: np.ndarray


def steps_page() -> Page:
    """Where dopri5 puts its steps, and what accuracy costs with four methods."""
    chosen, work = chosen_steps(), work_precision()
    return Page(
        "A solver that chooses its own steps",
        (
            "Nothing forces the steps to be equal. A Runge–Kutta pair computes two results of different order from "
            "the same evaluations of f; their difference tells how large the error of a step is, and so how long the "
            "next one may be. A neural ODE leaves the depth of the network to such a solver:",
            Formula("dh/dt = f(h(t), t, θ)        h(T) = solve(f, h(0), [0, T])"),
            Picture(
                draw_steps(chosen),
                _steps_caption(chosen),
                "The steps that dopri5 chose on a problem fast and slow by turns.",
            ),
            Picture(
                draw_work(work), _work_caption(work), "Error against evaluations for euler, rk4, dopri5 and tsit5."
            ),
        ),
    )


def nerve(t: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """A nerve cell that fires: voltage, fast, and recovery, slow (FitzHugh 1961, Nagumo 1962), (2,) -> (2,)."""
    del t
    voltage, recovery = y[0], y[1]
    return torch.stack([voltage - voltage**3 / 3 - recovery + 0.5, 0.05 * (voltage + 0.7 - 0.8 * recovery)])


def chosen_steps() -> ChosenSteps:
    """The nerve cell solved by dopri5 at rtol 1e-4."""
    start, span = _problem()
    steps = solve(nerve, start, span, method="dopri5", rtol=RTOL, atol=ATOL, save="steps")
    fine = torch.linspace(0.0, SPAN, 1201, dtype=torch.float64)
    curve = solve(nerve, start, fine, method="dopri5", rtol=1e-6, atol=1e-8).ys
    return ChosenSteps(
        steps.ts.numpy(),
        steps.ys.numpy(),
        fine.numpy(),
        curve.numpy(),
        int(steps.stats.num_evaluations),
        int(steps.stats.num_rejected),
    )


@cache
def work_precision() -> tuple[WorkPrecision, ...]:
    """Error at the end against evaluations, for several steps of euler and rk4, tolerances of dopri5 and tsit5."""
    exact = _end("dopri5", rtol=1e-11, atol=1e-13).ys
    settings = {
        "euler": [{"step_size": SPAN / steps} for steps in (240, 480, 960, 1920, 3840)],
        "rk4": [{"step_size": SPAN / steps} for steps in (120, 180, 240, 480, 960)],
        "dopri5": [{"rtol": rtol, "atol": 1e-2 * rtol} for rtol in (1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7)],
        "tsit5": [{"rtol": rtol, "atol": 1e-2 * rtol} for rtol in (1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7)],
    }
    found = []
    for method, options in settings.items():
        runs = [_end(method, **option) for option in options]
        errors = [float((run.ys - exact).norm()) for run in runs]
        found.append(
            WorkPrecision(method, np.array([int(run.stats.num_evaluations) for run in runs]), np.array(errors))
        )
    return tuple(found)


def draw_steps(chosen: ChosenSteps) -> "Figure":
    """Above: the voltage with a dot at each accepted step. Below: how long the steps are, on a logarithmic axis."""
    sizes = np.diff(chosen.times)
    with drawing():
        figure = new_figure(4.0)
        above, below = figure.subplots(2, 1, sharex=True, height_ratios=(1.35, 1))
        above.plot(chosen.curve_times, chosen.curve[:, 0], color=MUTED, lw=2.4, alpha=0.4)
        above.plot(chosen.times, chosen.states[:, 0], "o", color=BLUE, ms=3.4, mew=0)
        above.set_title("The voltage, and the steps that dopri5 took")
        above.set_ylabel("voltage")
        below.stairs(sizes[1:-1], chosen.times[1:-1], baseline=None, color=INK, lw=1.2)
        below.set_yscale("log")
        powers_of_ten(below.yaxis, (0.1, 0.2, 0.5, 1, 2, 5, 10))
        below.set_ylim(0.75 * sizes[1:-1].min(), 1.4 * sizes[1:-1].max())
        below.set_title("How long each step is")
        below.set_ylabel("step size")
        below.set_xlabel("time")
        below.set_xlim(0, SPAN)
    return figure


def draw_work(work: tuple[WorkPrecision, ...]) -> "Figure":
    """Error at the end against evaluations, both logarithmic, each line named at its end."""
    with drawing():
        figure = new_figure(3.5, 6.6)
        axes = figure.add_subplot()
        for line in work:
            color, marker = _LOOKS[line.method]
            axes.plot(line.evaluations, line.errors, color=color, marker=marker, ms=4.5, label=line.method)
        axes.set_xscale("log")
        axes.set_yscale("log")
        powers_of_ten(axes.xaxis, (250, 500, 1000, 2000, 4000))
        powers_of_ten(axes.yaxis)
        axes.set_xlabel("evaluations of f")
        axes.set_ylabel("error at the end")
        axes.set_title("What accuracy costs")
        legend_above(figure, axes)
    return figure


def _end(method: str, rtol: float | None = None, atol: float | None = None, step_size: float | None = None) -> Solution:
    start, span = _problem()
    return solve(nerve, start, span, method=method, rtol=rtol, atol=atol, step_size=step_size, save="end")


def _problem() -> tuple[torch.Tensor, torch.Tensor]:
    return torch.tensor([-1.0, 1.0], dtype=torch.float64), torch.tensor([0.0, SPAN], dtype=torch.float64)


def _steps_caption(chosen: ChosenSteps) -> str:
    sizes = np.diff(chosen.times)[1:-1]
    equal = int(np.ceil(SPAN / sizes.min()))
    return (
        f"A model of a nerve cell, at rest and then firing. At tolerance {RTOL:g} dopri5 takes {len(chosen.times) - 1} "
        f"steps and {chosen.evaluations} evaluations of f ({chosen.rejected} more steps were tried and rejected). It "
        f"strides while little happens, up to {number(sizes.max(), 2)}, and treads carefully, down to "
        f"{number(sizes.min(), 2)}, while the cell fires. Equal steps as short as its shortest would be {equal}. The "
        "first step, which only feels its way, and the last, cut to end in time, are not drawn below."
    )


def _work_caption(work: tuple[WorkPrecision, ...]) -> str:
    goal = 1e-4
    needed = {line.method: _evaluations_for(line, goal) for line in work}
    said = [
        f"{method} needs about {float(f'{count:.2g}'):,.0f} evaluations"
        for method, count in needed.items()
        if np.isfinite(count)
    ]
    missed = [method for method, count in needed.items() if not np.isfinite(count)]
    words = "The same nerve cell solved to different accuracies; down and left is better."
    words += f" For an error of {goal:g} {', '.join(said)}."
    if missed:
        most = max(int(line.evaluations.max()) for line in work)
        words += f" {' and '.join(missed)} did not come that far in {most:,} evaluations."
    return words


def _evaluations_for(line: WorkPrecision, goal: float) -> float:
    """Evaluations at which the line crosses the goal, interpolated on logarithms; infinite where it does not."""
    order = np.argsort(line.errors)
    errors, evaluations = line.errors[order], line.evaluations[order]
    if not errors[0] <= goal <= errors[-1]:
        return float("inf")
    return float(np.exp(np.interp(np.log(goal), np.log(errors), np.log(evaluations))))
