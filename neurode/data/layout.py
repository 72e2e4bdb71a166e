"""Which columns of a table are what: id, time, variable and value, features; what is guessed is said."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from neurode.core.errors import DataError
from neurode.data.cells import CellError, as_text, blank_cells, is_text
from neurode.data.dates import find_format
from neurode.data.reading import Source
from neurode.data.schema import LAYOUTS
from neurode.data.times import part_roles

_TIME_NAMES = (
    "time", "timestamp", "datetime", "date_time", "date", "ds", "t", "ts", "charttime", "visit_time", "mjd",
    "days", "day", "hours", "hour", "weeks", "week", "months", "years", "year",
)  # fmt: skip
_ID_NAMES = (  # nothing but an id
    "id", "unique_id", "series_id", "record_id", "recordid", "subject", "subject_id", "subjectid", "patient",
    "patient_id", "patientid", "person", "person_id", "sample_id", "sampleid", "stay_id", "hadm_id", "icustay_id",
    "case_id", "object_id", "device_id", "sensor_id",
)  # fmt: skip
_LOOSE_ID_NAMES = (  # an id where several series have one
    "series", "record", "case", "object", "instance", "unit", "device", "sensor", "animal", "plant", "machine", "site",
    "station", "group", "key", "name", "ticker", "symbol",
)  # fmt: skip
_VARIABLE_NAMES = (
    "variable", "parameter", "param", "measurement", "feature", "item", "itemid", "test", "code", "label", "band",
)  # fmt: skip
_VALUE_NAMES = ("value", "val", "reading", "result", "measure", "amount", "valuenum", "y")
_COUNTER_NAMES = (
    "rownames", "(row names)", "index", "no", "row", "rowid", "row_id", "rownum", "unnamed: 0", "level_0", "X",
)  # fmt: skip
_MAX_VARIABLES = 500


@dataclass(frozen=True)
class Layout:
    """The role of each column. features: value columns of a wide or single table; () in a long one."""

    layout: str
    id: tuple[str, ...]
    time: tuple[str, ...]
    variable: str | None = None
    value: str | None = None
    features: tuple[str, ...] = ()
    left_out: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def names_of(given: str | Sequence[str] | None) -> tuple[str, ...]:
    """One name or several, as a tuple; () for None."""
    if given is None:
        return ()
    return (given,) if isinstance(given, str) else tuple(given)


def find_layout(source: Source, *, id, time, variable, value, values, layout) -> Layout:
    """Fill in what the user did not name. Raises DataError, with the columns there are, where that cannot be done."""
    frame = source.frame
    id, time, values = names_of(id), names_of(time), names_of(values)
    if layout is not None and layout not in LAYOUTS:
        raise ValueError(f"layout must be one of {', '.join(LAYOUTS)}; got {layout!r}.")
    if layout == "single" and id:
        raise DataError(
            "a table in the single layout has no id column. Leave out the id, or use the wide layout.",
            file=source.where,
        )
    if layout in ("wide", "single") and (variable or value):
        raise DataError(f"variable and value belong to the long layout, not to {layout!r}.", file=source.where)
    long = layout == "long" or variable is not None or value is not None
    # Values that are no columns may be variables: then the table is long, if it can be.
    wide = not long and (layout is not None or bool(set(values) & set(frame.columns)))
    known = [*id, *time, *names_of(variable), *names_of(value), *(values if wide else ())]
    require_columns(source, known)
    _check_roles(source, id, time, known[len(id) + len(time) :])
    notes: list[str] = []
    if not time:
        time = _guess_time(source, taken={*id, *known})
        notes.append(f"Guessed: time is {_listed(time)}.")
    if not id and layout != "single":
        id = _guess_id(frame, taken={*known, *time})
        if id:
            notes.append(f"Guessed: the id of a series is {_listed(id)}.")
    rest = [column for column in frame.columns if column not in {*id, *time}]
    found = Layout(layout or "wide", id, time)
    if long or not wide:
        pair = _guess_long(source, found, rest, variable, value, sure=long)
        if pair is not None:
            if variable is None or value is None:
                notes.append(f"Guessed: a long table, with the variable in {pair[0]} and the value in {pair[1]}.")
            left = {c: "not used in a long table" for c in rest if c not in pair}
            return replace(found, layout="long", variable=pair[0], value=pair[1], left_out=left, notes=tuple(notes))
    require_columns(source, values)
    if not id and layout == "wide":
        raise DataError(f"a wide table needs an id column. {_columns_there(frame)}", file=source.where)
    if layout is None:
        notes.append(
            "Guessed: a wide table, one column per feature."
            if id
            else "Guessed: one single series, since there is no id column (name one with id, if there is)."
        )
    features, left_out, said = _features(source, rest, values)
    kind = "wide" if id else "single"
    return replace(found, layout=kind, features=features, left_out=left_out, notes=(*notes, *said))


def require_columns(source: Source, names: Sequence[str]) -> None:
    """Raises DataError for a column that the table does not have."""
    for name in names:
        if name not in source.frame.columns:
            near = [column for column in source.frame.columns if column.lower() == name.lower()]
            hint = f"Did you mean {near[0]!r}? " if near else ""
            raise DataError(f"there is no column {name!r}. {hint}{_columns_there(source.frame)}", file=source.where)


def _columns_there(frame: Any) -> str:
    names = [str(column) for column in frame.columns]
    shown = ", ".join(names[:40]) + (f" and {len(names) - 40} more" if len(names) > 40 else "")
    return f"Columns of the table: {shown}."


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names)


def _check_roles(source: Source, id: tuple, time: tuple, others: Sequence[str]) -> None:
    for names, role in ((id, "id"), (time, "time")):
        if len(set(names)) < len(names):
            raise DataError(f"the {role} names a column twice: {_listed(names)}. Name each once.", file=source.where)
    for name in others:  # A column may well be id and time, such as the year of a storm; a value may be neither.
        if name in id or name in time or list(others).count(name) > 1:
            raise DataError(f"the column {name!r} is given two roles. Name it in one place only.", file=source.where)


def _plain(name: str) -> str:
    return re.sub(r"[\s.\-]+", "_", name.strip().lower())


def _guess_time(source: Source, taken: set[str]) -> tuple[str, ...]:
    frame = source.frame
    free = [column for column in frame.columns if column not in taken]
    typed = [column for column in free if frame[column].dtype.kind == "M" or "datetime64" in str(frame[column].dtype)]
    if typed:
        return (typed[0],)
    parts = [
        column
        for column in free
        if part_roles([column]) or _plain(column) in ("month", "day", "hour", "minute", "second", "doy", "yday")
    ]
    whole = [column for column in parts if source.share(column) > 0.5]
    if len(whole) > 1 and part_roles(whole) is not None:
        return tuple(whole)
    by_name = {_plain(column): column for column in reversed(free)}
    if "date" in by_name and "time" in by_name and _is_clock(frame[by_name["time"]]):
        return by_name["date"], by_name["time"]
    for name in _TIME_NAMES:
        if name in by_name:
            return (by_name[name],)
    for column in free:
        if re.search(r"^time_|_time$|^date_|_date$|^timestamp|timestamp$|^days?_|_days?$", _plain(column)):
            return (column,)
    for column in free:
        if is_text(frame[column]) and _is_date(frame[column], column):
            return (column,)
    raise DataError(f"no column looks like time. Name it with time. {_columns_there(frame)}", file=source.where)


def _is_clock(column: Any) -> bool:
    return bool(
        is_text(column) and as_text(column).head(50).str.fullmatch(r"\d{1,2}:\d\d(:\d\d(\.\d+)?)?").mean() > 0.5
    )


def _is_date(column: Any, name: str) -> bool:
    try:
        return find_format(as_text(column), name) is not None
    except CellError:  # dates that can be read in two ways are dates; what is wrong is said when they are read
        return True


def _guess_id(frame: Any, taken: set[str]) -> tuple[str, ...]:
    """The first column that is named like an id and does not change in every row."""
    free = [column for column in frame.columns if column not in taken and frame[column].nunique() < len(frame)]
    by_name = {_plain(column): column for column in reversed(free)}
    for name in _ID_NAMES:
        if name in by_name:
            return (by_name[name],)
    for name in _LOOSE_ID_NAMES:
        if name in by_name and frame[by_name[name]].nunique() > 1:
            return (by_name[name],)
    for column in free:
        if _ends_like_an_id(column) and frame[column].nunique() > 1:
            return (column,)
    return ()


def _ends_like_an_id(column: str) -> bool:
    return bool(re.search(r"_id$", _plain(column)) or re.search(r"[a-z]I[dD]$", column))


def _guess_long(
    source: Source, found: Layout, rest: list[str], variable, value, *, sure: bool
) -> tuple[str, str] | None:
    """The columns of variable and value; None where the table is not long. With `sure` it must be."""
    frame = source.frame
    texts = [c for c in rest if is_text(frame[c]) and source.share(c) < 0.5 and c != value]
    numbers = [c for c in rest if source.share(c) >= 0.5 and c != variable and not _is_counter(source, c)]
    if variable is None:
        variable = _by_name(texts, _VARIABLE_NAMES) or (texts[0] if len(texts) == 1 else None)
    if value is None:
        value = _by_name(numbers, _VALUE_NAMES) or (numbers[0] if len(numbers) == 1 else None)
    if variable is None or value is None:
        if sure:
            missing = "variable" if variable is None else "value"
            raise DataError(
                f"a long table needs a column for the {missing}. Name it. {_columns_there(frame)}", file=source.where
            )
        return None
    if sure:
        return variable, value
    if len(numbers) > 1 or not 1 <= frame[variable].nunique() <= min(_MAX_VARIABLES, len(frame) // 2 + 1):
        return None
    named = _plain(variable) in _VARIABLE_NAMES and _plain(value) in _VALUE_NAMES
    shared = frame.duplicated([*found.id, *found.time]).mean()  # several variables are read at the same time
    return (variable, value) if named or shared > 0.2 else None


def _by_name(columns: list[str], names: Sequence[str]) -> str | None:
    by_plain = {_plain(column): column for column in reversed(columns)}
    return next((by_plain[name] for name in names if name in by_plain), None)


def _is_counter(source: Source, name: str) -> bool:
    """Whether a column merely counts the rows."""
    named = _plain(name) in _COUNTER_NAMES or name in _COUNTER_NAMES
    if len(source.frame) < (2 if named else 20) or source.share(name) < 1.0:
        return False
    try:
        values = source.numbers(name)
        starts = values[0].is_integer() if named else values[0] in (0, 1)
        return bool(starts and (np.diff(values) == 1).all())
    except CellError:
        return False


def _features(
    source: Source, rest: list[str], values: tuple[str, ...]
) -> tuple[tuple[str, ...], dict[str, str], list[str]]:
    """Value columns, the columns left out with the reason, and what is to be said."""
    frame = source.frame
    if values:
        left = {column: "not named among the values" for column in rest if column not in values}
        for column in values:
            if is_text(frame[column]) and source.share(column) == 0 and blank_cells(as_text(frame[column])).all():
                raise DataError(
                    "the column is wholly blank. Leave it out of the values.", file=source.where, column=column
                )
        return values, left, []
    features, left, ramps = [], {}, []
    for column in rest:
        cells = frame[column]
        if cells.isna().all() or (is_text(cells) and blank_cells(as_text(cells)).all()):
            left[column] = "wholly blank"
        elif cells.dtype.kind not in "iufb" and not is_text(cells):
            left[column] = f"holds {cells.dtype}, no numbers"
        elif source.share(column) < 0.5:
            left[column] = "text"
        elif _plain(column) in _ID_NAMES:
            left[column] = "named like an id"
        elif _is_counter(source, column):
            ramps.append(column)
            left[column] = "merely counts the rows"
        else:
            features.append(column)
    if not features:
        features, ramps = ramps, []
        left = {column: reason for column, reason in left.items() if column not in features}
    if not features:
        raise DataError(f"no column holds numbers to learn from. {_columns_there(frame)}", file=source.where)
    constant = [] if len(features) == 1 else [c for c in features if _is_constant(source, c)]
    for column in constant if len(constant) < len(features) else []:
        features.remove(column)
        left[column] = "the same in every row"
    notes = [f"Guessed: the features are {_listed(features)}."]
    return tuple(features), left, notes


def _is_constant(source: Source, column: str) -> bool:
    try:
        values = source.numbers(column)
    except CellError as problem:
        raise source.error(problem) from None
    values = values[~np.isnan(values)]
    return len(values) >= 20 and bool((values == values[0]).all())
