"""Collects what Save asks for while the loop runs, and tells each step which saved rows it wrote."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from neurode.core.state import StateLayout
from neurode.integration.clock import Interval
from neurode.integration.lane_outputs import NOTHING, LaneOutputs
from neurode.integration.lane_points import LanePoints
from neurode.integration.save import Save
from neurode.integration.times import OutputTimes
from neurode.methods.stepper import AbstractStepper, StepResult

TracedTimes = tuple[torch.Tensor, torch.Tensor] | None
"""A step's two times as tensors, where they carry gradients."""


@dataclass(frozen=True)
class EndRows:
    """Saved rows values[start:stop] that are a step's end state (or y0), of its lanes `lane` (None: the one lane)."""

    start: int
    stop: int
    lane: torch.Tensor | None


@dataclass(frozen=True)
class InnerRows:
    """Saved rows values[start:stop] that were read inside a step, of its lanes `points` (None: the one lane).

    theta: (rows,) places within the step, between 0 and 1. anchor: (rows,) the rows of ts whose times they are.
    weights: (rows, stages), the value is y + weights @ stages; None where times carry gradients.
    """

    start: int
    stop: int
    points: LanePoints | None
    theta: np.ndarray
    anchor: np.ndarray
    weights: torch.Tensor | None


@dataclass(frozen=True)
class StepRows:
    """What one step wrote; dense: (start, stop) of its rows among the steps kept whole."""

    inner: InnerRows | None = None
    ends: EndRows | None = None
    dense: tuple[int, int] | None = None

    @property
    def read_inside(self) -> bool:
        """Was the step's inside read, or kept to be read?"""
        return self.inner is not None or self.dense is not None


@dataclass(frozen=True)
class WrittenRows:
    """What each saved row is, in the order of writing: arrays (rows,).

    index: row of the solution. lane, time: whose value, and when. anchor: the row of ts that the time is, -1 for none.
    """

    index: np.ndarray
    lane: np.ndarray
    time: np.ndarray
    anchor: np.ndarray


@dataclass
class DenseRows:
    """Steps kept whole: a row is a step of a lane. Each list has a chunk a step of the loop."""

    starts: list[torch.Tensor] = field(default_factory=list)
    stages: list[torch.Tensor] = field(default_factory=list)
    t: list[np.ndarray] = field(default_factory=list)
    t_end: list[np.ndarray] = field(default_factory=list)
    lane: list[np.ndarray] = field(default_factory=list)
    anchor: list[np.ndarray] = field(default_factory=list)
    anchor_end: list[np.ndarray] = field(default_factory=list)
    count: int = 0

    def keep(self, interval: Interval, lanes: np.ndarray, rows: torch.Tensor, stages: torch.Tensor) -> tuple[int, int]:
        """Add a step's rows; returns their (start, stop)."""
        self.starts.append(rows)
        self.stages.append(stages.reshape(-1, *rows.shape))
        self.t.append(np.atleast_1d(interval.t))
        self.t_end.append(np.atleast_1d(interval.t_end))
        self.lane.append(lanes)
        self.anchor.append(np.atleast_1d(interval.anchor))
        self.anchor_end.append(np.atleast_1d(interval.anchor_end))
        start, self.count = self.count, self.count + rows.shape[0]
        return start, self.count


ONE_LANE = np.zeros(1, dtype=int)


