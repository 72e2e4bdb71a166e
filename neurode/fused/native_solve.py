"""One solve by the native library: its results, and what it keeps for the way back."""

import ctypes
from dataclasses import dataclass

import numpy as np
import torch

from neurode.fused.field import ReadField
from neurode.fused.interface import OutcomeStruct, PullbackStruct
from neurode.fused.library import library
from neurode.fused.marshal import lanes_of, packet
from neurode.integration.problem import Problem


@dataclass(frozen=True)
class AcceptedSteps:
    """The accepted steps of one lane: (steps,) each. Anchors name the row of ts a time is taken from, -1 for none."""

    t: np.ndarray
    t_end: np.ndarray
    anchor: np.ndarray
    anchor_end: np.ndarray


class NativeSolve:
    """Runs on construction. values: (rows, samples, dim). The others: numpy arrays (lanes,)."""

    def __init__(self, problem: Problem, field: ReadField, *, probed: bool, keep: bool):
        self._handle = None
        self.probed = probed
        sent = packet(problem, field, probed=probed, keep=keep or problem.save.what == "steps")
        self.samples, self.dim = sent.struct.samples, field.dim
        lanes = lanes_of(problem.times, self.samples)
        self.reached, self.last_size = np.empty(lanes), np.empty(lanes)
        self.steps, self.accepted, self.evaluations = (np.empty(lanes, dtype=np.int64) for _ in range(3))
        status = np.empty(lanes, dtype=np.int32)
        what = problem.save.what
        rows = {"ts": len(problem.times.host), "end": 1}.get(what, 0)
        values = problem.y0.new_empty(rows, self.samples, self.dim)
        arrays = (self.reached, self.last_size, self.steps, self.accepted, self.evaluations, status)
        outcome = OutcomeStruct(values.data_ptr() or None, *(array.ctypes.data for array in arrays))
        self._handle = library().neurode_forward(ctypes.byref(sent.struct), ctypes.byref(outcome))
        if not self._handle:
            raise MemoryError("the native solve ran out of memory.")
        self.status = status.astype(np.int64)
        if what == "steps":
            rows = int(self.accepted.max()) + 1
            values = problem.y0.new_empty(rows, self.samples, self.dim)
            library().neurode_steps(ctypes.byref(sent.struct), self._handle, rows, values.data_ptr())
        self.values = values

    @property
    def kept_bytes(self) -> int:
        return library().neurode_kept_bytes(self._handle)

    def accepted_steps(self, lane: int) -> AcceptedSteps:
        """Of one lane, the first step first; needs `keep`."""
        count = int(self.accepted[lane])
        t, t_end = np.empty(count), np.empty(count)
        anchor, anchor_end = np.empty(count, dtype=np.int64), np.empty(count, dtype=np.int64)
        addresses = (array.ctypes.data for array in (t, t_end, anchor, anchor_end))
        library().neurode_accepted(self._handle, lane, count, *addresses)
        return AcceptedSteps(t, t_end, anchor, anchor_end)

    def pull_back(
        self,
        problem: Problem,
        field: ReadField,
        values_bar: torch.Tensor,
        gradients: tuple[torch.Tensor | None, ...],
        times_bar: torch.Tensor | None,
    ) -> tuple[torch.Tensor, int]:
        """(gradient of y0 (samples, dim), calls of the field). gradients: of the field's tensors, filled in; None where
        unwanted. times_bar: float64, like the times, zeros to be added to."""
        sent = packet(problem, field, probed=self.probed, keep=True, gradients=gradients)
        values_bar = values_bar.contiguous()
        y0_bar = values_bar.new_empty(self.samples, self.dim)
        address = None if times_bar is None else times_bar.data_ptr()
        bars = PullbackStruct(values_bar.data_ptr() or None, y0_bar.data_ptr(), address, 0)
        if library().neurode_backward(ctypes.byref(sent.struct), self._handle, ctypes.byref(bars)) != 0:
            raise MemoryError("the native way back ran out of memory.")
        return y0_bar, bars.evaluations

    def __del__(self):
        if self._handle:
            library().neurode_free(self._handle)
            self._handle = None
