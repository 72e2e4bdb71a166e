"""One solve by the native library: its results, and what it keeps for the way back."""

import ctypes
from contextlib import nullcontext
from dataclasses import dataclass
from threading import Lock
from typing import Any, Literal

import numpy as np
import torch

from neurode.fused.field import ReadField
from neurode.fused.interface import DONE, UNFINISHED, OutcomeStruct, PullbackStruct
from neurode.fused.library import library
from neurode.fused.marshal import Packet, lanes_of
from neurode.integration.problem import Problem
from neurode.integration.recorder import DenseRows


@dataclass(frozen=True)
class AcceptedSteps:
    """The accepted steps of one lane: (steps,) each. Anchors name the row of ts a time is taken from, -1 for none."""

    t: np.ndarray
    t_end: np.ndarray
    anchor: np.ndarray
    anchor_end: np.ndarray


Slots = int | Literal["log"] | None
"""How many states a solve may keep for its way back: None for all, "log" for twice the binary digits of the steps."""


class NativeSolve:
    """Runs on construction.

    counts: (6, lanes) attempted steps, accepted, rejected, evaluations, status, Jacobians (none). ends: (2, lanes)
    reached, size of the next step. Both are tensors; accepted, status: rows of counts as numpy arrays. values: (rows,
    *shape of the packed y0).
    """

    def __init__(
        self,
        problem: Problem,
        field: ReadField,
        *,
        probed: bool,
        keep: bool,
        activation_bytes: int = 0,
        slots: Slots = None,
    ):
        # Written by the library itself: an interrupt leaves nothing that nobody frees.
        self._handle = ctypes.c_void_p()
        self.probed = probed
        # What save keeps of each step in any case is what the way back needs.
        self._slots = 0
        if slots is not None and problem.save.what in ("ts", "end"):
            self._slots = -1 if slots == "log" else slots
        self._lock = Lock()
        what, y0 = problem.save.what, problem.y0
        kept = keep or what in ("steps", "dense")
        sent = Packet(
            problem,
            field,
            probed=probed,
            keep=kept,
            activation_bytes=activation_bytes if keep else 0,
            slots=self._slots,
        )
        self.samples, self.dim = sent.struct.samples, field.dim
        lanes = lanes_of(problem.times, self.samples)
        self.ends = torch.empty((2, lanes), dtype=torch.float64, device="cpu")
        self.counts = torch.zeros((6, lanes), dtype=torch.int64, device="cpu")
        _, self.accepted, _, _, self.status, _ = self.counts.numpy()
        rows = {"end": 1, "steps": 0}.get(what, sent.struct.num_times)
        values = y0.new_empty((rows, *y0.shape))
        outcome = OutcomeStruct(values.data_ptr() or None, self.ends.data_ptr(), self.counts.data_ptr())
        arguments = ctypes.byref(sent.struct), ctypes.byref(outcome), ctypes.byref(self._handle)
        _call(library().neurode_forward, arguments, "the native solve ran out of memory.")
        if what == "steps":
            rows = int(self.accepted.max()) + 1
            values = y0.new_empty((rows, *y0.shape))
            library().neurode_steps(ctypes.byref(sent.struct), self._handle, rows, values.data_ptr())
        self.values: torch.Tensor | None = values
        self.starts, self.stages = self._read_steps(problem, sent) if what == "dense" else (None, None)
        sent.close()

    def _read_steps(self, problem: Problem, sent: Packet) -> tuple[torch.Tensor, torch.Tensor]:
        """What save="dense" is read from: starts (steps, width) and stages (stages, steps, width) of all lanes, lane
        after lane."""
        count, width = int(self.accepted.sum()), self.samples * self.dim // len(self.accepted)
        starts = problem.y0.new_empty(count, width)
        stages = problem.y0.new_empty(problem.stepper.dense_matrix.shape[0], count, width)
        addresses = (starts.data_ptr() or None, stages.data_ptr() or None)
        library().neurode_dense(ctypes.byref(sent.struct), self._handle, count, *addresses)
        return starts, stages

    def dense_rows(self) -> DenseRows:
        """The times of these steps."""
        steps = [self.accepted_steps(lane) for lane in range(len(self.accepted))]
        lanes = np.repeat(np.arange(len(self.accepted)), self.accepted)
        parts = ([getattr(own, name) for own in steps] for name in ("t", "t_end", "anchor", "anchor_end"))
        t, t_end, anchor, anchor_end = (np.concatenate(part) for part in parts)
        return DenseRows([], [], [t], [t_end], [lanes], [anchor], [anchor_end], len(lanes))

    def take_outputs(self) -> tuple[torch.Tensor | None, ...]:
        """values, starts, stages, which are not held here any more."""
        outputs = (self.values, self.starts, self.stages)
        self.values = self.starts = self.stages = None
        return outputs

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
        bars: tuple[torch.Tensor | None, ...],
        gradients: tuple[torch.Tensor | None, ...],
        times_bar: torch.Tensor | None,
    ) -> tuple[torch.Tensor, int]:
        """(gradient of y0, calls of the field). bars: gradients of values, and of starts and stages if
        there are any. gradients: of the field's tensors, filled in; None where
        unwanted. times_bar: float64, like the times, zeros to be added to."""
        sent = Packet(problem, field, probed=self.probed, keep=True, slots=self._slots, gradients=gradients)
        values_bar, *others = bars
        if values_bar is None:
            values_bar = problem.y0.new_zeros((len(problem.times.host), *problem.y0.shape))
        given = [None if bar is None else bar.contiguous() for bar in (values_bar, *others)]
        given += [None] * (3 - len(given))
        y0_bar = problem.y0.new_empty(problem.y0.shape)
        address = None if times_bar is None else times_bar.data_ptr()
        addresses = (None if bar is None else bar.data_ptr() or None for bar in given)
        pullback = PullbackStruct(*addresses, y0_bar.data_ptr(), address, 0)
        way = ctypes.c_void_p()
        arguments = ctypes.byref(sent.struct), self._handle, ctypes.byref(pullback), ctypes.byref(way)
        with self._lock if self._slots else nullcontext():
            try:
                _call(library().neurode_backward, arguments, "the native way back ran out of memory.")
            finally:
                if way:  # it was interrupted
                    library().neurode_abandon(way)
        sent.close()
        return y0_bar, pullback.evaluations

    def __del__(self):
        if self._handle:
            library().neurode_free(self._handle)
            self._handle = ctypes.c_void_p()


def _call(function: Any, arguments: tuple, sentence: str) -> None:
    """Call until it is done. It comes back every tenth of a second, and between two calls Python sees its signals:
    KeyboardInterrupt is raised here."""
    while (answer := function(*arguments)) != DONE:
        if answer != UNFINISHED:
            raise MemoryError(sentence)
