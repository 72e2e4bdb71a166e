"""A stepper of ours with what torchdiffeq lets a user put between: a norm of his own, callbacks, perturbed times."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from neurode.core.equation import AbstractEquation, HostTime
from neurode.methods.stepper import AbstractStepper, StepResult
from neurode.torchdiffeq.attempts import Attempts
from neurode.torchdiffeq.numbers import next_to


@dataclass(frozen=True)
class ErrorNorm:
    """Measures the error of a step as the user's norm says, so that the loop's root mean square gives that number.

    norm: of a tensor as the user's func takes it; gives a number or a 0-d tensor. back: makes that tensor of the
    solver's. min_step: a step no longer than this is always good.
    """

    norm: Callable[[torch.Tensor], Any]
    rtol: float | torch.Tensor
    atol: float | torch.Tensor
    back: Callable[[torch.Tensor], torch.Tensor]
    min_step: float

    @torch.no_grad()
    def __call__(self, y: torch.Tensor, result: StepResult, size: float) -> torch.Tensor:
        """The error to hand to the loop: everywhere as large in times of the loop's tolerance as the norm says."""
        assert result.error is not None
        start, end, error = y.detach(), result.y1.detach(), result.error.detach()
        scale = torch.maximum(start.abs(), end.abs()) * self.rtol + self.atol
        if self.back(start) is start:
            ratio = abs(self.norm(error / scale))
        else:
            sizes = torch.maximum(self.back(start).abs(), self.back(end).abs())
            rtol, atol = (x.squeeze(-1) if isinstance(x, torch.Tensor) else x for x in (self.rtol, self.atol))
            ratio = abs(self.norm(self.back(error) / (sizes * rtol + atol)))
        if size <= self.min_step * (1 + 1e-9):
            ratio = ratio.clamp(max=1.0) if isinstance(ratio, torch.Tensor) else min(ratio, 1.0)
        return scale * ratio


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
    """A stepper with a user's norm, his callbacks, and perturbed times; for gradient="direct", which only steps.

    attempts: is told of every attempted step.
    """

    base: AbstractStepper
    error_norm: ErrorNorm | None = None
    perturb: bool = False
    attempts: Attempts | None = None

    def step(self, equation, t, t_end, y, carried, *, traced: bool) -> StepResult:
        start, end = float(t), float(t_end)
        if self.attempts is not None:
            self.attempts.begin(start, end, y)
        if self.perturb:
            # What func gives on this side of t is not what it gave at the end of the step before.
            equation, carried = PerturbedEquation.of(equation, t, t_end), None
        result = self.base.step(equation, t, t_end, y, carried, traced=traced)
        if self.perturb:
            result = replace(result, carried_next=None)
        if self.error_norm is not None:
            result = replace(result, error=self.error_norm(y, result, abs(end - start)))
        if self.attempts is not None:
            self.attempts.made(result)
        return result

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
        return self.base.carries and not self.perturb

    def begin(self, y0, first):
        return self.base.begin(y0, first)

    def begin_bar(self, carried_bar):
        return self.base.begin_bar(carried_bar)

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
