"""The accepted steps of a solve without their states: when each began and ended, for whom, and what it wrote."""

from array import array

import numpy as np
import torch

from neurode.integration.clock import NO_ANCHOR, Interval
from neurode.integration.problem import AcceptedStep
from neurode.integration.recorder import StepRows
from neurode.integration.times import OutputTimes

NO_ROWS = StepRows()


class StepLog:
    """Joint a float and a whole number a step; per sample two floats a step and sample, and the rare anchors.

    What a step wrote is kept only where it wrote something.
    """

    def __init__(self, times: OutputTimes):
        self.joint, self.first = times.host.ndim == 1, times.first
        self.count = 0
        self.rows: dict[int, StepRows] = {}
        self.ends, self.anchors = array("d"), array("q")
        self.spans: list[tuple[np.ndarray, np.ndarray]] = []
        self.lane_anchors: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        self.lanes: list[torch.Tensor] = []

    def __len__(self) -> int:
        return self.count

    def add(self, step: AcceptedStep) -> None:
        interval, rows = step.interval, step.rows
        if rows.inner is not None or rows.ends is not None or rows.dense is not None:
            self.rows[self.count] = rows
        if step.lanes is None:
            self.ends.append(interval.t_end)
            self.anchors.append(interval.anchor_end)
        else:
            self.spans.append((interval.t, interval.t_end))
            if (interval.anchor >= 0).any() or (interval.anchor_end >= 0).any():
                self.lane_anchors[self.count] = (interval.anchor, interval.anchor_end)
            # The same lanes as in the step before are kept once.
            same = self.lanes and torch.equal(self.lanes[-1], step.lanes)
            self.lanes.append(self.lanes[-1] if same else step.lanes)
        self.count += 1

    def interval(self, number: int) -> Interval:
        """Of step `number`, counted from 0."""
        if not self.joint:
            t, t_end = self.spans[number]
            nowhere = np.full(len(t), NO_ANCHOR)
            return Interval(t, t_end, *self.lane_anchors.get(number, (nowhere, nowhere)))
        # A joint step begins where the one before ended.
        t, anchor = (self.first, 0) if number == 0 else (self.ends[number - 1], self.anchors[number - 1])
        return Interval(t, self.ends[number], anchor, self.anchors[number])

    def step(self, number: int, y: torch.Tensor, carried: torch.Tensor | None) -> AcceptedStep:
        """Step `number` with the states it began at."""
        return AcceptedStep(self.interval(number), self.lanes_of(number), y, carried, self.rows_of(number))

    def lanes_of(self, number: int) -> torch.Tensor | None:
        return None if self.joint else self.lanes[number]

    def rows_of(self, number: int) -> StepRows:
        return self.rows.get(number, NO_ROWS)
