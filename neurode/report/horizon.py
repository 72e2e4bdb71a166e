"""Errors against horizon: how fast a prediction gets worse with the distance from what is known."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from neurode.report.page import Item, Page
from neurode.report.picture import Picture
from neurode.report.style import (
    INK,
    METHOD_COLORS,
    METHOD_DASHES,
    METHOD_MARKERS,
    MUTED,
    amount,
    clean,
    drawing,
    legend_above,
    new_figure,
    number,
    plural,
)
from neurode.tasks.series.results import FORECAST, HELD_OUT, METHODS, NEURODE, TASKS, Evaluation, HorizonRow

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_SCORES = (
    ("km", "RMS distance, km", "distance"),
    ("rmse", "RMSE, standard deviations", "RMSE"),
    ("crps", "CRPS, standard deviations", "CRPS"),
)
_DISTANCE = {FORECAST: "since the last observation", HELD_OUT: "to the nearest observation"}


def horizon_page(evaluation: Evaluation) -> Page:
    """Errors of every method against the distance from what it knew."""
    title = "Errors against horizon"
    if not _tasks(evaluation):
        return Page(title, ("No prediction was scored, so there are no errors to set against the horizon.",))
    said = "The further a time lies from what the model was given, the harder it is to say what happened there."
    items: list[Item] = [said]
    for task in _tasks(evaluation):
        alt = f"{task.capitalize()}: errors of each method against distance."
        items.append(Picture(draw_horizon(evaluation, task), _caption(evaluation, task), alt))
    return Page(title, tuple(items))


def draw_horizon(evaluation: Evaluation, task: str) -> "Figure":
    """RMSE, CRPS and, where there are positions, km against distance for one task; ValueError without scores."""
    rows = [row for row in evaluation.by_horizon if row.task == task]
    scores = [score for score in _SCORES if any(np.isfinite(getattr(row, score[0])) for row in rows)]
    if not scores:
        raise ValueError(f"no score of task {task!r} by horizon is finite; there is nothing to draw")
    methods = [method for method in METHODS if any(row.method == method for row in rows)]
    with drawing():
        figure = new_figure(3.1, 9.2 if len(scores) > 1 else 5.6)
        panels = figure.subplots(1, len(scores), squeeze=False)[0]
        for axes, (name, label, title) in zip(panels, scores, strict=True):
            for method in sorted(methods, key=lambda method: method == NEURODE):
                _draw_method(axes, method, name, [row for row in rows if row.method == method])
            axes.set_title(f"{task.capitalize()}: {title}")
            axes.set_ylabel(label)
            axes.set_ylim(0, _top(rows, name))
            axes.set_xlim(left=0)
            axes.locator_params(nbins=6, steps=[1, 2, 3, 5, 6, 10])
            axes.set_xlabel(f"{clean(evaluation.time_unit, 20) or 'time'} {_DISTANCE.get(task, '')}".strip())
        _order_legend(figure, panels, methods)
    return figure


def _draw_method(axes: "Axes", method: str, name: str, rows: list[HorizonRow]) -> None:
    rows = sorted((row for row in rows if np.isfinite(getattr(row, name))), key=lambda row: row.lower)
    if not rows:
        return
    ours = method == NEURODE
    axes.plot(
        [_middle(row) for row in rows],
        [getattr(row, name) for row in rows],
        color=METHOD_COLORS.get(method, INK),
        ls=METHOD_DASHES.get(method, "-"),
        marker=METHOD_MARKERS.get(method, "o"),
        lw=2.2 if ours else 1.3,
        ms=5 if ours else 3.8,
        label=method,
        zorder=3 if ours else 2,
    )


def _top(rows: Sequence[HorizonRow], name: str) -> float:
    """Upper limit of a panel: all methods, but for one that errs so much more that it would flatten the others."""
    highest = max((getattr(row, name) for row in rows if not _far(rows, name, row.method)), default=1.0)
    return 1.08 * highest or 1.0


def _far(rows: Sequence[HorizonRow], name: str, method: str) -> bool:
    """Whether all of a method's errors are more than four times the largest of neurode's."""
    ours = [getattr(row, name) for row in rows if row.method == NEURODE and np.isfinite(getattr(row, name))]
    theirs = [getattr(row, name) for row in rows if row.method == method]
    return bool(ours) and max(ours) > 0 and not min(theirs) <= 4 * max(ours)


def _order_legend(figure: "Figure", panels, methods: list[str]) -> None:
    richest = max(panels, key=lambda axes: len(axes.get_legend_handles_labels()[0]))
    handles = dict(zip(*reversed(richest.get_legend_handles_labels()), strict=True))
    if len(handles) > 1:
        names = [method for method in methods if method in handles]
        figure.legend(
            [handles[name] for name in names], names, loc="outside upper left", ncols=len(names), labelcolor=MUTED
        )
    else:
        legend_above(figure, richest)


def _middle(row: HorizonRow) -> float:
    return 0.5 * (row.lower + row.upper) if np.isfinite(row.upper) else row.lower


def _tasks(evaluation: Evaluation) -> list[str]:
    return [
        task
        for task in (*reversed(TASKS),)
        if any(
            row.task == task and any(np.isfinite(getattr(row, name)) for name, _, _ in _SCORES)
            for row in evaluation.by_horizon
        )
    ]


def _caption(evaluation: Evaluation, task: str) -> str:
    rows = [row for row in evaluation.by_horizon if row.task == task and row.method == NEURODE]
    said = [f"{task.capitalize()}. Each mark is one range of distances, drawn at its middle; lower is better."]
    if rows:
        counts = [row.count for row in rows]
        said.append(f"Behind a mark stand {min(counts):,} to {max(counts):,} values.")
        said.extend(_changes(evaluation, task, rows))
    said.extend(_out_of_frame([row for row in evaluation.by_horizon if row.task == task]))
    return " ".join(said)


def _out_of_frame(rows: list[HorizonRow]) -> list[str]:
    """Which methods err too much to be drawn, and in what."""
    said = []
    for name, _, title in _SCORES:
        far = [
            method
            for method in METHODS
            if any(row.method == method and np.isfinite(getattr(row, name)) for row in rows)
            and _far(rows, name, method)
        ]
        if far:
            lowest = min(getattr(row, name) for row in rows if row.method in far)
            unit = " km" if name == "km" else ""
            what = title.capitalize() if name == "km" else title
            names = " and ".join(f"'{method}'" for method in far)
            said.append(f"{what}: {names} lies above the frame ({number(lowest)}{unit} or more).")
    return said


def _changes(evaluation: Evaluation, task: str, ours: list[HorizonRow]) -> list[str]:
    """In words: how many ranges are won in RMSE, and against whom the others are lost."""
    lost = []
    compared = 0
    for row in ours:
        rivals = [
            rival
            for rival in evaluation.by_horizon
            if (rival.task, rival.lower) == (task, row.lower) and rival.method != NEURODE and np.isfinite(rival.rmse)
        ]
        if not rivals or not np.isfinite(row.rmse):
            continue
        compared += 1
        best = min(rivals, key=lambda rival: rival.rmse)
        if best.rmse < row.rmse:
            lost.append((row, best))
    if not compared:
        return []
    if not lost:
        ranges = {1: "the only range", 2: "both ranges"}.get(compared, f"all {compared} ranges")
        return [f"neurode has the smallest RMSE in {ranges}."]
    row, best = lost[0]
    where = f"from {amount(row.lower)} to {amount(row.upper)} {evaluation.time_unit}".rstrip()
    won = f"neurode has the smallest RMSE in {compared - len(lost)} of {plural(compared, 'range')}"
    return [f"{won}; {where}, for example, '{best.method}' is better."]
