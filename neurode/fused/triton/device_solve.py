"""One solve by the kernels of Triton: who steps, what is logged for the way back, and the way back itself.

Samples with steps of their own, and constant steps, need nobody: a launch makes as many turns as the log has room for,
and the host asks once a launch whether somebody still runs. A joint solve with adaptive steps is judged by the host
after each attempt, because its one error is a sum over all programs, and a sum that programs wait for inside a kernel
needs all of them to run at once, which a GPU promises for few programs only.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from neurode.core.errors import Status
from neurode.core.transforms import host_number
from neurode.fused.field import ReadField
from neurode.fused.replay import eager_equation
from neurode.fused.triton import kernels
from neurode.fused.triton.packing import BLOCK, PackedField, law_on, padded_rows, tableau_on, whole_blocks
from neurode.integration.clock import JointClock, LaneClock, clock_for
from neurode.integration.controller import AdaptiveSteps
from neurode.integration.first_step import first_step_size
from neurode.integration.problem import Problem
from neurode.methods.explicit_rk import ExplicitRungeKutta

LOG_BYTES = 32 << 20
"""Of states that one launch may log."""
LONGEST_LOG = 256
LAUNCH = {"num_warps": 8, "maxnreg": 255}
"""As the assembler's report has it: with 4 warps, or without the word about registers, several times as many of them
are spilled. Nobody has timed it on a GPU."""


@dataclass(frozen=True)
class LoggedSteps:
    """Accepted steps of one launch, or of as many attempts. states: (slots, samples, P). begin, end: (slots, samples),
    or (slots,) where all samples step together, NaN where there is none."""

    states: torch.Tensor
    begin: torch.Tensor
    end: torch.Tensor


class DeviceSolve:
    """Runs on construction. counts, ends: as `neurode.fused.native_solve.NativeSolve` has them. values: (rows, *shape
    of the packed y0)."""

    def __init__(self, problem: Problem, field: ReadField, packed: PackedField, *, probed: bool, keep: bool):
        self.shape, self.device, self.dtype = problem.y0.shape, problem.y0.device, problem.y0.dtype
        self.rows, self.dim, self.width = problem.y0.numel() // field.dim, field.dim, packed.width
        self.samples = whole_blocks(self.rows)
        assert isinstance(problem.stepper, ExplicitRungeKutta)
        self.tableau = problem.stepper.tableau
        self.joint, self.keep = problem.times.host.ndim == 1, keep
        self.adaptive = isinstance(problem.controller, AdaptiveSteps)
        self.clock: JointClock | LaneClock = clock_for(
            problem.times, problem.controller, problem.max_steps, problem.stepper.error_order
        )
        self.log: list[LoggedSteps] = []
        self.begin = np.broadcast_to(np.asarray(problem.times.first, dtype=float), (self.rows,))
        self._read_times(problem)
        self.y = padded_rows(problem.y0.detach().reshape(-1, field.dim), self.samples, self.width)
        self.stages = self.y.new_zeros((self.tableau.num_stages, *self.y.shape))
        self.fixed = self._fixed_arguments(packed)
        self.has_first = probed or self.adaptive or self.tableau.fsal
        self.first_calls = self._start(problem, field, probed)
        if self.joint and self.adaptive:
            self._attempt_by_attempt(problem)
        else:
            self._turns(problem)

    def _read_times(self, problem: Problem) -> None:
        """Output times as the kernels read them, and the values that are y0 itself."""
        times = problem.times
        host = times.host if problem.save.what == "ts" else np.asarray(times.last, dtype=float)[None]
        self.host_times = host.reshape(len(host), -1)
        self.times = self._host_tensor(np.ascontiguousarray(self.host_times))
        self.time_step, self.time_row = self.host_times.shape[1], int(host.ndim == 2)
        self.is_start = torch.from_numpy(self.host_times == self.begin[: self.host_times.shape[1]]).to(self.device)
        self.following = self.is_start.sum(0, dtype=torch.int32).expand(self.rows)
        self.values = problem.y0.new_full((len(host), self.rows, self.dim), float("nan"))
        flat = problem.y0.detach().reshape(1, self.rows, self.dim)
        self.values = torch.where(self.is_start[:, :, None], flat, self.values).contiguous()

    def _host_tensor(self, array: np.ndarray, dtype: torch.dtype = torch.float64) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(array)).to(self.device, dtype)

    def _fixed_arguments(self, packed: PackedField) -> dict[str, Any]:
        """What all kernels are given."""
        terms = packed.terms.detach().contiguous()
        return {
            "weights": packed.weights.detach().contiguous(), "terms": terms,
            "tableau": tableau_on(self.tableau, self.device), "count": self.rows, "samples": self.samples,
            "dim": self.dim, "num_times": len(self.host_times), "term_step": terms.shape[1] * self.width,
            "row_step": int(terms.shape[1] > 1), "FIELD": packed.form, "B": BLOCK, "P": self.width,
            "K": self.tableau.num_stages, "DEGREE": self.tableau.dense_matrix.shape[1], **LAUNCH,
        }  # fmt: skip

    @property
    def grid(self) -> tuple[int]:
        return (self.samples // BLOCK,)

    def _start(self, problem: Problem, field: ReadField, probed: bool) -> int:
        """The first slope and the first size, by torch's operations. How often was the field called for all?"""
        self.probed, self.runs = int(probed), np.atleast_1d(np.asarray(self.clock.status) == int(Status.RUNNING))
        if not (self.clock.running and self.has_first):
            return int(probed)
        equation, y0 = eager_equation(problem, field), problem.y0.detach()
        with torch.no_grad():
            first = equation(equation.times([problem.times.first])[0], y0)
            self._leave_non_finite(y0, first)
            self.stages[0] = padded_rows(first.reshape(-1, self.dim), self.samples, self.width)
            controller = problem.controller
            if isinstance(controller, AdaptiveSteps):
                size: Any = controller.first_step
                if size is None:
                    scale = y0.abs() * problem.rtol + problem.atol
                    span = problem.times.last - problem.times.first
                    order = problem.stepper.starting_power - 1
                    size = first_step_size(equation, problem.times.first, span, y0, first, order=order, scale=scale)
                elif not self.joint:
                    size = np.full(self.rows, size)
                self.clock.set_first_size(size[self.clock.active] if isinstance(self.clock, LaneClock) else size)
        return equation.count.calls

    def _leave_non_finite(self, y0: torch.Tensor, first: torch.Tensor) -> None:
        sound, clock = torch.isfinite(y0) & torch.isfinite(first), self.clock
        if not isinstance(clock, JointClock):
            clock.fail(~sound.all(1).cpu().numpy()[clock.active], Status.NON_FINITE)
        elif self.adaptive and not bool(sound.all()):
            clock.fail(Status.NON_FINITE)

    # -- many turns a launch

    def _turns(self, problem: Problem) -> None:
        """Constant steps, or steps of each sample's own."""
        clock, rows = self.clock, self.rows
        host = np.zeros((5, self.samples))
        host[0, :rows], host[1, :rows], host[2, :rows], host[3:] = self.begin, problem.times.last, clock.size, 1.0
        states = self._host_tensor(host)
        books = torch.zeros((6, self.samples), dtype=torch.int32, device=self.device)
        status = np.full(self.samples, int(Status.SUCCESS))
        status[:rows] = clock.status
        books[0], books[3, :rows] = self._host_tensor(status, torch.int32), self.following
        mesh = self._host_tensor(np.zeros(1) if self.adaptive else self._mesh())
        law = law_on(problem, self.device) if self.adaptive else states
        turns = self._log_length() if self.keep else min(problem.max_steps, 2**31 - 1)
        begins = states[0].clone()
        while True:
            log = self._new_log(turns, self.samples) if self.keep else LoggedSteps(self.y, states, states)
            kernels.many_steps[self.grid](
                y_at=self.y, stages=self.stages, clock=states, books=books, begins=begins, times=self.times,
                values=self.values, log=log.states, log_begin=log.begin, log_end=log.end, mesh=mesh, law=law,
                time_step=self.time_step, time_row=self.time_row, mesh_step=1 if self.joint else self.samples,
                mesh_row=int(not self.joint), turns=turns, max_steps=min(problem.max_steps, 2**31 - 1),
                has_first=int(self.has_first), ORDER=problem.stepper.error_order, FSAL=self.tableau.fsal,
                ADAPTIVE=self.adaptive, WATCHED=not self.joint, KEEP=self.keep, **self.fixed,
            )  # fmt: skip
            self.log += [log] if self.keep else []
            if not bool((books[0] == int(Status.RUNNING)).any()):
                break
        self._finish(states, books)

    def _mesh(self) -> np.ndarray:
        """Where constant steps end: (steps + 1,) for all, or (steps + 1, samples)."""
        if self.joint:
            return np.asarray(self.clock.mesh)
        return np.pad(self.clock.mesh, ((0, 1), (0, self.samples - self.rows)), constant_values=np.nan)

    def _log_length(self) -> int:
        return max(8, min(LONGEST_LOG, LOG_BYTES // (self.y.numel() * self.y.element_size())))

    def _new_log(self, slots: int, *lanes: int) -> LoggedSteps:
        times = torch.full((2, slots, *lanes), float("nan"), dtype=torch.float64, device=self.device)
        return LoggedSteps(self.y.new_empty((slots, *self.y.shape)), times[0], times[1])

    def _finish(self, states: torch.Tensor, books: torch.Tensor) -> None:
        lanes = 1 if self.joint else self.rows
        status, steps, accepted, following, _, calls = books[:, : self.rows].long().cpu()
        self.following = following.to(self.device, torch.int32)
        evaluations = calls + torch.from_numpy(np.where(self.runs, self.first_calls, self.probed))
        if self.joint:
            # All samples made the same steps; one look at the end finds a state that exploded.
            finite = bool(torch.isfinite(self.y[: self.rows, : self.dim]).all())
            status = torch.where(
                status == int(Status.SUCCESS), int(Status.SUCCESS if finite else Status.NON_FINITE), status
            )
        zeros = torch.zeros_like(steps)
        counts = torch.stack([steps, accepted, steps - accepted, evaluations, status, zeros])
        self.counts = counts[:, :lanes].contiguous()
        self.ends = states[[0, 2], :lanes].cpu()

    # -- one attempt after the other

    def _attempt_by_attempt(self, problem: Problem) -> None:
        clock, law = self.clock, law_on(problem, self.device)
        assert isinstance(clock, JointClock)
        squares, count = self.y.new_empty(self.grid), self.rows * self.dim
        length = self._log_length() if self.keep else 1
        fsal, begin, calls, slot, states = self.tableau.fsal, 0, 0, 0, self.y.new_empty((length + 1, *self.y.shape))
        states[0], spans = self.y, []
        place = int(self.following[0])
        while clock.running:
            interval = clock.propose()
            span = torch.tensor([interval.t, interval.t_end], dtype=torch.float64, device=self.device)
            kernels.one_attempt[self.grid](
                y_at=states[slot], y1_at=states[slot + 1], stages=self.stages, squares=squares, times=self.times,
                values=self.values, law=law, span=span, following=place, begin=begin, FSAL=fsal, **self.fixed,
            )  # fmt: skip
            calls += self.tableau.num_stages - 1 + int(begin == 1)
            accepted = clock.judge(interval, (host_number(squares.sum()) / count) ** 0.5)
            begin = 0 if not accepted else 2 if fsal else 1
            if not accepted:
                continue
            place = self._passed(place, interval.t_end)
            spans.append((interval.t, interval.t_end))
            slot += 1
            if slot == length or not clock.running:
                self._put_away(states, spans)
                self.y, slot, spans = states[slot], 0, []
                if clock.running:
                    states = torch.empty_like(states) if self.keep else states
                    states[0] = self.y
        self._put_away(states, spans)
        self.following = torch.full((self.rows,), place, dtype=torch.int32, device=self.device)
        self.values[place:] = float("nan")  # a rejected attempt may have written there
        steps, taken, status = clock.steps, clock.accepted, int(clock.status)
        self.counts = torch.tensor([[steps], [taken], [steps - taken], [calls + self.first_calls], [status], [0]])
        self.ends = torch.tensor([[clock.t], [clock.size]], dtype=torch.float64)

    def _passed(self, place: int, t_end: float) -> int:
        """The row of the output time behind t_end."""
        times, sign = self.host_times[:, 0], self.clock.direction
        while place < len(times) and sign * times[place] <= sign * t_end:
            place += 1
        return place

    def _put_away(self, states: torch.Tensor, spans: list[tuple[float, float]]) -> None:
        if self.keep and spans:
            begin, end = self._host_tensor(np.array(spans).T)
            self.log.append(LoggedSteps(states[: len(spans)], begin, end))

    # -- the way back

    def pull_back(self, values_bar: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, int]:
        """(gradient of y0, of the packed weights, of the packed terms, calls of the field)."""
        fixed, terms = self.fixed, self.fixed["terms"]
        values_bar = values_bar.reshape(-1, self.rows, self.dim).contiguous()
        y_bar, bars = torch.zeros_like(self.y), torch.empty_like(self.stages)
        kept = self.y.new_empty((2 * len(fixed["weights"]), *self.y.shape))
        weights_bar = self.y.new_zeros((*self.grid, *fixed["weights"].shape))
        terms_bar = self.y.new_zeros((len(terms), self.samples, self.width))
        following = torch.zeros(self.samples, dtype=torch.int32, device=self.device)
        following[: self.rows] = self.following
        signs = np.broadcast_to(np.asarray(self.clock.direction), (self.rows,))
        signs = self._host_tensor(np.pad(signs, (0, self.samples - self.rows), constant_values=1.0))
        for log in reversed(self.log):
            lanes = log.begin.ndim == 2
            kernels.steps_back[self.grid](
                y_bar_at=y_bar, stages=self.stages, bars=bars, kept=kept, following_at=following, signs=signs,
                times=self.times, values_bar=values_bar, log=log.states, log_begin=log.begin, log_end=log.end,
                weights_bar=weights_bar, terms_bar=terms_bar, slots=len(log.begin), time_step=self.time_step,
                time_row=self.time_row, log_row=int(lanes), log_step=self.samples if lanes else 1, **fixed,
            )  # fmt: skip
        y_bar = y_bar[: self.rows, : self.dim]
        own = torch.where(self.is_start[:, :, None], values_bar, 0.0).sum(0)
        terms_bar = terms_bar if terms.shape[1] > 1 else terms_bar.sum(1, keepdim=True)
        calls = int(self.counts[1].max()) * self.tableau.num_stages
        return (y_bar + own).reshape(self.shape), weights_bar.sum(0), terms_bar, calls
