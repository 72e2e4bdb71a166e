"""One series: its name, its own times, and its values with blanks."""

from dataclasses import dataclass, replace

import numpy as np


@dataclass(frozen=True, eq=False)
class Series:
    """A series of one object: values of several features at times of its own.

    Good for irregular times, any length and blanks; not good for text or categories, which are no quantities.

    key: what names the series, one entry per id column; () where a table holds a single series.
    times: (n,) float64, finite, strictly increasing, in the table's time unit (or in model time, see Scaling).
    values: (n, features) float64; NaN means that nothing was observed.
    offset: only in model units: the model time of this series' zero on the calendar.
    Raises ValueError where shapes do not fit, or times are not finite and strictly increasing.
    """

    key: tuple
    times: np.ndarray
    values: np.ndarray
    offset: float = 0.0

    def __post_init__(self):
        times, values = np.asarray(self.times, np.float64), np.asarray(self.values, np.float64)
        if times.ndim != 1 or values.ndim != 2 or len(times) != len(values):
            raise ValueError(
                f"series {self.key}: times must be (n,) and values (n, features) with the same n; "
                f"got {times.shape} and {values.shape}."
            )
        if not np.isfinite(times).all() or not (np.diff(times) > 0).all():
            raise ValueError(
                f"series {self.key}: times must be finite and strictly increasing. Sort them and merge equal times."
            )
        object.__setattr__(self, "key", tuple(self.key))
        object.__setattr__(self, "times", times)
        object.__setattr__(self, "values", values)
        object.__setattr__(self, "offset", float(self.offset))

    def __len__(self) -> int:
        return len(self.times)

    @property
    def num_times(self) -> int:
        return len(self.times)

    @property
    def num_features(self) -> int:
        return self.values.shape[1]

    @property
    def num_observations(self) -> int:
        """How many cells hold a value."""
        return int(np.count_nonzero(~np.isnan(self.values)))

    @property
    def observed(self) -> np.ndarray:
        """(n, features) bool: where a value was observed."""
        return ~np.isnan(self.values)

    @property
    def span(self) -> float:
        """Last time minus first time; 0 with fewer than two times."""
        return float(self.times[-1] - self.times[0]) if len(self.times) > 1 else 0.0

    def select(self, rows) -> "Series":
        """Only these rows: (n,) bool, or increasing row numbers."""
        return replace(self, times=self.times[rows], values=self.values[rows])

    def until(self, t: float) -> "Series":
        """The part at times <= t."""
        return self.select(self.times <= t)

    def after(self, t: float) -> "Series":
        """The part at times > t."""
        return self.select(self.times > t)

    def keep(self, cells: np.ndarray) -> "Series":
        """Only these cells, (n, features) bool; the others become blank, and rows left without a value are dropped."""
        cells = np.asarray(cells, bool)
        if cells.shape != self.values.shape:
            raise ValueError(
                f"series {self.key}: the mask of cells to keep must have the shape of the values, "
                f"{self.values.shape}; got {cells.shape}."
            )
        values = np.where(cells, self.values, np.nan)
        rows = ~np.isnan(values).all(axis=1)
        return replace(self, times=self.times[rows], values=values[rows])
