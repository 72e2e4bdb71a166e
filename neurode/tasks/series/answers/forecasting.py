"""Forecasts as a table in the user's own columns: at asked times, or at steps after each series' last observation."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from neurode.core.errors import DataError
from neurode.data.series import Series
from neurode.data.tables import Table
from neurode.tasks.series.answers.questions import Answers, Question, ask
from neurode.tasks.series.durations import duration
from neurode.tasks.series.fitted import Fitted

_MOST_STEPS = 200


def asked_times(
    fitted: Fitted,
    series: Sequence[Series],
    *,
    times,
    horizon: float | str | None,
    steps: int | None,
    parse,
) -> list[np.ndarray]:
    """For each series the times to forecast.

    times: absolute, in the user's form, the same for all series (sorted, each once). Without them `steps` equal steps
    up to `horizon` after each series' last observation; without a horizon, the one the model was trained for; without
    steps, the typical spacing of the training series.
    """
    if times is not None:
        if horizon is not None or steps is not None:
            raise ValueError(
                "pass either times, which are absolute, or horizon and steps, which count from each last row."
            )
        wanted = np.unique(parse(times))
        if not len(wanted):
            raise DataError("times holds no time. Give at least one")
        return [wanted] * len(series)
    unit = fitted.time_unit
    length = fitted.choices.horizon if horizon is None else duration(horizon, unit, "horizon")
    if steps is None:
        steps = int(np.clip(round(length / fitted.choices.spacing), 1, _MOST_STEPS))
    if steps < 1:
        raise ValueError(f"steps={steps} must be at least 1.")
    ahead = length * np.arange(1, steps + 1) / steps
    return [one.times[-1] + ahead for one in series]


def forecast(
    fitted: Fitted, table: Table, series: Sequence[Series], times: Sequence[np.ndarray], coverage: float
) -> pd.DataFrame:
    """One row a series and time: id and time columns, then each feature with <feature>_lo and <feature>_hi.

    Long tables: one row a series, time and variable, with value, value_lo, value_hi.
    """
    features = len(fitted.features)
    questions = []
    for number, (one, own) in enumerate(zip(series, times, strict=True)):
        wanted = np.ones((len(own), features), dtype=bool)
        questions.append(Question(number, recent(one, fitted.choices.window), own, wanted, np.arange(len(own))))
    answers = ask(fitted, questions, coverage)
    lengths = np.array([len(own) for own in times], dtype=np.int64)
    start = np.cumsum(lengths) - lengths
    keys = [one.key for one, own in zip(series, times, strict=True) for _ in own]
    return _frame(table, keys, np.concatenate(times) if len(times) else np.zeros(0), start, answers)


def recent(one: Series, window: float | None) -> Series:
    """The last `window` of a long series: models of windows have never seen more."""
    if window is None or one.span <= window:
        return one
    return one.select(one.times >= one.times[-1] - window)


def _frame(table: Table, keys: Sequence[tuple], times: np.ndarray, start: np.ndarray, answers: Answers) -> pd.DataFrame:
    schema = table.schema
    names = schema.features
    dense = np.full((3, len(times), len(names)), np.nan)
    for layer, values in enumerate((answers.value, answers.lo, answers.hi)):
        dense[layer, start[answers.number] + answers.place, answers.feature] = values
    if schema.layout != "long":
        columns = {**schema.write_id(keys), **schema.write_time(times)}
        for f, name in enumerate(names):
            columns |= {name: dense[0, :, f], f"{name}_lo": dense[1, :, f], f"{name}_hi": dense[2, :, f]}
        return pd.DataFrame(columns)
    assert schema.variable is not None
    assert schema.value is not None
    repeated = np.repeat(np.arange(len(times)), len(names))
    columns = {**schema.write_id([keys[int(row)] for row in repeated]), **schema.write_time(times[repeated])}
    columns[schema.variable] = np.tile(np.array(names, dtype=object), len(times))
    for layer, name in enumerate((schema.value, f"{schema.value}_lo", f"{schema.value}_hi")):
        columns[name] = dense[layer].reshape(-1)
    return pd.DataFrame(columns)
