"""Lengths of time as people write them: 24h, 3 days, 1.5 years, or a plain number of the table's own time units."""

import math
import re

from neurode.core.errors import DataError

_HOURS = {
    "seconds": 1 / 3600,
    "minutes": 1 / 60,
    "hours": 1.0,
    "days": 24.0,
    "weeks": 168.0,
    "months": 730.5,
    "years": 365.25 * 24,
}
_NAMES = {
    **{name: name for name in _HOURS},
    **{name[:-1]: name for name in _HOURS},
    "s": "seconds",
    "sec": "seconds",
    "min": "minutes",
    "h": "hours",
    "hr": "hours",
    "d": "days",
    "w": "weeks",
    "y": "years",
    "yr": "years",
}
_FORM = re.compile(r"\s*([0-9]*\.?[0-9]+(?:[eE][-+]?[0-9]+)?)\s*([A-Za-z]*)\s*")


def duration(length: float | str, time_unit: str, name: str, *, zero: bool = False) -> float:
    """`length` as a number of the table's `time_unit`; a number without a unit is in those units already.

    `name` is what the message calls it. zero: whether 0 is allowed, with or without a unit. Raises DataError for text
    that is no length of time, for a zero that is not allowed, for less, and for a unit where the table's times are
    plain numbers (time_unit "").
    """
    match = _FORM.fullmatch(str(length))
    unit = match[2].lower() if match else ""
    if match is None or (unit and unit not in _NAMES):
        raise DataError(
            f"{name}={length!r} is not a length of time. Write a number, or a number and a unit: 24h, 90min, 3d"
        )
    number = float(match[1])
    if zero and number == 0:
        return 0.0
    if not 0 < number < math.inf:
        raise DataError(f"{name}={length!r} must be above zero, and finite. Write a length of time: 24h, 90min, 3d")
    if not unit:
        return number
    if time_unit not in _HOURS:
        raise DataError(
            f"{name}={length!r} has a unit, but this table's times are plain numbers. Write the number alone"
        )
    return number * _HOURS[_NAMES[unit]] / _HOURS[time_unit]


def period_lengths(time_unit: str, spacing: float, span: float) -> tuple[float, ...]:
    """The year, week and day, in `time_unit`, of which a series spanning `span` holds at least two, with six rows in
    each.

    () for plain numbers, which have no calendar.
    """
    if time_unit not in _HOURS:
        return ()
    lengths = (length / _HOURS[time_unit] for length in (_HOURS["years"], _HOURS["weeks"], _HOURS["days"]))
    return tuple(length for length in lengths if span >= 2 * length and length >= 6 * spacing)
