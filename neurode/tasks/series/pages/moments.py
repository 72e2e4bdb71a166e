"""Times as words on an axis: 2023-08-19 18:00, or 2023-08-19 where the table holds dates."""

from dataclasses import replace

import numpy as np

from neurode.data.times import TimeForm

_DAY, _MINUTE = "%Y-%m-%d", "%Y-%m-%d %H:%M"


def moments(when: TimeForm, times: np.ndarray) -> tuple[str, ...]:
    """`times` (float64 in the table's unit) as texts, whatever columns the table writes them in.

    () for plain numbers and for clocks, which are no points on a calendar. Seconds are shown where there are some, and
    behind the time the zone where the table has one.
    """
    if not when.is_calendar:
        return ()
    if when.typed:
        import pandas as pd

        dates = pd.DatetimeIndex(when.write(times)[when.columns[0]])
        return tuple(dates.strftime(_DAY if (dates == dates.normalize()).all() else _MINUTE))
    text = replace(when, columns=("time",), form="datetime", format=_MINUTE if _has_clock(when) else _DAY, roles=())
    return tuple(str(one) for one in text.write(times)["time"])


def _has_clock(when: TimeForm) -> bool:
    if when.form == "parts" and when.roles != ("date", "clock"):
        return "hour" in when.roles
    return "%H" in when.format
