"""Tables to series: `read_table` and what it returns."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from neurode.core.errors import DataError
from neurode.core.extras import require
from neurode.data.cells import CellError, as_text, is_text, to_numbers
from neurode.data.grouping import Grouped, Keys, group_long, group_wide, median_gap, read_keys
from neurode.data.layout import Layout, find_layout, names_of, require_columns
from neurode.data.reading import Source, read_source
from neurode.data.schema import Schema
from neurode.data.screening import far_out_limits, limit_arrays, split_by_feature, static_features, suspected_codes
from neurode.data.series import Series
from neurode.data.times import UNITS, TimeForm, find_time_form, unit_for_gap


@dataclass(frozen=True, eq=False)
class Table:
    """A table that was read.

    series: those with at least one observation, in order of first appearance. schema: its form. notes: sentences about
    what was guessed, merged or left out. frame: pandas DataFrame of the used columns, all rows in the order of the
    file, times as they were written. name: of the file, for titles. frame_series: (rows,) place in `series` of each
    row, -1 where its series has no observation. frame_times: (rows,) float64 times of the rows, in schema.time_unit.
    """

    series: tuple[Series, ...]
    schema: Schema
    notes: tuple[str, ...]
    frame: Any
    name: str
    frame_series: np.ndarray
    frame_times: np.ndarray

    @property
    def num_observations(self) -> int:
        return sum(one.num_observations for one in self.series)


@dataclass
class _Cells:
    """Values on their way to series: a (rows, F) matrix, or for a long table (rows,) values and feature numbers."""

    features: tuple[str, ...]
    values: np.ndarray
    variables: np.ndarray | None = None

    def columns(self) -> list[np.ndarray]:
        if self.variables is not None:
            return split_by_feature(self.variables, self.values, len(self.features))
        return [column[~np.isnan(column)] for column in self.values.T]

    def blank(self, unknown: Sequence[float], limits: Mapping[str, tuple[float, float]]) -> tuple[int, dict[str, int]]:
        """Make codes and readings beyond the limits blank; how many codes, and how many readings per feature."""
        codes = np.isin(self.values, list(unknown)) if unknown else np.zeros(self.values.shape, bool)
        if self.variables is not None:
            codes &= self.variables >= 0
        self.values[codes] = np.nan
        low, high = limit_arrays(self.features, limits)
        if self.variables is not None:
            low, high = (np.append(side, edge)[self.variables] for side, edge in ((low, -np.inf), (high, np.inf)))
        far = (self.values < low) | (self.values > high)
        if self.variables is not None:
            counts = np.bincount(self.variables[far], minlength=len(self.features))
        else:
            counts = far.sum(axis=0)
        self.values[far] = np.nan
        return int(codes.sum()), {name: int(n) for name, n in zip(self.features, counts, strict=True) if n}

    def group(self, codes: np.ndarray, times: np.ndarray) -> Grouped:
        if self.variables is not None:
            return group_long(codes, times, self.variables, self.values, len(self.features))
        return group_wide(codes, times, self.values)


def read_table(
    source: Any,
    *,
    id: str | Sequence[str] | None = None,
    time: str | Sequence[str] | None = None,
    variable: str | None = None,
    value: str | None = None,
    values: str | Sequence[str] | None = None,
    layout: str | None = None,
    schema: Schema | None = None,
    strict: bool = False,
    unknown: float | Sequence[float] = (),
    outliers: str = "blank",
) -> Table:
    """Read a table of series: long (id, time, variable, value), wide (id, time, features), or one single series.

    Good for irregular times, blanks, dates, several id or time columns; not good for text or categories, which are left
    out.

    source: a path (.csv, .csv.gz, .tsv, .txt, .parquet) or a pandas DataFrame. id, time: column, or list of columns; a
    column may be in both. variable, value: the two columns of a long table. values: the features to use (columns, or
    variables of a long table). What is not named is guessed, and `notes` says so. schema: read the table as this one
    says (the columns of another table, then, are not to be named). strict: refuse rows that share their series and time
    instead of merging them. unknown: numbers that stand for nothing observed, such as -1. outliers: "blank" makes
    readings beyond 20 interquartile ranges blank, "keep" keeps them.
    Raises DataError, naming file, line and column where there is one, for whatever cannot be used; ValueError for
    arguments that contradict each other.
    """
    if outliers not in ("blank", "keep"):
        raise ValueError(f'outliers must be "blank" or "keep"; got {outliers!r}.')
    if schema is not None and any(x is not None for x in (id, time, variable, value, values, layout)):
        raise ValueError(
            "with schema= the table is read as the schema says: leave out id, time, variable, value, values, layout."
        )
    unknown = tuple(float(code) for code in np.atleast_1d(np.asarray(unknown, np.float64)))
    raw = read_source(source)
    try:
        if schema is not None:
            return _read_known(raw, schema, strict, unknown, outliers)
        found = find_layout(raw, id=id, time=time, variable=variable, value=value, values=values, layout=layout)
        return _read_new(raw, found, names_of(values), strict, unknown, outliers)
    except CellError as problem:
        raise raw.error(problem) from None


def _read_new(
    raw: Source, found: Layout, values: tuple[str, ...], strict: bool, unknown: tuple, outliers: str
) -> Table:
    notes = [*raw.notes, *found.notes]
    left_out = dict(found.left_out)
    when = find_time_form({name: raw.frame[name] for name in found.time})
    times = when.read([raw.frame[name] for name in found.time])
    keys = read_keys(raw.frame, found.id)
    if when.is_calendar:
        when = when.with_unit(unit_for_gap(median_gap(keys.codes, times)))
        times = times / UNITS[when.unit]
    cells = _long_cells(raw, found, values, left_out) if found.layout == "long" else _wide_cells(raw, found.features)
    limits = {}
    if outliers == "blank":
        known = [column[~np.isin(column, list(unknown))] if unknown else column for column in cells.columns()]
        limits = {name: far for name, x in zip(cells.features, known, strict=True) if (far := far_out_limits(x))}
    num_codes, num_far = cells.blank(unknown, limits)
    notes += _said_blank(unknown, num_codes, num_far, limits)
    notes += _said_suspects(suspected_codes(cells.columns(), cells.features))
    grouped = cells.group(keys.codes, times)
    _check_merged(raw, found, grouped, strict, len(times))
    grouped, features = _without_static(cells, grouped, found.layout == "long", bool(values), left_out)
    schema = Schema(
        found.layout, found.id, when, features, found.variable, found.value, left_out, keys.dtypes, unknown, limits
    )
    notes += _said_left_out(left_out) + _said_rows(grouped, found.layout == "long")
    table = _table(raw, schema, keys, times, grouped, notes)
    if table.num_observations < 2:
        count = "one observation" if table.num_observations else "no observation"
        raise DataError(
            f"the table holds {count} that can be used; at least two are needed. Check columns, blanks and codes.",
            file=raw.where,
        )
    return table


def _read_known(raw: Source, schema: Schema, strict: bool, unknown: tuple, outliers: str) -> Table:
    long = schema.layout == "long"
    needed = [*schema.id, *schema.time, *((schema.variable, schema.value) if long else ())]
    require_columns(raw, [name for name in needed if name is not None])
    columns = [raw.frame[name] for name in schema.time]
    when, times = _read_known_times(columns, schema.when)
    keys = read_keys(raw.frame, schema.id)
    notes = list(raw.notes)
    left_out = dict(schema.left_out)
    found = Layout(schema.layout, schema.id, schema.time, schema.variable, schema.value)
    if long:
        cells = _long_cells(raw, found, schema.features, left_out, known=schema)
    else:
        present = [name for name in schema.features if name in raw.frame.columns]
        cells = _wide_cells(raw, tuple(present))
        others = [c for c in raw.frame.columns if c not in {*needed, *schema.features, *schema.left_out}]
        left_out |= dict.fromkeys(others, "unknown to the model")
        matrix = np.full((len(raw.frame), len(schema.features)), np.nan)
        matrix[:, [schema.features.index(name) for name in present]] = cells.values
        cells = _Cells(schema.features, matrix)
    if not any(len(column) for column in cells.columns()):
        raise DataError(
            f"the table holds no observation of a feature that the model knows ({', '.join(schema.features)}).",
            file=raw.where,
        )
    codes = tuple(dict.fromkeys((*schema.unknown, *unknown)))
    limits = schema.limits if outliers == "blank" else {}
    notes += _said_blank(codes, *cells.blank(codes, limits), limits)
    empty = [name for name, column in zip(schema.features, cells.columns(), strict=True) if not len(column)]
    if empty:
        notes.append(f"No observation of {_listed(empty)}: taken as blank throughout.")
    grouped = cells.group(keys.codes, times)
    _check_merged(raw, found, grouped, strict, len(times))
    new = {name: reason for name, reason in left_out.items() if name not in schema.left_out}
    notes += _said_left_out(new) + _said_rows(grouped, long)
    schema = replace(schema, when=when, id_dtypes=keys.dtypes, left_out=left_out, unknown=codes)
    return _table(raw, schema, keys, times, grouped, notes)


def _read_known_times(columns: list[Any], when: TimeForm) -> tuple[TimeForm, np.ndarray]:
    """Times in the schema's form, or, on a calendar, in whatever form this table writes its dates."""
    try:
        return when, when.read(columns)
    except CellError as problem:
        if not when.is_calendar:
            raise
        try:
            other = find_time_form(dict(zip(when.columns, columns, strict=True))).with_unit(when.unit)
        except CellError:
            raise problem from None
        if not other.is_calendar or other == when:
            raise
        return other, other.read(columns)


