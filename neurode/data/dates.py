"""Dates as text: which format a column is written in, to microseconds since 1970 (UTC), and back."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from neurode.core.extras import require
from neurode.data.cells import CellError

_DAY = 86_400_000_000
_CLOCKS = ("", "{sep}%H:%M", "{sep}%H:%M:%S", "{sep}%H:%M:%S.%f")
_ZONE = re.compile(r"(?<=\d)\s?(Z|UTC|[+-]\d\d:?\d\d)$")
_COMPACT = {8: "%Y%m%d", 10: "%Y%m%d%H", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}
_NAMED = ("%d-%b-%Y", "%d %b %Y", "%d %B %Y", "%b %d, %Y", "%B %d, %Y", "%b %d %Y", "%d%b%Y")
_TWO_WAYS = re.compile(r"(\d{1,2})([/.\-])(\d{1,2})\2(\d{4})")


@dataclass(frozen=True)
class DateFormat:
    """A strftime pattern, and the zone that is written behind it: None, "Z" or an offset such as "+02:00".

    A column in which offsets differ has the zone "mixed": it is read to UTC and written back with Z.
    """

    format: str
    zone: str | None = None

    def read(self, text: Any, name: str) -> np.ndarray:
        """(rows,) int64 microseconds since 1970-01-01 UTC. Raises CellError for the first text that does not fit."""
        pd = require("pandas", extra="tools")
        body, offsets = _strip_zone(text) if self.zone is not None else (text, None)
        moments = pd.to_datetime(body, format=self.format, errors="coerce")
        missing = moments.isna().to_numpy()
        if missing.any() and self.format.startswith("%Y-"):  # rows may be coarser or finer than the longest one
            again = pd.to_datetime(body[missing], format="ISO8601", errors="coerce")
            moments = moments.astype("datetime64[us]")
            moments.loc[missing] = again.astype("datetime64[us]")
            missing = moments.isna().to_numpy()
        if missing.any():
            raise _unreadable(text, int(np.flatnonzero(missing)[0]), name, self)
        micro = moments.to_numpy("datetime64[us]").astype(np.int64)
        if offsets is None:
            return micro
        if np.isnan(offsets).any():
            raise CellError(
                "the time has no zone, while other rows have one (Z, +02:00). Write it in every row or in none.",
                int(np.flatnonzero(np.isnan(offsets))[0]),
                name,
            )
        return micro - (offsets * 60_000_000).astype(np.int64)

    def write(self, micro: np.ndarray) -> np.ndarray:
        """(rows,) int64 microseconds to text in this format, with minutes or seconds added where they are needed."""
        pd = require("pandas", extra="tools")
        suffix = "Z" if self.zone == "mixed" else self.zone or ""
        micro = micro + int(_offset_minutes(self.zone)) * 60_000_000 if self.zone not in (None, "mixed") else micro
        pattern = self.format
        if "%H" not in pattern:
            micro = (micro + _DAY // 2) // _DAY * _DAY
            if "%d" not in pattern:
                micro = _nearest_month(micro)
        elif "%f" not in pattern:
            micro = (micro + 500_000) // 1_000_000 * 1_000_000
            colon = ":" if "%H:" in pattern or "-" in pattern else ""
            if "%M" not in pattern and (micro % 3_600_000_000).any():
                pattern += f"{colon}%M"
            if "%S" not in pattern and (micro % 60_000_000).any():
                pattern += f"{colon}%S"
        text = pd.DatetimeIndex(micro.astype("datetime64[us]")).strftime(pattern).to_numpy(object)
        if "%f" in pattern:
            text = np.array([re.sub(r"(\.\d{3})000$", r"\1", one) for one in text], object)
        return text + suffix if suffix else text


def find_format(text: Any, name: str) -> DateFormat | None:
    """The date format in which most texts of a column are written; None where they are no dates.

    Raises CellError where 03/04/2024 could be 3 April or March 4 in every row.
    """
    sample = text[text != ""]
    if len(sample) > 400:  # both ends and the middle
        sample = sample.iloc[np.linspace(0, len(sample) - 1, 400).astype(int)]
    if not len(sample):
        return None
    compact = _find_compact(sample, text)
    if compact is not None:
        return compact
    body, offsets = _strip_zone(sample)
    zone = _zone_of(text, sample, offsets)
    for pattern in _candidates(body, text, name):
        if _share(body, pattern) > 0.5:
            return DateFormat(pattern, zone)
    return None


def _find_compact(sample: Any, text: Any) -> DateFormat | None:
    digits = sample.str.fullmatch(r"\d{8}|\d{10}|\d{12}|\d{14}").to_numpy(bool)
    if digits.mean() <= 0.5:
        return None
    width = int(sample[digits].str.len().mode().iloc[0])
    pattern = _COMPACT[width]
    low, high = ("1500", "2200") if width == 8 else ("1900", "2100")
    years = sample.str.slice(0, 4)
    plausible = (
        (years >= low).to_numpy(bool) & (years <= high).to_numpy(bool) & (sample.str.len() == width).to_numpy(bool)
    )
    if (plausible & _fits(sample, pattern)).mean() <= 0.5:
        return None
    # One number in 25 is a date by chance. More than half: the others are dates that went wrong, to be named.
    every = text[text != ""]
    return DateFormat(pattern) if (every.str.len() == width).mean() > 0.5 else None


def _candidates(body: Any, text: Any, name: str) -> list[str]:
    longest = max((str(one) for one in body), key=len)
    if re.match(r"\d{4}-\d{1,2}", longest):
        return [_iso_pattern(longest)]
    days = ["%Y/%m/%d", "%Y.%m.%d"] if re.match(r"\d{4}[/.]", longest) else _two_ways(body, text, name)
    return [day + clock.format(sep=sep) for day in [*days, *_NAMED] for clock in _CLOCKS for sep in (" ", "T", ", ")]


def _iso_pattern(longest: str) -> str:
    """The pattern of the finest text of a column; coarser rows are read all the same."""
    sep = "T" if "T" in longest else " "
    day, _, clock = longest.partition(sep)
    if "." in clock:
        return f"%Y-%m-%d{sep}%H:%M:%S.%f"
    if clock:
        return f"%Y-%m-%d{sep}" + ("%H", "%H:%M", "%H:%M:%S")[min(clock.count(":"), 2)]
    return "%Y-%m-%d" if day.count("-") == 2 else "%Y-%m"


def _two_ways(body: Any, text: Any, name: str) -> list[str]:
    """03/04/2024: whichever order the rows themselves prove; with points the day comes first."""
    if not any(_TWO_WAYS.match(one) for one in body):
        return []
    found = text.str.extract(_TWO_WAYS.pattern)
    found = found[found[0].notna()]
    mark = found[1].iloc[0]
    first, second = found[0].astype(int), found[2].astype(int)
    day_first, month_first = (first > 12).mean(), (second > 12).mean()
    if mark != "." and day_first == month_first == 0:
        raise CellError(
            f"dates such as {text.iloc[found.index[0]]!r} can be read in two ways, day or month first, and no "
            "row tells which. Write them as 2024-03-29.",
            int(found.index[0]),
            name,
        )
    order = ("%d", "%m") if mark == "." or day_first >= month_first else ("%m", "%d")
    return [mark.join((*order, "%Y"))]


def _fits(text: Any, pattern: str) -> np.ndarray:
    pd = require("pandas", extra="tools")
    return pd.to_datetime(text, format=pattern, errors="coerce").notna().to_numpy()


def _share(text: Any, pattern: str) -> float:
    fits = _fits(text, pattern)
    if pattern.startswith("%Y-"):
        fits = fits | text.str.fullmatch(r"\d{4}-\d\d(-\d\d([T ]\d\d(:\d\d(:\d\d(\.\d+)?)?)?)?)?").to_numpy(bool)
    return float(fits.mean())


def _strip_zone(text: Any) -> tuple[Any, np.ndarray]:
    """Texts without their zone, and the zone's offset in minutes (NaN without one). Only a clock can have a zone."""
    clock = text.str.contains(":", regex=False).to_numpy(bool)
    found = text.str.extract(_ZONE.pattern)[0].where(clock, None)
    offsets = np.array([np.nan if not isinstance(one, str) else _offset_minutes(one) for one in found], np.float64)
    if np.isnan(offsets).all():
        return text, offsets
    body = text.where(np.isnan(offsets), text.str.replace(_ZONE.pattern, "", regex=True))
    return body, offsets


