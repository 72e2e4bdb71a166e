"""Functions of the user that are told of each step while the solve runs."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch

from neurode.core.equation import HostTime
from neurode.core.nest import describe
from neurode.core.state import State, StateLayout
from neurode.integration.clock import Interval
from neurode.methods.stepper import StepResult


@dataclass(frozen=True)
class StepReport:
    """An attempted step, as callbacks are told of it.

    t, t_end: where it begins and ends: floats, or (lanes,) arrays per sample. lanes: the numbers of the samples that
    make it, None jointly. y: the state at t, in the structure of y0, without a graph. y_end: at t_end; None before the
    step is made. error: the error estimate divided by the tolerance, a float or (lanes,); None where there is none.
    """

    t: float | np.ndarray
    t_end: float | np.ndarray
    lanes: np.ndarray | None
    y: State
    y_end: State | None = None
    error: float | np.ndarray | None = None

    @classmethod
    def of(
        cls,
        layout: StateLayout,
        interval: Interval,
        active: np.ndarray | None,
        y: torch.Tensor,
        result: StepResult | None,
        error: HostTime | None,
        chosen: np.ndarray | None,
    ) -> "StepReport":
        """From the loop's tensors. active: numbers of the lanes, None jointly. chosen: which of them (bool), None for
        all."""
        start, end = y.detach(), None if result is None else result.y1.detach()
        t, t_end = interval.t, interval.t_end
        if active is not None and chosen is not None and not chosen.all():
            active, t, t_end = active[chosen], t[chosen], t_end[chosen]
            places = torch.from_numpy(np.flatnonzero(chosen)).to(y.device)
            start = start.index_select(0, places)
            end = None if end is None else end.index_select(0, places)
            error = None if error is None else error[chosen]
        return cls(t, t_end, active, layout.unpack(start), None if end is None else layout.unpack(end), error)


Told = Callable[[StepReport], None]


@dataclass(frozen=True)
class Callbacks:
    """What to call while a solve runs.

    Good for watching a solve, for logs and progress, for stopping it by an exception. Not good for changing it: what
    they return is not looked at, and the states they get are the solver's own, not to be changed in place.
    step: before each attempt. accepted, rejected: after it; per sample each is told of its own samples only.
    """

    step: Told | None = None
    accepted: Told | None = None
    rejected: Told | None = None

    def __post_init__(self):
        for name in ("step", "accepted", "rejected"):
            told = getattr(self, name)
            if told is not None and not callable(told):
                raise TypeError(f"{name} of Callbacks must be a function of a StepReport, but is {describe(told)}.")
        if self.step is None and self.accepted is None and self.rejected is None:
            raise ValueError("Callbacks() calls nothing and has no effect. Pass step=, accepted= or rejected=.")

    def renumbered(self, lanes: np.ndarray) -> "Callbacks":
        """The same for a part of the samples; lanes: their numbers in the whole."""

        def of_part(told: Told | None) -> Told | None:
            if told is None:
                return None
            return lambda report: told(report if report.lanes is None else replace(report, lanes=lanes[report.lanes]))

        return Callbacks(of_part(self.step), of_part(self.accepted), of_part(self.rejected))