def _wide_cells(raw: Source, features: tuple[str, ...]) -> _Cells:
    columns = [raw.numbers(name) for name in features]
    return _Cells(features, np.stack(columns, axis=1) if columns else np.empty((len(raw.frame), 0)))


def _long_cells(
    raw: Source, found: Layout, values: tuple[str, ...], left_out: dict[str, str], known: Schema | None = None
) -> _Cells:
    """Feature numbers and values of a long table; `values`, where given, are the variables to use."""
    pd = require("pandas", extra="tools")
    column = raw.frame[found.variable]
    codes, uniques = pd.factorize(column if is_text(column) else as_text(column))
    names = ["" if not isinstance(name, str) else name.strip() for name in uniques]
    blank = np.flatnonzero(np.isin(codes, [code for code, name in enumerate(names) if not name]) | (codes < 0))
    if len(blank):
        raise CellError("the variable is blank. Name it, or delete the row.", int(blank[0]), found.variable)
    features = values or tuple(sorted(set(names)))
    if known is None:
        missing = [name for name in features if name not in names]
        if missing:
            raise DataError(
                f"there is no variable {missing[0]!r}. Variables of the table: {_listed(sorted(set(names)))}.",
                file=raw.where,
            )
    for name in sorted(set(names) - set(features) - set(left_out)):
        left_out[name] = "not named among the values" if known is None else "unknown to the model"
    place = {name: number for number, name in enumerate(features)}
    variables = np.array([place.get(name, -1) for name in names], np.int64)[codes]
    value = str(found.value)
    if (variables < 0).any() and is_text(raw.frame[value]):  # text in a variable that is left out does no harm
        numbers = to_numbers(raw.frame[value].where(variables >= 0, ""), value)
    else:
        numbers = raw.numbers(value)
    cells = _Cells(features, numbers, variables)
    if known is None and not values:
        empty = [name for name, x in zip(features, cells.columns(), strict=True) if not len(x)]
        left_out |= dict.fromkeys(empty, "wholly blank")
        cells = _only(cells, [name for name in features if name not in empty])
    return cells