def _zone_of(text: Any, sample: Any, offsets: np.ndarray) -> str | None:
    if np.isnan(offsets).all():
        return None
    _, all_offsets = _strip_zone(text)
    if len(np.unique(all_offsets[~np.isnan(all_offsets)])) > 1:
        return "mixed"
    written = str(sample.iloc[int(np.flatnonzero(~np.isnan(offsets))[0])])
    found = _ZONE.search(written)
    return found.group(1) if found else None


def _offset_minutes(zone: str | None) -> float:
    if zone in (None, "Z", "UTC", "mixed"):
        return 0.0
    sign = -1 if zone[0] == "-" else 1
    return float(sign * (int(zone[1:3]) * 60 + int(zone[-2:])))


def _unreadable(text: Any, position: int, name: str, written: DateFormat) -> CellError:
    shown = str(text.iloc[position])
    if not shown:
        return CellError("the time is blank. Fill it in, or delete the row.", position, name)
    example = next((one for one in text if one and one != shown), "2024-03-29")
    return CellError(
        f"{shown!r} is no date that can be read in the form of the other rows (such as {example}). Correct it, or "
        "delete the row.",
        position,
        name,
    )


def _nearest_month(micro: np.ndarray) -> np.ndarray:
    months = (micro + 15 * _DAY).astype("datetime64[us]").astype("datetime64[M]")
    return months.astype("datetime64[us]").astype(np.int64)


