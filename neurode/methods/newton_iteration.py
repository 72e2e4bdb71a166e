"""Newton's iteration for the stages of an implicit step: simplified, per lane, with a test of its rate.

k = f(t + c h, b + h A k) is solved by k <- k + (I - h A x J)^-1 (f - k) with J from the step's beginning, which is made
anew at the stages of those lanes where the iteration is slow. The test of convergence is that of Hairer and Wanner
(1996), IV.8: with the rate r of two corrections, the next ones sum up to r / (1 - r) times the last.
"""

import numpy as np
import torch

from neurode.core.transforms import host_array
from neurode.methods.linearisation import Linearisation
from neurode.methods.newton import Newton
from neurode.methods.stage_equations import SolvedStages, StageEquations

ROUNDING = {torch.float32: 1e-6, torch.float64: 4e-15}
"""Corrections of this size, relative to the state, are what rounding leaves."""
SLOW = 0.1
"""Where solved to rounding, the Jacobian is made anew at rates above."""


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
            correction, lost = self.linear.attempt(self.matrix, self.stages.residual(self.k))
            going = ~(self.done | self.failed)
            if lost is not None and (lost & going).any():
                # What GMRES came to is no correction, and its length says nothing.
                self.failed |= lost & going
                going &= ~lost
            if not going.all():
                mask = torch.from_numpy(going).to(self.k.device)
                mask = mask.view(1, -1, 1) if self.layout.per_sample else mask
                correction = torch.where(mask, correction, torch.zeros_like(correction))
            self.k = self.k + correction
            slow = self._judge(self._lengths(correction), going)
            if slow.any():
                self._renew(slow)
            if (self.done | self.failed).all():
                return SolvedStages(self.k, self.failed, self.jacobians)

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
        back = slow & self.astray if self.stages.anew is None else slow
        if back.any():
            # No Jacobian helps where these are; the state at the step's beginning is sure to be a good one.
            mask = torch.from_numpy(back).to(self.k.device)
            mask = mask.view(1, -1, 1) if self.layout.per_sample else mask
            anew = torch.zeros_like(self.k) if self.stages.anew is None else self.stages.anew
            self.k = torch.where(mask, anew, self.k)
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