def _only(cells: _Cells, features: Sequence[str]) -> _Cells:
    """Long cells of these features alone."""
    if tuple(features) == cells.features or cells.variables is None:
        return cells
    place = {name: number for number, name in enumerate(features)}
    renumber = np.array([place.get(name, -1) for name in cells.features] + [-1], np.int64)
    return _Cells(tuple(features), cells.values, renumber[cells.variables])


def _without_static(
    cells: _Cells, grouped: Grouped, long: bool, named: bool, left_out: dict[str, str]
) -> tuple[Grouped, tuple[str, ...]]:
    """Without the features that never change within a series, unless the user named the features."""
    static = [] if named or not len(grouped.codes) else static_features(grouped, cells.features, long=long)
    kept = tuple(name for name in cells.features if name not in static)
    if not static or not kept:
        return grouped, cells.features
    left_out |= dict.fromkeys(static, "the same at all times of every series")
    values = grouped.values[:, [name in kept for name in cells.features]]
    rows = ~np.isnan(values).all(axis=1)
    return replace(grouped, codes=grouped.codes[rows], times=grouped.times[rows], values=values[rows]), kept


def _check_merged(raw: Source, found: Layout, grouped: Grouped, strict: bool, num_rows: int) -> None:
    """Refuse duplicates where they were asked to be refused, or where they show that an id is missing."""
    if grouped.first_merged is None:
        return
    same = "series, time and variable" if found.layout == "long" else "series and time"
    if strict:
        raise CellError(
            f"the row shares its {same} with a row before it, and strict reading refuses that. Delete one, or read "
            "without strict to merge them by their mean.",
            grouped.first_merged,
        )
    if not found.id and num_rows >= 10 and grouped.num_merged > 0.3 * num_rows:
        raise DataError(
            f"{grouped.num_merged:,} of {num_rows:,} rows share their time with another row, so the table seems "
            f"to hold several series. Name the columns that tell them apart with id. "
            f"Columns: {_listed(raw.frame.columns)}.",
            file=raw.where,
        )


