"""Time against accuracy: who is faster, who is better, and whom nobody beats in both."""

from typing import TYPE_CHECKING

import numpy as np

from neurode.report.comparison.looks import looks
from neurode.report.page import Cell, Page, Table
from neurode.report.picture import Picture
from neurode.report.style import MUTED, drawing, new_figure, number, powers_of_ten
from neurode.tasks.comparison.results import Comparison, ModelFigures
from neurode.tasks.comparison.verdicts import front, megabytes, points, step_change

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_WIDE = 8
"""Times of an epoch that differ by more than this are shown by factors."""


def front_page(found: Comparison) -> Page:
    """The picture, and the figures of every model."""
    return Page(
        "Time against accuracy",
        (
            Picture(draw_front(found), _caption(found), f"Seconds an epoch against {found.score_name} of each model."),
            figures_table(found),
        ),
    )


def draw_front(found: Comparison) -> "Figure":
    """A mark a model; the grey line joins those that nobody beats."""
    look = looks(found)
    with drawing():
        figure = new_figure(3.9)
        axes = figure.subplots()
        nets = odes = 0
        for model in found.trained:
            own = look[model.candidate.name]
            seconds, low, high = found.epoch_seconds(model)
            spread = model.spread if model.spread == model.spread else 0.0
            axes.errorbar(
                seconds,
                100 * model.score,
                xerr=[[seconds - low], [high - seconds]],
                yerr=100 * spread,
                color=own.color,
                marker=own.mark,
                ms=6,
                elinewidth=0.8,
            )
            axes.annotate(
                _label(found, model),
                (seconds, 100 * model.score),
                xytext=(6, 5 + 9 * (odes % 2) if model.candidate.is_ode else -11 - 9 * (nets % 2)),
                textcoords="offset points",
                fontsize=7.5,
                color=own.color,
            )
            nets, odes = nets + (not model.candidate.is_ode), odes + model.candidate.is_ode
        best = [(found.epoch_seconds(one)[0], 100 * one.score) for one in front(found)]
        axes.plot(*np.array(best).T, color=MUTED, lw=1, ls=(0, (4, 3)), zorder=0)
        axes.set_xlabel("seconds an epoch")
        axes.set_ylabel(f"{found.score_name}, %")
        axes.set_ylim(*_view(found))
        _scale_of_time(axes, [found.epoch_seconds(one)[0] for one in found.trained])
    return figure


def _scale_of_time(axes: "Axes", seconds: list[float]) -> None:
    """From 0 on; where the slowest takes many times as long as the fastest, by factors."""
    low, high = min(seconds), max(seconds)
    if not 0 < _WIDE * low < high:
        axes.set_xlim(0, 1.25 * high)
        return
    axes.set_xscale("log")
    low, high = 0.8 * low, 2 * high  # names stand to the right
    marks = [base * 10.0**power for power in range(-6, 6) for base in (1, 2, 5)]
    powers_of_ten(axes.xaxis, [mark for mark in marks if low <= mark <= high])
    axes.set_xlim(low, high)


def _view(found: Comparison) -> tuple[float, float]:
    """Limits of the score in percent, not far beyond 100."""
    ends = [
        100 * (one.score + sign * (one.spread if one.spread == one.spread else 0))
        for one in found.trained
        for sign in (-1, 1)
    ]
    margin = 0.12 * (max(ends) - min(ends)) or 0.5
    low = min(ends) - margin
    return low, min(max(ends) + margin, 100 + 0.04 * (100 - low))


def _label(found: Comparison, model: ModelFigures) -> str:
    """The depth of a network, whose family the mark says; of an ODE-net the solver, where that tells it from others."""
    if model.candidate.depth is not None:
        return str(model.candidate.depth)
    alike = [one for one in found.odenets if one.candidate.solver == model.candidate.solver]
    return model.candidate.solver if len(alike) == 1 else model.candidate.name.removeprefix("ODE-net ")


def figures_table(found: Comparison) -> Table:
    """Every figure of every model; the best of a column in bold."""
    trained = found.trained
    best_score = max((one.score for one in trained), default=0)
    fastest = min((found.epoch_seconds(one)[0] for one in trained), default=0)
    least = min((one.memory.tensors for one in trained if one.memory is not None), default=0)
    header = (
        "model",
        "parameters",
        "s an epoch",
        "s to goal",
        "memory",
        "process",
        "calls forward",
        "backward",
        found.score_name,
        "± s.d.",
        "finer steps",
        "inference",
    )
    rows = tuple(_row(found, model, best_score, fastest, least) for model in found.models)
    goal = points(found.goal)
    return Table(
        header,
        rows,
        f"Seconds an epoch are medians over epochs; models took turns epoch by epoch. The goal is {goal}. Memory: "
        "tensors of a training step; process: growth of a fresh process. Calls of the block a training step, in the "
        "last epoch; backward are those made again. Finer steps: the largest change of the score with half the step or "
        f"dopri5 at 1e-5. Inference: a batch of {found.settings['batch_size']}.",
    )


def _row(
    found: Comparison, model: ModelFigures, best_score: float, fastest: float, least: float
) -> tuple[str | Cell, ...]:
    if model.problem:
        return (model.candidate.name, f"{model.parameters:,}", *["–"] * 10)
    seconds = found.epoch_seconds(model)[0]
    goal = found.seconds_to_goal(model)
    forward, backward = found.evaluations(model)
    tensors, resident = (
        (model.memory.tensors, model.memory.resident) if model.memory is not None else (float("nan"), float("nan"))
    )
    return (
        model.candidate.name,
        f"{model.parameters:,}",
        Cell(number(seconds), seconds == fastest),
        "never" if goal == float("inf") else number(goal),
        Cell(megabytes(tensors), tensors == least),
        megabytes(resident),
        number(forward),
        number(backward),
        Cell(points(model.score), model.score == best_score),
        points(model.spread),
        points(step_change(model)),
        f"{1e3 * model.latency:.3g} ms",
    )


def _caption(found: Comparison) -> str:
    repeats = found.settings["repeats"]
    tied = ", amber diamonds those of one block" if any(one.candidate.family == "tied" for one in found.models) else ""
    return (
        f"Red squares: residual networks with so many blocks{tied}; other marks: ODE-nets. Bars: quartiles of the "
        f"seconds, standard deviation of the {found.score_name} over {repeats} repeat{'s' if repeats > 1 else ''}. The "
        "dashed line joins the models that no other beats in both."
    )
