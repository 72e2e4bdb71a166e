"""The table of scores: for a person on standard error, as rows for a program."""

from dataclasses import asdict
from math import isfinite
from typing import TYPE_CHECKING

from neurode.cli.streams import Streams
from neurode.tasks.series.results import AVERAGE, METHODS, POSITION, Evaluation

if TYPE_CHECKING:
    from pandas import DataFrame


def say_scores(streams: Streams, evaluation: Evaluation) -> None:
    """The averages over all features, and the distance where there is a position, of every method; then verdicts."""
    columns = ("method", "RMSE", "MAE", "CRPS", "coverage", *(("km",) if evaluation.has_position else ()))
    for task in evaluation.tasks:
        rows = [_row(evaluation, task, method) for method in METHODS if _has(evaluation, task, method)]
        reach = f", up to {evaluation.horizon:g} {evaluation.time_unit}".rstrip() if task == "forecast" else ""
        streams.table(f"{task[0].upper()}{task[1:]}{reach}: {evaluation.num_series} test series", columns, rows)
        streams.say("")
    if evaluation.tasks:
        streams.say(_legend(evaluation))
        streams.say("")
    for task, reason in evaluation.skipped.items():
        streams.say(f"Not scored, {task}: {reason}")
    for sentence in evaluation.verdicts:
        streams.say(sentence)


def _legend(evaluation: Evaluation) -> str:
    """What the columns mean, for who meets them the first time."""
    distance = " km: root mean square distance." if evaluation.has_position else ""
    return (
        "RMSE, MAE and CRPS, the error of the whole predicted distribution, are averages over the features, in "
        "standard deviations of each: lower is better. coverage: share of the truths inside the "
        f"{evaluation.coverage:.0%} intervals, best near {evaluation.coverage:.0%}.{distance}"
    )


def scores_frame(evaluation: Evaluation) -> "DataFrame":
    """One row for each task, method and feature, with the unit of its errors."""
    import pandas as pd

    return pd.DataFrame([asdict(row) for row in evaluation.rows])


def _has(evaluation: Evaluation, task: str, method: str) -> bool:
    return any((row.task, row.method, row.feature) == (task, method, AVERAGE) for row in evaluation.rows)


def _row(evaluation: Evaluation, task: str, method: str) -> list[str]:
    row = evaluation.row(task, method)
    cells = [method, _number(row.rmse), _number(row.mae), _number(row.crps), _percent(row.coverage)]
    if evaluation.has_position:
        cells.append(_number(evaluation.row(task, method, POSITION).rmse))
    return cells


def _number(value: float) -> str:
    if not isfinite(value):
        return "-"
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _percent(value: float) -> str:
    return f"{100 * value:.1f} %" if isfinite(value) else "-"
