"""Calibration: how often an interval holds the truth, against how often it says it does."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from neurode.report.page import Page
from neurode.report.picture import Picture
from neurode.report.style import (
    AXIS,
    BLUE,
    INK,
    METHOD_COLORS,
    METHOD_DASHES,
    drawing,
    legend_above,
    new_figure,
    percent,
)
from neurode.tasks.series.results import NEURODE, TASKS, CoverageCurve, Evaluation

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def calibration_page(evaluation: Evaluation) -> Page:
    """Are the intervals honest?"""
    title = "Are the intervals honest?"
    curves = _drawable(evaluation.coverage_curves)
    if not curves:
        return Page(title, ("No interval was scored, so its coverage is not known.",))
    said = (
        f"An interval that promises {percent(evaluation.coverage)} should hold {percent(evaluation.coverage)} of the "
        "truths: fewer, and it is too sure of itself; more, and it is wider than it need be."
    )
    picture = Picture(
        draw_calibration(evaluation), _caption(evaluation), "Coverage of the intervals against their level."
    )
    return Page(title, (said, picture))


def draw_calibration(evaluation: Evaluation) -> "Figure":
    """Actual against nominal coverage, a panel a task, baselines thin; ValueError if no curve holds a number."""
    curves = _drawable(evaluation.coverage_curves)
    tasks = [task for task in TASKS if any(curve.task == task for curve in curves)]
    if not tasks:
        raise ValueError("no coverage curve holds a finite number; there is nothing to draw")
    with drawing():
        figure = new_figure(3.75, 3.6 * len(tasks) + (0.4 if len(tasks) > 1 else 1.6))
        panels = figure.subplots(1, len(tasks), squeeze=False)[0]
        for axes, task in zip(panels, tasks, strict=True):
            _draw_task(axes, [curve for curve in curves if curve.task == task], evaluation.coverage)
            axes.set_title(task.capitalize())
        panels[0].set_ylabel("share of truths inside")
        richest = max(panels, key=lambda axes: len(axes.get_legend_handles_labels()[0]))
        legend_above(figure, richest)
    return figure


def _draw_task(axes: "Axes", curves: Sequence[CoverageCurve], level: float) -> None:
    axes.plot([0, 1], [0, 1], color=AXIS, lw=1.2, label="exact")
    for curve in sorted(curves, key=lambda curve: curve.method == NEURODE):
        ours = curve.method == NEURODE
        axes.plot(
            curve.nominal,
            curve.actual,
            color=METHOD_COLORS.get(curve.method, INK),
            ls=METHOD_DASHES.get(curve.method, "-"),
            lw=2.0 if ours else 1.1,
            marker="o" if ours else "",
            ms=3.5,
            label=curve.method,
        )
        if ours:
            at = _at(curve, level)
            axes.plot([level, level, 0], [0, at, at], color=BLUE, lw=0.8, ls=(0, (2, 2)), zorder=1)
            axes.annotate(
                f"{percent(level)} interval holds {percent(at)}",
                (0, at),
                (5, 4),
                textcoords="offset points",
                color=BLUE,
                fontsize=8,
            )
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1.02)
    axes.set_aspect("equal")
    ticks = [0, 0.2, 0.4, 0.6, 0.8, 1.0]
    axes.set_xticks(ticks, [f"{100 * tick:.0f}%" for tick in ticks])
    axes.set_yticks(ticks, [f"{100 * tick:.0f}%" for tick in ticks])
    axes.set_xlabel("level of the interval")


def _drawable(curves: Sequence[CoverageCurve]) -> list[CoverageCurve]:
    return [curve for curve in curves if (np.isfinite(curve.nominal) & np.isfinite(curve.actual)).any()]


def _at(curve: CoverageCurve, level: float) -> float:
    known = np.isfinite(curve.nominal) & np.isfinite(curve.actual)
    return float(np.interp(level, curve.nominal[known], curve.actual[known]))


def _caption(evaluation: Evaluation) -> str:
    said = [
        "On the grey diagonal an interval keeps its promise; below it the interval is too narrow, above it too wide."
    ]
    for curve in _drawable(evaluation.coverage_curves):
        if curve.method == NEURODE:
            known = np.isfinite(curve.nominal) & np.isfinite(curve.actual)
            worst = float(np.abs(curve.actual - curve.nominal)[known].max())
            said.append(f"{curve.task.capitalize()}: never further than {100 * worst:.1f} points from the diagonal.")
    said.append("The intervals were widened or narrowed on series used for nothing else; these are other series.")
    return " ".join(said)
