"""Newton's iteration for the stages of an implicit step: simplified, per lane, with a test of its rate.

k = f(t + c h, b + h A k) is solved by k <- k + (I - h A x J)^-1 (f - k) with J from the step's beginning, which is made
anew at the stages of those lanes where the iteration is slow. The test of convergence is that of Hairer and Wanner
(1996), IV.8: with the rate r of two corrections, the next ones sum up to r / (1 - r) times the last.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from neurode.core.equation import AbstractEquation
from neurode.core.nest import describe
from neurode.core.transforms import host_array
from neurode.methods.jacobian import Jacobian, jacobian_at
from neurode.methods.stage_matrix import StageMatrix, factored

ROUNDING = {torch.float32: 1e-6, torch.float64: 4e-15}
"""Corrections of this size, relative to the state, are what rounding leaves."""
SLOW = 0.1
"""Where solved to rounding, the Jacobian is made anew at rates above."""


@dataclass(frozen=True)
class Newton:
    """How the equations of an implicit step are solved.

    jacobian: the field's own, jac(t, y) or jac(t, y, args), of what f gets: per sample it returns (batch, n, n),
    jointly (n, n) for a state of n numbers, or (batch, n, n) for one whose rows do not act on each other. None
    (default): by autograd.
    iterations: at most so many with one Jacobian. renewals: how often a slow iteration may have a new one a step.
    largest: no matrix of more rows is made; a wider state is refused.
    tolerance: of the stages, as a share of rtol and atol; None: min(0.03, sqrt(rtol)), as Hairer and Wanner's RADAU5.
    rtol, atol: set by the solve; None where it keeps constant steps: the equations are solved to rounding.
    Raises ValueError or TypeError for values out of range.
    """

    jacobian: Callable | None = None
    iterations: int = 8
    renewals: int = 1
    largest: int = 2048
    tolerance: float | None = None
    rtol: float | None = None
    atol: float | None = None

    def __post_init__(self):
        if self.jacobian is not None and not callable(self.jacobian):
            raise TypeError(f"jacobian must be a function or None, but is {describe(self.jacobian)}.")
        for name, least in (("iterations", 2), ("renewals", 0), ("largest", 1)):
            value = getattr(self, name)
            if not (isinstance(value, int) and value >= least):
                raise ValueError(f"{name} of Newton must be a whole number, {least} or more, but is {value!r}.")
        if self.tolerance is not None and not 0 < self.tolerance < 1:
            raise ValueError(f"tolerance of Newton must lie between 0 and 1, but is {self.tolerance}.")

    def within(self, rtol: float, atol: float) -> "Newton":
        return replace(self, rtol=rtol, atol=atol)

    @property
    def share(self) -> float | None:
        """Of the tolerances; None where the equations are solved to rounding."""
        if self.rtol is None:
            return None
        return self.tolerance or max(1e-14 / max(self.rtol, 1e-14), min(0.03, self.rtol**0.5))

    def scale(self, y: torch.Tensor) -> torch.Tensor:
        """What corrections are measured by where the equations are solved to a share of the tolerances; like y."""
        assert self.rtol is not None
        assert self.atol is not None
        # A component at rest at zero, without an absolute tolerance, must not ask for infinite accuracy.
        return (y.abs() * self.rtol + self.atol).clamp(min=torch.finfo(y.dtype).tiny)


@dataclass(frozen=True)
class StageEquations:
    """k[i] = f(times[i], base[i] + h sum_j coefficients[i][j] k[j]) for stages that are solved together.

    base: (stages, *state). size: a float, or a column (lanes, 1).
    """

    equation: AbstractEquation
    times: list[Any]
    base: torch.Tensor
    coefficients: np.ndarray
    size: float | torch.Tensor

    def moved(self, k: torch.Tensor) -> torch.Tensor:
        """h A k."""
        if len(self.coefficients) == 1:
            return k * (self.size * self.coefficients[0, 0])
        table = torch.from_numpy(self.coefficients).to(k.device, k.dtype)
        return (table @ k.reshape(len(k), -1)).view(k.shape) * self.size

    def residual(self, k: torch.Tensor) -> torch.Tensor:
        """f - k."""
        arguments = self.base + self.moved(k)
        return torch.stack([self.equation(t, y) for t, y in zip(self.times, arguments, strict=True)]) - k


@dataclass(frozen=True)
class SolvedStages:
    """The stages, and which lanes' were not solved (bool, on the host)."""

    k: torch.Tensor
    failed: np.ndarray


