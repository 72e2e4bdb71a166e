"""The user's own rows with their blanks filled, and an interval beside every filled value."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from neurode.data.series import Series
from neurode.data.tables import Table
from neurode.tasks.series.answers.questions import Answers, ask, question
from neurode.tasks.series.fitted import Fitted

IMPUTED = "imputed"


def fill(fitted: Fitted, table: Table, coverage: float) -> pd.DataFrame:
    """Fill the blanks of `table`.

    Wide and single tables: its rows in their order, blanks filled, <column>_lo and <column>_hi where a value was
    filled, and `imputed` (whether the row had a blank). Long tables: its rows, then one row for each variable that
    was not observed at a time at which its series has another one, with value_lo, value_hi and `imputed`. A reading
    that was taken as blank (a code for unknown, or far out) is filled too. Series without any observation stay blank.
    """
    if table.schema.layout == "long":
        return _fill_long(fitted, table, coverage)
    return _fill_wide(fitted, table, coverage)


def _fill_wide(fitted: Fitted, table: Table, coverage: float) -> pd.DataFrame:
    features = fitted.features
    rows = np.flatnonzero(table.frame_series >= 0)
    times, row_place = _own_times(table, rows)
    observed = _observed(table.series, times, len(features))
    answers = _ask(fitted, table.series, times, [~cells for cells in observed], coverage)
    start = _starts(times)
    at = start[answers.number] + answers.place
    dense = np.full((3, sum(len(own) for own in times), len(features)), np.nan)
    for layer, values in enumerate((answers.value, answers.lo, answers.hi)):
        dense[layer, at, answers.feature] = values
    here = start[table.frame_series[rows]] + row_place
    frame = table.frame.copy()
    imputed = np.zeros(len(frame), dtype=bool)
    for f, name in enumerate(features):
        filled = np.full((3, len(frame)), np.nan)
        filled[:, rows] = dense[:, here, f]
        blank = ~np.isnan(filled[0])
        frame[name] = np.where(blank, filled[0], frame[name].to_numpy(dtype=np.float64))
        frame[f"{name}_lo"], frame[f"{name}_hi"] = filled[1], filled[2]
        imputed |= blank
    frame[IMPUTED] = imputed
    return frame


def _fill_long(fitted: Fitted, table: Table, coverage: float) -> pd.DataFrame:
    schema = table.schema
    assert schema.variable is not None
    assert schema.value is not None
    times, _ = _own_times(table, np.flatnonzero(table.frame_series >= 0))
    observed = _observed(table.series, times, len(fitted.features))
    answers = _ask(fitted, table.series, times, [~cells for cells in observed], coverage)
    frame = table.frame.copy()
    names = np.array(schema.features, dtype=object)
    lo, hi = f"{schema.value}_lo", f"{schema.value}_hi"
    # Rows of the user's own whose reading was taken as blank get the filled value; they are not asked twice.
    start = _starts(times)
    cell = (start[answers.number] + answers.place) * len(names) + answers.feature
    answer_of = np.full(sum(len(own) for own in times) * len(names) + 1, -1, dtype=np.int64)
    answer_of[cell] = np.arange(len(cell))
    match = answer_of[_cell_names(table, times)]
    again = match >= 0
    values = pd.to_numeric(frame[schema.value], errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    for column, source in ((schema.value, answers.value), (lo, answers.lo), (hi, answers.hi)):
        base = values if column == schema.value else np.full(len(frame), np.nan)
        frame[column] = base
        frame.loc[again, column] = source[match[again]]
    frame[IMPUTED] = again
    fresh = np.ones(len(cell), dtype=bool)
    fresh[match[again]] = False
    ids = schema.write_id([one.key for one in table.series])
    flat_times = np.concatenate(times) if times else np.zeros(0)
    added = pd.DataFrame(
        {
            **{name: column[answers.number[fresh]] for name, column in ids.items()},
            **schema.write_time(flat_times[start[answers.number[fresh]] + answers.place[fresh]]),
            schema.variable: names[answers.feature[fresh]],
            schema.value: answers.value[fresh],
            lo: answers.lo[fresh],
            hi: answers.hi[fresh],
            IMPUTED: True,
        }
    )
    return pd.concat([frame, added[list(frame.columns)]], ignore_index=True) if len(added) else frame


def _ask(fitted: Fitted, series: Sequence[Series], times, wanted, coverage: float) -> Answers:
    questions = [
        part
        for number, one in enumerate(series)
        if wanted[number].any()
        for part in question(number, one, times[number], wanted[number], fitted.choices.window)
    ]
    return ask(fitted, questions, coverage)


def _own_times(table: Table, rows: np.ndarray) -> tuple[list[np.ndarray], np.ndarray]:
    """The distinct times of each series' rows, blank ones included, and for each row its place among them."""
    number, time = table.frame_series[rows], table.frame_times[rows]
    order = np.lexsort((time, number))
    new = np.ones(len(rows), dtype=bool)
    new[1:] = (np.diff(number[order]) != 0) | (np.diff(time[order]) != 0)
    distinct = np.cumsum(new) - 1
    counts = np.bincount(number[order][new], minlength=len(table.series))
    place = np.empty(len(rows), dtype=np.int64)
    place[order] = distinct - (np.cumsum(counts) - counts)[number[order]]
    return np.split(time[order][new], np.cumsum(counts)[:-1]), place


def _observed(series: Sequence[Series], times: Sequence[np.ndarray], features: int) -> list[np.ndarray]:
    """(times, features) bool for each series: which cells hold an observation."""
    found = []
    for one, own in zip(series, times, strict=True):
        cells = np.zeros((len(own), features), dtype=bool)
        cells[np.searchsorted(own, one.times)] = one.observed
        found.append(cells)
    return found


def _starts(times: Sequence[np.ndarray]) -> np.ndarray:
    lengths = np.array([len(own) for own in times], dtype=np.int64)
    return np.cumsum(lengths) - lengths


def _cell_names(table: Table, times: Sequence[np.ndarray]) -> np.ndarray:
    """For each row of a long table the number of its cell (time of its series x variable); -1: none of the model's."""
    schema = table.schema
    place = {name: f for f, name in enumerate(schema.features)}
    codes, uniques = pd.factorize(table.frame[schema.variable].astype(str).str.strip())
    feature = np.array([place.get(name, -1) for name in uniques], dtype=np.int64)[codes]
    lengths = np.array([len(own) for own in times])
    number = np.repeat(np.arange(len(times)), lengths)
    flat = np.concatenate(times) if len(times) else np.zeros(0)
    known = np.flatnonzero((table.frame_series >= 0) & (feature >= 0))
    # Rows meet the series' times by one sort of both lists: equal (series, time) pairs get equal numbers.
    pairs = np.stack(
        [np.concatenate([number, table.frame_series[known]]), np.concatenate([flat, table.frame_times[known]])]
    )
    order = np.lexsort(pairs[::-1])
    new = np.ones(len(order), dtype=bool)
    new[1:] = np.any(np.diff(pairs[:, order], axis=1) != 0, axis=0)
    same = np.empty(len(order), dtype=np.int64)
    same[order] = np.cumsum(new) - 1
    row_of = np.full(int(same.max(initial=-1)) + 1, -1, dtype=np.int64)
    row_of[same[: len(flat)]] = np.arange(len(flat))
    names = np.full(len(table.frame), -1, dtype=np.int64)
    row = row_of[same[len(flat) :]]
    names[known] = np.where(row >= 0, row * len(place) + feature[known], -1)
    return names
