"""How far re-created states are from stored ones, and the two states of a step from each other; and what is said
then."""

import warnings
from dataclasses import dataclass

import numpy as np
import torch

from neurode.core.equation import HostTime
from neurode.core.state import StateLayout
from neurode.core.transforms import host_array
from neurode.gradients.anchors import StatePair
from neurode.integration.controller import AdaptiveSteps
from neurode.integration.problem import Problem

GAP_IN_TOLERANCES = 100.0
"""A gap of one or two tolerances was found on fields that turn, however many the steps."""
GAP_IN_STATES = 1.0
"""Where constant steps watch no error: of the state's size. Less than that may be the local error of a coarse step."""


class DriftMonitor:
    """Compares pairs of states, lane by lane, relative to the stored state's own norm."""

    def __init__(self, layout: StateLayout, y0: torch.Tensor):
        self.layout = layout
        # A state that passes through zero is no smaller than this.
        self.least = 1e-3 * torch.linalg.vector_norm(layout.flat(y0), dim=1) + torch.finfo(y0.dtype).tiny
        self.differences: list[torch.Tensor] = []
        self.times: list[HostTime] = []

    def compare(self, found: StatePair, stored: StatePair, times: HostTime) -> None:
        """times: at which each lane stands."""
        one, other = (torch.stack(pair).view(2, *self.layout.flat(pair[0]).shape) for pair in (found, stored))
        norm = torch.linalg.vector_norm(other, dim=2)
        ratio = torch.linalg.vector_norm(one - other, dim=2) / torch.maximum(norm, self.least)
        # What was stored as NaN has no size; what became NaN on the way is as far off as can be.
        ratio = torch.where(torch.isfinite(norm), ratio.nan_to_num(nan=torch.inf), torch.zeros_like(ratio))
        self.differences.append(ratio.amax(0))
        self.times.append(np.array(times, ndmin=1))

    def warn(self, allowed: float) -> None:
        """Say so where the largest difference is more than `allowed`."""
        if not self.differences:
            return
        table = torch.stack(self.differences).cpu().numpy()
        row, lane = np.unravel_index(table.argmax(), table.shape)
        size, time = table[row, lane], self.times[row][lane]
        if size <= allowed:
            return
        who = f" of sample {lane}" if self.layout.per_sample else ""
        dtype = str(self.layout.dtype).removeprefix("torch.")
        wider = "" if self.layout.dtype is torch.float64 else "float64, "
        warnings.warn(
            f"gradient='reversible': at t={time:.6g} the re-created state{who} differs from the stored one by "
            f"{size:.1e} of its size (allowed: {allowed:.1e}): rounding in {dtype} has grown on the way back, and the "
            "gradient is off by about as much. The way back went on from the stored state. "
            f"Use {wider}gradient='checkpointed', or more anchors.",
            RuntimeWarning,
            stacklevel=2,
        )


@dataclass(frozen=True)
class Place:
    """A pair of states on the way, and its time (None for the end)."""

    pair: StatePair
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
