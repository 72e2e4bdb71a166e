"""The fused engine: may a kernel make this solve, and the solution that it gives."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from neurode.core.closure import AbstractOpenField
from neurode.core.equation import Equation
from neurode.fused import device, kernel
from neurode.fused.field import ReadField, Unreadable
from neurode.fused.native_solve import Slots
from neurode.fused.reading import Place, read
from neurode.integration.problem import Problem
from neurode.integration.solution import DenseOutput, DenseTable, Solution, Stats


@dataclass(frozen=True)
class Fusible:
    """A problem that a kernel takes, with its field, and which kernel that is."""

    problem: Problem
    field: ReadField
    activation_bytes: int
    slots: Slots
    which: device.Which = "native"

    def run(self) -> Solution:
        """Solve it."""
        problem, layout = self.problem, self.problem.equation.layout
        run = self._kernel_run()
        solve = run.solve
        ts, lengths = _shown_times(problem, run)
        # A row each, of one number for the one lane of a joint solve.
        counts, ends = (solve.counts, solve.ends) if layout.per_sample else (solve.counts.view(6), solve.ends.view(2))
        steps, accepted, rejected, evaluations, status, jacobians = counts.unbind()
        reached, last_step = ends.unbind()
        dense = None
        if run.starts is not None and run.stages is not None:
            rows, matrix = run.native.dense_rows(), problem.stepper.dense_matrix
            table = DenseTable.of(run.starts, run.stages, rows, problem.times)
            dense = DenseOutput(layout, table, matrix, problem.y0, problem.times)
        engine = "fused" if self.which == "native" else self.which
        stats = Stats(evaluations, steps, accepted, rejected, engine, jacobians)
        return Solution(ts, run.values, lengths, status, stats, reached, last_step, dense, run.backward)

    def _kernel_run(self) -> kernel.FusedRun:
        if self.which == "native":
            kept, slots = self.activation_bytes, self.slots
            return kernel.run(self.problem, self.field, checked=True, activation_bytes=kept, slots=slots)
        from neurode.fused.triton.solving import run

        return run(self.problem, self.field)


def fusible(problem: Problem, activation_bytes: int, slots: Slots, *, insisted: bool) -> Fusible | Unreadable:
    """The problem as a kernel takes it, or why it does not. activation_bytes, slots: see `kernel.run`. insisted: is
    there nothing else that may make the solve?"""
    which = device.kernel_of(problem.equation.layout.device)
    reason = device.missing(which, insisted=insisted)
    if reason is not None:
        return Unreadable(reason)
    equation, layout = problem.equation, problem.equation.layout
    if not isinstance(equation, Equation) or isinstance(equation.f, AbstractOpenField):
        return Unreadable("a transform of torch.func is in force")
    if layout.kind != "tensor":
        return Unreadable(f"the state is a {layout.kind}, and a kernel takes one tensor")
    if layout.is_complex:
        return Unreadable("the state is complex, and a kernel computes with real numbers")
    times = problem.times
    field = read(equation.f, equation.args, Place(layout.unpack(problem.y0), times.first, times.last))
    if isinstance(field, Unreadable):
        return field
    reason = _refusal(which, problem, field, slots)
    return Unreadable(reason) if reason is not None else Fusible(problem, field, activation_bytes, slots, which)


def _refusal(which: device.Which, problem: Problem, field: ReadField, slots: Slots) -> str | None:
    if which == "native":
        return kernel.refusal(problem, field)
    if slots is not None:
        return "the kernel of this device keeps all accepted states"
    from neurode.fused.triton.packing import refusal

    return kernel.common_refusal(problem, field) or refusal(problem, field)


def _shown_times(problem: Problem, run: kernel.FusedRun) -> tuple[torch.Tensor, torch.Tensor | None]:
    """ts of the solution, and its lengths where they differ."""
    times, per_sample = problem.times, problem.equation.layout.per_sample
    dtype = times.shown.dtype
    if problem.save.what in ("ts", "dense"):
        return times.shown, None if times.lengths is None else torch.as_tensor(times.lengths)
    if problem.save.what == "end":
        return torch.as_tensor(times.last, dtype=dtype).reshape(1, *([-1] if per_sample else [])), None
    first = np.atleast_1d(times.first)
    ends = [run.accepted_steps(lane).t_end for lane in range(problem.lanes)]
    own: Any = [torch.as_tensor([t0, *end], dtype=dtype) for t0, end in zip(first, ends, strict=True)]
    if not per_sample:
        return own[0], None
    padded = torch.nn.utils.rnn.pad_sequence(own, padding_value=float("nan"))
    return padded, torch.as_tensor(run.native.accepted + 1)
