"""Which output times the steps of many lanes have passed: one pointer a lane, so that no step looks at all of them."""

import numpy as np

from neurode.integration.times import OutputTimes

NOTHING = np.zeros(0, dtype=int)


class LaneOutputs:
    """following: (lanes,) the row of ts that each lane reads next; times are monotone in each (see OutputTimes).

    due: (lanes,) that time, with the sign that makes times rise; NaN behind the last one, which no comparison passes.
    """

    def __init__(self, times: OutputTimes):
        lanes = times.host.shape[1]
        self.sign = np.where(times.last >= times.first, 1.0, -1.0)
        self.rising = np.concatenate([times.host * self.sign, np.full((1, lanes), np.nan)])
        self.following = np.zeros(lanes, dtype=int)
        self.due = self.rising[0].copy()

    def skip(self, counts: np.ndarray) -> None:
        """So many times of each lane are read already."""
        self.following += counts
        self.due = self.rising[self.following, np.arange(len(counts))]

    def reading(self, lanes: np.ndarray, end: np.ndarray) -> np.ndarray:
        """Places, among these lanes, of those that have a time before their `end`; nothing counts as read."""
        return np.flatnonzero(self.due[lanes] < self.sign[lanes] * end)

    def before(self, lanes: np.ndarray, end: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(rows of ts, places among these lanes) of all times before each lane's `end`; they count as read."""
        return self._passed(lanes, self.sign[lanes] * end, np.less)

    def at(self, lanes: np.ndarray, end: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The same of the times that are each lane's `end`."""
        return self._passed(lanes, self.sign[lanes] * end, np.equal)

    def _passed(self, lanes: np.ndarray, bound: np.ndarray, holds: np.ufunc) -> tuple[np.ndarray, np.ndarray]:
        (passing,) = holds(self.due[lanes], bound).nonzero()
        if not len(passing):
            return NOTHING, NOTHING
        own, bound = lanes[passing], bound[passing]
        start = self.following[own]
        stop, going = start + 1, np.arange(len(own))
        while len(going):
            going = going[holds(self.rising[stop[going], own[going]], bound[going])]
            stop[going] += 1
        self.following[own] = stop
        self.due[own] = self.rising[stop, own]
        counts = stop - start
        ends = counts.cumsum()
        rows = np.arange(ends[-1]) + (start - ends + counts).repeat(counts)
        return rows, passing.repeat(counts)
