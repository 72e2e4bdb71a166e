"""Points read inside one step of many lanes: some lanes have several, some none."""

from dataclasses import dataclass

import numpy as np
import torch


@dataclass(frozen=True)
class LanePoints:
    """Which lane each point belongs to, and where it stands in a table (lanes, per_lane) of points.

    lane: (points,) the lane. place: (points,) the row of the flattened table; None where such a table would be mostly
    empty (one lane with very many points), and points are gathered one by one instead.
    """

    lane: torch.Tensor
    place: torch.Tensor | None
    lanes: int
    per_lane: int

    @classmethod
    def of(cls, local: np.ndarray, lanes: int, device: torch.device) -> "LanePoints":
        """local: (points,) the lane of each point, on the host, rising."""
        counts = np.bincount(local, minlength=lanes)
        per_lane = int(counts.max())
        lane = torch.from_numpy(local).to(device)
        if lanes * per_lane > 4 * len(local) + 64:
            return cls(lane, None, lanes, per_lane)
        rank = np.arange(len(local)) - np.repeat(np.cumsum(counts) - counts, counts)
        return cls(lane, torch.from_numpy(local * per_lane + rank).to(device), lanes, per_lane)

    def table(self, rows: torch.Tensor) -> torch.Tensor:
        """(lanes, per_lane, width) from one row a point; zeros where there is no point. Needs `place`."""
        assert self.place is not None
        empty = rows.new_zeros(self.lanes * self.per_lane, rows.shape[1])
        return empty.index_copy(0, self.place, rows).view(self.lanes, self.per_lane, -1)

    def read(self, y: torch.Tensor, stages: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        """y[lane] + sum_s weights[:, s] stages[s, lane], one row a point.

        y: (lanes, width). stages: (stages, lanes, width). weights: (points, stages), step size included.
        """
        if self.place is None:
            chosen = stages.index_select(1, self.lane)
            return y.index_select(0, self.lane) + (weights.T.unsqueeze(2) * chosen).sum(0)
        values = torch.baddbmm(y.unsqueeze(1), self.table(weights), stages.transpose(0, 1))
        return values.view(self.lanes * self.per_lane, -1).index_select(0, self.place)

    def pull_back(self, bar: torch.Tensor, weights: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """What `read` passes back to stages and y, from bar (points, width)."""
        if self.place is None:
            stages_bar = bar.new_zeros(weights.shape[1], self.lanes, bar.shape[1])
            stages_bar.index_add_(1, self.lane, weights.T.unsqueeze(2) * bar.unsqueeze(0))
            return stages_bar, bar.new_zeros(self.lanes, bar.shape[1]).index_add_(0, self.lane, bar)
        bars = self.table(bar)
        stages_bar = torch.bmm(self.table(weights).transpose(1, 2), bars)
        return stages_bar.transpose(0, 1).contiguous(), bars.sum(1)