def microseconds_from_parts(parts: Mapping[str, np.ndarray], names: Sequence[str]) -> np.ndarray:
    """Columns of year, month, day (or yearday), hour, minute, second to int64 microseconds since 1970.

    Raises CellError for a blank, or for a month, day, hour, minute or second that does not exist.
    """
    limits = {"year": (1000, 9999), "month": (1, 12), "day": (1, 31), "yearday": (1, 366), "hour": (0, 24)}
    for (role, values), name in zip(parts.items(), names, strict=True):
        low, high = limits.get(role, (0, 60))
        with np.errstate(invalid="ignore"):
            fraction = role in ("year", "month") and not (values == np.floor(values)).all()
            bad = ~((values >= low) & (values <= high)) | ((values != np.floor(values)) if fraction else False)
        if bad.any():
            position = int(np.flatnonzero(bad)[0])
            value = values[position]
            said = (
                f"the time is blank in its {role}"
                if np.isnan(value)
                else f"{value:g} is no {role} (from {low} to {high})"
            )
            raise CellError(f"{said}. Correct it, or delete the row.", position, name)
    months = (parts["year"].astype(np.int64) - 1970) * 12 + parts.get("month", np.ones(1)).astype(np.int64) - 1
    starts = months.astype("datetime64[M]").astype("datetime64[us]").astype(np.int64)
    day = parts.get("yearday", parts.get("day", np.ones(1)))
    first_of_next = (months + (12 if "yearday" in parts else 1)).astype("datetime64[M]").astype("datetime64[us]")
    late = starts + np.floor(day - 1).astype(np.int64) * _DAY >= first_of_next.astype(np.int64)
    if late.any():
        position = int(np.flatnonzero(late)[0])
        role = "yearday" if "yearday" in parts else "day"
        raise CellError(
            f"the {role} {day[position]:g} does not exist in that {'year' if role == 'yearday' else 'month'}. Correct "
            "it, or delete the row.",
            position,
            names[list(parts).index(role)],
        )
    seconds = (day - 1) * 86400
    for role, size in (("hour", 3600), ("minute", 60), ("second", 1)):
        if role in parts:
            seconds = seconds + parts[role] * size
    return starts + np.round(seconds * 1e6).astype(np.int64)


def parts_from_microseconds(micro: np.ndarray, roles: Sequence[str]) -> dict[str, np.ndarray]:
    """The inverse: int64 columns, with a fraction in the last of hour, minute, second where one is left over."""
    if "hour" not in roles:
        micro = (micro + _DAY // 2) // _DAY * _DAY
        if "day" not in roles and "yearday" not in roles:
            micro = _nearest_month(micro)
    moments = micro.astype("datetime64[us]")
    years, months, days = (moments.astype(f"datetime64[{unit}]") for unit in "YMD")
    rest = micro - days.astype("datetime64[us]").astype(np.int64)
    parts: dict[str, np.ndarray] = {
        "year": years.astype(np.int64) + 1970,
        "month": (months - years.astype("datetime64[M]")).astype(np.int64) + 1,
        "day": (days - months.astype("datetime64[D]")).astype(np.int64) + 1,
        "yearday": (days - years.astype("datetime64[D]")).astype(np.int64) + 1,
    }
    clock = [role for role in ("hour", "minute", "second") if role in roles]
    for role, size in (("hour", 3_600_000_000), ("minute", 60_000_000), ("second", 1_000_000)):
        parts[role], rest = rest // size, rest % size
        if clock and role == clock[-1]:
            if rest.any():
                parts[role] = np.round(parts[role] + rest / size, 9)
            break
    return parts
