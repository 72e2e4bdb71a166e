"""Time as users write it, to float64 in a plain unit, and back in the same form."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from neurode.core.extras import require
from neurode.data.cells import CellError, as_text, is_text, to_numbers
from neurode.data.dates import DateFormat, find_format, microseconds_from_parts, parts_from_microseconds

UNITS = {
    "seconds": 1e6,
    "minutes": 60e6,
    "hours": 3600e6,
    "days": 86400e6,
    "weeks": 7 * 86400e6,
    "years": 365.25 * 86400e6,
}
"""Microseconds per unit of time; a year has 365.25 days."""

FORMS = ("number", "date", "datetime", "compact", "parts", "clock")

_PARTS = {
    "year": ("year", "yr", "yyyy", "jahr"),
    "month": ("month", "mon", "mo", "mm", "monat"),
    "day": ("day", "dd", "dom", "mday", "tag"),
    "yearday": ("doy", "yday", "dayofyear", "day_of_year", "yearday"),
    "hour": ("hour", "hr", "hh", "stunde"),
    "minute": ("minute", "min"),
    "second": ("second", "sec"),
}


@dataclass(frozen=True)
class TimeForm:
    """How the time columns of a table are written.

    columns: their names. form: "number"; "date" (2024-03-29); "datetime" (2024-03-29T06:00); "compact" (19580329);
    "parts" (several columns, such as year, month, day, hour, or a date and a clock); "clock" (hours:minutes since a
    start). unit: the unit of the float64 times; dates count from 1970-01-01 UTC in one of UNITS. For numbers it is only
    what the column's name says, or "". format: how a text is laid out. zone: what tells local time from UTC, or None.
    roles: what each of several columns holds. whole: whether numbers were integers. typed: the columns hold dates, not
    text.
    """

    columns: tuple[str, ...]
    form: str
    unit: str = ""
    format: str = ""
    zone: str | None = None
    roles: tuple[str, ...] = ()
    whole: bool = False
    typed: bool = False

    @property
    def is_calendar(self) -> bool:
        """Whether times are points on the calendar rather than plain numbers."""
        return self.form in ("date", "datetime", "compact", "parts")

    def with_unit(self, unit: str) -> "TimeForm":
        return replace(self, unit=unit)

    def read(self, columns: Sequence[Any]) -> np.ndarray:
        """Pandas columns in this form to (rows,) float64: in `unit` where it is set for a calendar, else microseconds.

        Raises CellError for the first cell that is blank, infinite or cannot be read.
        """
        if self.form == "number":
            return _read_number(columns[0], self.columns[0])
        if self.form == "clock":
            return _read_clock(columns[0], self.columns[0])
        if self.form == "parts" and self.roles != ("date", "clock"):
            numbers = [_month_numbers(column, role) for column, role in zip(columns, self.roles, strict=True)]
            values = [to_numbers(column, name) for column, name in zip(numbers, self.columns, strict=True)]
            micro = microseconds_from_parts(dict(zip(self.roles, values, strict=True)), self.columns)
        elif self.typed:
            micro = _typed_microseconds(columns[0], self.columns[0])
        else:
            micro = self._date_format().read(_joined(columns), " ".join(self.columns))
        return micro / UNITS[self.unit] if self.unit else micro.astype(np.float64)

    def parse(self, values: Any) -> np.ndarray:
        """Times that a person or program gives (text, numbers, dates) to float64 in `unit`.

        Calendar times may also be written as 2024-09-01 or 2024-09-01T06:00, whatever the table's own form.
        Raises CellError for what cannot be read.
        """
        pd = require("pandas", extra="tools")
        column = values if isinstance(values, pd.Series) else pd.Series(np.atleast_1d(np.asarray(values)))
        column = column.reset_index(drop=True)
        name = " ".join(self.columns)
        if not self.is_calendar:
            return self.read([column])
        if not is_text(column) and column.dtype.kind == "M":
            return _typed_microseconds(column, name) / UNITS[self.unit]
        text = as_text(column)
        own = self._date_format() if self.form != "parts" and not self.typed else None
        if own is not None:
            try:
                return own.read(text, name) / UNITS[self.unit]
            except CellError:
                pass
        written = find_format(text, name)
        if written is None:
            raise CellError(
                f"{text.iloc[0]!r} is no time that can be read. Write 2024-09-01 or 2024-09-01T06:00.", 0, name
            )
        return written.read(text, name) / UNITS[self.unit]

    def write(self, times: np.ndarray) -> dict[str, Any]:
        """(rows,) float64 times to columns in the user's own form, {name: array}; the inverse of `read`.

        A date takes the nearest day. A clock time finer than the form shows gets minutes or seconds added, or, in
        columns of numbers, a fraction in the last one.
        """
        times = np.asarray(times, np.float64)
        if self.form == "number":
            return {self.columns[0]: _write_number(times, self.whole)}
        if self.form == "clock":
            return {self.columns[0]: _write_clock(times, self.format)}
        micro = (
            np.round(times * UNITS[self.unit] / 1000).astype(np.int64) * 1000
        )  # milliseconds: float64 holds little more
        if self.form == "parts" and self.roles != ("date", "clock"):
            parts = parts_from_microseconds(micro, self.roles)
            return {name: parts[role] for name, role in zip(self.columns, self.roles, strict=True)}
        if self.typed:
            return {self.columns[0]: _write_typed(micro, self.zone)}
        text = self._date_format().write(micro)
        if self.form == "parts":
            pairs = [one.rsplit(" ", 1) for one in text]
            return {name: np.array([pair[k] for pair in pairs], object) for k, name in enumerate(self.columns)}
        if self.form == "compact" and self.whole:
            return {self.columns[0]: text.astype(np.int64)}
        return {self.columns[0]: text}

    def _date_format(self) -> DateFormat:
        return DateFormat(self.format, self.zone)


def find_time_form(columns: Mapping[str, Any]) -> TimeForm:
    """The form in which these columns (name -> pandas column) write time, looked up in the cells themselves.

    Raises CellError, with the remedy, where none fits.
    """
    names = tuple(columns)
    if len(names) == 1:
        return _one_column(names[0], columns[names[0]])
    roles = part_roles(names)
    if roles is not None:
        whole = all(float(v).is_integer() for v in to_numbers(columns[names[-1]], names[-1])[:1000] if np.isfinite(v))
        return TimeForm(names, "parts", roles=roles, whole=whole)
    if len(names) == 2 and all(is_text(column) for column in columns.values()):
        written = find_format(_joined(list(columns.values())), " ".join(names))
        if written is not None and " %H" in written.format:
            return TimeForm(names, "parts", format=written.format, zone=written.zone, roles=("date", "clock"))
    raise CellError(
        f"the columns {', '.join(names)} do not tell a time together. Name one column, a date and a clock, or columns "
        f"named {', '.join(_PARTS)} (the year first).",
        column=names[0],
    )


def part_roles(names: Sequence[str]) -> tuple[str, ...] | None:
    """year, month, ... for columns with such names, coarse before fine and without a gap; None where they are not."""
    roles = tuple(role for name in names if (role := _role(name)) is not None)
    chains = (("year", "month", "day", "hour", "minute", "second"), ("year", "yearday", "hour", "minute", "second"))
    return (
        roles if len(roles) == len(names) and any(set(roles) == set(chain[: len(roles)]) for chain in chains) else None
    )


def _role(name: str) -> str | None:
    plain = re.sub(r"[\s.\-]+", "_", name.strip().lower())
    for role, words in _PARTS.items():
        if plain in words or any(plain.endswith("_" + word) for word in words):
            return role
    return None


def unit_from_name(name: str) -> str:
    """The unit that a column of numbers names: time_h, days, Year; "" where it names none."""
    word = re.split(r"[\s_.\-(\[]+", name.strip().lower().rstrip(")]"))[-1]
    for unit, words in {
        "seconds": ("s", "sec", "secs", "second", "seconds"),
        "minutes": ("min", "mins", "minute", "minutes"),
        "hours": ("h", "hr", "hrs", "hour", "hours"),
        "days": ("d", "day", "days", "mjd", "jd"),
        "weeks": ("w", "wk", "week", "weeks"),
        "years": ("y", "yr", "yrs", "year", "years", "age"),
    }.items():
        if word in words:
            return unit
    return ""


def unit_for_gap(gap: float) -> str:
    """The unit in which calendar times with this typical gap (in microseconds) are pleasant to read."""
    if not gap > 0:
        return "days"
    if 5 * UNITS["days"] <= gap < 10 * UNITS["days"]:
        return "weeks"
    limits = {"seconds": 30e6, "minutes": 30 * 60e6, "hours": 20 * 3600e6, "days": 200 * 86400e6}
    return next((unit for unit, limit in limits.items() if gap < limit), "years")


def _one_column(name: str, column: Any) -> TimeForm:
    if not is_text(column):
        if column.dtype.kind == "M" or "datetime64" in str(column.dtype):
            zone = getattr(column.dtype, "tz", None)
            return TimeForm((name,), "datetime", zone=None if zone is None else str(zone), typed=True)
        if column.dtype.kind not in "iuf":
            raise CellError(f"the column holds {column.dtype}, which is no time. Name another one.", column=name)
    text = as_text(_digits(column))
    written = find_format(text, name)
    if written is not None:
        compact = "-" not in written.format and written.format.startswith("%Y%m%d")
        form = "compact" if compact else "datetime" if "%H" in written.format else "date"
        return TimeForm((name,), form, format=written.format, zone=written.zone, whole=compact and not is_text(column))
    sample = text[text != ""].head(200)
    clock = sample.str.fullmatch(r"\d+:[0-5]\d(:[0-5]\d(\.\d+)?)?").to_numpy(bool)
    if len(sample) and clock.mean() > 0.5:
        return TimeForm((name,), "clock", "hours", format=max(sample[clock], key=len))
    values = to_numbers(column, name) if not is_text(column) else _numbers_or_time_error(column, name)
    finite = values[np.isfinite(values)]
    return TimeForm((name,), "number", unit_from_name(name), whole=bool((finite == np.floor(finite)).all()))


def _digits(column: Any) -> Any:
    """Whole numbers, also those that blanks turned into floats, as text of digits: compact dates show as such."""
    if is_text(column):
        return column
    values = column.to_numpy(np.float64, na_value=np.nan)
    finite = np.isfinite(values)
    if not finite.any() or (values[finite] != np.floor(values[finite])).any() or np.abs(values[finite]).max() > 9e15:
        return column
    pd = require("pandas", extra="tools")
    return pd.Series([str(int(v)) if ok else "" for v, ok in zip(values, finite, strict=True)], dtype="str")


def _numbers_or_time_error(column: Any, name: str) -> np.ndarray:
    try:
        return to_numbers(column, name)
    except CellError as problem:
        raise _time_error(column, problem, name) from None


def _time_error(column: Any, problem: CellError, name: str) -> CellError:
    if problem.position is None:
        return problem
    text = str(column.iloc[problem.position]).strip()
    if text.lower().strip("+-") in ("inf", "infinity"):
        return CellError("the time is infinite. Correct it, or delete the row.", problem.position, name)
    return CellError(
        f"{text!r} is no time that can be read. Write a number, a date such as 2024-03-29 or 2024-03-29T06:00, or "
        "19580329, in the same form in every row.",
        problem.position,
        name,
    )


def _read_number(column: Any, name: str) -> np.ndarray:
    values = _numbers_or_time_error(column, name)
    blank = np.flatnonzero(np.isnan(values))
    if len(blank):
        raise CellError("the time is blank. Fill it in, or delete the row.", int(blank[0]), name)
    return values


def _read_clock(column: Any, name: str) -> np.ndarray:
    text = as_text(column)
    found = text.str.extract(r"^(\d+):([0-5]\d)(?::([0-5]\d(?:\.\d+)?))?$")
    bad = np.flatnonzero(found[0].isna().to_numpy())
    if len(bad):
        raise CellError(
            f"{text.iloc[bad[0]]!r} is no time such as 07:30 or 07:30:00, as other rows have. Correct it.",
            int(bad[0]),
            name,
        )
    hours, minutes = found[0].astype(np.float64).to_numpy(), found[1].astype(np.float64).to_numpy()
    return hours + minutes / 60 + found[2].fillna("0").astype(np.float64).to_numpy() / 3600


def _write_clock(times: np.ndarray, like: str) -> np.ndarray:
    seconds = np.round(times * 3600).astype(np.int64)
    width = len(like.split(":")[0])
    show = like.count(":") == 2 or bool((seconds % 60).any())
    return np.array(
        [f"{s // 3600:0{width}d}:{s // 60 % 60:02d}" + (f":{s % 60:02d}" if show else "") for s in seconds.tolist()],
        object,
    )


def _write_number(times: np.ndarray, whole: bool) -> np.ndarray:
    if whole and np.isfinite(times).all() and (times == np.round(times)).all() and np.abs(times).max(initial=0) < 9e15:
        return times.astype(np.int64)
    return times.copy()


def _joined(columns: Sequence[Any]) -> Any:
    text = as_text(columns[0])
    for column in columns[1:]:
        text = text + " " + as_text(column)
    return text


def _month_numbers(column: Any, role: str) -> Any:
    """Month names as numbers; other columns as they are."""
    if role != "month" or not is_text(column):
        return column
    months = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
    text = as_text(column)
    return text.map(lambda one: str(months.index(one[:3].lower()) + 1) if one[:3].lower() in months else one).astype(
        "str"
    )


def _typed_microseconds(column: Any, name: str) -> np.ndarray:
    blank = np.flatnonzero(column.isna().to_numpy())
    if len(blank):
        raise CellError("the time is blank. Fill it in, or delete the row.", int(blank[0]), name)
    if getattr(column.dtype, "tz", None) is not None:
        column = column.dt.tz_convert("UTC").dt.tz_localize(None)
    return column.to_numpy("datetime64[us]").astype(np.int64)


def _write_typed(micro: np.ndarray, zone: str | None) -> Any:
    moments = micro.astype("datetime64[us]")
    if zone is None:
        return moments
    pd = require("pandas", extra="tools")
    return pd.DatetimeIndex(moments).tz_localize("UTC").tz_convert(zone).array
