"""What the loop asks of a method: one step, its dense output, and the exact derivative of the step."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from neurode.core.equation import AbstractEquation, HostTime
from neurode.core.tape import TapeScope
from neurode.methods.stage_sums import polynomial_slopes, polynomials

StepTime = HostTime | torch.Tensor
"""A float or array on the host; a tensor (0-d or (lanes,)) where times need gradients in a traced step."""


@dataclass(frozen=True)
class StepResult:
    """One attempted step; states are packed (core.state).

    y1: like y. stages: (stages, *y.shape). error: like y, None without an estimate.
    carried_next: what the following step is handed (see AbstractStepper), like y; else None.
    kept: the step as `replay` gives it, where it was recorded on the way.
    failed: (lanes,) bool on the host: where the equations of an implicit step were not solved; None: all were.
    coarse_error: a second, coarser estimate beside `error`, if the method judges its steps by both.
    costs: what the step cost each lane, where that differs between them; else None.
    law: how the next step is sized, of a method that `sizes_steps`.
    """

    y1: torch.Tensor
    stages: torch.Tensor
    error: torch.Tensor | None
    carried_next: torch.Tensor | None
    kept: "KeptStep | None" = None
    failed: np.ndarray | None = None
    coarse_error: torch.Tensor | None = None
    costs: "StepCosts | None" = None
    law: "StepLaw | None" = None


@dataclass(frozen=True)
class StepCosts:
    """Evaluations and Jacobians of a step, (lanes,) whole numbers each."""

    evaluations: np.ndarray
    jacobians: np.ndarray


@dataclass(frozen=True)
class StepLaw:
    """How steps are sized whose order changes; (lanes,) each, on the host.

    power: this step's error estimate shrinks like step size to this power. following: the next one's. relation: the
    next one's estimate in terms of this one's, for a step as long. holds: the next step is to be as long as this one.
    """

    power: np.ndarray
    following: np.ndarray
    relation: np.ndarray
    holds: np.ndarray

    def single(self) -> "StepLaw":
        """Of the one lane of a joint solve, as numbers."""
        return StepLaw(*(own.item() for own in (self.power, self.following, self.relation, self.holds)))


class AbstractStepper(ABC):
    """One step of a method. Frozen: whatever evolves is an argument or returned.

    Beside the state a step may be handed one more tensor by the step before, `carried`: f at the step's beginning where
    the method has it anyway (first same as last), a second state that evolves beside the first, or what is left of the
    steps before. It is like the state but for its last axis, which may be longer (`carried_zeros`).
    """

    @property
    @abstractmethod
    def name(self) -> str:
        """As in method="..."."""

    @property
    def origin(self) -> str:
        """The name of the method whose error estimate it has: its own, or that of the method it was made from."""
        return self.name

    @property
    @abstractmethod
    def order(self) -> int:
        """Order of the solution."""

    @property
    def dense_order(self) -> int:
        """Order of the dense output between the ends of steps."""
        return self.order

    @property
    def linearises(self) -> bool:
        """Does a step need the field's Jacobian? Then it is not for equations that autograd cannot follow."""
        return False

    def within(self, rtol: float, atol: float) -> "AbstractStepper":
        """The stepper for a solve that keeps its errors to these tolerances; the smallest ones, where they differ."""
        del rtol, atol
        return self

    @property
    def has_error(self) -> bool:
        """Can the method estimate its error (and so choose its steps)?"""
        return False

    @property
    def sizes_steps(self) -> bool:
        """Does each step say how the next one is sized (StepResult.law)? Then the controller's own law is not used."""
        return False

    @property
    def carries_first(self) -> bool:
        """Does a step start from f at its beginning, handed over by the step before (first same as last)?"""
        return False

    @property
    def carries(self) -> bool:
        """Does a step hand anything over? What is said here and in the three below holds for f at the beginning."""
        return self.carries_first

    def begin(self, y0: torch.Tensor, first: torch.Tensor | None) -> torch.Tensor | None:
        """What the first step is handed. first: f(t0, y0) where it is known."""
        del y0
        return first

    def begin_bar(self, carried_bar: torch.Tensor) -> tuple[torch.Tensor | None, torch.Tensor | None]:
        """The derivative of `begin`: gradients of y0 and of f(t0, y0), None for zero."""
        return None, carried_bar

    def carried_zeros(self, y0: torch.Tensor) -> torch.Tensor:
        """Zeros like what a step hands over."""
        return torch.zeros_like(y0)

    def retry(self, carried: torch.Tensor | None, rejected: StepResult) -> torch.Tensor | None:
        """What the next attempt from the same place is handed: f at the beginning is known from the rejected one."""
        return rejected.stages[0] if carried is None else carried

    @property
    def error_order(self) -> int:
        """The local error estimate shrinks like step size to this power."""
        return self.order + 1

    @property
    def starting_power(self) -> int:
        """The local error of the first step shrinks like its size to this power, by which it is sized."""
        return self.order + 1

    @abstractmethod
    def step(
        self,
        equation: AbstractEquation,
        t: StepTime,
        t_end: StepTime,
        y: torch.Tensor,
        carried: torch.Tensor | None,
        *,
        traced: bool,
    ) -> StepResult:
        """From (t, y) to t_end. carried: what the step before handed over. traced: in differentiable operations
        only."""

    def recorded_step(
        self, scope: TapeScope, t: HostTime, t_end: HostTime, y: torch.Tensor, carried: torch.Tensor | None
    ) -> StepResult | None:
        """The step, to the last bit, with its graph kept on `scope`; None where the method cannot."""
        del scope, t, t_end, y, carried
        return None

    @property
    def completes(self) -> bool:
        """Does reading inside a step need slopes that the step itself is made without?"""
        return False

    @property
    def num_made(self) -> int:
        """Of a method that completes: how many slopes the step itself makes."""
        raise TypeError(f"the steps of {self.name!r} have all their slopes.")

    def complete(
        self,
        equation: AbstractEquation,
        t: StepTime,
        t_end: StepTime,
        y: torch.Tensor,
        result: StepResult,
        *,
        traced: bool,
    ) -> StepResult:
        """An accepted step with all the slopes that its dense output needs; the same where it has them."""
        del equation, t, t_end, y, traced
        return result

    @property
    @abstractmethod
    def dense_matrix(self) -> np.ndarray:
        """(stages, degree): y(t + theta h) = y + h sum_d theta^d (column d) @ stages, d = 1 ... degree."""

    def dense_weights(self, theta: np.ndarray) -> np.ndarray:
        """(points, stages): y(t + theta h) = y + h weights @ stages."""
        return polynomials(self.dense_matrix, theta)

    def dense_slopes(self, theta: np.ndarray) -> np.ndarray:
        """(points, stages): derivative of `dense_weights` by theta."""
        return polynomial_slopes(self.dense_matrix, theta)

    @abstractmethod
    def replay(
        self,
        scope: TapeScope,
        t: HostTime,
        t_end: HostTime,
        y: torch.Tensor,
        carried: torch.Tensor | None,
        *,
        read: bool,
    ) -> "Replayed":
        """Make the step again with a graph on `scope` (core.tape). read: are values inside it wanted?"""

    @abstractmethod
    def pull_back(
        self,
        scope: TapeScope,
        replayed: "Replayed",
        y1_bar: torch.Tensor,
        stages_bar: torch.Tensor | None,
        next_bar: torch.Tensor | None,
    ) -> "StepGradient":
        """The exact derivative of a replayed step, from gradients of its end, its stages and what it hands over."""


@dataclass(frozen=True)
class Replayed:
    """A step made again. stages: like those of StepResult (fewer where the rest takes no part), without graphs.
    recorded: what the stepper's own `pull_back` goes by."""

    stages: torch.Tensor
    recorded: Any


@dataclass(frozen=True)
class KeptStep:
    """A step that need not be made again, and the tape's part that it was recorded on."""

    scope: TapeScope
    replayed: Replayed


@dataclass(frozen=True)
class StepGradient:
    """Gradients by a step's inputs: state y, what it was handed, and its two times (per lane; None unless asked)."""

    y: torch.Tensor
    carried: torch.Tensor | None
    t: torch.Tensor | None
    t_end: torch.Tensor | None
