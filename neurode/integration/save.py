"""What a solve keeps: values at the output times, at the end, at every step, or everything needed to read it
anywhere."""

from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np
import torch

from neurode.core.nest import describe
from neurode.core.state import StateLayout
from neurode.integration.clock import Interval
from neurode.integration.times import OutputTimes
from neurode.methods.stepper import AbstractStepper, StepResult

What = Literal["ts", "end", "steps", "dense"]


@dataclass(frozen=True)
class Save:
    """What a Solution holds.

    what: "ts" (default) values at the output times; "end" only at t1; "steps" at t0 and after each accepted step;
    "dense" values at the output times, and what `Solution.evaluate(t)` needs at any time in between.
    """

    what: What = "ts"

    def __post_init__(self):
        if self.what not in get_args(What):
            raise ValueError(f"save must be one of {', '.join(get_args(What))}, but is {self.what!r}.")


def save_of(save: Save | str | None) -> Save:
    """A Save from a name, a Save, or None for the default."""
    if save is None:
        return Save()
    if isinstance(save, str):
        return Save(save)  # type: ignore[arg-type]
    if not isinstance(save, Save):
        raise TypeError(f"save must be a name or a Save, but is {describe(save)}.")
    return save


@dataclass(frozen=True)
class Rows:
    """Rows of the saved values that one step wrote: values[start:stop], of the step's lanes `lane` (None: the one
    lane).

    theta: places within the step (0 to 1), None at its end. anchor: row of ts, whose time they are read at.
    """

    start: int
    stop: int
    lane: torch.Tensor | None
    theta: np.ndarray | None = None
    anchor: np.ndarray | None = None


@dataclass
class DenseRows:
    """Steps kept whole: a row is a step of a lane. Host arrays are lists of chunks, one a step of the loop."""

    starts: list[torch.Tensor] = field(default_factory=list)
    stages: list[torch.Tensor] = field(default_factory=list)
    t: list[np.ndarray] = field(default_factory=list)
    t_end: list[np.ndarray] = field(default_factory=list)
    lane: list[np.ndarray] = field(default_factory=list)
    anchor: list[np.ndarray] = field(default_factory=list)
    anchor_end: list[np.ndarray] = field(default_factory=list)
    count: int = 0


