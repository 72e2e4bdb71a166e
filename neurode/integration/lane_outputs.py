"""Which output times the steps of many lanes have passed: one pointer a lane, so that no step looks at all of them."""

import numpy as np

from neurode.integration.times import OutputTimes

NOTHING = np.zeros(0, dtype=int)


class LaneOutputs:
    """following: (lanes,) the row of ts that each lane reads next; times are monotone in each (see OutputTimes)."""

    def __init__(self, times: OutputTimes):
        lanes = times.host.shape[1]
        # NaN lies behind the last time of each lane: no comparison with it holds.
        self.host = np.concatenate([times.host, np.full((1, lanes), np.nan)])
        self.sign = np.where(times.last >= times.first, 1.0, -1.0)
        self.following = np.zeros(lanes, dtype=int)

    def before(self, lanes: np.ndarray, end: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(rows of ts, places among these lanes) of all times before each lane's `end`; they count as read."""
        sign = self.sign[lanes]
        return self._passed(lanes, sign * end, sign, np.less)

    def at(self, lanes: np.ndarray, end: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The same of the times that are each lane's `end`."""
        sign = self.sign[lanes]
        return self._passed(lanes, sign * end, sign, np.equal)

    def _passed(self, lanes: np.ndarray, bound: np.ndarray, sign: np.ndarray, holds: np.ufunc):
        start = self.following[lanes]
        (going,) = holds(self.host[start, lanes] * sign, bound).nonzero()
        if not len(going):
            return NOTHING, NOTHING
        stop = start.copy()
        while len(going):
            stop[going] += 1
            still = holds(self.host[stop[going], lanes[going]] * sign[going], bound[going])
            going = going[still]
        self.following[lanes] = stop
        counts = stop - start
        local = np.repeat(np.arange(len(lanes)), counts)
        rows = np.arange(len(local)) + np.repeat(start - (np.cumsum(counts) - counts), counts)
        return rows, local
