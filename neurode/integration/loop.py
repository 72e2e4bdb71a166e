"""The one loop: propose an interval, make the step, judge it, save what it brings, stop.

Joint and per-sample, constant and adaptive solves all go through here, and so does every gradient.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from neurode.core.equation import Equation, HostTime
from neurode.core.errors import Status
from neurode.integration.clock import Interval, JointClock, LaneClock, clock_for
from neurode.integration.controller import AdaptiveSteps, ConstantSteps
from neurode.integration.first_step import first_step_size
from neurode.integration.recorder import EndRows, Recorder, StepRows, TracedTimes
from neurode.integration.save import Save
from neurode.integration.times import OutputTimes
from neurode.methods.stepper import AbstractStepper, StepResult

ErrorNorm = Callable[[torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class Problem:
    """Everything a solve needs, checked: what `solve` hands to a gradient, and a gradient to the loop.

    y0: packed (core.state). rtol, atol: floats or tensors that broadcast against it; used by adaptive control only.
    """

    equation: Equation
    y0: torch.Tensor
    times: OutputTimes
    stepper: AbstractStepper
    controller: AdaptiveSteps | ConstantSteps
    save: Save
    rtol: float | torch.Tensor
    atol: float | torch.Tensor
    max_steps: int

    @property
    def lanes(self) -> int:
        return self.equation.layout.lanes(self.y0)


@dataclass(frozen=True)
class AcceptedStep:
    """One accepted step as a gradient needs it to make it again: where it began, and which saved rows it wrote.

    lanes: index tensor of the original lanes, None for all. first: f at the beginning, where the method hands it over.
    """

    interval: Interval
    lanes: torch.Tensor | None
    y: torch.Tensor
    first: torch.Tensor | None
    rows: StepRows


@dataclass(frozen=True)
class Trajectory:
    """What the loop brings back. values: (rows, width) in the recorder's order; counts and status per lane."""

    recorder: Recorder
    values: torch.Tensor
    beginning: EndRows | None
    status: np.ndarray
    steps: np.ndarray
    accepted: np.ndarray
    evaluations: np.ndarray
    reached: np.ndarray
    last_size: np.ndarray


def integrate(
    problem: Problem,
    *,
    traced: bool,
    first: torch.Tensor | None = None,
    journal: Callable[[AcceptedStep], None] | None = None,
) -> Trajectory:
    """Run the loop. traced: in differentiable operations. first: f(t0, y0) if known. journal: told of each accepted
    step."""
    run = _Run(problem, traced=traced, journal=journal)
    run.start(first)
    while run.clock.running:
        run.advance()
    return run.finish()


