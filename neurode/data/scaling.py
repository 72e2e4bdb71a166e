"""From the user's units to the model's and back: transforms, standardisation, and model time."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from neurode.data.series import Series

TRANSFORMS = ("none", "log")
ORIGINS = ("start", "calendar")
_EXPONENT_MAX = 700.0  # exp stays finite in float64


@dataclass(frozen=True)
class Scaling:
    """How a table's numbers become numbers of order one, learned on training series only and stored with the model.

    features: names. transforms: "none" or "log" per feature; a log is log(x + offset). means, stds: of the transformed
    values, after far-out values were pulled in. floors: the smallest x + offset that the log is taken of.
    nonnegative: whether the training values were never below 0; behind a log, values handed back are then not either.
    time_scale: user's time units per unit of model time. origin: "start", each series' own first time is 0; "calendar",
    `calendar_zero` is 0 for all. Every map is monotone, so quantiles may be mapped like values.
    """

    features: tuple[str, ...]
    transforms: tuple[str, ...]
    offsets: tuple[float, ...]
    floors: tuple[float, ...]
    means: tuple[float, ...]
    stds: tuple[float, ...]
    nonnegative: tuple[bool, ...]
    time_scale: float
    origin: str = "start"
    calendar_zero: float = 0.0

    @classmethod
    def fit(
        cls,
        series: Sequence[Series],
        features: Sequence[str],
        *,
        transforms: Mapping[str, str] | str | None = None,
        origin: str = "start",
    ) -> "Scaling":
        """Learn the scaling from training series.

        transforms: None leaves all values as they are; a mapping {feature: "none" | "log"}; "auto" takes the log where
        all values are positive (a few zeros allowed) and the log removes the skew.
        A series of typical length (95th percentile) spans 1 in model time. A feature with one value or none gets
        a positive std all the same. Raises ValueError for an unknown transform, feature or origin, for no series, and
        for a log of negative values.
        """
        if not series:
            raise ValueError("a scaling is learned from series; got none.")
        if origin not in ORIGINS:
            raise ValueError(f"origin must be one of {', '.join(ORIGINS)}; got {origin!r}.")
        features = tuple(features)
        if series[0].num_features != len(features):
            raise ValueError(f"{len(features)} features are named, but the series have {series[0].num_features}.")
        wanted = _wanted(features, transforms)
        cells = np.concatenate([one.values for one in series])
        columns = [_fit_feature(name, cells[:, f], wanted[name]) for f, name in enumerate(features)]
        spans = np.array([one.span for one in series if len(one)])
        starts = [one.times[0] for one in series if len(one)]
        return cls(
            features,
            *(tuple(part) for part in zip(*columns, strict=True)),
            time_scale=_time_scale(spans),
            origin=origin,
            calendar_zero=float(min(starts, default=0.0)),
        )

    def start(self, series: Series) -> float:
        """The user's time that is 0 in model time for this series."""
        if self.origin == "calendar" or not len(series):
            return self.calendar_zero
        return float(series.times[0])

    def to_model(self, series: Series, start: float | None = None) -> Series:
        """The series in model units; `start`, default `self.start(series)`, is the user's time that becomes 0."""
        start = self.start(series) if start is None else float(start)
        return Series(
            series.key,
            self.times_to_model(series.times, start),
            self.values_to_model(series.values),
            (start - self.calendar_zero) / self.time_scale,
        )

    def times_to_model(self, t, start: float):
        """User's times, any shape, to model time."""
        return (np.asarray(t, np.float64) - start) / self.time_scale

    def times_to_user(self, tau, start: float):
        """Model times, any shape, to the user's time."""
        return np.asarray(tau, np.float64) * self.time_scale + start

    def values_to_model(self, values):
        """User's values, features on the last axis, to standardised values; NaN stays NaN."""
        values = np.array(values, np.float64)
        for f, transform in enumerate(self.transforms):
            if transform == "log":
                values[..., f] = np.log(np.maximum(values[..., f] + self.offsets[f], self.floors[f]))
        return (values - np.array(self.means)) / np.array(self.stds)

    def values_to_user(self, values):
        """Standardised values, or quantiles of them, features on the last axis, to the user's units; NaN stays NaN."""
        values = np.array(values, np.float64) * np.array(self.stds) + np.array(self.means)
        for f, transform in enumerate(self.transforms):
            if transform == "log":
                values[..., f] = np.exp(np.clip(values[..., f], -_EXPONENT_MAX, _EXPONENT_MAX)) - self.offsets[f]
                if self.nonnegative[f]:
                    values[..., f] = np.maximum(values[..., f], 0.0)
        return values

    def to_json(self) -> dict:
        """Plain types, for a JSON file."""
        return {name: list(part) if isinstance(part, tuple) else part for name, part in asdict(self).items()}

    @classmethod
    def from_json(cls, plain: Mapping) -> "Scaling":
        """The scaling that `to_json` wrote."""
        parts: dict[str, Any] = {name: tuple(part) if isinstance(part, list) else part for name, part in plain.items()}
        return cls(**parts)