class Linearisation:
    """The Jacobian that the stages of one step are solved with, and the matrices made from it. Lives for one step."""

    def __init__(self, newton: Newton, equation: AbstractEquation, t: Any, y: torch.Tensor, size):
        self.newton, self.equation, self.size = newton, equation, size
        self.t, self.y = t, y
        # Of each lane, so that it fares the same alone and in a batch.
        most = newton.renewals if newton.share is not None else 8 * (1 + newton.renewals)
        self.renewals = np.full(equation.layout.lanes(y), most)
        self._first: Jacobian | None = None
        self._matrices: dict[bytes, StageMatrix] = {}

    @property
    def first(self) -> Jacobian:
        """The Jacobian at the step's beginning."""
        if self._first is None:
            self._first = self.at(self.t, self.y)
        return self._first

    def at(self, t: Any, y: torch.Tensor) -> Jacobian:
        found = jacobian_at(self.equation, t, y, largest=self.newton.largest, given=self.newton.jacobian)
        if found is None:
            raise ValueError(too_wide(self.equation, y, self.newton.largest))
        return found

    def matrix(self, coefficients: np.ndarray) -> StageMatrix:
        """The matrix for these stages with the Jacobian at the beginning."""
        key = coefficients.tobytes()
        if key not in self._matrices:
            self._matrices[key] = factored([self.first], coefficients, self.size)
        return self._matrices[key]

    def renewed(self, stages: StageEquations, k: torch.Tensor, known: list[Jacobian], slow: np.ndarray):
        """With the Jacobians at the stages of the slow lanes."""
        arguments = stages.base + stages.moved(k)
        fresh = [self.at(t, y) for t, y in zip(stages.times, arguments, strict=True)]
        if not slow.all():
            mask = torch.from_numpy(slow).to(k.device).view(-1, 1, 1)
            known = known * len(fresh) if len(known) == 1 else known
            fresh = [Jacobian(torch.where(mask, x.matrix, y.matrix)) for x, y in zip(fresh, known, strict=True)]
        self.renewals[slow] -= 1
        return fresh, factored(fresh, stages.coefficients, self.size)


def too_wide(equation: AbstractEquation, y: torch.Tensor, largest: int) -> str:
    """What is said where a Jacobian would be wider than allowed."""
    width = y.shape[1] if equation.layout.per_sample else y.numel()
    return (
        f"the field couples {width} numbers, and Newton(largest={largest}) makes no matrix of more rows. Raise it, use "
        "batching='per_sample' where samples do not act on each other, or an explicit method."
    )


def solve_stages(
    newton: Newton, linear: Linearisation, stages: StageEquations, start: torch.Tensor, scale: torch.Tensor | None
) -> SolvedStages:
    """Solve the equations from `start`. scale: what corrections are measured by, like the state; None: by the state,
    to rounding."""
    return _Iteration(newton, linear, stages, start, scale).run()