class Recorder:
    """Values are rows (width,) in the order of writing; `index` (row of the solution) and `lane` say what each is."""

    def __init__(self, save: Save, times: OutputTimes, stepper: AbstractStepper, layout: StateLayout, lanes: int):
        self.what, self.times, self.stepper, self.layout = save.what, times, stepper, layout
        self.joint = times.host.ndim == 1
        self.values: list[torch.Tensor] = []
        self.index: list[np.ndarray] = []
        self.lane: list[np.ndarray] = []
        self.count = 0
        self.step_ends: list[tuple[np.ndarray, np.ndarray]] = []
        self.dense = DenseRows() if save.what == "dense" else None
        self.sorted_times = times.host.tolist() if self.joint else []
        self.next_output = 0
        self.num_lanes = lanes
        self.lane_outputs = None if self.joint or save.what not in ("ts", "dense") else LaneOutputs(times)

    @property
    def reads_times(self) -> bool:
        """Does it keep values at certain times only, and nothing of the steps themselves?"""
        return self.what in ("ts", "end")

    def begin(self, y0: torch.Tensor) -> EndRows | None:
        """Write what is known before the first step. Returns the rows that are y0 itself."""
        y0 = self.layout.flat(y0)
        host, first = np.atleast_2d(self.times.host.T).T, np.atleast_1d(self.times.first)
        if self.what in ("ts", "dense"):
            index, lane = np.nonzero(host == first)
            self.next_output = len(index)
            if self.lane_outputs is not None:
                self.lane_outputs.skip(np.bincount(lane, minlength=self.num_lanes))
        elif self.what == "steps":
            lane = np.arange(self.num_lanes)
            index = np.zeros_like(lane)
        else:
            lane = np.flatnonzero(first == np.atleast_1d(self.times.last))
            index = np.zeros_like(lane)
        if len(lane) == 0:
            return None
        if self.joint:
            return self._write_ends(y0.expand(len(lane), -1), index, lane, None)
        places = torch.from_numpy(lane).to(y0.device)
        return self._write_ends(y0.index_select(0, places), index, lane, places)

    def take(
        self,
        interval: Interval,
        lanes: np.ndarray | None,
        step_number: Any,
        y: torch.Tensor,
        result: StepResult,
        traced_times: TracedTimes,
    ) -> StepRows:
        """Write what an accepted step brings. lanes: original numbers of its lanes, None for the one lane of a joint
        solve."""
        numbers = ONE_LANE if lanes is None else lanes
        if self.what == "steps":
            self.step_ends.append((np.atleast_1d(interval.t_end), np.atleast_1d(interval.anchor_end)))
            return StepRows(ends=self._end_states(result, lanes, np.atleast_1d(step_number)))
        if self.what == "end":
            last = self.times.last if lanes is None else self.times.last[lanes]
            done = np.flatnonzero(interval.t_end == last)
            return StepRows(ends=self._end_states(result, lanes, np.zeros(len(done), dtype=int), done))
        dense = None
        if self.dense is not None:
            dense = self.dense.keep(interval, numbers, self.layout.flat(y), result.stages)
        if lanes is None:
            return self._take_joint(interval, y, result, traced_times, dense)
        return self._take_lanes(interval, lanes, y, result, traced_times, dense)

    def reads_joint(self, interval: Interval) -> bool:
        """Will the one lane's step be read inside, or kept to be read?"""
        times, place = self.sorted_times, self.next_output
        if self.dense is not None or self.what != "ts" or place >= len(times):
            return self.dense is not None
        return times[place] < interval.t_end if interval.t_end >= interval.t else times[place] > interval.t_end

    def reading(self, interval: Interval, lanes: np.ndarray) -> np.ndarray:
        """Places, among many lanes, of those whose step will be read inside."""
        if self.dense is not None:
            return np.arange(len(lanes))
        return NOTHING if self.lane_outputs is None else self.lane_outputs.reading(lanes, interval.t_end)

    def written(self) -> WrittenRows:
        """All rows written so far."""
        times, empty = self.times, np.zeros(0, dtype=int)
        index = np.concatenate([empty, *self.index])
        lane = np.concatenate([empty, *self.lane])
        if self.what in ("ts", "dense"):
            return WrittenRows(index, lane, times.host[index] if self.joint else times.host[index, lane], index)
        if self.what == "end":
            last, anchor = np.atleast_1d(times.last), np.atleast_1d(times.last_index)
            return WrittenRows(index, lane, last[lane], anchor[lane])
        # A row for y0 of each lane, and one for each end of a step, in the order in which they were taken.
        first = np.atleast_1d(times.first)
        ends = [(first, np.zeros(len(first), dtype=int)), *self.step_ends]
        time, anchor = (np.concatenate(part) for part in zip(*ends, strict=True))
        return WrittenRows(index, lane, time, anchor)

    def _take_joint(self, interval: Interval, y, result: StepResult, traced_times: TracedTimes, dense) -> StepRows:
        """One lane: the outputs in (t, t_end] are the next ones of the list; Python floats find them."""
        times, start, stop = self.sorted_times, self.next_output, self.next_output
        t, t_end = interval.t, interval.t_end
        forward = t_end >= t
        while stop < len(times) and (times[stop] < t_end if forward else times[stop] > t_end):
            stop += 1
        end = stop
        while end < len(times) and times[end] == t_end:
            end += 1
        self.next_output = end
        inner = ends = None
        if stop > start:
            theta, anchor = (self.times.host[start:stop] - t) / (t_end - t), np.arange(start, stop)
            weights = None
            if traced_times is None:
                weights = self._weights(theta, t_end - t, y)
                rows = torch.addmm(y.reshape(1, -1), weights, result.stages.reshape(weights.shape[1], -1))
            else:
                rows = self._traced_joint_values(anchor, y, result, *traced_times)
            inner = self._write_inner(rows, anchor, np.zeros(stop - start, dtype=int), None, theta, weights)
        if end > stop:
            y1, count = self.layout.flat(result.y1), end - stop
            rows = y1 if count == 1 else y1.expand(count, -1)
            ends = self._write_ends(rows, np.arange(stop, end), np.zeros(count, dtype=int), None)
        return StepRows(inner, ends, dense)

    def _take_lanes(self, interval, lanes, y, result, traced_times: TracedTimes, dense) -> StepRows:
        """Many lanes: rows of ts in (t, t_end] of each."""
        assert self.lane_outputs is not None
        inner = ends = None
        anchor, local = self.lane_outputs.before(lanes, interval.t_end)
        if len(anchor):
            t, t_end = interval.t[local], interval.t_end[local]
            theta = (self.times.host[anchor, lanes[local]] - t) / (t_end - t)
            points = LanePoints.of(local, len(lanes), y.device)
            weights = None
            if traced_times is None:
                weights = self._weights(theta, (t_end - t)[:, None], y)
                rows = points.read(y, result.stages, weights)
            else:
                rows = self._traced_lane_values(anchor, lanes[local], points, y, result, *traced_times)
            inner = self._write_inner(rows, anchor, lanes[local], points, theta, weights)
        index, local = self.lane_outputs.at(lanes, interval.t_end)
        if len(index):
            place = torch.from_numpy(local).to(y.device)
            ends = self._write_ends(result.y1.index_select(0, place), index, lanes[local], place)
        return StepRows(inner, ends, dense)

    def _weights(self, theta: np.ndarray, size: Any, y: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(self.stepper.dense_weights(theta) * size).to(y.device, y.dtype)

    def _traced_joint_values(self, anchor, y, result, t: torch.Tensor, t_end: torch.Tensor) -> torch.Tensor:
        assert self.times.tensor is not None
        asked = self.times.tensor[torch.from_numpy(anchor).to(t.device)]
        weights = self._traced_weights(asked, t, t_end - t).to(y.dtype)
        return y.reshape(1, -1) + weights @ result.stages.reshape(result.stages.shape[0], -1)

    def _traced_lane_values(self, anchor, numbers, points: LanePoints, y, result, t: torch.Tensor, t_end: torch.Tensor):
        assert self.times.tensor is not None
        rows, columns = torch.from_numpy(anchor).to(t.device), torch.from_numpy(numbers).to(t.device)
        lane = points.lane
        weights = self._traced_weights(self.times.tensor[rows, columns], t[lane], (t_end - t)[lane])
        return points.read(y, result.stages, weights.to(y.dtype))

    def _traced_weights(self, asked: torch.Tensor, start: torch.Tensor, size: torch.Tensor) -> torch.Tensor:
        """(points, stages) weights of the stages, step size included, for times that carry gradients."""
        theta = (asked - start) / size
        matrix = torch.from_numpy(self.stepper.dense_matrix).to(theta.device, theta.dtype)
        powers = torch.stack([theta**power for power in range(1, matrix.shape[1] + 1)], dim=1)
        return (powers @ matrix.T) * size.reshape(-1, 1)

    def _end_states(self, result: StepResult, lanes, index: np.ndarray, chosen: np.ndarray | None = None):
        """End states of the step's lanes, or of the chosen ones."""
        if len(index) == 0:
            return None
        y1 = self.layout.flat(result.y1)
        if lanes is None:
            return self._write_ends(y1, index, ONE_LANE, None)
        local = np.arange(len(lanes)) if chosen is None else chosen
        place = torch.from_numpy(local).to(y1.device)
        return self._write_ends(y1.index_select(0, place), index, lanes[local], place)

    def _write_ends(self, rows, index: np.ndarray, lane: np.ndarray, place: torch.Tensor | None) -> EndRows:
        return EndRows(*self._write(rows, index, lane), place)

    def _write_inner(self, rows, anchor, lane, points: LanePoints | None, theta, weights) -> InnerRows:
        return InnerRows(*self._write(rows, anchor, lane), points, theta, anchor, weights)

    def _write(self, rows: torch.Tensor, index: np.ndarray, lane: np.ndarray) -> tuple[int, int]:
        self.values.append(rows)
        self.index.append(index)
        self.lane.append(lane)
        start, self.count = self.count, self.count + rows.shape[0]
        return start, self.count
