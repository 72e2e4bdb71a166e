"""How far re-created states are from stored ones, and the two states of a step from each other; and what is said
then."""

import warnings
from dataclasses import dataclass

import numpy as np
import torch

from neurode.core.equation import HostTime
from neurode.core.state import StateLayout
from neurode.gradients.anchors import StatePair
from neurode.integration.controller import AdaptiveSteps
from neurode.integration.problem import Problem

GAP_IN_TOLERANCES = 100.0
"""The two states differ by a few local errors; each of these may be one tolerance."""
GAP_IN_STATES = 1.0
"""Where constant steps watch no error: of the state's size. Less than that may be the local error of a coarse step."""


@dataclass(frozen=True)
class Largest:
    """The largest relative difference, the time it was found at and (per sample) the sample."""

    size: float
    time: float
    sample: int | None


class DriftMonitor:
    """Compares pairs of states; remembers the largest difference relative to the stored state's own norm."""

    def __init__(self, layout: StateLayout, y0: torch.Tensor):
        self.layout = layout
        # A state that passes through zero is no smaller than this.
        self.least = 1e-3 * torch.linalg.vector_norm(layout.flat(y0), dim=1) + torch.finfo(y0.dtype).tiny
        self.largest: Largest | None = None

    def compare(self, found: StatePair, stored: StatePair, times: HostTime) -> None:
        """times: at which each lane stands."""
        flat = self.layout.flat
        worst = None
        for one, other in zip(found, stored, strict=True):
            one, other = flat(one), flat(other)
            norm = torch.linalg.vector_norm(other, dim=1)
            ratio = torch.linalg.vector_norm(one - other, dim=1) / torch.maximum(norm, self.least)
            # What was stored as NaN has no size; what became NaN on the way is as far off as can be.
            ratio = torch.where(torch.isfinite(norm), ratio.nan_to_num(nan=torch.inf), torch.zeros_like(ratio))
            worst = ratio if worst is None else torch.maximum(worst, ratio)
        assert worst is not None
        lane = int(worst.argmax())
        size = float(worst[lane])
        if self.largest is None or size > self.largest.size:
            time = float(np.atleast_1d(times)[lane if np.ndim(times) else 0])
            self.largest = Largest(size, time, lane if self.layout.per_sample else None)

    def warn(self, allowed: float) -> None:
        """Say so where the largest difference is more than `allowed`."""
        worst = self.largest
        if worst is None or worst.size <= allowed:
            return
        who = "" if worst.sample is None else f" of sample {worst.sample}"
        dtype = str(self.layout.dtype).removeprefix("torch.")
        wider = "" if self.layout.dtype is torch.float64 else "float64, "
        warnings.warn(
            f"gradient='reversible': at t={worst.time:.6g} the re-created state{who} differs from the stored one by "
            f"{worst.size:.1e} of its size (allowed: {allowed:.1e}): rounding in {dtype} has grown on the way "
            "back, and the gradient is off by about as much. The way back went on from the stored state. "
            f"Use {wider}gradient='checkpointed', or more anchors.",
            RuntimeWarning,
            stacklevel=2,
        )


def warn_of_gap(problem: Problem, pairs: list[tuple[StatePair, HostTime | None]], coupling: float) -> None:
    """Say so where y and z have come apart: the field contracts, and their difference grows step by step.

    pairs: with the time of each (None: the end), in the order of time; the first that is too far apart is named.
    """
    flat, adaptive = problem.equation.layout.flat, isinstance(problem.controller, AdaptiveSteps)
    for (y, z), time in pairs:
        y, z = y.detach(), z.detach()
        gap, size = flat(y - z), flat(y)
        if adaptive:
            scale = flat(problem.atol + problem.rtol * y.abs())
            ratio = torch.linalg.vector_norm(gap / scale, dim=1) / max(1, gap.shape[1]) ** 0.5 / GAP_IN_TOLERANCES
        else:
            ratio = torch.linalg.vector_norm(gap, dim=1) / torch.linalg.vector_norm(size, dim=1) / GAP_IN_STATES
        worst = float(ratio.nan_to_num(nan=0.0).max()) if len(ratio) else 0.0
        if worst <= 1:
            continue
        where = "at the end" if time is None else f"at t={float(np.mean(time)):.6g}"
        how = (
            f"{worst * GAP_IN_TOLERANCES:.0f} tolerances" if adaptive else f"{worst * GAP_IN_STATES:.1e} of their size"
        )
        warnings.warn(
            f"gradient='reversible': {where} the two states of the reversible method are {how} apart, and the solution "
            f"is off by about as much: the field contracts too strongly for coupling={coupling}. Use "
            "gradient='checkpointed', a smaller coupling, or smaller steps.",
            RuntimeWarning,
            stacklevel=4,
        )
        return
