"""Lengths of time as people type them: 24h, 3 days, 1.5."""

import re

import typer

_HOURS = {"seconds": 1 / 3600, "minutes": 1 / 60, "hours": 1.0, "days": 24.0, "weeks": 168.0, "years": 365.25 * 24}
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


def in_time_units(text: str, time_unit: str, option: str) -> float:
    """`text` as a number of the table's time units; a bare number is in those units already.

    Raises typer.BadParameter (exit code 2) for what is no length of time, zero, or a unit on a table of plain numbers.
    """
    match = _FORM.fullmatch(text)
    if match is None or (match[2] and match[2].lower() not in _NAMES):
        raise typer.BadParameter(
            f"{text!r} is not a length of time. Write a number, or a number and a unit: 24h, 90min, 3d, 2w, 1.5y",
            param_hint=f"'{option}'",
        )
    number = float(match[1])
    if number <= 0:
        raise typer.BadParameter(f"{text!r} must be above zero", param_hint=f"'{option}'")
    if not match[2]:
        return number
    if time_unit not in _HOURS:
        raise typer.BadParameter(
            f"{text!r} has a unit, but time in this table is plain numbers without one. Write the number alone",
            param_hint=f"'{option}'",
        )
    return number * _HOURS[_NAMES[match[2].lower()]] / _HOURS[time_unit]