class Recorder:
    """Collects what Save asks for, step by step. Values are rows in the order of writing; `index` and `lane` say
    what each is."""

    def __init__(self, save: Save, times: OutputTimes, stepper: AbstractStepper, layout: StateLayout, lanes: int):
        self.what, self.times, self.stepper, self.layout = save.what, times, stepper, layout
        self.joint = times.host.ndim == 1
        self.values: list[torch.Tensor] = []
        self.index: list[np.ndarray] = []
        self.lane: list[np.ndarray] = []
        self.count = 0
        self.step_times: list[tuple[np.ndarray, np.ndarray]] = []
        self.dense = DenseRows() if save.what == "dense" else None
        self.sorted_times = times.host.tolist() if self.joint else []
        self.next_output = 0
        self.num_lanes = lanes

    def begin(self, y0: torch.Tensor) -> Rows | None:
        """Write what is known before the first step. Returns the rows that are y0 itself."""
        y0 = self.layout.flat(y0)
        host, first = np.atleast_2d(self.times.host.T).T, np.atleast_1d(self.times.first)
        if self.what in ("ts", "dense"):
            index, lane = np.nonzero(host == first)
            self.next_output = len(index)
        elif self.what == "steps":
            lane = np.arange(self.num_lanes)
            index = np.zeros_like(lane)
        else:
            lane = np.flatnonzero(first == np.atleast_1d(self.times.last))
            index = np.zeros_like(lane)
        if len(lane) == 0:
            return None
        if self.joint:
            return self._write(y0.expand(len(lane), -1), index, lane, None)
        places = torch.from_numpy(lane).to(y0.device)
        return self._write(y0.index_select(0, places), index, lane, places)

    def take(
        self,
        interval: Interval,
        lanes: np.ndarray | None,
        step_number: int | np.ndarray,
        y: torch.Tensor,
        result: StepResult,
        traced_times: tuple[torch.Tensor, torch.Tensor] | None,
    ) -> list[Rows]:
        """Write what an accepted step brings. lanes: original numbers of its lanes (None: the one lane of a joint
        solve)."""
        if self.dense is not None:
            self._keep_step(interval, lanes, y, result)
        if self.what == "steps":
            self.step_times.append((np.zeros(1, dtype=int) if lanes is None else lanes, np.atleast_1d(interval.t_end)))
            return [self._write_end(self.layout.flat(result.y1), lanes, np.atleast_1d(step_number))]
        if self.what == "end":
            done = np.atleast_1d(interval.t_end == (self.times.last if lanes is None else self.times.last[lanes]))
            y1 = self.layout.flat(result.y1)
            return [self._write_end(y1, lanes, np.zeros(len(done), dtype=int), done)] if done.any() else []
        if lanes is None:
            return self._write_joint(interval, y, result, traced_times)
        index, local = self._outputs_within(interval, lanes)
        if len(index) == 0:
            return []
        return self._write_outputs(interval, lanes, index, local, y, result, traced_times)

    def _write_joint(self, interval: Interval, y, result: StepResult, traced_times) -> list[Rows]:
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
        written = []
        if stop > start:
            theta = (self.times.host[start:stop] - t) / (t_end - t)
            index = np.arange(start, stop)
            rows = self._inner_values(interval, theta, index, None, None, None, y, result, traced_times)
            written.append(self._write(rows, index, np.zeros(stop - start, dtype=int), None, theta))
        if end > stop:
            y1, count = self.layout.flat(result.y1), end - stop
            rows = y1 if count == 1 else y1.expand(count, -1)
            written.append(self._write(rows, np.arange(stop, end), np.zeros(count, dtype=int), None))
        return written

    def _outputs_within(self, interval: Interval, lanes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Rows of ts in (t, t_end], and the place of their lane within the step."""
        host = self.times.host[:, lanes]
        rising = interval.t_end >= interval.t
        inside = np.where(
            rising,
            (host > interval.t) & (host <= interval.t_end),
            (host < interval.t) & (host >= interval.t_end),
        )
        return np.nonzero(inside)

    def _write_outputs(self, interval, lanes, index, local, y, result, traced_times) -> list[Rows]:
        t, t_end, host = interval.t[local], interval.t_end[local], self.times.host[index, lanes[local]]
        at_end = host == t_end
        written = []
        inner = ~at_end
        if inner.any():
            theta = (host[inner] - t[inner]) / (t_end[inner] - t[inner])
            place = torch.from_numpy(local[inner]).to(y.device)
            rows = self._inner_values(
                interval, theta, index[inner], local[inner], lanes, place, y, result, traced_times
            )
            written.append(self._write(rows, index[inner], lanes[local[inner]], place, theta))
        if at_end.any():
            chosen = local[at_end]
            place = torch.from_numpy(chosen).to(y.device)
            written.append(self._write(result.y1.index_select(0, place), index[at_end], lanes[chosen], place))
        return written

    def _inner_values(self, interval, theta, index, local, lanes, place, y, result, traced_times) -> torch.Tensor:
        if traced_times is not None:
            return self._traced_values(index, lanes, place, y, result, traced_times)
        weights = torch.from_numpy(self.stepper.dense_weights(theta)).to(y.device, y.dtype)
        if place is None:
            size = interval.t_end - interval.t
            stages = result.stages.reshape(result.stages.shape[0], -1)
            return torch.addmm(y.reshape(1, -1), weights, stages, alpha=size)
        size = torch.from_numpy((interval.t_end - interval.t)[local]).to(y.device, y.dtype)
        return dense_values(y, result.stages, weights * size.unsqueeze(1), place)

    def _traced_values(self, index, lanes, place, y, result, traced_times) -> torch.Tensor:
        """Dense output whose times carry gradients."""
        t, t_end = traced_times
        rows = torch.from_numpy(index).to(y.device)
        if place is None:
            asked, size = self.times.tensor[rows], t_end - t
            start = t
        else:
            numbers = torch.from_numpy(lanes).to(y.device)[place]
            asked, size, start = self.times.tensor[rows, numbers], (t_end - t)[place], t[place]
        theta = (asked - start) / size
        matrix = torch.from_numpy(self.stepper.dense_matrix).to(theta.device, theta.dtype)
        powers = torch.stack([theta**power for power in range(1, matrix.shape[1] + 1)], dim=1)
        weights = ((powers @ matrix.T) * size.reshape(-1, 1)).to(y.dtype)
        if place is None:
            return y.reshape(1, -1) + weights @ result.stages.reshape(result.stages.shape[0], -1)
        return dense_values(y, result.stages, weights, place)

    def _keep_step(self, interval, lanes, y, result) -> None:
        dense = self.dense
        assert dense is not None
        rows = self.layout.flat(y)
        dense.starts.append(rows)
        dense.stages.append(result.stages.reshape(-1, *rows.shape))
        dense.t.append(np.atleast_1d(interval.t))
        dense.t_end.append(np.atleast_1d(interval.t_end))
        dense.lane.append(np.zeros(1, dtype=int) if lanes is None else lanes)
        dense.anchor.append(np.atleast_1d(interval.anchor))
        dense.anchor_end.append(np.atleast_1d(interval.anchor_end))
        dense.count += rows.shape[0]

    def _write_end(self, y1, lanes, index, chosen=None) -> Rows:
        if lanes is None:
            return self._write(y1, index, np.zeros(1, dtype=int), None)
        local = np.arange(len(lanes)) if chosen is None else np.flatnonzero(chosen)
        place = torch.from_numpy(local).to(y1.device)
        return self._write(y1.index_select(0, place), index[local], lanes[local], place)

    def _write(self, rows, index, lane, place, theta=None) -> Rows:
        self.values.append(rows)
        self.index.append(np.asarray(index))
        self.lane.append(np.asarray(lane))
        start, self.count = self.count, self.count + rows.shape[0]
        return Rows(start, self.count, place, theta, np.asarray(index))


def dense_values(y: torch.Tensor, stages: torch.Tensor, weights: torch.Tensor, lane: torch.Tensor) -> torch.Tensor:
    """y[lane] + sum_s weights[:, s] stages[s, lane]; weights (points, stages) hold the step size already."""
    chosen = stages.index_select(1, lane)
    return y.index_select(0, lane) + (weights.T.unsqueeze(2) * chosen).sum(0)
