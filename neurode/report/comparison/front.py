"""Time against accuracy: who is faster, who is better, and whom nobody beats in both."""

from typing import TYPE_CHECKING

import numpy as np

from neurode.report.comparison.looks import looks
from neurode.report.page import Cell, Page, Table
from neurode.report.picture import Picture
from neurode.report.style import MUTED, drawing, new_figure, number
from neurode.tasks.comparison.results import Comparison, ModelFigures
from neurode.tasks.comparison.verdicts import front, megabytes, points, step_change

if TYPE_CHECKING:
    from matplotlib.figure import Figure


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
        for place, model in enumerate(found.trained):
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
                _label(model),
                (seconds, 100 * model.score),
                xytext=(6, 5 if place % 2 else -11),  # those of one field lie near each other
                textcoords="offset points",
                fontsize=7.5,
                color=own.color,
            )
        best = [(found.epoch_seconds(one)[0], 100 * one.score) for one in front(found)]
        axes.plot(*np.array(best).T, color=MUTED, lw=1, ls=(0, (4, 3)), zorder=0)
        axes.set_xlabel("seconds an epoch")
        axes.set_ylabel(f"{found.score_name}, %")
        axes.set_ylim(*_view(found))
        axes.set_xlim(0, 1.25 * max(found.epoch_seconds(one)[0] for one in found.trained))
    return figure


def _view(found: Comparison) -> tuple[float, float]:
    """Limits of the score in percent, not far beyond 100."""
    ends = [
        100 * (one.score + sign * (one.spread if one.spread == one.spread else 0))
        for one in found.trained
        for sign in (-1, 1)
    ]
    margin = 0.12 * (max(ends) - min(ends)) or 0.5
    return min(ends) - margin, min(max(ends) + margin, max(100.0, max(ends)) + 0.2)


def _label(model: ModelFigures) -> str:
    """The depth of a network, whose family the mark says, else the name."""
    return str(model.candidate.depth) if model.candidate.depth is not None else model.candidate.name


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
        f"Red squares: residual networks with so many blocks{tied}. Bars: quartiles of the seconds, standard "
        f"deviation of the {found.score_name} over {repeats} repeat{'s' if repeats > 1 else ''}. The dashed line joins "
        "the models that no other beats in both."
    )
