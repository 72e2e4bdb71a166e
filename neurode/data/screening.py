"""Readings that are no observations: codes for unknown, impossible numbers, features that never change in a series."""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np

from neurode.data.grouping import Grouped

_REACH = 20.0  # interquartile ranges beyond the quartiles
_FEWEST = 50  # readings below which nothing is judged far out
_STATIC_SERIES = 10  # series that must agree before a feature is called constant in every series


def far_out_limits(x: np.ndarray) -> tuple[float, float] | None:
    """(low, high) beyond which a reading counts as impossible; None where nothing lies beyond.

    Beyond means 20 interquartile ranges outside the quartiles of the values and, at the upper end where they are
    positive, also of their logarithms: a long tail is no error, a slipped decimal point is.
    A feature whose middle half is one value is not judged.
    """
    if len(x) < _FEWEST:
        return None
    q1, q3 = np.quantile(x, [0.25, 0.75])
    reach = _REACH * (q3 - q1)
    if not reach > 0:
        return None
    low, high = q1 - reach, q3 + reach
    positive = x[x > 0]
    if len(positive) > 0.95 * len(x):
        l1, l3 = np.quantile(np.log(positive), [0.25, 0.75])
        high = max(high, float(np.exp(min(l3 + _REACH * (l3 - l1), 700.0))))
    return (float(low), float(high)) if ((x < low) | (x > high)).any() else None


def split_by_feature(variables: np.ndarray, values: np.ndarray, num_features: int) -> list[np.ndarray]:
    """The values of each feature of a long table, blanks left away."""
    rows = np.flatnonzero((variables >= 0) & ~np.isnan(values))
    rows = rows[np.argsort(variables[rows], kind="stable")]
    edges = np.searchsorted(variables[rows], np.arange(num_features + 1))
    return [values[rows[a:b]] for a, b in pairwise(edges)]


def limit_arrays(features: Sequence[str], limits: Mapping[str, tuple[float, float]]) -> tuple[np.ndarray, np.ndarray]:
    """Limits as two (F,) arrays, infinite where a feature has none."""
    pairs = [limits.get(name, (-np.inf, np.inf)) for name in features]
    return np.array([pair[0] for pair in pairs]), np.array([pair[1] for pair in pairs])


def suspected_codes(columns: Sequence[np.ndarray], features: Sequence[str]) -> dict[float, list[str]]:
    """Codes that look like "unknown", such as -1 or -999: the only negative value of a feature, met several times."""
    found: dict[float, list[str]] = {}
    for x, name in zip(columns, features, strict=True):
        negative = x[x < 0]
        if (
            3 <= len(negative) < len(x) / 2
            and (negative == negative[0]).all()
            and negative[0] in (-1, -9, -99, -999, -9999)
        ):
            found.setdefault(float(negative[0]), []).append(name)
    return found


def static_features(grouped: Grouped, features: Sequence[str], *, long: bool) -> list[str]:
    """Features that say one thing only in every series: nothing of them can be filled in or forecast.

    In a long table also those observed once, at the start, in series that go on after it.
    """
    starts, seen = grouped.starts, ~np.isnan(grouped.values)
    if len(starts) < _STATIC_SERIES:
        return []
    counts = np.add.reduceat(seen.astype(np.int64), starts, axis=0)
    low, high = (f.reduceat(grouped.values, starts, axis=0) for f in (np.fmin, np.fmax))
    varies = np.any(low < high, axis=0)
    again = (counts > 1).sum(axis=0) >= _STATIC_SERIES
    if long:
        lengths = np.diff(np.append(starts, len(grouped.codes)))
        at_start = (counts == seen[starts]).all(axis=0)
        again |= at_start & (((counts > 0) & (lengths > 1)[:, None]).sum(axis=0) >= _STATIC_SERIES)
    return [name for f, name in enumerate(features) if again[f] and not varies[f]]