class _Run:
    """The evolving part of one solve: the active lanes' state, their equation, and the books."""

    def __init__(self, problem: Problem, *, traced: bool, journal):
        self.problem, self.traced, self.journal = problem, traced, journal
        self.stepper, self.times = problem.stepper, problem.times
        self.equation, self.y = problem.equation, problem.y0
        self.clock = clock_for(problem.times, problem.controller, problem.max_steps, problem.stepper.error_order)
        self.joint = isinstance(self.clock, JointClock)
        self.adaptive = isinstance(problem.controller, AdaptiveSteps)
        self.recorder = Recorder(problem.save, problem.times, problem.stepper, problem.equation.layout, problem.lanes)
        self.first: torch.Tensor | None = None
        self.tolerances = (problem.rtol, problem.atol)
        self.lanes: torch.Tensor | None = None  # original numbers of the active lanes; None while all are
        self.evaluations = np.zeros(problem.lanes, dtype=int)
        self.final = problem.y0 if self.joint or self.adaptive else problem.y0.detach().clone()

    def start(self, first: torch.Tensor | None) -> None:
        self.beginning = self.recorder.begin(self.y)
        if not self.clock.running:
            return
        if isinstance(self.clock, LaneClock) and len(self.clock.active) < self.y.shape[0]:
            self._keep_lanes(self.clock.active)
            if first is not None and self.lanes is not None:
                first = first.index_select(0, self.lanes)
        calls = self.equation.count.calls
        t0 = self.clock.now
        if first is None and (self.adaptive or self.stepper.carries_first):
            first = self.equation(self._first_time(t0), self.y)
        self.first = first
        if isinstance(self.problem.controller, AdaptiveSteps):
            self._choose_first_size(t0, self.problem.controller)
        self._count(calls)

    def _first_time(self, t0: HostTime) -> torch.Tensor:
        if self.traced and self.times.tensor is not None:
            beginning = 0 if isinstance(self.clock, JointClock) else np.zeros(len(self.clock.active), dtype=int)
            return self.equation.shaped_time(self._anchored(t0, beginning).to(self.y.dtype))
        return self.equation.times([t0])[0]

    def _choose_first_size(self, t0: HostTime, controller: AdaptiveSteps) -> None:
        size: HostTime
        if controller.first_step is not None:
            size = controller.first_step if self.joint else np.full(self.y.shape[0], controller.first_step)
        else:
            assert self.first is not None
            with torch.no_grad():
                y, first, scale = self.y.detach(), self.first.detach(), self._scale(self.y.detach().abs())
                span = self.clock.end - t0
                size = first_step_size(self.equation, t0, span, y, first, order=self.stepper.order, scale=scale)
        self.clock.set_first_size(size)

    def advance(self) -> None:
        """One attempted step of all active lanes."""
        interval, calls = self.clock.propose(), self.equation.count.calls
        traced_times = None
        t, t_end = interval.t, interval.t_end
        if self.traced and self.times.tensor is not None:
            traced_times = t, t_end = (
                self._anchored(interval.t, interval.anchor),
                self._anchored(interval.t_end, interval.anchor_end),
            )
        result = self.stepper.step(self.equation, t, t_end, self.y, self.first, traced=self.traced)
        self._count(calls)
        if isinstance(self.clock, JointClock):
            if self.clock.judge(interval, self._ratio(result) if self.adaptive else None):
                self._accept(interval, None, self.y, self.first, result, traced_times)
                self.y, self.first = result.y1, result.first_next
            else:
                self.first = self._first_again(result)
            return
        accept = self.clock.judge(interval, self._ratio(result) if self.adaptive else None)
        self._take_lanes(self.clock.active, interval, accept, result, traced_times)
        keep = self.clock.drop_done()
        if keep is not None:
            self._keep_lanes(keep)

    def _first_again(self, result: StepResult) -> torch.Tensor:
        """After a rejection f at the beginning is known in any case."""
        return self.first if self.first is not None else result.stages[0]

    def _take_lanes(self, active: np.ndarray, interval, accept: np.ndarray, result: StepResult, traced_times) -> None:
        if accept.all():
            self._accept(interval, active, self.y, self.first, result, traced_times)
            self.y, self.first = result.y1, result.first_next
            return
        if accept.any():
            places = torch.from_numpy(np.flatnonzero(accept)).to(self.y.device)
            part = Interval(*(x[accept] for x in (interval.t, interval.t_end, interval.anchor, interval.anchor_end)))
            self._accept(
                part,
                active[accept],
                self.y.index_select(0, places),
                None if self.first is None else self.first.index_select(0, places),
                StepResult(
                    result.y1.index_select(0, places), result.stages.index_select(1, places), None, result.first_next
                ),
                None if traced_times is None else tuple(x.index_select(0, places) for x in traced_times),
            )
        mask = torch.from_numpy(accept).to(self.y.device).unsqueeze(1)
        self.y = torch.where(mask, result.y1, self.y)
        if result.first_next is not None:
            self.first = torch.where(mask, result.first_next, self._first_again(result))
        else:
            self.first = None

    def _accept(self, interval, lanes, y, first, result, traced_times: TracedTimes) -> None:
        accepted: Any = self.clock.accepted
        number = accepted if lanes is None else accepted[lanes]
        rows = self.recorder.take(interval, lanes, number, y, result, traced_times)
        if not self.joint and not self.adaptive:
            self.final.index_copy_(0, torch.from_numpy(lanes).to(y.device), result.y1.detach())
        if self.journal is not None:
            places = None if lanes is None else torch.from_numpy(lanes).to(y.device)
            carried = first if self.stepper.carries_first else None
            self.journal(AcceptedStep(interval, places, y, carried, rows))

    def _keep_lanes(self, keep: np.ndarray) -> None:
        """Only these of the active lanes go on: the others leave the computation."""
        places = torch.from_numpy(keep).to(self.y.device)
        self.y = self.y.index_select(0, places)
        if self.first is not None:
            self.first = self.first.index_select(0, places)
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
        """Error over tolerance in the root mean square over each lane; the one moment a step waits for the device."""
        scale = self._scale(torch.maximum(self.y.detach().abs(), result.y1.detach().abs()))
        assert result.error is not None
        ratio = result.error.div_(scale)
        if self.joint:
            return torch.linalg.vector_norm(ratio).item() / max(1, scale.numel()) ** 0.5
        return torch.linalg.vector_norm(ratio, dim=1).double().cpu().numpy() / max(1, scale.shape[1]) ** 0.5

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

    def _count(self, calls_before: int) -> None:
        calls = self.equation.count.calls - calls_before
        if isinstance(self.clock, JointClock):
            self.evaluations += calls
        else:
            self.evaluations[self.clock.active] += calls

    def finish(self) -> Trajectory:
        clock, recorder = self.clock, self.recorder
        status = np.atleast_1d(np.asarray(clock.status, dtype=int)).copy()
        if not self.adaptive:
            # Nothing watches constant steps as they go; one look at the end finds a state that exploded.
            final = self.problem.equation.layout.flat(self.y) if self.joint else self.final
            finite = torch.isfinite(final).all(dim=1).cpu().numpy()
            status[~finite & (status == Status.SUCCESS)] = Status.NON_FINITE
        width = self.problem.equation.layout.width
        values = torch.cat(recorder.values) if recorder.values else self.problem.y0.new_empty(0, width)
        return Trajectory(
            recorder=recorder,
            values=values,
            beginning=self.beginning,
            status=status,
            steps=np.atleast_1d(clock.steps),
            accepted=np.atleast_1d(clock.accepted),
            evaluations=self.evaluations,
            reached=np.atleast_1d(clock.t),
            last_size=np.atleast_1d(clock.size),
        )
