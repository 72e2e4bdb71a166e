"""Classes of distance to the nearest observation, by which spreads and calibrations are told apart."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class GapBuckets:
    """Distances in time units, cut at increasing `edges`; one more bucket is for cells with nothing observed at all.

    `of(gap)` gives the bucket of each distance: 0 up to edges[0], ..., len(edges) beyond the last, len(edges) + 1 for
    inf.
    """

    edges: tuple[float, ...]

    @classmethod
    def fit(cls, gap: np.ndarray, most: int = 6) -> "GapBuckets":
        """At most `most` buckets of about equal count; fewer where distances repeat (a regular grid) or are few."""
        finite = gap[np.isfinite(gap)]
        most = min(most, max(1, len(finite) // 100))
        borders = np.unique(np.quantile(finite, np.arange(1, most) / most)) if len(finite) and most > 1 else np.zeros(0)
        return cls(tuple(float(border) for border in borders if border < finite.max()))

    @property
    def count(self) -> int:
        return len(self.edges) + 2

    def of(self, gap: np.ndarray) -> np.ndarray:
        bucket = np.searchsorted(np.asarray(self.edges, dtype=np.float64), gap * (1 - 1e-9), side="left")
        return np.where(np.isfinite(gap), bucket, len(self.edges) + 1)

    def to_json(self) -> list[float]:
        return list(self.edges)

    @classmethod
    def from_json(cls, edges: Sequence[float]) -> "GapBuckets":
        return cls(tuple(float(edge) for edge in edges))
