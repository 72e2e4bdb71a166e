"""Paired bootstrap: is one model's figure better than another's, over pairs of sentences and over seeds?"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Difference:
    """A difference of two models in one measure, first less second.

    estimate: on the data as they are. low, high: the central interval of `level` of the resamples. share: of resamples
    in which the first is higher, ties counting half; near 0 or 1 is decided, near 0.5 is not.
    """

    estimate: float
    low: float
    high: float
    share: float
    level: float

    @property
    def decided(self) -> bool:
        """Whether the interval leaves out 0."""
        return self.low > 0 or self.high < 0


def paired_bootstrap(
    first: np.ndarray,
    second: np.ndarray,
    *,
    statistic: Callable[..., np.ndarray] = np.mean,
    resamples: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> Difference:
    """Bootstrap of statistic(first) - statistic(second) over pairs of sentences, and over seeds where there are
    several.

    first, second: one figure a pair, (P,), or a seed and pair, (S, P); the same pairs and seeds in the same places.
    Each resample draws P pairs and S seeds with replacement, the same for both models (Efron and Tibshirani 1993,
    chapter 8; paired as in Koehn, EMNLP 2004). statistic(values, axis=-1) -> one number a row: np.mean, np.median. With
    three seeds the interval is rough: it cannot know seeds it never saw. NaN is passed on. Raises ValueError for
    unequal shapes or no pair.
    """
    a, b = (np.atleast_2d(np.asarray(values, dtype=np.float64)) for values in (first, second))
    if a.shape != b.shape or a.ndim != 2 or not a.size:
        raise ValueError(
            f"both models need the same pairs and seeds, (pairs,) or (seeds, pairs); got {a.shape} and {b.shape}."
        )
    if not 0 < level < 1:
        raise ValueError(f"level={level} must lie between 0 and 1.")
    seeds, pairs = a.shape
    generator = np.random.default_rng(seed)
    differences = np.empty(resamples)
    for i in range(resamples):
        rows = generator.integers(seeds, size=(seeds, 1)) if seeds > 1 else np.zeros((1, 1), dtype=int)
        columns = generator.integers(pairs, size=pairs)
        differences[i] = _over_all(statistic, a[rows, columns]) - _over_all(statistic, b[rows, columns])
    low, high = np.quantile(differences, [(1 - level) / 2, (1 + level) / 2])
    share = float((differences > 0).mean() + 0.5 * (differences == 0).mean())
    return Difference(_over_all(statistic, a) - _over_all(statistic, b), float(low), float(high), share, level)


def _over_all(statistic: Callable[..., np.ndarray], values: np.ndarray) -> float:
    """The statistic of each seed's pairs, averaged over seeds."""
    return float(np.mean(statistic(values, axis=-1)))
