"""One adjoint solve: back over the interval, with a jump wherever the loss looked at the solution."""

import warnings
from dataclasses import dataclass

import numpy as np
import torch

from neurode.core.errors import SolveError, Status
from neurode.gradients.adjoint_equation import AdjointEquation
from neurode.gradients.loss_times import LossTimes, last_saved
from neurode.gradients.quadrature import GaussQuadrature
from neurode.gradients.trail import WayBack
from neurode.gradients.window import Window
from neurode.integration.clock import constant_mesh
from neurode.integration.controller import AdaptiveSteps, ConstantSteps
from neurode.integration.loop import integrate
from neurode.integration.problem import AcceptedStep, Attempt, Problem
from neurode.integration.save import Save
from neurode.integration.stops import Stops
from neurode.integration.times import OutputTimes
from neurode.methods.stepper import AbstractStepper, StepResult


@dataclass(frozen=True)
class AdjointControl:
    """How the adjoint is solved: what `Problem` holds for the forward pass. controller None: the steps of the forward
    pass in reverse, where these were constant."""

    stepper: AbstractStepper
    controller: AdaptiveSteps | ConstantSteps | None
    rtol: float | torch.Tensor
    atol: float | torch.Tensor
    max_steps: int
    drift: float


@dataclass(frozen=True)
class AdjointStep:
    """An accepted step of the adjoint solve, as a callback is told of it.

    t, t_end: where it began and ended; t_end is nearer to t0. A float each, or (lanes,) per sample. lanes: numbers of
    the samples that took it, None in a joint solve. adjoint: the gradient of the loss by the state at t_end, before any
    jump there, in the state's own structure.
    """

    t: float | np.ndarray
    t_end: float | np.ndarray
    lanes: np.ndarray | None
    adjoint: object


