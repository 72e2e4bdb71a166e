"""Where along a solve its values were read, and with which gradients: there the adjoint jumps on its way back."""

from dataclasses import dataclass

import numpy as np
import torch

from neurode.core.errors import Status
from neurode.integration.problem import Problem, Trajectory


@dataclass(frozen=True)
class LossTimes:
    """Saved rows gathered by lane and time, each lane's in the order in which the way back meets them.

    A group is a time of a lane at which something was saved. bars: (groups, width), the gradients of the rows of a
    group summed. values: (groups, width), the saved values. lane, time: of each group. at_start, at_end: is it the
    lane's t0, or where its way back begins? rows: saved rows in the order of groups, group of each in `group`.
    """

    bars: torch.Tensor
    values: torch.Tensor
    lane: np.ndarray
    time: np.ndarray
    at_start: np.ndarray
    at_end: np.ndarray
    rows: np.ndarray
    group: np.ndarray
    anchor: np.ndarray

    @classmethod
    def of(cls, problem: Problem, trajectory: Trajectory, values_bar: torch.Tensor, reached: np.ndarray) -> "LossTimes":
        """values_bar: (rows, width), gradients of the trajectory's values. reached: (lanes,), where the way back
        begins."""
        written = trajectory.recorder.written()
        first = np.atleast_1d(problem.times.first)
        sign = np.where(reached >= first, -1.0, 1.0)
        rows = np.lexsort((written.time * sign[written.lane], written.lane))
        lane, time = written.lane[rows], written.time[rows]
        fresh = np.concatenate([[True], (lane[1:] != lane[:-1]) | (time[1:] != time[:-1])])[: len(rows)]
        group, heads = np.cumsum(fresh) - 1, np.flatnonzero(fresh)
        device = values_bar.device
        order, places = torch.from_numpy(rows).to(device), torch.from_numpy(group).to(device)
        bars = values_bar.new_zeros(len(heads), values_bar.shape[1])
        bars.index_add_(0, places, values_bar.index_select(0, order))
        values = trajectory.values.detach().index_select(0, order[torch.from_numpy(heads).to(device)])
        lane, time = lane[heads], time[heads]
        # A lane that never moved has its t0 alone.
        at_start = time == first[lane]
        at_end = (time == reached[lane]) & ~at_start
        return cls(bars, values, lane, time, at_start, at_end, rows, group, written.anchor[rows])

    def stops(self, lanes: int) -> tuple[np.ndarray, np.ndarray]:
        """(times, groups), each (n, lanes): of the groups inside each lane's interval; NaN and -1 below the last."""
        inside = np.flatnonzero(~self.at_start & ~self.at_end)
        lane = self.lane[inside]
        counts = np.bincount(lane, minlength=lanes)
        number = np.arange(len(inside)) - np.repeat(np.cumsum(counts) - counts, counts)
        times = np.full((int(counts.max(initial=0)), lanes), np.nan)
        groups = np.full(times.shape, -1)
        times[number, lane], groups[number, lane] = self.time[inside], inside
        return times, groups

    def whole(self, where: np.ndarray, like: torch.Tensor) -> torch.Tensor:
        """(lanes, width), like `like`: the bars of the marked groups (bool), at most one a lane; zero elsewhere."""
        chosen = torch.from_numpy(np.flatnonzero(where)).to(self.bars.device)
        lane = torch.from_numpy(self.lane[where]).to(self.bars.device)
        return torch.zeros_like(like).index_copy(0, lane, self.bars.index_select(0, chosen))

    def largest(self, lanes: int) -> torch.Tensor:
        """(lanes, 1): the largest root mean square of a lane's bars; 1 where all are zero."""
        size = torch.linalg.vector_norm(self.bars, dim=1) / max(1, self.bars.shape[1]) ** 0.5
        lane = torch.from_numpy(self.lane).to(self.bars.device)
        most = size.new_zeros(lanes).scatter_reduce(0, lane, size, "amax")
        return torch.where(most > 0, most, torch.ones_like(most)).unsqueeze(1)


def last_saved(problem: Problem, trajectory: Trajectory) -> np.ndarray:
    """(lanes,): where each lane got to; of one that failed, the last time at which it was saved.

    No loss has looked at what lies behind, and a state that runs to infinity cannot be solved back from there.
    """
    reached, first = np.atleast_1d(trajectory.reached).copy(), np.atleast_1d(problem.times.first)
    written = trajectory.recorder.written()
    for lane in np.flatnonzero(~np.isin(np.atleast_1d(trajectory.status), (Status.SUCCESS, Status.EVENT))):
        times = written.time[written.lane == lane]
        reached[lane] = times[np.abs(times - first[lane]).argmax()] if len(times) else first[lane]
    return reached
