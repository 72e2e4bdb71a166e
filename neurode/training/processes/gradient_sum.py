"""The sum of all processes' gradients, weights and signals: one collective call a step.

Why not DDP's wrapper: it averages over processes, where we divide by all observations; it needs every parameter to
have a gradient, or a search of the graph at each step; its hooks do not see gradients that a solver's backward pass
adds; and a process that runs out of batches hangs the others. Summing one flat buffer after backward has none of
these traps, and for models of the size of a neural ODE it is as fast.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.distributed

SIGNALS = 4


@dataclass(frozen=True)
class Tally:
    """What one process puts in, or all together: weight, and how many met a problem, were interrupted, have no more
    batches."""

    weight: float
    problems: float = 0.0
    interrupts: float = 0.0
    ended: float = 0.0


class GradientSum:
    """Adds the gradients of `parameters` over all processes, in place."""

    def __init__(self, parameters: Sequence[torch.Tensor]):
        self._parameters = list(parameters)
        count = len(self._parameters)
        first = self._parameters[0]
        dtype = torch.float64 if any(p.dtype == torch.float64 for p in self._parameters) else torch.float32
        size = sum(p.numel() for p in self._parameters)
        self._buffer = torch.zeros(SIGNALS + count + size, dtype=dtype, device=first.device)
        self._signals, self._present = self._buffer[:SIGNALS], self._buffer[SIGNALS : SIGNALS + count]
        self._views, at = [], SIGNALS + count
        for parameter in self._parameters:
            self._views.append(self._buffer[at : at + parameter.numel()].view_as(parameter))
            at += parameter.numel()

    def __call__(self, own: Tally) -> Tally:
        """Sum, and return the tally of all. A parameter without a gradient in every process keeps none."""
        self._buffer.zero_()
        grads = {number: p.grad for number, p in enumerate(self._parameters) if p.grad is not None}
        if grads:
            torch._foreach_copy_([self._views[number] for number in grads], list(grads.values()))
        have = [float(number in grads) for number in range(len(self._parameters))]
        head = torch.tensor([own.weight, own.problems, own.interrupts, own.ended, *have], dtype=self._buffer.dtype)
        self._buffer[: len(head)].copy_(head)
        torch.distributed.all_reduce(self._buffer)
        numbers = self._buffer[: len(head)].tolist()
        for parameter, view, present in zip(self._parameters, self._views, numbers[SIGNALS:], strict=True):
            # The views are read before the next call zeroes them, so no copy is needed where the types agree.
            parameter.grad = view.to(parameter.dtype) if present else None
        return Tally(*numbers[:SIGNALS])
