"""Collects what Save asks for while the loop runs, and tells each step which saved rows it wrote."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from neurode.core.state import StateLayout
from neurode.integration.clock import Interval
from neurode.integration.events import EventRows, Marks
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

    index: row of the solution, -1 for an event that is none. lane, time: whose value, and when. anchor: the row of ts
    that the time is, -1 for none.
    """

    index: np.ndarray
    lane: np.ndarray
    time: np.ndarray
    anchor: np.ndarray


@dataclass
class DenseRows:
    """Steps kept whole: a row is a step of a lane. Each list has a chunk a step of the loop.

    cut: where each is read to, which is t_end but for steps that an event stopped; empty: t_end for all.
    """

    starts: list[torch.Tensor] = field(default_factory=list)
    stages: list[torch.Tensor] = field(default_factory=list)
    t: list[np.ndarray] = field(default_factory=list)
    t_end: list[np.ndarray] = field(default_factory=list)
    lane: list[np.ndarray] = field(default_factory=list)
    anchor: list[np.ndarray] = field(default_factory=list)
    anchor_end: list[np.ndarray] = field(default_factory=list)
    count: int = 0
    cut: list[np.ndarray] = field(default_factory=list)

    def keep(
        self, interval: Interval, lanes: np.ndarray, rows: torch.Tensor, stages: torch.Tensor, cut: np.ndarray
    ) -> tuple[int, int]:
        """Add a step's rows; returns their (start, stop). cut: where each of them is read to."""
        self.cut.append(cut)
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
        self.event_chunks: list[EventRows] = []
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
        marks: Marks | None = None,
    ) -> StepRows:
        """Write what an accepted step brings. lanes: original numbers of its lanes, None for the one lane of a joint
        solve. marks: the events inside the step; a lane that one of them stops is written up to there."""
        numbers = ONE_LANE if lanes is None else lanes
        if self.what in ("steps", "end"):
            return self._take_ends(interval, lanes, np.atleast_1d(step_number), y, result, traced_times, marks)
        dense = None
        if self.dense is not None:
            cut = np.atleast_1d(interval.t_end)
            cut = cut if marks is None else np.where(np.isnan(marks.end), cut, marks.end)
            dense = self.dense.keep(interval, numbers, self.layout.flat(y), result.stages, cut)
        if lanes is None:
            return self._take_joint(interval, y, result, traced_times, dense, marks)
        return self._take_lanes(interval, lanes, y, result, traced_times, dense, marks)

    def reading(self, interval: Interval, lanes: np.ndarray | None, *, anyway: bool) -> np.ndarray | None:
        """Which of the step's lanes will be read inside, or are kept to be read: their places, None for all. anyway:
        all of them are read for another reason."""
        if anyway or self.dense is not None:
            return None
        if lanes is not None:
            return NOTHING if self.lane_outputs is None else self.lane_outputs.reading(lanes, interval.inner_end)
        times, place = self.sorted_times, self.next_output
        if self.what != "ts" or place >= len(times):
            return NOTHING
        end = interval.inner_end
        inside = times[place] < end if interval.t_end >= interval.t else times[place] > end
        return None if inside else NOTHING

    def written(self) -> WrittenRows:
        """All rows written so far."""
        times, empty = self.times, np.zeros(0, dtype=int)
        index = np.concatenate([empty, *self.index])
        lane = np.concatenate([empty, *self.lane])
        if self.what in ("ts", "dense"):
            time, anchor = (times.host[index] if self.joint else times.host[index, lane]), index
        elif self.what == "end":
            last, place = np.atleast_1d(times.last), np.atleast_1d(times.last_index)
            time, anchor = last[lane], place[lane]
        else:
            # A row for y0 of each lane, and one for each end of a step, in the order in which they were taken.
            first = np.atleast_1d(times.first)
            ends = [(first, np.zeros(len(first), dtype=int)), *self.step_ends]
            time, anchor = (np.concatenate(part) for part in zip(*ends, strict=True))
        if self.event_chunks:
            time, anchor = time.copy(), anchor.copy()
            for chunk in self.event_chunks:
                time[chunk.row], anchor[chunk.row] = chunk.time, -1
        return WrittenRows(index, lane, time, anchor)

    def event_rows(self) -> EventRows | None:
        """The rows so far that are states at events."""
        chunks = self.event_chunks
        if not chunks:
            return None
        row, lane, time, which, last = (
            np.concatenate(part)
            for part in zip(*((c.row, c.lane, c.time, c.which, c.last) for c in chunks), strict=True)
        )
        return EventRows(row, lane, time, which, last, torch.cat([chunk.slope for chunk in chunks]))

    def cut(self, marks: Marks | None) -> tuple[torch.Tensor, torch.Tensor] | None:
        """(places among its lanes, states) of those lanes that the step just written stopped at an event."""
        if marks is None or not marks.last.any():
            return None
        # The first of those that stop a lane is where it stops.
        place, first = np.unique(np.where(marks.last, marks.local, -1), return_index=True)
        place, first = (place[1:], first[1:]) if place[0] < 0 else (place, first)
        rows = self.event_chunks[-1].row[first]
        begin = self.count - self.values[-1].shape[0]
        block = self.values[-1] if rows.min() >= begin else self.values[-2]
        begin = begin if rows.min() >= begin else begin - block.shape[0]
        device = block.device
        chosen = block.detach().index_select(0, torch.from_numpy(rows - begin).to(device))
        return torch.from_numpy(place).to(device), chosen

    def _take_joint(self, interval: Interval, y, result, traced_times: TracedTimes, dense, marks) -> StepRows:
        """One lane: the outputs in (t, t_end] are the next ones of the list; Python floats find them."""
        times, start, stop = self.sorted_times, self.next_output, self.next_output
        t, t_end = interval.t, interval.t_end
        forward, stopped = t_end >= t, marks is not None and marks.last.any()
        # Up to an event that stops the lane everything is read inside, also what is asked for there.
        limit = interval.inner_end
        if stopped:
            limit = float(np.nextafter(marks.end[0], np.inf if forward else -np.inf))
        while stop < len(times) and (times[stop] < limit if forward else times[stop] > limit):
            stop += 1
        end = stop
        while not stopped and end < len(times) and times[end] == t_end:
            end += 1
        self.next_output = end
        inner = ends = None
        if stop > start or marks is not None:
            anchor = np.arange(start, stop)
            inner = self._read_inside(interval, None, np.zeros_like(anchor), anchor, y, result, traced_times, marks)
        if end > stop:
            y1, count = self.layout.flat(result.y1), end - stop
            rows = y1 if count == 1 else y1.expand(count, -1)
            ends = self._write_ends(rows, np.arange(stop, end), np.zeros(count, dtype=int), None)
        return StepRows(inner, ends, dense)

    def _take_lanes(self, interval, lanes, y, result, traced_times: TracedTimes, dense, marks) -> StepRows:
        """Many lanes: rows of ts in (t, t_end] of each."""
        assert self.lane_outputs is not None
        inner = ends = None
        before, at = interval.inner_end, np.where(interval.anchor_end >= 0, interval.t_end, np.nan)
        if marks is not None:
            stopped = ~np.isnan(marks.end)
            behind = np.nextafter(marks.end, np.where(interval.t_end >= interval.t, np.inf, -np.inf))
            before, at = np.where(stopped, behind, before), np.where(stopped, np.nan, at)
        anchor, local = self.lane_outputs.before(lanes, before)
        if len(anchor) or marks is not None:
            inner = self._read_inside(interval, lanes, local, anchor, y, result, traced_times, marks)
        index, local = self.lane_outputs.at(lanes, at)
        if len(index):
            place = torch.from_numpy(local).to(y.device)
            ends = self._write_ends(result.y1.index_select(0, place), index, lanes[local], place)
        return StepRows(inner, ends, dense)

    def _take_ends(self, interval, lanes, step_number, y, result, traced_times: TracedTimes, marks) -> StepRows:
        """What save="steps" and "end" keep: where each lane's step ends, or the event that stops it."""
        count, inner = 1 if lanes is None else len(lanes), None
        at_t1 = np.atleast_1d(interval.t_end == (self.times.last if lanes is None else self.times.last[lanes]))
        done = np.ones(count, dtype=bool) if self.what == "steps" else at_t1
        index = np.broadcast_to(step_number if self.what == "steps" else 0, (count,))
        if marks is not None:
            done = done & np.isnan(marks.end)
            if self.what == "steps":
                self.step_ends.append((marks.time, np.full(len(marks.time), -1)))
            none = np.zeros(0, dtype=int)
            inner = self._read_inside(interval, lanes, none, none, y, result, traced_times, marks, index)
        chosen = np.flatnonzero(done)
        if self.what == "steps":
            end, anchor = np.atleast_1d(interval.t_end), np.atleast_1d(interval.anchor_end)
            self.step_ends.append((end[chosen], anchor[chosen]))
        return StepRows(inner, self._end_states(result, lanes, index[chosen], chosen))

    def _read_inside(
        self, interval, lanes, local, anchor, y, result, traced_times: TracedTimes, marks, end_index=None
    ) -> InnerRows:
        """Write values inside the step: at times of ts (places `local` among the lanes, rows `anchor` of ts), and at
        events. end_index: rows of the solution that an event which stops a lane is the end of."""
        index, numbers = anchor, ONE_LANE if lanes is None else lanes
        time = self.times.host[anchor] if lanes is None else self.times.host[anchor, lanes[local]]
        if marks is not None:
            none = np.full(len(marks.time), -1)
            # Of several that stop a lane together the first one is its end.
            ends = marks.last & (marks.time == marks.end[marks.local])
            ends[1:] &= ~((marks.local[1:] == marks.local[:-1]) & ends[:-1])
            own = none if end_index is None else np.where(ends, end_index[marks.local], -1)
            local, anchor = np.concatenate([local, marks.local]), np.concatenate([anchor, none])
            index, time = np.concatenate([index, own]), np.concatenate([time, marks.time])
            order = np.argsort(local, kind="stable")
            local, anchor, index, time = local[order], anchor[order], index[order], time[order]
            place = np.argsort(order, kind="stable")[len(order) - len(none) :] + self.count
            lane = numbers[marks.local]
            self.event_chunks.append(EventRows(place, lane, marks.time, marks.which, marks.last, marks.slope))
        t, t_end = (x if lanes is None else x[local] for x in (interval.t, interval.t_end))
        theta, weights = (time - t) / (t_end - t), None
        points = None if lanes is None else LanePoints.of(local, len(lanes), y.device)
        if traced_times is None:
            weights = self._weights(theta, t_end - t if points is None else (t_end - t)[:, None], y)
        rows = self._values_inside(y, result, points, weights, anchor, numbers[local], time, traced_times)
        return self._write_inner(rows, index, anchor, numbers[local], points, theta, weights)

    def _values_inside(self, y, result, points: LanePoints | None, weights, anchor, numbers, time, traced_times):
        """(points, width)."""
        if traced_times is not None:
            t, t_end = traced_times
            asked, size = self._traced_asked(anchor, numbers, time), t_end - t
            t, size = (t, size) if points is None else (t[points.lane], size[points.lane])
            weights = self._traced_weights(asked, t, size).to(y.dtype)
        if points is not None:
            return points.read(y, result.stages, weights)
        stages = result.stages.reshape(result.stages.shape[0], -1)
        if traced_times is not None:
            return y.reshape(1, -1) + weights @ stages
        return torch.addmm(y.reshape(1, -1), weights, stages)

    def _traced_asked(self, anchor: np.ndarray, numbers: np.ndarray, time: np.ndarray) -> torch.Tensor:
        """(points,) the times to read at, those of ts with their gradient."""
        ts = self.times.tensor
        assert ts is not None
        rows, lanes = torch.from_numpy(np.maximum(anchor, 0)).to(ts.device), torch.from_numpy(numbers).to(ts.device)
        asked = ts[rows] if self.joint else ts[rows, lanes]
        if (anchor >= 0).all():
            return asked
        fixed = torch.from_numpy(time).to(ts.device, ts.dtype)
        return torch.where(torch.from_numpy(anchor >= 0).to(ts.device), asked, fixed)

    def _weights(self, theta: np.ndarray, size: Any, y: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(self.stepper.dense_weights(theta) * size).to(y.device, y.dtype)

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

    def _write_inner(self, rows, index, anchor, lane, points: LanePoints | None, theta, weights) -> InnerRows:
        return InnerRows(*self._write(rows, index, lane), points, theta, anchor, weights)

    def _write(self, rows: torch.Tensor, index: np.ndarray, lane: np.ndarray) -> tuple[int, int]:
        self.values.append(rows)
        self.index.append(index)
        self.lane.append(lane)
        start, self.count = self.count, self.count + rows.shape[0]
        return start, self.count
