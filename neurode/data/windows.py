"""One long series cut into windows, and windows held out by time."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np

from neurode.data.series import Series

_TYPICAL_ROWS = 100  # rows of a window, where the series is long enough
_FEWEST_WINDOWS = 6  # windows side by side that a series should give
_FEWEST_ROWS = 10


def suggest_window(series: Series) -> float:
    """A length of window, in the series' time unit, for a single long series.

    About 100 rows at the typical (median) gap, but at most a sixth of the span, unless that were fewer than 10 rows;
    and never more than the span. Raises ValueError for a series with fewer than two times.
    """
    if len(series) < 2:
        raise ValueError(f"a window needs a series with at least two times; this one has {len(series)}.")
    gap = float(np.median(np.diff(series.times)))
    length = max(min(_TYPICAL_ROWS * gap, series.span / _FEWEST_WINDOWS), _FEWEST_ROWS * gap)
    return min(length, series.span)


def cut_windows(series: Series, *, length: float, stride: float) -> list[Series]:
    """Cut a series into windows [s, s + length), s stepping by `stride`; the last one ends with the series.

    Good for a single long series that is to be learned from; overlapping windows (stride < length) share observations,
    so hold out by time (`windows_by_time`), never at random. Window k has the key (*key, k); its times are those of the
    series. Windows with fewer than two times are left out, k then skips a number.
    Raises ValueError where length or stride is not positive.
    """
    if not length > 0 or not stride > 0:
        raise ValueError(f"length and stride of windows must be positive; got length={length}, stride={stride}.")
    if not len(series):
        return []
    first, last = series.times[0], series.times[-1]
    count = int(np.floor(max(0.0, last - first - length) / stride * (1 + 1e-12))) + 1
    starts = first + stride * np.arange(count)
    if starts[-1] + length < last - 1e-9 * length:  # a shorter last step, so that the newest observations are used too
        starts = np.append(starts, last - length)
    edges = starts + length
    edges[-1] = np.inf  # the last window holds the last observation
    left, right = np.searchsorted(series.times, starts), np.searchsorted(series.times, edges)
    return [
        replace(series.select(slice(a, b)), key=(*series.key, k))
        for k, (a, b) in enumerate(zip(left.tolist(), right.tolist(), strict=True))
        if b - a >= 2
    ]


def split_by_time(series: Series, shares: Sequence[float]) -> list[Series]:
    """Cut one series at points in time into parts that hold about these shares of its rows, in order.

    Raises ValueError where shares are not positive or do not add up to 1.
    """
    if min(shares, default=0) <= 0 or abs(sum(shares) - 1) > 1e-9:
        raise ValueError(f"the shares of the parts must be positive and add up to 1; got {list(shares)}.")
    edges = [0, *np.round(np.cumsum(shares) * len(series)).astype(int).tolist()]
    return [series.select(slice(a, b)) for a, b in pairwise(edges)]


def windows_by_time(series: Series, *, length: float, stride: float, shares: Sequence[float]) -> list[list[Series]]:
    """Windows of each part of a series in time, such as shares=(0.7, 0.15, 0.15) for training, validation and test.

    The series is cut first, so no window straddles a border and no observation lies in two parts. Windows are numbered
    through all parts. In a part shorter than `length` the whole part is one window.
    """
    parts, number = [], 0
    for part in split_by_time(series, shares):
        windows = cut_windows(part, length=length, stride=stride)
        parts.append([replace(window, key=(*series.key, number + k)) for k, window in enumerate(windows)])
        number += len(windows)
    return parts
