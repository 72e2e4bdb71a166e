"""The one loop: propose an interval, make the step, judge it, save what it brings, stop.

Joint and per-sample, constant and adaptive solves all go through here, and so does every gradient.
"""

from dataclasses import replace
from typing import Any

import numpy as np
import torch

from neurode.core.equation import AbstractEquation, HostTime
from neurode.core.errors import Status
from neurode.core.transforms import host_array, is_finite
from neurode.integration.callbacks import StepReport
from neurode.integration.clock import Interval, JointClock, LaneClock, clock_for
from neurode.integration.completion import completed
from neurode.integration.controller import AdaptiveSteps
from neurode.integration.costs import Costs
from neurode.integration.events import Marks
from neurode.integration.first_step import first_step_size
from neurode.integration.norms import error_ratio, user_norm
from neurode.integration.problem import AcceptedStep, Attempt, Journal, Keeper, Problem, Trajectory
from neurode.integration.recorder import ONE_LANE, Recorder, TracedTimes
from neurode.integration.watch import Watch
from neurode.methods.stepper import StepResult


def integrate(
    problem: Problem,
    *,
    traced: bool,
    first: torch.Tensor | None = None,
    journal: Journal | None = None,
    keeper: Keeper | None = None,
) -> Trajectory:
    """Run the loop. traced: in differentiable operations. first: f(t0, y0) if known. journal: told of each accepted
    step. keeper: says which of them keep their graphs."""
    run = _Run(problem, traced=traced, journal=journal, keeper=keeper)
    run.start(first)
    while run.clock.running:
        run.advance()
    return run.finish()


