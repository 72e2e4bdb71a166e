"""Which times of which series a forecast is asked for, and how far beyond what was trained that may go."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from neurode.core.errors import DataError
from neurode.data.series import Series
from neurode.tasks.series.durations import duration
from neurode.tasks.series.fitted import Fitted

REACH = 10
"""How many trained horizons beyond its last row a series is forecast at most.

A storm of 1975 has nothing to say about 2024, and carrying its path that far would take hours.
"""

_MOST_STEPS = 200

_ROUNDING = 1 + 1e-9
"""Times that should be equal differ by rounding."""


@dataclass(frozen=True)
class Coming:
    """What is asked: `series` and for each of them its `times`; `warnings` are sentences a user ought to read."""

    series: tuple[Series, ...]
    times: tuple[np.ndarray, ...]
    warnings: tuple[str, ...] = ()


def asked_times(
    fitted: Fitted,
    series: Sequence[Series],
    *,
    times: Any,
    horizon: float | str | None,
    steps: int | None,
    parse: Callable[[Any], np.ndarray],
    name: str | None = None,
) -> Coming:
    """For each series the times to forecast.

    times: absolute, in the user's form, the same for all series (sorted, each once); series that lie more than `REACH`
    trained horizons from them are left out, with a warning. Without times, `steps` equal steps up to `horizon` after
    each series' last observation; without a horizon, the one the model was trained for; without steps, the typical
    spacing of the training series. name: of the table, for messages.
    Raises DataError for a horizon of more than `REACH` trained ones, and where no series is left.
    """
    if times is not None:
        if horizon is not None or steps is not None:
            raise ValueError(
                "pass either times, which are absolute, or horizon and steps, which count from each last row."
            )
        wanted = np.unique(parse(times))
        if not len(wanted):
            raise DataError("times holds no time. Give at least one")
        near, said = _within_reach(fitted, series, wanted, name)
        return _with_warnings(fitted, near, [wanted] * len(near), said)
    length = _horizon(fitted, horizon)
    if steps is None:
        steps = int(np.clip(round(length / fitted.choices.spacing), 1, _MOST_STEPS))
    if steps < 1:
        raise ValueError(f"steps={steps} must be at least 1.")
    ahead = length * np.arange(1, steps + 1) / steps
    return _with_warnings(fitted, series, [one.times[-1] + ahead for one in series], ())


def recent(one: Series, window: float | None) -> Series:
    """The last `window` of a long series: models of windows have never seen more."""
    if window is None or one.span <= window:
        return one
    return one.select(one.times >= one.times[-1] - window)


def _horizon(fitted: Fitted, horizon: float | str | None) -> float:
    trained = fitted.choices.horizon
    if horizon is None:
        return trained
    length = duration(horizon, fitted.time_unit, "horizon")
    if length > REACH * trained * _ROUNDING:
        raise DataError(
            f"horizon={horizon!r} is more than {REACH} times the {_said(fitted, trained)} that forecasts were trained "
            f"and calibrated for. Ask for at most {_said(fitted, REACH * trained)}, or train with a longer horizon"
        )
    return length


def _within_reach(
    fitted: Fitted, series: Sequence[Series], wanted: np.ndarray, name: str | None
) -> tuple[list[Series], tuple[str, ...]]:
    """The series from which all `wanted` times are at most `REACH` horizons away, and what is to be said of others."""
    reach = REACH * fitted.choices.horizon * _ROUNDING
    late = [one for one in series if wanted[-1] - one.times[-1] > reach]
    # What lies before all that the model reads of a series is as far away as what lies behind it.
    early = [one for one in series if recent(one, fitted.choices.window).times[0] - wanted[0] > reach]
    left_out = {id(one) for one in (*late, *early)}
    near = [one for one in series if id(one) not in left_out]
    far = f"more than {_said(fitted, REACH * fitted.choices.horizon)} ({REACH} horizons)"
    where = " or ".join(
        words
        for words, some in (
            (f"ends {far} before the last time asked", late),
            (f"begins {far} after the first time asked", early),
        )
        if some
    )
    if not near:
        raise DataError(
            f"every series {where}, so a forecast of it means nothing. Ask for times nearer to the series, or train "
            "with a longer horizon",
            file=name,
        )
    if not left_out:
        return near, ()
    return near, (f"Left out: {len(left_out):,} of {len(series):,} series, each of which {where}.",)


def _with_warnings(
    fitted: Fitted, series: Sequence[Series], times: Sequence[np.ndarray], said: tuple[str, ...]
) -> Coming:
    """All of it, with a sentence where a time lies beyond the horizon that intervals were calibrated for."""
    trained = fitted.choices.horizon
    furthest = max((float(own[-1] - one.times[-1]) for one, own in zip(series, times, strict=True)), default=0.0)
    if furthest > trained * _ROUNDING:
        said += (
            f"Forecasts reach {_said(fitted, furthest)} beyond a series' last row, and were trained and calibrated up "
            f"to {_said(fitted, trained)}: further out the intervals keep the calibration of the longest distances "
            "that were checked, and whether they hold is unverified.",
        )
    return Coming(tuple(series), tuple(times), said)


def _said(fitted: Fitted, length: float) -> str:
    return f"{length:g} {fitted.time_unit}".rstrip()
