"""A stepper of ours with what torchdiffeq lets a user put between: callbacks, events, perturbed times."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch

from neurode.core.equation import AbstractEquation, HostTime
from neurode.methods.adams import Adams
from neurode.methods.stepper import AbstractStepper, StepResult
from neurode.torchdiffeq.attempts import Attempts
from neurode.torchdiffeq.numbers import host, next_to


@dataclass(frozen=True, kw_only=True)
class PerturbedEquation(AbstractEquation):
    """An equation whose times at the two ends of a step are moved inside by the smallest number there is."""

    inner: AbstractEquation
    t: Any
    t_end: Any

    @classmethod
    def of(cls, inner: AbstractEquation, t: Any, t_end: Any) -> "PerturbedEquation":
        return cls(inner=inner, t=t, t_end=t_end, layout=inner.layout, count=inner.count)

    def times(self, times: Sequence[HostTime]) -> Sequence[Any]:
        return [self._moved(time) for time in self.inner.times(times)]

    def shaped_time(self, time: torch.Tensor) -> torch.Tensor:
        return self._moved(self.inner.shaped_time(time))

    def _moved(self, time: torch.Tensor) -> torch.Tensor:
        t, t_end = (torch.as_tensor(end).detach().to(time) for end in (self.t, self.t_end))
        if time == t:
            return next_to(time, t_end)
        return next_to(time, t) if time == t_end else time

    def __call__(self, t: Any, y: torch.Tensor) -> torch.Tensor:
        return self.inner(t, y)

    def select(self, rows: torch.Tensor) -> AbstractEquation:
        return replace(self, inner=self.inner.select(rows))


@dataclass(frozen=True, eq=False)
class SteeredStepper(AbstractStepper):
    """A stepper that tells of its steps, with perturbed times; for gradient="direct", which only steps.

    attempts: is told of every attempted step.
    """

    base: AbstractStepper
    perturb: bool = False
    attempts: Attempts | None = None

    def step(self, equation, t, t_end, y, carried, *, traced: bool) -> StepResult:
        start, end = host(t), host(t_end)
        if self.attempts is not None:
            self.attempts.begin(start, end, y)
        if self.perturb:
            equation, carried = self._perturbed(equation, t, t_end, y, carried)
        result = self.base.step(equation, t, t_end, y, carried, traced=traced)
        if self.perturb and not isinstance(self.base, Adams):
            # What func gives on the other side of t_end is not what it gave on this one.
            result = replace(result, carried_next=None)
        if self.attempts is not None:
            self.attempts.made(partial(self.base.complete, equation, t, t_end, y, result, traced=traced), result)
        return result

    def _perturbed(self, equation, t, t_end, y, carried) -> tuple[AbstractEquation, torch.Tensor | None]:
        """The equation next to both ends, and what the step is handed: the loop's own first call would be at t."""
        moved = PerturbedEquation.of(equation, t, t_end)
        if carried is not None or not self.base.carries_first:
            return moved, carried
        time = moved.shaped_time(t.to(y.dtype)) if isinstance(t, torch.Tensor) else moved.times([t])[0]
        return moved, self.base.begin(y, moved(time, y))

    @property
    def name(self) -> str:
        return self.base.name

    @property
    def order(self) -> int:
        return self.base.order

    @property
    def dense_order(self) -> int:
        return self.base.dense_order

    @property
    def linearises(self) -> bool:
        return self.base.linearises

    def within(self, rtol: float, atol: float) -> AbstractStepper:
        return replace(self, base=self.base.within(rtol, atol))

    @property
    def has_error(self) -> bool:
        return self.base.has_error

    @property
    def carries_first(self) -> bool:
        return self.base.carries_first and not self.perturb

    @property
    def carries(self) -> bool:
        return self.base.carries

    def begin(self, y0, first):
        # Perturbed, the first step calls func for itself.
        return None if self.perturb and self.base.carries_first else self.base.begin(y0, first)

    def begin_bar(self, carried_bar):
        return self.base.begin_bar(carried_bar)

    def carried_zeros(self, y0):
        return self.base.carried_zeros(y0)

    @property
    def completes(self) -> bool:
        return self.base.completes

    def complete(self, equation, t, t_end, y, result, *, traced: bool) -> StepResult:
        return self.base.complete(equation, t, t_end, y, result, traced=traced)

    def retry(self, carried, rejected):
        return self.base.retry(carried, rejected)

    @property
    def error_order(self) -> int:
        return self.base.error_order

    def dense_weights(self, theta: np.ndarray) -> np.ndarray:
        return self.base.dense_weights(theta)

    def dense_slopes(self, theta: np.ndarray) -> np.ndarray:
        return self.base.dense_slopes(theta)

    @property
    def dense_matrix(self) -> np.ndarray:
        return self.base.dense_matrix

    def replay(self, scope, t, t_end, y, carried, *, read: bool):
        raise RuntimeError("a step that a user watches is not made twice: solve with gradient='direct'.")

    def pull_back(self, scope, replayed, y1_bar, stages_bar, next_bar):
        raise RuntimeError("a step that a user watches is not made twice: solve with gradient='direct'.")
