"""What a contender does once it is set up: solve, solve and differentiate, count; measured from outside."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from neurode.tasks.speed.workloads import Workload

Solver = Callable[[Tensor], Tensor]
"""y0 -> outputs of shape (num_outputs, batch, *shape), each sample read at its own times."""


class Unavailable(Exception):
    """This contender cannot take part here; the message says why."""


@dataclass(frozen=True)
class Evaluations:
    """What a forward solve asked of the field. calls: of it; rows: samples in them, a batch counts for all of its."""

    calls: int
    rows: int


class Setup:
    """What every contender is given: the field, the initial states, the times and the loss of one workload."""

    def __init__(self, workload: Workload, dtype: torch.dtype = torch.float32, every: int = 1):
        """every: only each so-many-th sample."""
        self.dtype, mu, ts = dtype, workload.mu(dtype), workload.ts(dtype)
        self.field = workload.field(dtype)
        self.mu = None if mu is None else mu[::every]
        self.y0, self.ts = workload.y0(dtype)[::every], ts[:, ::every] if workload.own_times else ts
        self.loss_weights = workload.loss_weights(dtype)[:, ::every]
        self.workload = replace(workload, batch=len(self.y0))

    def closed_field(self) -> Callable[[Any, Tensor], Tensor]:
        """f(t, y) with its argument, if any, inside: for libraries that hand none over."""
        field, mu = self.field, self.mu
        return field if mu is None else lambda t, y: field(t, y, mu)


class AbstractRunner(ABC):
    """One contender, ready to run. What it returns is its library's own; `tensors` makes it comparable."""

    @abstractmethod
    def forward(self) -> Any:
        """A solve without gradients: its outputs."""

    @abstractmethod
    def forward_backward(self) -> tuple:
        """A solve, and the gradients of the loss for y0 and for every parameter, in the module's order."""

    @abstractmethod
    def evaluations(self) -> Evaluations:
        """Of one forward solve."""

    def tensors(self, result: Any) -> Any:
        """What `forward` or `forward_backward` gave, as tensors of PyTorch."""
        return result


class TorchRunner(AbstractRunner):
    """A library of PyTorch, given as a function y0 -> outputs.

    counted: its evaluations, where the library counts them and does not call the field; by a hook on the field if None.
    """

    def __init__(self, setup: Setup, solver: Solver, counted: Evaluations | None = None):
        self.setup, self.solver, self.counted = setup, solver, counted

    def forward(self) -> Tensor:
        with torch.no_grad():
            return self.solver(self.setup.y0)

    def forward_backward(self) -> tuple[Tensor, ...]:
        y0 = self.setup.y0.clone().requires_grad_()
        loss = (self.solver(y0) * self.setup.loss_weights).sum()
        return torch.autograd.grad(loss, (y0, *self.setup.field.parameters()))

    def evaluations(self) -> Evaluations:
        if self.counted is not None:
            return self.counted
        calls = rows = 0

        def count(_module, inputs, _output):
            nonlocal calls, rows
            calls, rows = calls + 1, rows + len(inputs[1])

        handle = self.setup.field.register_forward_hook(count)
        self.forward()
        handle.remove()
        return Evaluations(calls, rows)
