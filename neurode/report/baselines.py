"""Scores beside the baselines: tables, and a chart of every feature."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from neurode.report.page import Cell, Item, Page, Table
from neurode.report.picture import Picture
from neurode.report.style import (
    AXIS,
    BLUE,
    METHOD_COLORS,
    METHOD_MARKERS,
    amount,
    clean,
    drawing,
    legend_above,
    new_figure,
    number,
    percent,
    plural,
)
from neurode.tasks.series.results import AVERAGE, METHODS, NEURODE, POSITION, Evaluation, ScoreRow

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SHOWN = 42
"""Lines in one chart, the average and the position counted; it would not fit a page otherwise."""

FURTHEST = 20.0
"""Right end of the axis of ratios at most."""


def baselines_page(evaluation: Evaluation) -> Page:
    """Every score of every method, and which features gain."""
    title = "Beside the baselines"
    if not evaluation.rows:
        why = [f"{task.capitalize()}: {clean(reason)}." for task, reason in evaluation.skipped.items()]
        return Page(title, ("Nothing was scored.", *why))
    items: list[Item] = [
        f"Scores on {plural(evaluation.num_series, 'test series')} that neither training nor calibration used. "
        "The baselines: the last value seen; the straight line between neighbours, or through the last two and on; "
        "the mean of the training series."
    ]
    items.extend(f"{task.capitalize()} was not scored: {clean(why)}." for task, why in evaluation.skipped.items())
    if any(_ratios(evaluation, task) for task in evaluation.tasks):
        alt = "RMSE of the baselines over the RMSE of neurode, feature by feature."
        items.append(Picture(draw_ratios(evaluation), _ratio_caption(evaluation), alt))
    for task in evaluation.tasks:
        items.append(feature_table(evaluation, task))
    return Page(title, tuple(items))


def verdict_table(evaluation: Evaluation) -> Table | None:
    """The small table at the top, methods by scores of each task, the best in bold; None if nothing was scored."""
    columns = [(task, *score) for task in evaluation.tasks for score in _scores(evaluation, task)]
    if not columns:
        return None
    rows = []
    for method in METHODS:
        cells: list[str | Cell] = [method]
        for task, feature, name, _ in columns:
            cells.append(_cell(evaluation, task, method, feature, name))
        if any((cell.text if isinstance(cell, Cell) else cell) != "–" for cell in cells[1:]):
            rows.append(tuple(cells))
    level = percent(evaluation.coverage)
    groups = [("", 1)] + [(_group(evaluation, task), len(_scores(evaluation, task))) for task in evaluation.tasks]
    return Table(
        header=("", *(label for _, _, _, label in columns)),
        rows=tuple(rows),
        groups=tuple(groups),
        caption="RMSE and CRPS average over the standardised features (1 = one standard deviation): lower is better, "
        f"the best is bold. In the band: share of truths inside the {level} interval, best when it is {level}.",
    )


def feature_table(evaluation: Evaluation, task: str) -> Table:
    """All scores of one task, a line a feature, in the user's units, neurode beside the best baseline."""
    rows = []
    names = [AVERAGE, *([POSITION] if evaluation.has_position else []), *evaluation.features]
    for feature in names:
        ours = _find(evaluation, task, NEURODE, feature)
        if ours is None:
            continue
        rivals = [row for method in METHODS[1:] if (row := _find(evaluation, task, method, feature)) is not None]
        rivals = [row for row in rivals if math.isfinite(row.rmse)]
        best = min(rivals, key=lambda row: row.rmse, default=None)
        unit = f" ({clean(ours.unit, 12)})" if ours.unit else ""
        rows.append(
            (
                clean(feature, 60) + unit,
                _bold(ours.rmse, best.rmse if best else math.nan),
                number(best.rmse) if best else "–",
                best.method if best else "–",
                number(ours.mae),
                number(ours.crps),
                percent(ours.coverage),
                f"{ours.count:,}",
            )
        )
    return Table(
        header=("feature", "RMSE", "best baseline", "which", "MAE", "CRPS", "in the band", "values"),
        rows=tuple(rows),
        words=frozenset({3}),
        caption=f"{task.capitalize()}, feature by feature, in the table's own units; an RMSE ahead of every baseline "
        "is bold.",
    )


def draw_ratios(evaluation: Evaluation) -> "Figure":
    """RMSE of each baseline over neurode's, a row a feature, a panel a task; ValueError if no feature has both."""
    tasks = [task for task in evaluation.tasks if _ratios(evaluation, task)]
    if not tasks:
        raise ValueError("no feature was scored for neurode and a baseline; there is nothing to draw")
    found = [_ratios(evaluation, task) for task in tasks]
    lines = list(dict.fromkeys(feature for ratios in found for feature in ratios))
    lines = sorted(lines, key=lambda feature: (feature != AVERAGE, feature != POSITION))[:SHOWN]
    with drawing():
        figure = new_figure(0.21 * len(lines) + 1.3)
        panels = figure.subplots(1, len(tasks), sharey=True, squeeze=False)[0]
        for axes, task, ratios in zip(panels, tasks, found, strict=True):
            _draw_ratio_panel(axes, lines, ratios)
            axes.set_title(task.capitalize())
        panels[0].set_yticks(range(len(lines)), [clean(feature, 34) for feature in lines])
        panels[0].set_ylim(len(lines) - 0.4, -0.6)
        richest = max(panels, key=lambda axes: len(axes.get_legend_handles_labels()[0]))
        legend_above(figure, richest)
    return figure