class AdjointSolve:
    """The way back of one solve. last: the state it ended at, which the way back starts from if there is no window."""

    def __init__(self, way: WayBack, control: AdjointControl, window: Window | None, last: torch.Tensor, callback):
        self.way, self.problem, self.control, self.window = way, way.problem, control, window
        self.callback = callback
        self.layout, self.y0 = way.problem.equation.layout, way.problem.y0.detach()
        self.lanes = way.problem.lanes
        values_bar = way.bars[0]
        assert values_bar is not None
        # A window knows the forward pass to its end; solved back, the state has to be one that can be.
        reached = np.atleast_1d(way.trajectory.reached)
        self.reached = last_saved(self.problem, way.trajectory) if window is None else reached
        self.loss = LossTimes.of(self.problem, way.trajectory, values_bar, self.reached)
        self.last = last if np.array_equal(self.reached, reached) else self._last_saved(last)
        # The adjoint is linear in the gradients it starts from. Divided by their size, it means the same to a
        # tolerance whether the loss is a sum or a mean.
        self.scale = self.loss.largest(self.lanes)
        self.equation = AdjointEquation.of(way.tape.equation, window, self.y0)
        self.quadrature = GaussQuadrature(way.tape, control.stepper, self.equation, self.scale)
        self.stop_times, self.groups = self.loss.stops(self.lanes)
        self.row_dots: torch.Tensor | None = None
        if self.problem.times.tensor is not None and way.tape.time:
            self.row_dots = values_bar.new_zeros(len(self.loss.rows))
        self.worst, self.worst_time = 0.0, 0.0

    def run(self) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Gradients of y0 and ts."""
        end = self.loss.whole(self.loss.at_end, self.layout.flat(self.y0))
        self._note_dots(self.loss.at_end)
        start_state = self.equation.join(self.last, self._shaped(end / self.scale))
        trajectory = integrate(self._problem(start_state), traced=False, journal=self._note)
        self._check(trajectory)
        width = trajectory.values.shape[1]
        lane = torch.from_numpy(trajectory.recorder.written().lane).to(self.y0.device)
        state = self.y0.new_zeros(self.lanes, width).index_copy(0, lane, trajectory.values)
        whole = state.view(start_state.shape)
        if self.window is None:
            y, a = self.equation.split(self.problem.times.first, whole, np.arange(self.lanes))
            self._compare(y, self.y0, np.atleast_1d(self.problem.times.first), np.arange(self.lanes))
            self._warn()
        else:
            a = whole
        a = self._shaped(self.layout.flat(a) * self.scale)
        ts_bar = self._ts_bar(a)
        return a + self._shaped(self.loss.whole(self.loss.at_start, self.layout.flat(self.y0))), ts_bar

    def _last_saved(self, last: torch.Tensor) -> torch.Tensor:
        """The state each lane's way back begins at: `last`, or what was saved of it."""
        begun = torch.from_numpy(self.reached == np.atleast_1d(self.problem.times.first)).to(self.y0.device)
        flat = torch.where(begun.unsqueeze(1), self.layout.flat(self.y0), self.layout.flat(last))
        where = self.loss.at_end
        lane, chosen = (torch.from_numpy(x).to(self.y0.device) for x in (self.loss.lane[where], np.flatnonzero(where)))
        return self._shaped(flat.index_copy(0, lane, self.loss.values.index_select(0, chosen)))

    def _shaped(self, flat: torch.Tensor) -> torch.Tensor:
        return flat.view(self.y0.shape)

    def _problem(self, state: torch.Tensor) -> Problem:
        control, times = self.control, self._times()
        joint = times.host.ndim == 1
        stops = self.stop_times[:, 0] if joint else self.stop_times
        return Problem(
            equation=self.equation,
            y0=state,
            times=times,
            stepper=control.stepper,
            controller=control.controller or ConstantSteps(),
            save=Save("end"),
            rtol=self._tolerance(control.rtol),
            atol=self._tolerance(control.atol),
            max_steps=control.max_steps,
            stops=Stops(stops, self._jump) if len(stops) else None,
        )

    def _tolerance(self, tolerance: float | torch.Tensor) -> float | torch.Tensor:
        """As the forward pass has it, for y and for a alike."""
        if isinstance(tolerance, torch.Tensor) and tolerance.ndim and self.layout.per_sample and self.window is None:
            return torch.cat((tolerance, tolerance), dim=1)
        return tolerance

    def _times(self) -> OutputTimes:
        """From where each lane got to back to its t0; with the forward steps between, where these are taken again."""
        times, reached = self.problem.times, self.reached
        columns = []
        for lane in range(self.lanes):
            own = times.host if times.host.ndim == 1 else times.host[:, lane]
            own = own[~np.isnan(own)]
            if self.control.controller is None:
                assert isinstance(self.problem.controller, ConstantSteps)
                mesh, _ = constant_mesh(own, self.problem.controller.step_size)
                sign = 1.0 if own[-1] >= own[0] else -1.0
                back = mesh[(mesh - reached[lane]) * sign <= 0][::-1]
                # An event stops the solve within a step.
                columns.append(back if back[0] == reached[lane] else np.concatenate([reached[lane : lane + 1], back]))
            else:
                columns.append(np.array([reached[lane], own[0]]))
        if times.host.ndim == 1:
            return OutputTimes(columns[0], None, None, torch.from_numpy(columns[0].copy()))
        lengths = np.array([len(own) for own in columns])
        host = np.full((lengths.max(), self.lanes), np.nan)
        for lane, own in enumerate(columns):
            host[: len(own), lane] = own
        return OutputTimes(host, None, lengths, torch.from_numpy(host))

    def _jump(self, numbers: np.ndarray, lanes: np.ndarray, state: torch.Tensor) -> torch.Tensor:
        """At a time that the loss looked at: its gradient joins the adjoint, and y is set to what was saved."""
        groups = self.groups[numbers, lanes]
        time = self.stop_times[numbers, lanes]
        chosen = torch.from_numpy(groups).to(state.device)
        places = torch.from_numpy(lanes).to(state.device)
        bar = self.loss.bars.index_select(0, chosen) / self.scale.index_select(0, places)
        if self.window is not None:
            self._note_dots_of(groups)
            return state + bar.view(state.shape)
        y, a = self.equation.split(time, state, lanes)
        saved = self.loss.values.index_select(0, chosen).view(y.shape)
        self._compare(y, saved, time, lanes)
        self._note_dots_of(groups)
        return self.equation.join(saved, a + bar.view(a.shape))

    def _note(self, step: AcceptedStep, attempt: Attempt, result: StepResult) -> None:
        """An accepted step: its part of the parameters' gradient, and what may be forgotten."""
        del attempt
        self.quadrature.add(step, result)
        lanes = np.zeros(1, dtype=int) if step.lanes is None else step.lanes.cpu().numpy()
        t_end = step.interval.t_end
        if self.callback is not None:
            self._tell(step, result, lanes)
        if self.window is not None:
            self.window.passed(t_end, lanes)

    def _tell(self, step: AcceptedStep, result: StepResult, lanes: np.ndarray) -> None:
        _, a = self.equation.split(step.interval.t_end, result.y1, lanes)
        known = torch.from_numpy(lanes).to(a.device)
        flat = self.layout.flat(a) * self.scale.index_select(0, known)
        adjoint = self.layout.unpack_rows(flat.unsqueeze(0) if not self.layout.per_sample else flat)
        if not self.layout.per_sample:
            adjoint = self.layout.unpack(flat.view(self.y0.shape))
        own = lanes if self.layout.per_sample else None
        self.callback(AdjointStep(step.interval.t, step.interval.t_end, own, adjoint))

    def _note_dots(self, where: np.ndarray) -> None:
        self._note_dots_of(np.flatnonzero(where))

    def _note_dots_of(self, groups: np.ndarray) -> None:
        """For each saved row of these groups its gradient times f: that of its output time."""
        if self.row_dots is None or len(groups) == 0:
            return
        loss, equation = self.loss, self.way.tape.equation
        lane, time = loss.lane[groups], loss.time[groups]
        chosen = torch.from_numpy(groups).to(self.y0.device)
        y = loss.values.index_select(0, chosen)
        with torch.no_grad():
            if self.layout.per_sample:
                part = equation.select(torch.from_numpy(lane).to(y.device))
                slopes = part(part.times([time])[0], y)
            else:
                slopes = self.layout.flat(equation(equation.times([float(time[0])])[0], self._shaped(y)))
        place = np.full(len(loss.lane), -1)
        place[groups] = np.arange(len(groups))
        rows = np.flatnonzero(place[loss.group] >= 0)
        of_rows = torch.from_numpy(place[loss.group[rows]]).to(y.device)
        bars = self.way.bars[0]
        assert bars is not None
        own = bars.index_select(0, torch.from_numpy(loss.rows[rows]).to(y.device))
        self.row_dots[torch.from_numpy(rows).to(y.device)] = (own * slopes.index_select(0, of_rows)).sum(1)

    def _ts_bar(self, a: torch.Tensor) -> torch.Tensor | None:
        """Gradients of the output times, and of t0, from where the solve started."""
        ts, loss = self.problem.times.tensor, self.loss
        if ts is None or self.row_dots is None:
            return None
        ts_bar = torch.zeros_like(ts, memory_format=torch.contiguous_format)
        known = np.flatnonzero(loss.anchor >= 0)
        rows = torch.from_numpy(loss.anchor[known]).to(ts.device)
        lane = torch.from_numpy(loss.lane[loss.group[known]]).to(ts.device)
        dots = self.row_dots[torch.from_numpy(known).to(a.device)].to(ts)
        moved = np.flatnonzero(self.way.trajectory.accepted)
        start = self._start_dots(a, moved).to(ts)
        if not self.layout.per_sample:
            ts_bar.index_add_(0, rows, dots)
            ts_bar[0] -= start.sum()
            return ts_bar
        ts_bar.index_put_((rows, lane), dots, accumulate=True)
        ts_bar[0].index_add_(0, torch.from_numpy(moved).to(ts.device), -start)
        return ts_bar

    def _start_dots(self, a: torch.Tensor, moved: np.ndarray) -> torch.Tensor:
        """a f(t0, y0) of the lanes that took a step."""
        equation, first = self.way.tape.equation, self.problem.times.first
        if len(moved) == 0:
            return a.new_zeros(0)
        with torch.no_grad():
            if not self.layout.per_sample:
                return (a * equation(equation.times([first])[0], self.y0)).sum().reshape(1)
            places = torch.from_numpy(moved).to(a.device)
            part = equation.select(places)
            slopes = part(part.times([first[moved]])[0], self.y0.index_select(0, places))
            return (a.index_select(0, places) * slopes).sum(1)

    def _compare(self, found: torch.Tensor, stored: torch.Tensor, time: np.ndarray, lanes: np.ndarray) -> None:
        """How far y, solved back, is from what the forward pass had there, relative to its size."""
        del lanes
        one, other = self.layout.flat(found), self.layout.flat(stored)
        size = torch.linalg.vector_norm(other, dim=1)
        least = 1e-3 * torch.linalg.vector_norm(self.layout.flat(self.y0), dim=1).max() + torch.finfo(one.dtype).tiny
        ratio = (torch.linalg.vector_norm(one - other, dim=1) / torch.maximum(size, least)).cpu().numpy()
        ratio = np.where(np.isfinite(ratio), ratio, 0.0)
        most = int(ratio.argmax()) if len(ratio) else 0
        if len(ratio) and ratio[most] > self.worst:
            self.worst, self.worst_time = float(ratio[most]), float(np.broadcast_to(time, ratio.shape)[most])

    def _warn(self) -> None:
        if self.worst > self.control.drift:
            warnings.warn(
                f"gradient='adjoint': at t={self.worst_time:.6g} the state solved back differs from that of the "
                f"forward pass by {self.worst:.1e} of its size (allowed: {self.control.drift:.1e}), and the gradient "
                "is off by about as much: the field contracts forwards, so that it expands backwards. Use "
                "Adjoint(trajectory='checkpoints'), gradient='checkpointed', or tighter tolerances.",
                RuntimeWarning,
                stacklevel=2,
            )

    def _check(self, trajectory) -> None:
        failed = np.flatnonzero(trajectory.status != Status.SUCCESS)
        if len(failed) == 0:
            return
        lane = failed[0]
        status = Status(int(trajectory.status[lane]))
        who = f"sample {lane} ({len(failed)} of {len(trajectory.status)} failed): " if self.layout.per_sample else ""
        back = (
            " The state is solved back here, which goes wrong where the field contracts: "
            "Adjoint(trajectory='checkpoints') reads it from the forward pass."
            if self.window is None
            else ""
        )
        raise SolveError(
            f"the adjoint solve failed: {who}{status.sentence} It was at t={trajectory.reached[lane]:.6g} after "
            f"{trajectory.steps[lane]} steps back, method {self.control.stepper.name!r}.{back} "
            "Or use gradient='checkpointed', which needs no second solve.",
            status=status,
        )
