"""Levels: what is taken off a window before the model sees it, so that a drifting series is no news to the model.

A long series such as CO2 in the air leaves the range of its own past. Each window is then read relative to its level:
per feature, the mean of what is known of it. In training that is the mean up to a random cut, since a forecast knows
no more. Levels are in the user's units and only for features without a transform.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from neurode.data.series import Series

_DRIFT = 1.5
"""Windows whose levels spread by more than this many standard deviations within a window are read relative to them."""


def drifts(windows: Sequence[Series]) -> bool:
    """Whether, for the typical feature, levels differ more between windows than values differ within one."""
    levels = np.stack([level(one) for one in windows])
    within = np.stack([_variance(one) for one in windows])
    known = ~np.isnan(levels).all(axis=0) & ~np.isnan(within).all(axis=0)
    if not known.any():
        return False
    spread = np.nanstd(levels[:, known], axis=0) / np.sqrt(np.maximum(np.nanmean(within[:, known], axis=0), 1e-300))
    return bool(np.median(spread) > _DRIFT)


def typical_levels(windows: Sequence[Series]) -> np.ndarray:
    """(features,) mean of the windows' levels; 0 for a feature that none of them observed."""
    levels = np.stack([level(one) for one in windows])
    count = (~np.isnan(levels)).sum(axis=0)
    return np.nansum(levels, axis=0) / np.maximum(count, 1)


def level(one: Series, rows: int | None = None) -> np.ndarray:
    """(features,) mean of the observed values of the first `rows` rows; NaN where there is none."""
    values = one.values[:rows]
    count = (~np.isnan(values)).sum(axis=0)
    return np.where(count > 0, np.nansum(values, axis=0) / np.maximum(count, 1), np.nan)


def without(one: Series, taken: np.ndarray, typical: np.ndarray) -> Series:
    """The series less the level `taken`, or less the `typical` one for features without a level."""
    return replace(one, values=one.values - np.where(np.isnan(taken), typical, taken))


def random_level(one: Series, random: np.random.Generator) -> np.ndarray:
    """Half the time the level of the whole series, else that of a random first part of at least three rows."""
    if random.uniform() < 0.5 or one.num_times <= 3:
        return level(one)
    return level(one, int(random.integers(3, one.num_times + 1)))


def _variance(one: Series) -> np.ndarray:
    count = (~np.isnan(one.values)).sum(axis=0)
    square = np.nansum(np.square(one.values - level(one)), axis=0)
    return np.where(count > 1, square / np.maximum(count, 1), np.nan)
