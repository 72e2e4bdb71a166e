"""The Pareto front: which models no other model beats in everything."""

from collections.abc import Sequence

import numpy as np


def pareto_front(points: np.ndarray, *, higher_is_better: Sequence[bool] | None = None) -> np.ndarray:
    """Which points are on the front, (N,), bool: none is at least as good in every measure and better in one.

    points (N, K): K measures of N models. higher_is_better (K,): None, all of them. Equal points are on the front
    together. A point with NaN is never on it, and beats none. Raises ValueError for other shapes.
    """
    values = np.asarray(points, dtype=np.float64)
    if values.ndim != 2:
        raise ValueError(f"points must be (models, measures), got {values.shape}.")
    better = np.ones(values.shape[1], dtype=bool) if higher_is_better is None else np.asarray(higher_is_better)
    if better.shape != values.shape[1:]:
        raise ValueError(f"higher_is_better must say it for each of {values.shape[1]} measures, got {better.shape}.")
    values = np.where(better, values, -values)
    whole = ~np.isnan(values).any(axis=1)
    at_least = (values[:, None] >= values[None]).all(axis=2)
    beaten = (at_least & (values[:, None] > values[None]).any(axis=2)).any(axis=0)
    return np.logical_and(whole, ~beaten)
