"""What a solve came to, whether made in one piece or in several that follow one another."""

from dataclasses import dataclass, replace

import numpy as np
import torch

from neurode.gradients.gradient import Differentiated
from neurode.integration.backward_stats import Backward
from neurode.integration.events import EventLog
from neurode.integration.problem import Problem
from neurode.integration.solution import DenseTable


@dataclass(frozen=True)
class Outcome:
    """Values of a solve with what they are, and per lane how it ended and what it cost.

    values: (rows, width) with gradients. index, lane, time: (rows,) row of the solution (-1: none), whose, when. table:
    steps kept whole. dense_matrix: of the stepper that ran. The rest: see Trajectory and Solution.
    """

    values: torch.Tensor
    index: np.ndarray
    lane: np.ndarray
    time: np.ndarray
    table: DenseTable | None
    dense_matrix: np.ndarray
    status: np.ndarray
    steps: np.ndarray
    accepted: np.ndarray
    evaluations: np.ndarray
    jacobians: np.ndarray
    reached: np.ndarray
    last_size: np.ndarray
    backward: Backward | None
    events: EventLog | None = None

    @classmethod
    def of(cls, problem: Problem, run: Differentiated) -> "Outcome":
        """Of a solve made in one piece."""
        trajectory, rows = run.trajectory, run.trajectory.recorder.dense
        written, table = trajectory.recorder.written(), None
        if run.starts is not None and run.stages is not None and rows is not None:
            table = DenseTable.of(run.starts, run.stages, rows, problem.times)
        return cls(
            values=run.values,
            index=written.index,
            lane=written.lane,
            time=written.time,
            table=table,
            # The stepper that ran: a gradient may have wrapped the one of the problem.
            dense_matrix=trajectory.recorder.stepper.dense_matrix,
            status=trajectory.status,
            steps=trajectory.steps,
            accepted=trajectory.accepted,
            evaluations=trajectory.evaluations,
            jacobians=trajectory.jacobians,
            reached=trajectory.reached,
            last_size=trajectory.last_size,
            backward=run.backward,
        )

    def of_lanes(self, lanes: np.ndarray, index: np.ndarray) -> "Outcome":
        """The same as a part of a larger solve. lanes: the numbers its lanes have there. index: its rows' there."""
        table = None if self.table is None else replace(self.table, lane=lanes[self.table.lane])
        return replace(self, lane=lanes[self.lane], index=index, table=table)

    def arranged(self, rows: int, lanes: int) -> torch.Tensor:
        """(rows, lanes, width); NaN where nothing was written."""
        flat, values = self.index * lanes + self.lane, self.values
        if len(flat) == rows * lanes and np.array_equal(flat, np.arange(len(flat))):
            return values.reshape(rows, lanes, -1)
        shown = np.flatnonzero(self.index >= 0)
        if len(shown) < len(flat):
            flat, values = flat[shown], values.index_select(0, torch.from_numpy(shown).to(values.device))
        empty = values.new_full((rows * lanes, values.shape[1]), float("nan"))
        return empty.index_copy(0, torch.from_numpy(flat).to(values.device), values).view(rows, lanes, -1)

    def step_times(self, lanes: int) -> list[np.ndarray]:
        """Times of each lane's rows, in the order in which it got there."""
        return [self.time[(self.lane == lane) & (self.index >= 0)] for lane in range(lanes)]