def _table(raw: Source, schema: Schema, keys: Keys, times: np.ndarray, grouped: Grouped, notes: list[str]) -> Table:
    series, place = grouped.series(keys.keys)
    lost = len(keys.keys) - len(series)
    if lost:
        notes.append(f"{lost:,} of {len(keys.keys):,} series hold no observation and are left out.")
    frame = _used(raw, schema, keys)
    return Table(series, schema, tuple(notes), frame, raw.name, place[keys.codes], times)


def _used(raw: Source, schema: Schema, keys: Keys) -> Any:
    """The used columns as the user knows them: ids typed, numbers as numbers, dates as they were written."""
    pd = require("pandas", extra="tools")
    columns = dict(keys.columns)
    for name in schema.time:
        column = raw.frame[name]
        plain = schema.when.form in ("number", "parts") and raw.share(name) == 1.0 and name not in columns
        columns.setdefault(name, pd.to_numeric(column) if is_text(column) and plain else column)
    if schema.layout == "long":
        assert schema.variable is not None
        assert schema.value is not None
        columns[schema.variable] = raw.frame[schema.variable]
        columns[schema.value] = raw.frame[schema.value]
        if raw.share(schema.value) == 1.0:
            columns[schema.value] = raw.numbers(schema.value)
    else:
        for name in schema.features:
            present = name in raw.frame.columns
            columns[name] = raw.numbers(name) if present else np.full(len(raw.frame), np.nan)
    return pd.DataFrame(columns, copy=False)


def _listed(names: Any, most: int = 12) -> str:
    names = [str(name) for name in names]
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def _said_left_out(left_out: Mapping[str, str]) -> list[str]:
    reasons: dict[str, list[str]] = {}
    for name, reason in left_out.items():
        reasons.setdefault(reason, []).append(name)
    return [f"Left out ({reason}): {_listed(names)}." for reason, names in reasons.items()]


def _said_blank(unknown: tuple, num_codes: int, num_far: Mapping[str, int], limits: Mapping) -> list[str]:
    notes = []
    if unknown:
        codes = _listed(f"{code:g}" for code in unknown)
        notes.append(f"{num_codes:,} cells hold a code for unknown ({codes}) and are taken as blank.")
    if num_far:
        ranges = _listed(
            f"{name} ({n}, outside {limits[name][0]:.4g} to {limits[name][1]:.4g})" for name, n in num_far.items()
        )
        notes.append(f'Readings far out, taken as blank (outliers="keep" keeps them): {ranges}.')
    return notes


def _said_suspects(found: Mapping[float, list[str]]) -> list[str]:
    return [
        f"{code:g} is the only negative value of {_listed(names)}. If it stands for unknown, say so: unknown={code:g}."
        for code, names in found.items()
    ]


def _said_rows(grouped: Grouped, long: bool) -> list[str]:
    notes = []
    if grouped.num_unsorted:
        notes.append(
            f"{grouped.num_unsorted:,} rows come earlier than the row before them in their series: sorted by time."
        )
    if grouped.num_merged:
        same = "time and variable" if long else "time"
        notes.append(
            f"{grouped.num_merged:,} rows share their {same} with another row of their series "
            f"({grouped.num_merged_series:,} series): merged by their mean."
        )
    return notes
