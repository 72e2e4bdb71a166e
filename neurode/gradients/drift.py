"""What is said where a reversible solve goes wrong: states that could not be re-created, two states that come apart."""

import warnings
from dataclasses import dataclass

import numpy as np
import torch

from neurode.core.equation import HostTime
from neurode.core.state import StateLayout
from neurode.core.transforms import host_array
from neurode.gradients.anchors import KeptState
from neurode.integration.controller import AdaptiveSteps
from neurode.integration.problem import Problem

DRIFT = {torch.float32: 1e-4, torch.float64: 1e-10}
"""The difference from a kept state, relative to its size, up to which a re-created one is good enough."""
GAP_IN_TOLERANCES = 100.0
"""A gap of one or two tolerances was found on fields that turn, however many the steps."""
GAP_IN_STATES = 1.0
"""Where constant steps watch no error: of the state's size. Less than that may be the local error of a coarse step."""


class DriftMonitor:
    """Compares re-created states with kept ones, lane by lane, relative to the kept state's own norm."""

    def __init__(self, layout: StateLayout, y0: torch.Tensor):
        self.layout = layout
        # A state that passes through zero is no smaller than this.
        self.least = 1e-3 * torch.linalg.vector_norm(layout.flat(y0), dim=1) + torch.finfo(y0.dtype).tiny

    def largest(self, found: KeptState, kept: KeptState) -> tuple[float, int]:
        """The largest difference, and the lane that has it."""
        one, other = (torch.stack(state).view(len(state), *self.layout.flat(state[0]).shape) for state in (found, kept))
        norm = torch.linalg.vector_norm(other, dim=2)
        ratio = torch.linalg.vector_norm(one - other, dim=2) / torch.maximum(norm, self.least)
        # What was kept as NaN has no size; what became NaN on the way is as far off as can be.
        ratio = torch.where(torch.isfinite(norm), ratio.nan_to_num(nan=torch.inf), torch.zeros_like(ratio))
        size, lane = ratio.amax(0).max(0)
        return size.item(), int(lane)


@dataclass(frozen=True)
class Trouble:
    """Where re-creating states ended: at which time, of which sample, and by how much they were off.

    difference: from a kept state; None where a step could not be undone at all.
    """

    time: float
    lane: int
    difference: float | None = None

    def warn(self, layout: StateLayout, allowed: float) -> None:
        who = f" of sample {self.lane}" if layout.per_sample else ""
        dtype = str(layout.dtype).removeprefix("torch.")
        if self.difference is None:
            what = (
                f"on the way back the step from t={self.time:.6g}{who} became NaN or infinite, as it does where the "
                "field contracts: its inverse expands"
            )
        else:
            what = (
                f"at t={self.time:.6g} the re-created state{who} differs from the kept one by {self.difference:.1e} of "
                f"its size (allowed: {allowed:.1e}): the field contracts, and rounding in {dtype} has grown on the way "
                "back"
            )
        warnings.warn(
            f"gradient='reversible': {what}. From there on the steps were made again from kept states. The gradient "
            "is right, but gradient='checkpointed' is faster, or Checkpointed(k) at the same memory. Use that.",
            RuntimeWarning,
            stacklevel=2,
        )


@dataclass(frozen=True)
class Place:
    """A pair of states on the way, and its time (None for the end)."""

    pair: KeptState
    time: HostTime | None


def warn_of_gap(problem: Problem, places: list[Place], coupling: float) -> None:
    """Say so where y and z have come apart: the field contracts, and their difference grows step by step.

    places: in the order of time; the first where they are too far apart is named.
    """
    flat, adaptive = problem.equation.layout.flat, isinstance(problem.controller, AdaptiveSteps)
    y, z = (torch.stack([flat(place.pair[which].detach()) for place in places]) for which in (0, 1))
    if adaptive:
        rtol, atol = (
            flat(x) if isinstance(x, torch.Tensor) and x.ndim > 0 else x for x in (problem.rtol, problem.atol)
        )
        size = atol + rtol * y.abs()
    else:
        size = y
    # Norm by norm: a component that passes through zero is no reason to complain.
    ratio = torch.linalg.vector_norm(y - z, dim=2) / torch.linalg.vector_norm(size, dim=2)
    # A state that is NaN has a status that says so.
    table = host_array(ratio.nan_to_num(nan=0.0)).max(axis=1, initial=0.0)
    rows = np.flatnonzero(table > (GAP_IN_TOLERANCES if adaptive else GAP_IN_STATES))
    if len(rows) == 0:
        return
    time, worst = places[rows[0]].time, table[rows[0]]
    where = "at the end" if time is None else f"at t={float(np.mean(time)):.6g}"
    how = f"{worst:.0f} tolerances" if adaptive else f"{worst:.1e} of their size"
    warnings.warn(
        f"gradient='reversible': {where} the two states of the reversible method are {how} apart, and the solution "
        f"is off by about as much: the field contracts too strongly for coupling={coupling}. Use "
        "gradient='checkpointed', a smaller coupling, or smaller steps.",
        RuntimeWarning,
        stacklevel=4,
    )
