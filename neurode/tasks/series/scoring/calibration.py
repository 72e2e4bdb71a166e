"""Interval widths that hold what they promise: split-conformal factors for the model's standard deviation.

On calibration series, which neither training nor reported figures use, the size of each error is divided by the
predicted standard deviation. The quantile of that ratio at a level is the factor that makes the interval mean -+
factor * std cover that share (Papadopoulos et al. 2002, "normalised" split conformal prediction). Factors are kept
for inside and beyond the observed span, per distance to the nearest observation, and per feature; where a group has
few cells it leans on the wider groups around it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from neurode.tasks.series.scoring.gap_buckets import GapBuckets
from neurode.tasks.series.scoring.metrics import normal_quantile

LEVELS = np.concatenate([np.arange(1, 20) / 20, [0.98, 0.99, 0.995]])
"""Levels at which factors are stored; between them they are interpolated in the factor, so that they grow with the
level.
"""

INSIDE, BEYOND = 0, 1

_PRIOR_COUNT = 50
"""A group's factor counts the wider groups' factor as this many cells."""


@dataclass(frozen=True)
class Asked:
    """Where predictions are asked: feature, distance to the nearest observation and time since the series' last row,
    one entry a cell.
    """

    feature: np.ndarray
    gap: np.ndarray
    lead: np.ndarray


@dataclass(frozen=True)
class Calibration:
    """Factors (side, bucket, feature, level) for the predicted standard deviation. side: INSIDE or BEYOND the
    observed span. reach: (2, features) least and largest truth, widened by one unit, in model units: the logarithm of a
    skewed feature is not followed beyond it, where a factor that a few sudden rises made would end in millions.
    """

    buckets: tuple[GapBuckets, GapBuckets]
    factors: tuple[np.ndarray, np.ndarray]
    reach: np.ndarray

    @classmethod
    def fit(
        cls, asked: Sequence[Asked], ratios: Sequence[np.ndarray], truths: Sequence[np.ndarray], num_features: int
    ) -> "Calibration":
        """Fit to |truth - mean| / std of calibration cells (`ratios`) and their `truths` in model units, one array for
        each entry of `asked`."""
        feature = np.concatenate([one.feature for one in asked])
        gap = np.concatenate([one.gap for one in asked])
        beyond = np.concatenate([one.lead for one in asked]) > 0
        ratio = np.concatenate(list(ratios))
        whole = _quantiles(ratio)
        buckets, factors = [], []
        for side in (~beyond, beyond):
            bucket = GapBuckets.fit(gap[side])
            buckets.append(bucket)
            factors.append(
                _factors(ratio[side], feature[side], bucket.of(gap[side]), num_features, bucket.count, whole)
            )
        reach = np.stack([np.full(num_features, np.inf), np.full(num_features, -np.inf)])
        truth = np.concatenate(list(truths))
        np.minimum.at(reach[0], feature, truth - 1)
        np.maximum.at(reach[1], feature, truth + 1)
        reach = np.where(reach[0] > reach[1], -reach, reach)  # a feature never seen has no bounds
        return cls((buckets[0], buckets[1]), (factors[0], factors[1]), reach)

    @classmethod
    def gaussian(cls, num_features: int) -> "Calibration":
        """No calibration: the factors of the normal distribution."""
        one = GapBuckets(())
        curve = np.broadcast_to(normal_quantile((1 + LEVELS) / 2), (one.count, num_features, len(LEVELS))).copy()
        nowhere = np.stack([np.full(num_features, -np.inf), np.full(num_features, np.inf)])
        return cls((one, one), (curve, curve), nowhere)

    def factor(self, asked: Asked, level: float | np.ndarray) -> np.ndarray:
        """Factor of the standard deviation for central intervals of `level`: (cells,) for a number, (cells, K) for K
        levels.
        """
        levels = np.atleast_1d(np.asarray(level, dtype=np.float64))
        if np.any((levels < 0) | (levels >= 1)):
            raise ValueError(
                f"coverage must lie in [0, 1), got {level}. 0.9 asks for intervals that hold nine truths of ten."
            )
        curves = self._curves(asked)
        result = np.empty((len(curves), len(levels)))
        knots = np.concatenate([[0.0], LEVELS])
        right = np.clip(np.searchsorted(knots, levels), 1, len(LEVELS))
        for column, (level_, at) in enumerate(zip(levels, right, strict=True)):
            if level_ > LEVELS[-1]:
                # Beyond the stored levels the tail is taken to be normal.
                tail = normal_quantile((1 + level_) / 2) / normal_quantile((1 + LEVELS[-1]) / 2)
                result[:, column] = curves[:, -1] * tail
                continue
            low = curves[:, at - 2] if at >= 2 else 0.0
            share = (level_ - knots[at - 1]) / (knots[at] - knots[at - 1])
            result[:, column] = low + share * (curves[:, at - 1] - low)
        return result[:, 0] if np.ndim(level) == 0 else result

    def _curves(self, asked: Asked) -> np.ndarray:
        beyond = asked.lead > 0
        curves = np.empty((len(asked.feature), len(LEVELS)))
        for side, rows in ((INSIDE, ~beyond), (BEYOND, beyond)):
            bucket = self.buckets[side].of(asked.gap[rows])
            curves[rows] = self.factors[side][bucket, asked.feature[rows]]
        return curves

    def to_json(self) -> dict:
        """Plain lists and numbers, from which `from_json` rebuilds the same calibration (to 7 digits)."""
        return {
            "levels": LEVELS.tolist(),
            "sides": ["inside", "beyond"],
            "edges": [bucket.to_json() for bucket in self.buckets],
            "factors": [[[[float(f"{x:.7g}") for x in c] for c in b] for b in side] for side in self.factors],
            "reach": [[None if np.isinf(x) else float(f"{x:.7g}") for x in end] for end in self.reach],
        }

    @classmethod
    def from_json(cls, plain: Mapping) -> "Calibration":
        if not np.allclose(plain["levels"], LEVELS):
            raise ValueError("the stored calibration has other levels than this version of neurode")
        first, second = (GapBuckets.from_json(edges) for edges in plain["edges"])
        inside, beyond = (np.asarray(side, dtype=np.float64) for side in plain["factors"])
        signs = (-np.inf, np.inf)
        ends = zip(plain["reach"], signs, strict=True)
        reach = np.array([[sign if x is None else x for x in end] for end, sign in ends], dtype=np.float64)
        return cls((first, second), (inside, beyond), reach)


def _factors(ratio, feature, bucket, features: int, buckets: int, whole: np.ndarray | None) -> np.ndarray:
    """(buckets, features, levels): each group's own quantiles, drawn to the product of its bucket's and its
    feature's.
    """
    side = _lean(_quantiles(ratio), len(ratio), whole)
    by_bucket = np.stack([_group(ratio[bucket == b], side) for b in range(buckets)])
    by_feature = np.stack([_group(ratio[feature == f], side) for f in range(features)])
    expected = by_bucket[:, None] * by_feature[None] / np.maximum(side, 1e-12)
    # One sort by group; each group is then a slice.
    cell = bucket * features + feature
    order = np.argsort(cell, kind="stable")
    ends = np.searchsorted(cell[order], np.arange(buckets * features + 1))
    factors = expected.reshape(buckets * features, -1).copy()
    for group in np.flatnonzero(np.diff(ends) > 0):
        factors[group] = _group(ratio[order[ends[group] : ends[group + 1]]], factors[group])
    factors = np.maximum.accumulate(np.maximum(factors, 1e-6), axis=-1)
    return factors.reshape(buckets, features, len(LEVELS))


def _group(ratio: np.ndarray, parent: np.ndarray) -> np.ndarray:
    return _lean(_quantiles(ratio), len(ratio), parent)


def _lean(own: np.ndarray | None, count: int, parent: np.ndarray | None) -> np.ndarray:
    if parent is None:
        parent = normal_quantile((1 + LEVELS) / 2)
    if own is None:
        return parent
    return (count * own + _PRIOR_COUNT * parent) / (count + _PRIOR_COUNT)


def _quantiles(ratio: np.ndarray) -> np.ndarray | None:
    """Quantiles of the ratios at LEVELS with the conformal correction (n + 1) / n; None without a cell."""
    if len(ratio) == 0:
        return None
    return np.quantile(ratio, np.minimum(1.0, LEVELS * (len(ratio) + 1) / len(ratio)))
