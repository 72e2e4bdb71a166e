"""What `SeriesConfig` leaves open, chosen from the training series themselves, so that a table needs no option."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from neurode.data.series import Series
from neurode.tasks.series.config import SeriesConfig
from neurode.tasks.series.durations import duration, period_lengths
from neurode.tasks.series.levels import drifts

_NICE = (1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0)
_NICE_HOURS = (1, 2, 3, 6, 12, 24, 48, 72, 96, 168, 336, 720)

_STEPS = 5000
"""Training steps aimed at: about what tables of some hundred to some thousand series need until validation stops
improving.
"""


@dataclass(frozen=True)
class Choices:
    """Settings resolved to numbers: times in the table's unit. `sentences` says what was chosen and why.

    spacing: typical time between two rows of a series. window: None where series are not cut. periods: () for none.
    levels: each series is read relative to its own level (see `levels`).
    """

    horizon: float
    history: float | None
    window: float | None
    periods: tuple[float, ...]
    spacing: float
    latent_dim: int
    hidden_dim: int
    epochs: int
    batch_size: int
    patience: int
    levels: bool = False
    sentences: tuple[str, ...] = ()


def choose_window(
    config: SeriesConfig, series: Sequence[Series], time_unit: str, suggested: float | None
) -> float | None:
    """Length of the windows series are cut into: as set, else `suggested` (for one long series), else None; panels of
    very long series (more than 400 rows) are cut too, at about 200 rows."""
    if config.window is not None:
        return duration(config.window, time_unit, "window")
    if suggested is not None:
        return suggested
    rows = np.array([one.num_times for one in series])
    long = [one for one in series if one.num_times > 400]
    if len(rows) and np.quantile(rows, 0.95) > 400:
        return float(np.median([one.span / (one.num_times - 1) for one in long])) * 200
    return None


def choose(
    config: SeriesConfig,
    train: Sequence[Series],
    time_unit: str,
    *,
    window: float | None,
    whole_span: float | None,
    calendar: bool = False,
) -> Choices:
    """Resolve `config` on the training series (windows, where they were cut).

    whole_span: span of the one long series a table holds, None for many series. calendar: its times are dates, so it
    may know the periods of the calendar that it holds often enough.
    """
    spacing = typical_spacing(train)
    span = float(np.median([one.span for one in train if one.num_times > 1] or [spacing]))
    said = []
    if config.horizon is not None:
        horizon = duration(config.horizon, time_unit, "horizon")
    else:
        horizon = nice_length(max(span / 4, 2.5 * spacing), time_unit)
        said.append(f"horizon {_said(horizon, time_unit)}: about a quarter of a typical series, and at least two rows")
    history = None if config.history is None else duration(config.history, time_unit, "history")
    if config.periods != "auto":
        periods = tuple(duration(period, time_unit, "periods") for period in config.periods)
    else:
        periods = () if whole_span is None else period_lengths(time_unit if calendar else "", spacing, whole_span)
        if periods:
            said.append("calendar periods " + ", ".join(_said(period, time_unit) for period in periods))
    features = train[0].num_features
    batch_size = config.batch_size or _power_of_two(len(train) / 20, 16, 128)
    steps_an_epoch = math.ceil(len(train) / batch_size)
    epochs = config.epochs or int(np.clip(math.ceil(_STEPS / steps_an_epoch), 30, 400))
    levels = config.levels == "relative" or (config.levels == "auto" and whole_span is not None and drifts(train))
    if levels and config.levels == "auto":
        said.append("levels relative to each window's own, since the series drifts")
    choices = Choices(
        horizon=horizon,
        history=history,
        window=window,
        periods=periods,
        spacing=spacing,
        latent_dim=config.latent_dim or int(np.clip(4 + 2 * features, 8, 24)),
        hidden_dim=config.hidden_dim or 64,
        epochs=epochs,
        batch_size=batch_size,
        patience=config.patience or max(10, epochs // 6),
        levels=levels,
    )
    if config.latent_dim is None or config.hidden_dim is None:
        said.append(f"latent size {choices.latent_dim}, hidden size {choices.hidden_dim}, for {features} features")
    said.append(f"batches of {batch_size} series, at most {epochs} epochs, patience {choices.patience}")
    return replace(choices, sentences=tuple(said))


def typical_spacing(series: Sequence[Series]) -> float:
    """Median time between two successive rows of a series; 1 where no series has two rows."""
    gaps = [np.diff(one.times) for one in series if one.num_times > 1]
    return float(np.median(np.concatenate(gaps))) if gaps else 1.0


def nice_length(length: float, time_unit: str) -> float:
    """The largest round length not above `length`: 1, 2, 3, 6, 12, 24, ... for hours, 1, 1.5, 2, 2.5, ... times a
    power of ten.
    """
    if time_unit == "hours" and _NICE_HOURS[0] <= length < _NICE_HOURS[-1]:
        return float(max(nice for nice in _NICE_HOURS if nice <= length * (1 + 1e-9)))
    power = 10.0 ** math.floor(math.log10(length))
    return max(nice for nice in _NICE if nice * power <= length * (1 + 1e-9)) * power


def _power_of_two(number: float, low: int, high: int) -> int:
    return int(np.clip(2 ** round(math.log2(max(number, 1))), low, high))


def _said(length: float, time_unit: str) -> str:
    return f"{length:g} {time_unit}".strip()