def _draw_ratio_panel(axes: "Axes", lines: Sequence[str], ratios: Mapping[str, Mapping[str, float]]) -> None:
    everything = [ratio for by_method in ratios.values() for ratio in by_method.values()]
    low, high = max(min(0.85, min(everything)) / 1.06, 0.05), min(max(1.3, max(everything)) * 1.08, FURTHEST)
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    axes.axvspan(low, 1.0, color=AXIS, alpha=0.18, lw=0)
    axes.axvline(1.0, color=BLUE, lw=1.8)
    for method in METHODS[1:]:
        marks = [
            (ratios[feature][method], row) for row, feature in enumerate(lines) if method in ratios.get(feature, {})
        ]
        if marks:
            x, y = zip(*((min(max(ratio, low), high), row) for ratio, row in marks), strict=True)
            axes.plot(
                x, y, METHOD_MARKERS[method], color=METHOD_COLORS[method], ms=5, mew=0, label=method, clip_on=False
            )
    _ratio_ticks(axes, low, high)
    axes.set_xlabel("RMSE of the baseline ÷ RMSE of neurode")


def _ratio_ticks(axes: "Axes", low: float, high: float) -> None:
    marks = [mark for mark in (0.1, 0.2, 0.5, 0.7, 0.8, 0.9, 1, 1.1, 1.2, 1.5, 2, 3, 5, 10, 20) if low <= mark <= high]
    if high / low > 2:
        marks = [mark for mark in marks if mark not in (0.8, 0.9, 1.1, 1.2)]
    if high / low > 8:
        marks = [mark for mark in marks if mark not in (0.7, 1.5, 3)]
    # The formatter of a logarithmic axis would add its own labels between these.
    axes.set_xticks(marks, [f"{mark:g}×" for mark in marks])
    axes.minorticks_off()


def _ratios(evaluation: Evaluation, task: str) -> dict[str, dict[str, float]]:
    """{feature: {baseline: its RMSE over neurode's}} for each feature that has both."""
    found = {}
    for feature in (AVERAGE, POSITION, *evaluation.features):
        ours = _find(evaluation, task, NEURODE, feature)
        if ours is None or not ours.rmse > 0 or not math.isfinite(ours.rmse):
            continue
        rivals = {
            method: row.rmse for method in METHODS[1:] if (row := _find(evaluation, task, method, feature)) is not None
        }
        rivals = {method: rmse / ours.rmse for method, rmse in rivals.items() if math.isfinite(rmse) and rmse > 0}
        if rivals:
            found[feature] = rivals
    return found


def _ratio_caption(evaluation: Evaluation) -> str:
    said = [
        "The blue line is neurode. A baseline right of it errs more, by the factor on the axis; one in the grey area "
        "errs less."
    ]
    shown = 0
    for task in evaluation.tasks:
        ratios = _ratios(evaluation, task)
        shown = max(shown, len(ratios))
        features = [rivals for feature, rivals in ratios.items() if feature not in (AVERAGE, POSITION)]
        ahead = sum(min(rivals.values()) > 1 for rivals in features)
        if features:
            said.append(
                f"{task.capitalize()}: neurode is ahead of every baseline in {ahead} of "
                f"{plural(len(features), 'feature')}."
            )
        if any(ratio > FURTHEST for rivals in ratios.values() for ratio in rivals.values()):
            said.append(f"Marks at its right edge lie beyond {FURTHEST:g}×.")
    if shown > SHOWN:
        said.append(f"The first {SHOWN} of {shown} lines are drawn; the table has all.")
    return " ".join(said)


def _scores(evaluation: Evaluation, task: str) -> tuple[tuple[str, str, str], ...]:
    """(feature, attribute, words) of the columns of one task in the small table."""
    position = ((POSITION, "rmse", "km"),) if _find(evaluation, task, NEURODE, POSITION) is not None else ()
    return (*position, (AVERAGE, "rmse", "RMSE"), (AVERAGE, "crps", "CRPS"), (AVERAGE, "coverage", "in the band"))


def _group(evaluation: Evaluation, task: str) -> str:
    if task == "forecast" and evaluation.horizon > 0:
        return f"Forecast, up to {amount(evaluation.horizon)} {clean(evaluation.time_unit, 16)}".rstrip()
    return task.capitalize()


def _cell(evaluation: Evaluation, task: str, method: str, feature: str, name: str) -> str | Cell:
    row = _find(evaluation, task, method, feature)
    if row is None:
        return "–"
    value = getattr(row, name)
    if name == "coverage":
        return percent(value)
    values = [getattr(rival, name) for rival in evaluation.rows if (rival.task, rival.feature) == (task, feature)]
    best = min((value for value in values if math.isfinite(value)), default=math.nan)
    return Cell(number(value), best=value == best)


def _bold(value: float, rival: float) -> str | Cell:
    return Cell(number(value), best=value < rival)


def _find(evaluation: Evaluation, task: str, method: str, feature: str) -> ScoreRow | None:
    for row in evaluation.rows:
        if (row.task, row.method, row.feature) == (task, method, feature):
            return row
    return None
