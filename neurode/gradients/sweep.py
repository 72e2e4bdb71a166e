"""The way back through accepted steps that are made again one at a time: exact gradients of the discrete solution."""

import numpy as np
import torch

from neurode.core.tape import Tape, TapeScope
from neurode.integration.problem import AcceptedStep, Problem, Trajectory
from neurode.integration.recorder import EndRows, InnerRows
from neurode.methods.stepper import Replayed, StepGradient


class Sweep:
    """Gradients of the state and of what a step hands over, lane by lane, through the accepted steps in reverse.

    values_bar, starts_bar, stages_bar: gradients of the solve's values and, saved densely, of its kept steps.
    """

    def __init__(self, problem: Problem, tape: Tape, bars: tuple[torch.Tensor | None, ...]):
        self.problem, self.stepper, self.tape = problem, problem.stepper, tape
        self.values_bar, self.starts_bar, self.stages_bar = bars
        self.y_bar = torch.zeros_like(problem.y0)
        self.carried_bar = self.stepper.carried_zeros(problem.y0) if self.stepper.carries else None
        ts = problem.times.tensor
        self.ts_bar = None
        if ts is not None and self.tape.time:
            self.ts_bar = torch.zeros_like(ts, memory_format=torch.contiguous_format)

    def sums(self) -> list[torch.Tensor | None]:
        """Copies of all gradients as they are now, to which `set_back` returns."""
        now = (self.y_bar, self.carried_bar, self.ts_bar, *self.tape.sums)
        return [None if tensor is None else tensor.clone() for tensor in now]

    def set_back(self, sums: list[torch.Tensor | None]) -> None:
        """Forget what was pulled back since `sums`."""
        y_bar, self.carried_bar, self.ts_bar, *self.tape.sums = sums
        assert y_bar is not None
        self.y_bar = y_bar

    def scope(self, lanes: torch.Tensor | None) -> TapeScope:
        """The tape for a step's lanes."""
        return self.tape.scope(self._lanes_or_all(lanes))

    def step_back(self, step: AcceptedStep, scope: TapeScope, replayed: Replayed) -> None:
        """Pull the gradients back through a step that was made again on `scope`."""
        lanes = step.lanes
        y1_bar = self.lane_rows(self.y_bar, lanes)
        next_bar = None if self.carried_bar is None else self.lane_rows(self.carried_bar, lanes)
        stages_bar, y_extra = self._dense_bars(step)
        if step.rows.ends is not None:
            y1_bar = self._with_rows(y1_bar, step.rows.ends)
        result = self.stepper.pull_back(scope, replayed, y1_bar, stages_bar, next_bar)
        self.y_bar = self._put(self.y_bar, lanes, result.y if y_extra is None else result.y + y_extra)
        if self.carried_bar is not None:
            assert result.carried is not None
            self.carried_bar = self._put(self.carried_bar, lanes, result.carried)
        if self.ts_bar is not None:
            self._time_bars(step, replayed.stages, result)

    def _lanes_or_all(self, lanes):
        """None where the step holds every lane in order, so that args need not be gathered."""
        return None if lanes is None or len(lanes) == self.problem.y0.shape[0] else lanes

    def lane_rows(self, whole: torch.Tensor, lanes: torch.Tensor | None) -> torch.Tensor:
        """The rows of a step's lanes; the very tensor where it holds them all."""
        lanes = self._lanes_or_all(lanes)
        return whole if lanes is None else whole.index_select(0, lanes)

    def _put(self, whole: torch.Tensor, lanes, part: torch.Tensor) -> torch.Tensor:
        lanes = self._lanes_or_all(lanes)
        return part if lanes is None else whole.index_copy(0, lanes, part)

    def _with_rows(self, bar: torch.Tensor, rows: EndRows) -> torch.Tensor:
        """Add the gradients of the saved rows that are this very state."""
        if self.values_bar is None:
            return bar
        own = self.values_bar[rows.start : rows.stop]
        if rows.lane is None:
            return bar + own.sum(0).view(bar.shape)
        return bar.index_add(0, rows.lane, own)

    def _dense_bars(self, step: AcceptedStep) -> tuple[torch.Tensor | None, torch.Tensor | None]:
        """Gradients of the stages, and of the state at the step's beginning, from values read inside the step."""
        stages_bar = y_extra = None
        if self.values_bar is not None and step.rows.inner is not None:
            stages_bar, y_extra = self._inner_bars(step, step.rows.inner, self.values_bar)
        if step.rows.dense is not None:
            start, stop = step.rows.dense
            if self.stages_bar is not None:
                kept = self.stages_bar[:, start:stop].reshape(-1, *step.y.shape)
                stages_bar = kept.clone() if stages_bar is None else stages_bar + kept
            if self.starts_bar is not None:
                kept = self.starts_bar[start:stop].reshape(step.y.shape)
                y_extra = kept if y_extra is None else y_extra + kept
        return stages_bar, y_extra

    def _inner_bars(self, step: AcceptedStep, rows: InnerRows, values_bar: torch.Tensor):
        """Rows are y + h w(theta) k: what they pass on to the stages k and to y."""
        bar, weights = values_bar[rows.start : rows.stop], rows.weights
        assert weights is not None
        if rows.points is None:
            return (weights.T @ bar).view(-1, *step.y.shape), bar.sum(0).view(step.y.shape)
        return rows.points.pull_back(bar, weights)

    def _time_bars(self, step: AcceptedStep, stages: torch.Tensor, result: StepGradient) -> None:
        """Gradients of the times: those of the step's two ends, where they are times of ts, and of the outputs
        inside."""
        t_bar, t_end_bar = result.t, result.t_end
        assert t_bar is not None
        assert t_end_bar is not None
        rows = step.rows.inner
        if self.values_bar is not None and rows is not None:
            bar = self.values_bar[rows.start : rows.stop]
            asked, start, end = self._output_time_bars(rows, bar, stages)
            own = None if rows.points is None else rows.points.lane
            self._add_times(rows.anchor, step, own, asked)
            lane = torch.zeros_like(asked, dtype=torch.long) if own is None else own
            t_bar = t_bar.index_add(0, lane, start)
            t_end_bar = t_end_bar.index_add(0, lane, end)
        interval = step.interval
        everyone = None if step.lanes is None else torch.arange(len(step.lanes), device=stages.device)
        self._add_times(np.atleast_1d(interval.anchor), step, everyone, t_bar)
        self._add_times(np.atleast_1d(interval.anchor_end), step, everyone, t_end_bar)

    def _output_time_bars(self, rows: InnerRows, bar: torch.Tensor, stages: torch.Tensor):
        """d/dt of y + h w(theta) k with theta = (t - t_start) / h: for the asked time and the step's two ends."""
        theta = torch.from_numpy(rows.theta).to(bar.device, bar.dtype)
        points = rows.points
        one = stages.reshape(stages.shape[0], 1, -1)
        chosen = one if points is None else stages.index_select(1, points.lane)
        products = (chosen * bar.unsqueeze(0)).sum(2).T

        def dotted(table: np.ndarray) -> torch.Tensor:
            return (torch.from_numpy(table).to(bar.device, bar.dtype) * products).sum(1)

        asked = dotted(self.stepper.dense_slopes(rows.theta))
        size_bar = dotted(self.stepper.dense_weights(rows.theta)) - theta * asked
        return asked, -asked - size_bar, size_bar

    def _add_times(self, anchor: np.ndarray, step: AcceptedStep, place: torch.Tensor | None, bar: torch.Tensor) -> None:
        assert self.ts_bar is not None
        known = torch.from_numpy(anchor >= 0).to(bar.device)
        if not bool(known.any()):
            return
        rows = torch.from_numpy(np.maximum(anchor, 0)).to(bar.device)
        bar = torch.where(known, bar, torch.zeros_like(bar)).to(self.ts_bar.dtype)
        if step.lanes is None:
            self.ts_bar.index_add_(0, rows, bar)
        else:
            self.ts_bar.index_put_((rows, step.lanes[place]), bar, accumulate=True)

    def finish(self, trajectory: Trajectory) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Gradients of y0 and ts; those of parameters and args are the tape's sums."""
        if self.carried_bar is not None and trajectory.accepted.any():
            y_bar, first_bar = self.stepper.begin_bar(self.carried_bar)
            if y_bar is not None:
                self.y_bar = self.y_bar + y_bar
            if first_bar is not None:
                self._pull_first(first_bar, trajectory)
        if trajectory.beginning is not None:
            self.y_bar = self._with_rows(self.y_bar, trajectory.beginning)
        return self.y_bar, self.ts_bar

    def _pull_first(self, first_bar: torch.Tensor, trajectory: Trajectory) -> None:
        """The very first call of f, f(t0, y0), for the lanes that took a step (another one may be NaN)."""
        equation, first, y0 = self.problem.equation, self.problem.times.first, self.problem.y0.detach()
        moved = np.flatnonzero(trajectory.accepted)
        if not equation.layout.per_sample or len(moved) == len(trajectory.accepted):
            lanes, t0, y, bar = None, first, y0, first_bar
        else:
            lanes = torch.from_numpy(moved).to(y0.device)
            t0, y, bar = first[moved], y0.index_select(0, lanes), first_bar.index_select(0, lanes)
        scope = self.tape.scope(lanes)
        y_bar, t_bar = scope.pull(scope.record(equation.times([t0])[0], y), bar)
        if lanes is None:
            self.y_bar = self.y_bar + y_bar
        else:
            self.y_bar = self.y_bar.index_add(0, lanes, y_bar)
        if self.ts_bar is not None and t_bar is not None:
            own = self.ts_bar[0] if lanes is None else self.ts_bar[0].index_select(0, lanes)
            own = own + t_bar.reshape(own.shape).to(own.dtype)
            self.ts_bar[0] = own if lanes is None else self.ts_bar[0].index_copy(0, lanes, own)