class _Iteration:
    """The evolving part: per lane whether it is done, or lost, and the size of its last correction."""

    def __init__(self, newton: Newton, linear: Linearisation, stages: StageEquations, start, scale):
        self.newton, self.linear, self.stages, self.k, self.scale = newton, linear, stages, start, scale
        self.start, self.layout = start, stages.equation.layout
        lanes = self.layout.lanes(start[0])
        self.share = newton.share if scale is not None else None
        self.rounding = ROUNDING[start.dtype]
        self.done, self.failed = np.zeros(lanes, dtype=bool), np.zeros(lanes, dtype=bool)
        self.before, self.count = np.full(lanes, np.inf), np.zeros(lanes, dtype=int)
        self.jacobians = [linear.first]
        self.matrix = linear.matrix(stages.coefficients)

    def run(self) -> SolvedStages:
        while True:
            correction = self.matrix.solve(self.stages.residual(self.k))
            going = ~(self.done | self.failed)
            if not going.all():
                mask = torch.from_numpy(going).to(self.k.device)
                mask = mask.view(1, -1, 1) if self.layout.per_sample else mask
                correction = torch.where(mask, correction, torch.zeros_like(correction))
            self.k = self.k + correction
            slow = self._judge(self._lengths(correction), going)
            if slow.any():
                self._renew(slow)
            if (self.done | self.failed).all():
                return SolvedStages(self.k, self.failed)

    def _judge(self, length: np.ndarray, going: np.ndarray) -> np.ndarray:
        """Which of the going lanes are done, which are lost, and which are slow?"""
        self.count[going] += 1
        with np.errstate(divide="ignore", invalid="ignore"):
            rate = np.where(np.isfinite(self.before), length / self.before, np.nan)
            rest = np.where(rate < 1, rate / (1 - rate), np.inf) * length
        left = self.newton.iterations - self.count
        if self.share is None:
            stands = (rate > 0.1) & (length <= 1e3 * self.rounding)
            good = (length <= self.rounding) | (np.fmin(rest, length) <= self.rounding) | stands
            slow = (rate > SLOW) | (left <= 0)
        else:
            good = (length <= 1e-3 * self.share) | (rest <= self.share)
            with np.errstate(over="ignore", invalid="ignore"):
                slow = (rate >= 1) | (left <= 0) | (rate ** np.maximum(left, 0) * rest > self.share)
        # A field that is not finite where the iteration starts is for the step to find; nothing more is done for its
        # lane. Behind that it is the iteration that went astray.
        infinite = ~np.isfinite(length)
        self.done |= going & (good | (infinite & (self.count == 1)))
        self.astray = infinite
        self.before = np.where(going, length, self.before)
        return (slow | infinite) & going & ~self.done

    def _renew(self, slow: np.ndarray) -> None:
        worn = slow & (self.linear.renewals <= 0)
        self.failed |= worn
        slow = slow & ~worn
        if not slow.any():
            return
        back = slow & self.astray
        if back.any():
            # No Jacobian helps where these are; the state at the step's beginning is sure to be a good one.
            mask = torch.from_numpy(back).to(self.k.device)
            mask = mask.view(1, -1, 1) if self.layout.per_sample else mask
            self.k = torch.where(mask, torch.zeros_like(self.k), self.k)
            self.before[back] = np.inf
        self.jacobians, self.matrix = self.linear.renewed(self.stages, self.k, self.jacobians, slow)
        self.count[slow] = 0

    def _lengths(self, correction: torch.Tensor) -> np.ndarray:
        """How far the correction moves the stages' arguments, per lane, in terms of the scale."""
        moved = self.stages.moved(correction)
        if self.share is None:
            own = self._norms(moved)
            arguments = self._norms(self.stages.base + self.stages.moved(self.k))
            return own / np.maximum(arguments, np.finfo(np.float64).tiny)
        return self._norms(moved / self.scale)

    def _norms(self, values: torch.Tensor) -> np.ndarray:
        """The root mean square over the stages of each lane."""
        whole = (
            values.reshape(len(values), -1, self.layout.width) if self.layout.per_sample else values.reshape(1, 1, -1)
        )
        mean = torch.linalg.vector_norm(whole, dim=(0, 2)) / max(1, whole.shape[0] * whole.shape[2]) ** 0.5
        return host_array(mean.double())
