"""Rows of a table to series: keys, sorting, merging of rows that share their time. Vectorised; no loop over rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from neurode.core.extras import require
from neurode.data.cells import CellError, as_text, is_text
from neurode.data.series import Series


@dataclass(frozen=True)
class Keys:
    """Which series each row belongs to. codes: (rows,) int64, counted by first appearance. keys: one tuple per series.

    columns: the id columns with the dtypes that keys have; dtypes: their names.
    """

    codes: np.ndarray
    keys: tuple[tuple, ...]
    columns: dict[str, Any]
    dtypes: tuple[str, ...]


@dataclass(frozen=True)
class Grouped:
    """Rows of all series, sorted by series and time, one per distinct time; rows without a value are gone.

    codes, times: (R,). values: (R, F), NaN for blanks. counts: how many series there were keys for.
    num_unsorted: rows earlier than the row before them. num_merged: rows (cells in a long table) merged into another.
    first_merged: the earliest row of the table that shares its series and time (and variable) with one before it.
    num_merged_series: series in which rows were merged.
    """

    codes: np.ndarray
    times: np.ndarray
    values: np.ndarray
    num_unsorted: int = 0
    num_merged: int = 0
    first_merged: int | None = None
    num_merged_series: int = 0

    @property
    def starts(self) -> np.ndarray:
        """The first row of each series that has rows."""
        return np.flatnonzero(np.diff(self.codes, prepend=-1))

    def series(self, keys: Sequence[tuple]) -> tuple[tuple[Series, ...], np.ndarray]:
        """The series, and for each code its place among them (-1 where a series has no observation)."""
        starts = self.starts
        ends = np.append(starts[1:], len(self.codes))
        found = self.codes[starts]
        place = np.full(len(keys), -1, np.int64)
        place[found] = np.arange(len(found))
        made = tuple(
            Series(keys[code], self.times[a:b], self.values[a:b])
            for code, a, b in zip(found.tolist(), starts.tolist(), ends.tolist(), strict=True)
        )
        return made, place


def read_keys(frame: Any, id: Sequence[str]) -> Keys:
    """The id columns of a table. Raises CellError where an id is blank."""
    pd = require("pandas", extra="tools")
    codes, columns, dtypes, levels = np.zeros(len(frame), np.int64), {}, [], []
    for name in id:
        column, dtype = _typed_id(frame[name], name)
        part, uniques = pd.factorize(column)
        codes = codes * len(uniques) + part
        codes, _ = pd.factorize(codes)  # keeps the numbers small, and in the order of first appearance
        columns[name] = column
        dtypes.append(dtype)
        levels.append(part)
    codes = codes.astype(np.int64)
    num = int(codes.max(initial=-1)) + 1
    first = np.full(num, 0, np.int64)
    first[codes[::-1]] = np.arange(len(codes))[::-1]
    entries = [columns[name].iloc[first].tolist() for name in id]
    keys = tuple(zip(*entries, strict=True)) if id else ((),) * num
    return Keys(codes, keys, columns, tuple(dtypes))


def _typed_id(column: Any, name: str) -> tuple[Any, str]:
    """An id column as int64 where every id is a plain whole number, as float64 where it was so typed, else as text."""
    pd = require("pandas", extra="tools")
    if not is_text(column) and column.dtype.kind in "iuf" and column.notna().all():
        values = column.to_numpy()
        if (
            column.dtype.kind == "f"
            and (~np.isfinite(values) | (values != np.floor(values)) | (abs(values) > 2**53)).any()
        ):
            return column.astype(np.float64), "float64"
        return column.astype(np.int64), "int64"
    text = as_text(column)
    codes, uniques = pd.factorize(text)
    blank = np.flatnonzero(np.asarray(uniques == "")[codes]) if "" in uniques else []
    if len(blank):
        raise CellError("the id is blank. Fill it in, or delete the row.", int(blank[0]), name)
    numbers = [_whole(one) for one in uniques]
    if all(number is not None for number in numbers):
        return pd.Series(np.array(numbers, np.int64)[codes]), "int64"
    return text, "str"


def _whole(text: str) -> int | None:
    """The whole number that is written exactly so (007 and 1e3 are names, not numbers)."""
    if len(text) > 18 or not text.lstrip("-").isascii() or not text.lstrip("-").isdigit():
        return None
    return int(text) if str(int(text)) == text else None


def group_wide(codes: np.ndarray, times: np.ndarray, values: np.ndarray) -> Grouped:
    """Group rows of (rows, features) values; several rows at one time of a series become their mean, cell by cell."""
    order = _sorted(codes, times)
    codes_sorted, times_sorted, values_sorted = codes[order], times[order], values[order]
    fresh = _fresh(codes_sorted, times_sorted)
    starts = np.flatnonzero(fresh)
    merged = order[~fresh]
    if len(merged):
        seen = ~np.isnan(values_sorted)
        counts = np.add.reduceat(seen.astype(np.int64), starts, axis=0)
        sums = np.add.reduceat(np.where(seen, values_sorted, 0.0), starts, axis=0)
        values_sorted = np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
        codes_sorted, times_sorted = codes_sorted[starts], times_sorted[starts]
    keep = ~np.isnan(values_sorted).all(axis=1)
    return Grouped(
        codes_sorted[keep],
        times_sorted[keep],
        values_sorted[keep],
        _num_unsorted(codes, times),
        len(merged),
        int(merged.min()) if len(merged) else None,
        len(np.unique(codes[merged])),
    )


def group_long(
    codes: np.ndarray, times: np.ndarray, variables: np.ndarray, values: np.ndarray, num_features: int
) -> Grouped:
    """Group rows of one value each; variables: (rows,) feature numbers, -1 where the variable is left out."""
    unsorted = _num_unsorted(codes, times)
    rows = np.flatnonzero((variables >= 0) & ~np.isnan(values))
    codes, times, variables, values = codes[rows], times[rows], variables[rows], values[rows]
    order = _sorted(codes, times)
    fresh = _fresh(codes[order], times[order])
    starts = order[fresh]
    group = np.empty(len(order), np.int64)
    group[order] = np.cumsum(fresh) - 1
    cell = group * num_features + variables
    size = len(starts) * num_features
    counts = np.bincount(cell, minlength=size)
    table = np.full(size, np.nan)
    table[cell] = values
    merged = np.empty(0, np.int64)
    if len(cell) and counts.max() > 1:
        sums = np.bincount(cell, weights=values, minlength=size)
        np.divide(sums, counts, out=table, where=counts > 1)
        by_cell = np.argsort(cell, kind="stable")
        merged = by_cell[1:][np.diff(cell[by_cell]) == 0]
    return Grouped(
        codes[starts],
        times[starts],
        table.reshape(-1, num_features),
        unsorted,
        len(merged),
        int(rows[merged].min()) if len(merged) else None,
        len(np.unique(codes[merged])),
    )


def _sorted(codes: np.ndarray, times: np.ndarray) -> np.ndarray:
    """The order by series, then time, rows of equal time staying in their order; most files have it already."""
    same = codes[1:] == codes[:-1]
    if ((codes[1:] > codes[:-1]) | (same & (times[1:] >= times[:-1]))).all():
        return np.arange(len(codes))
    return np.lexsort((times, codes))


def _fresh(codes: np.ndarray, times: np.ndarray) -> np.ndarray:
    """In sorted rows: where another series or another time begins."""
    fresh = np.ones(len(codes), bool)
    fresh[1:] = (codes[1:] != codes[:-1]) | (times[1:] != times[:-1])
    return fresh


def _num_unsorted(codes: np.ndarray, times: np.ndarray) -> int:
    if (codes[1:] < codes[:-1]).any():
        order = np.argsort(codes, kind="stable")
        codes, times = codes[order], times[order]
    return int(((codes[1:] == codes[:-1]) & (times[1:] < times[:-1])).sum())


def median_gap(codes: np.ndarray, times: np.ndarray) -> float:
    """The median distance of neighbouring times inside a series; 0 where no series has two times."""
    order = _sorted(codes, times)
    gaps = np.diff(times[order])[np.diff(codes[order]) == 0]
    gaps = gaps[gaps > 0]
    return float(np.median(gaps)) if len(gaps) else 0.0