def _wanted(features: tuple[str, ...], transforms: Mapping[str, str] | str | None) -> dict[str, str]:
    if transforms is None:
        return dict.fromkeys(features, "none")
    if isinstance(transforms, str):
        if transforms != "auto":
            raise ValueError(f'transforms must be None, "auto" or a mapping of features; got {transforms!r}.')
        return dict.fromkeys(features, "auto")
    for name, transform in transforms.items():
        if name not in features:
            raise ValueError(f"transforms names {name!r}, which is no feature. Features: {', '.join(features)}.")
        if transform not in (*TRANSFORMS, "auto"):
            raise ValueError(f"the transform of {name!r} must be one of none, log, auto; got {transform!r}.")
    return {name: transforms.get(name, "none") for name in features}


def _fit_feature(name: str, column: np.ndarray, wanted: str) -> tuple[str, float, float, float, float, bool]:
    """transform, offset, floor, mean, std, nonnegative of one feature."""
    x = column[~np.isnan(column)]
    nonnegative = bool(len(x) and x.min() >= 0)
    positive = x[x > 0]
    if wanted == "log" and (not nonnegative or not len(positive)):
        raise ValueError(
            f'feature {name!r} has values below or at 0 only, or negative ones: its transform must be "none".'
        )
    offset = float(positive.min()) / 2 if len(positive) < len(x) and nonnegative and len(positive) else 0.0
    if wanted == "log" or (wanted == "auto" and _log_helps(x, offset)):
        y = np.log(x + offset)
        mean, std = _mean_std(y)
        return "log", offset, float(positive.min() + offset) / 10, mean, std, nonnegative
    mean, std = _mean_std(x)
    return "none", 0.0, 0.0, mean, std, nonnegative


def _log_helps(x: np.ndarray, offset: float) -> bool:
    """All positive (a few zeros at most), skewed to the right, and clearly less skewed after the log."""
    if len(x) < 20 or x.min() < 0 or np.mean(x == 0) > 0.05 or len(np.unique(x)) < 8:
        return False
    low, high = np.quantile(x + offset, [0.05, 0.95])
    raw, logged = _skew(x), _skew(np.log(x + offset))
    return bool(high > 2 * low and raw > 0.8 and abs(logged) < 0.6 * raw)


def _skew(x: np.ndarray) -> float:
    x = _pulled_in(x)
    std = x.std()
    return float(((x - x.mean()) ** 3).mean() / std**3) if std > 0 else 0.0


def _pulled_in(x: np.ndarray) -> np.ndarray:
    """Far-out values moved to ten interquartile ranges from the quartiles, so that one of them cannot set the scale."""
    q1, q3 = np.quantile(x, [0.25, 0.75])
    reach = 10 * (q3 - q1)
    return np.clip(x, q1 - reach, q3 + reach) if reach > 0 else x


def _mean_std(x: np.ndarray) -> tuple[float, float]:
    if not len(x):
        return 0.0, 1.0
    x = _pulled_in(x)
    mean, std = float(x.mean()), float(x.std())
    if std > 1e-9 * max(abs(mean), 1e-290):
        return mean, std
    return mean, abs(mean) or 1.0


def _time_scale(spans: np.ndarray) -> float:
    scale = float(np.quantile(spans, 0.95)) if len(spans) else 0.0
    scale = scale or float(spans.max(initial=0.0))
    return scale or 1.0
