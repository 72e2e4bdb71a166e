"""Forecasts as a table in the user's own columns: at asked times, or at steps after each series' last observation."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from neurode.data.tables import Table
from neurode.tasks.series.answers.coming import Coming, recent
from neurode.tasks.series.answers.questions import Answers, Question, ask
from neurode.tasks.series.fitted import Fitted


def forecast(fitted: Fitted, table: Table, coming: Coming, coverage: float) -> pd.DataFrame:
    """One row a series and time: id and time columns, then each feature with <feature>_lo and <feature>_hi.

    Long tables: one row a series, time and variable, with value, value_lo, value_hi.
    """
    series, times = coming.series, coming.times
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