class _Run:
    """The evolving part of one solve: the active lanes' state, their equation, and the books."""

    def __init__(self, problem: Problem, *, traced: bool, journal: Journal | None, keeper: Keeper | None = None):
        self.problem, self.traced, self.journal, self.keeper = problem, traced, journal, keeper
        self.stepper, self.times = problem.stepper, problem.times
        self.equation, self.y = problem.equation, problem.y0
        stops = None if problem.stops is None else problem.stops.times
        self.clock = clock_for(problem.times, problem.controller, problem.max_steps, problem.stepper.error_order, stops)
        self.joint = isinstance(self.clock, JointClock)
        self.adaptive = isinstance(problem.controller, AdaptiveSteps)
        self.recorder = Recorder(problem.save, problem.times, problem.stepper, problem.equation.layout, problem.lanes)
        self.carried: torch.Tensor | None = None  # while the solve starts: f(t0, y0)
        self.tolerances = (problem.rtol, problem.atol)
        self.norm = user_norm(problem.controller, problem.equation)
        self.watch = None if problem.events is None else Watch(problem.events, problem.stepper, problem.lanes)
        self.lanes: torch.Tensor | None = None  # original numbers of the active lanes; None while all are
        self.costs = Costs(problem.lanes)

    def start(self, first: torch.Tensor | None) -> None:
        self.beginning = self.recorder.begin(self.y)
        if not self.clock.running:
            return
        if first is not None:
            self.costs.evaluations += 1
        if isinstance(self.clock, LaneClock) and len(self.clock.active) < self.y.shape[0]:
            self._keep_lanes(self.clock.active)
            first = (
                None if first is None else first.index_select(0, torch.from_numpy(self.clock.active).to(first.device))
            )
        self.carried = first
        self._leave_non_finite(self.y)
        count, needs_first = replace(self.equation.count), self.adaptive or self.stepper.carries_first
        if self.clock.running and self.carried is None and needs_first:
            self.carried = self.equation(self._first_time(self.clock.now), self.y)
        if self.clock.running and self.carried is not None and self._leave_non_finite(self.carried) and self.traced:
            # The graph of the call above holds the samples that left; their NaN would reach shared parameters as 0 *
            # NaN.
            self.carried = self.equation(self._first_time(self.clock.now), self.y) if self.clock.running else None
        if self.clock.running and isinstance(self.problem.controller, AdaptiveSteps):
            self._choose_first_size(self.clock.now, self.problem.controller)
        self.carried = self.stepper.begin(self.y, self.carried)
        self.costs.count(count, self.equation.count)

    def _leave_non_finite(self, values: torch.Tensor) -> bool:
        """Lanes that are NaN or infinite leave at once, before they cost a step. Did any?

        A joint solve with constant steps is looked at once, at its end.
        """
        if isinstance(self.clock, JointClock):
            if self.adaptive and not is_finite(values):
                self.clock.fail(Status.NON_FINITE)
                return True
            return False
        finite = host_array(torch.isfinite(values).all(dim=1))
        if finite.all():
            return False
        self.clock.fail(~finite, Status.NON_FINITE)
        self._drop_done()
        return True

    def _first_time(self, t0: HostTime) -> torch.Tensor:
        if self.traced and self.times.tensor is not None:
            beginning = 0 if isinstance(self.clock, JointClock) else np.zeros(len(self.clock.active), dtype=int)
            return self.equation.shaped_time(self._anchored(t0, beginning).to(self.y.dtype))
        return self.equation.times([t0])[0]

    def _choose_first_size(self, t0: HostTime, controller: AdaptiveSteps) -> None:
        size: HostTime
        if self.problem.first_size is not None:
            size = self.problem.first_size
            size = size if self.joint else size[self.clock.active]
        elif controller.first_step is not None:
            size = controller.first_step if self.joint else np.full(self.y.shape[0], controller.first_step)
        else:
            assert self.carried is not None
            with torch.no_grad():
                y, first, span = self.y.detach(), self.carried.detach(), self.clock.end - t0
                scale, order = self._scale(self.equation.layout.modulus(y)), self.stepper.starting_power - 1
                size = first_step_size(self.equation, t0, span, y, first, order=order, scale=scale, norm=self.norm)
        self.clock.set_first_size(size)

    def advance(self) -> None:
        """One attempted step of all active lanes."""
        interval, count = self.clock.propose(), replace(self.equation.count)
        self._tell("step", interval)
        traced_times = None
        t, t_end = interval.t, interval.t_end
        if self.traced and self.times.tensor is not None:
            traced_times = t, t_end = (
                self._anchored(interval.t, interval.anchor),
                self._anchored(interval.t_end, interval.anchor_end),
            )
        result = self._recorded(t, t_end)
        if result is None:
            result = self.stepper.step(self.equation, t, t_end, self.y, self.carried, traced=self.traced)
        self.costs.count_step(count, self.equation.count, result.costs, getattr(self.clock, "active", None))
        if isinstance(self.clock, JointClock):
            failed = result.failed is not None and bool(result.failed.any())
            ratio = self._ratio(result) if self.adaptive else None
            accepted = self.clock.judge(interval, ratio, failed=failed, law=result.law)
            self._tell("accepted" if accepted else "rejected", interval, result, ratio)
            if accepted:
                self._accept(self.equation, interval, None, self.y, self.carried, result, traced_times)
                self.y, self.carried = result.y1, result.carried_next
                self._jump_jointly()
            else:
                self.carried = self.stepper.retry(self.carried, result)
            self._limit_calls()
            return
        ratio = self._ratio(result)
        accept = self.clock.judge(interval, ratio, failed=result.failed, law=result.law)
        self._tell("accepted", interval, result, ratio, accept)
        self._tell("rejected", interval, result, ratio, ~accept)
        self._take_lanes(
            self.clock.active, interval, accept, result, traced_times, clean=bool(np.isfinite(ratio).all())
        )
        self._jump_lanes()
        self._limit_calls()
        self._drop_done()

    def _limit_calls(self) -> None:
        if self.problem.max_evaluations is not None:
            self.clock.limit(self.costs.evaluations + self.costs.calls, self.problem.max_evaluations)

    def _tell(self, kind: str, interval: Interval, result=None, ratio: HostTime | None = None, lanes=None) -> None:
        """Tell a callback of an attempt. lanes: of those active (bool), None for all."""
        told = None if self.problem.callbacks is None else getattr(self.problem.callbacks, kind)
        if told is not None and (lanes is None or lanes.any()):
            active = self.clock.active if isinstance(self.clock, LaneClock) else None
            error = ratio if self.adaptive else None
            told(StepReport.of(self.equation.layout, interval, active, self.y, result, error, lanes))

    def _recorded(self, t: HostTime, t_end: HostTime) -> StepResult | None:
        """The step with its graph kept, where that is wanted."""
        if self.keeper is None or (self.carried is not None and not self.stepper.carries):
            # What is known of f at the beginning has no graph, and no step before has one to hand over.
            return None
        lanes = self.clock.active if isinstance(self.clock, LaneClock) else None
        scope = self.keeper.scope(lanes)
        if scope is None:
            return None
        calls = self.equation.count.calls
        try:
            with self.keeper.weighed(lanes):
                return self.stepper.recorded_step(scope, t, t_end, self.y, self.carried)
        except RuntimeError as error:
            if "saved tensor hooks" not in str(error):
                raise
            # A field that calls torch.func itself cannot be weighed: its steps are made again.
            self.keeper, self.equation.count.calls = None, calls
            return None

    def _jump_jointly(self) -> None:
        """At a stop: the state jumps, and what the step hands over is made anew; the step size stays."""
        stops, clock = self.problem.stops, self.clock
        if stops is None or not isinstance(clock, JointClock):
            return
        number = clock.stop_reached()
        if number is None or stops.jump is None:
            return
        self.y = stops.jump(np.array([number]), np.zeros(1, dtype=int), self.y)
        self.carried = self._handed_over(self.equation, clock.now, self.y)

    def _jump_lanes(self) -> None:
        """The same for those lanes that have come to a stop of theirs."""
        stops, clock = self.problem.stops, self.clock
        if stops is None or not isinstance(clock, LaneClock):
            return
        local, numbers = clock.stops_reached()
        if len(local) == 0 or stops.jump is None:
            return
        places = torch.from_numpy(local).to(self.y.device)
        jumped = stops.jump(numbers, clock.active[local], self.y.index_select(0, places))
        self.y = self.y.index_copy(0, places, jumped)
        carried = self._handed_over(self.equation.select(places), clock.now[local], jumped, clock.active[local])
        if self.carried is not None and carried is not None:
            self.carried = self.carried.index_copy(0, places, carried)

    def _handed_over(self, equation: AbstractEquation, now: HostTime, y: torch.Tensor, lanes: np.ndarray | None = None):
        """What the next step is handed behind a stop. lanes: that f is called for, None for all."""
        if not self.stepper.carries:
            return None
        first = None
        if self.stepper.carries_first:
            first = equation(equation.times([now])[0], y)
            self.costs.evaluations[... if lanes is None else lanes] += 1
        return self.stepper.begin(y, first)

    def _drop_done(self) -> None:
        assert isinstance(self.clock, LaneClock)
        before = self.clock.active
        keep = self.clock.drop_done()
        if keep is not None:
            self.costs.leave(np.delete(before, keep))
            self._keep_lanes(keep)

    def _take_lanes(self, active: np.ndarray, interval, accept: np.ndarray, result: StepResult, traced_times, *, clean):
        """Take the step for the lanes that accept it. clean: whether all lanes of the attempt were finite."""
        if accept.all():
            self._accept(self.equation, interval, active, self.y, self.carried, result, traced_times)
            self.y, self.carried = result.y1, result.carried_next
            return
        if not accept.any():
            return
        if self.journal is None and not self.traced and self.recorder.reads_times and self.watch is None:
            self._take_in_place(active, interval, accept, result)
            return
        places = torch.from_numpy(np.flatnonzero(accept)).to(self.y.device)
        part = interval.part(accept)
        y = self.y.index_select(0, places)
        carried = None if self.carried is None else self.carried.index_select(0, places)
        times = None if traced_times is None else tuple(x.index_select(0, places) for x in traced_times)
        wanted = self.traced or self.watch is not None or self.stepper.completes
        equation = self.equation.select(places) if wanted else self.equation
        if self.traced and not clean:
            # Made again without the lanes that went NaN: their rows would reach shared parameters as 0 * NaN.
            t, t_end = (part.t, part.t_end) if times is None else times
            result = self.stepper.step(equation, t, t_end, y, carried, traced=True)
        else:
            following = None if result.carried_next is None else result.carried_next.index_select(0, places)
            chosen = result.y1.index_select(0, places), result.stages.index_select(1, places)
            result = StepResult(*chosen, None, following)
        attempt = Attempt(interval, active, accept, self.y, self.carried)
        self._accept(equation, part, active[accept], y, carried, result, times, attempt)
        self.y = self.y.index_copy(0, places, result.y1)
        if self.carried is None or result.carried_next is None:
            self.carried = None
        else:
            self.carried = self.carried.index_copy(0, places, result.carried_next)

    def _take_in_place(self, active: np.ndarray, interval: Interval, accept: np.ndarray, result: StepResult) -> None:
        """The same where nobody asks for the step of these lanes alone, so that their rows need not be gathered."""
        # The others stay where they are, and pass no time.
        moved = replace(interval, t_end=np.where(accept, interval.t_end, interval.t))
        result = self._readable(self.equation, moved, active, self.y, result, None)
        self.recorder.take(moved, active, None, self.y, result, None)
        mask = torch.from_numpy(accept).to(self.y.device).unsqueeze(1)
        self.y = torch.where(mask, result.y1, self.y)
        if self.carried is None or result.carried_next is None:
            self.carried = None
        else:
            self.carried = torch.where(mask, result.carried_next, self.carried)

    def _accept(
        self, equation, interval, lanes, y, carried, result, traced_times: TracedTimes, attempt: Attempt | None = None
    ) -> None:
        """Write down the step of these lanes, up to the events that stop them. equation: of these lanes. attempt: where
        not all lanes accepted, that of all."""
        accepted: Any = self.clock.accepted
        number = accepted if lanes is None else accepted[lanes]
        result = self._readable(equation, interval, lanes, y, result, traced_times)
        marks = None if self.watch is None else self._watched(self.watch, equation, interval, lanes, y, result)
        rows = self.recorder.take(interval, lanes, number, y, result, traced_times, marks)
        if self.journal is not None:
            places = None if lanes is None else torch.from_numpy(lanes).to(y.device)
            handed = carried if self.stepper.carries else None
            kept = result.kept if result.kept is not None and self.keeper and self.keeper.accepted(lanes) else None
            step = AcceptedStep(interval, places, y, handed, rows, kept, self.recorder.cut(marks))
            self.journal(step, attempt or Attempt(interval, lanes, None, y, carried), result)

    def _readable(self, equation, interval, lanes, y, result: StepResult, traced_times) -> StepResult:
        """The step with the slopes that reading inside it needs beyond its own, for the lanes that are read."""
        if not self.stepper.completes:
            return result
        count, reading = replace(equation.count), self.recorder.reading(interval, lanes, anyway=self.watch is not None)
        result = completed(self.stepper, equation, interval, traced_times, y, result, reading, traced=self.traced)
        if lanes is None:
            self.costs.count(count, self.equation.count)
        else:
            self.costs.evaluations[lanes if reading is None else lanes[reading]] += equation.count.calls - count.calls
        return result

    def _watched(self, watch: Watch, equation, interval, lanes, y, result: StepResult) -> Marks | None:
        """The events of a step; those that stop a lane end it there."""
        numbers = ONE_LANE if lanes is None else lanes
        marks, lost = watch.look(equation, interval, numbers, y, result)
        if lost is not None:
            self.clock.stop(numbers[lost], np.atleast_1d(interval.t_end)[lost], Status.NON_FINITE)
        if marks is not None:
            stopped = ~np.isnan(marks.end)
            self.clock.stop(numbers[stopped], marks.end[stopped], Status.EVENT)
        return marks

    def _keep_lanes(self, keep: np.ndarray) -> None:
        """Only these of the active lanes go on: the others leave the computation."""
        places = torch.from_numpy(keep).to(self.y.device)
        self.y = self.y.index_select(0, places)
        if self.carried is not None:
            self.carried = self.carried.index_select(0, places)
        self.equation = self.equation.select(places)
        self.lanes = places if self.lanes is None else self.lanes.index_select(0, places)
        rtol, atol = (x.index_select(0, places) if isinstance(x, torch.Tensor) else x for x in self.tolerances)
        self.tolerances = (rtol, atol)

    def _scale(self, magnitude: torch.Tensor) -> torch.Tensor:
        rtol, atol = self.tolerances
        if isinstance(rtol, float) and isinstance(atol, float):
            return magnitude.mul_(rtol).add_(atol)
        return magnitude * rtol + atol

    @torch.no_grad()
    def _ratio(self, result: StepResult) -> HostTime:
        """Error over tolerance, for which a step waits for the device; with constant steps NaN where one ended so."""
        if not self.adaptive:
            return np.where(host_array(torch.isfinite(result.y1).all(dim=1)), 0.0, np.nan)
        layout = self.equation.layout
        scale = self._scale(torch.maximum(layout.modulus(self.y.detach()), layout.modulus(result.y1.detach())))
        return error_ratio(result, scale, joint=self.joint, reals=layout.reals, norm=self.norm)

    def _anchored(self, time: HostTime, anchor: Any) -> torch.Tensor:
        """A time as a tensor that carries the gradient of the row of ts it is taken from."""
        ts = self.times.tensor
        assert ts is not None
        if isinstance(self.clock, JointClock):
            return ts[anchor] if anchor >= 0 else ts.new_tensor(time, requires_grad=False)
        lanes = torch.from_numpy(self.clock.active).to(ts.device)
        own = ts[torch.from_numpy(np.maximum(anchor, 0)).to(ts.device), lanes]
        fixed = torch.from_numpy(time).to(ts.device, ts.dtype)
        return torch.where(torch.from_numpy(anchor >= 0).to(ts.device), own, fixed)

    def finish(self) -> Trajectory:
        clock, recorder = self.clock, self.recorder
        status = np.atleast_1d(np.asarray(clock.status, dtype=int)).copy()
        if isinstance(clock, JointClock) and not is_finite(self.y):
            # One look at the end finds a state that exploded where nothing watched it.
            status[status == Status.SUCCESS] = Status.NON_FINITE
        width = self.problem.equation.layout.width
        values = torch.cat(recorder.values) if recorder.values else self.problem.y0.new_empty(0, width)
        # They are in `values` now: kept as well, they would hold each state they are views of.
        recorder.values.clear()
        evaluations, jacobians = self.costs.totals(joint=self.joint)
        return Trajectory(
            recorder=recorder,
            values=values,
            beginning=self.beginning,
            status=status,
            steps=np.atleast_1d(clock.steps),
            accepted=np.atleast_1d(clock.accepted),
            evaluations=evaluations,
            jacobians=jacobians,
            reached=np.atleast_1d(clock.t),
            last_size=np.atleast_1d(clock.size),
            events=recorder.event_rows(),
        )
