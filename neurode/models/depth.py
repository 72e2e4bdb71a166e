"""Depth: how an ODENet is solved, a choice that may be made again after training; and what keeps its field cheap."""

import math
from dataclasses import dataclass
from typing import Any

from neurode.gradients.catalogue import gradient_of
from neurode.gradients.checkpointed import Checkpointed
from neurode.gradients.direct import Direct
from neurode.gradients.gradient import AbstractGradient
from neurode.methods.catalogue import stepper_of


@dataclass(frozen=True)
class Depth:
    """The solve of an ODENet over [0, 1].

    method: a name of neurode.methods.catalogue. steps: so many equal steps; None: steps chosen by the error, with
    rtol and atol. gradient: as of `neurode.solve`, a name or an object such as Checkpointed(2).

    Raises ValueError for settings that do not fit together.
    """

    method: str = "midpoint"
    steps: int | None = 4
    rtol: float | None = None
    atol: float | None = None
    gradient: str | AbstractGradient = "checkpointed"

    def __post_init__(self):
        stepper = stepper_of(self.method)
        gradient_of(self.gradient)
        if self.steps is not None and self.steps < 1:
            raise ValueError(f"steps must be at least 1, but is {self.steps}.")
        if self.steps is not None and (self.rtol is not None or self.atol is not None):
            raise ValueError("rtol and atol have no effect with a fixed number of steps. Leave out one or the other.")
        if self.steps is None and not stepper.has_error:
            raise ValueError(f"method {self.method!r} has no error estimate, so it needs a number of steps.")

    @property
    def words(self) -> str:
        """For example "midpoint, 4 steps" or "dopri5 at 1e-3"."""
        if self.steps is not None:
            return f"{self.method}, {self.steps} step{'s' if self.steps > 1 else ''}"
        return f"{self.method} at {self.rtol:.0e}".replace("e-0", "e-") if self.rtol else self.method

    def options(self, end: float = 1.0) -> dict[str, Any]:
        """The arguments of `solve`. end: where the solve ends, which stretches equal steps with it."""
        step_size = None if self.steps is None else end / self.steps
        return {
            "method": self.method,
            "step_size": step_size,
            "rtol": self.rtol,
            "atol": self.atol,
            "gradient": self._gradient,
        }

    @property
    def _gradient(self) -> str | AbstractGradient:
        """The gradient, or a faster one that keeps what it asks for: where each state is kept anyhow, the one that a
        kernel can take; and of a single step the graph, with which the way back would begin in any case."""
        keeps = self.gradient.k if isinstance(self.gradient, Checkpointed) else None
        if self.steps is None or not isinstance(keeps, int) or self.steps > keeps:
            return self.gradient
        return Direct(kernel=True) if self.steps == 1 else Checkpointed(graph_bytes=0)


@dataclass(frozen=True)
class Regulariser:
    """What training adds to the loss of a sample, so that the trained field needs few evaluations.

    kinetic: weight of the integral of |f|^2; jacobian: of |e^T df/dy|^2, both over the number of entries of a state
    (Finlay et al., 2020; see `neurode.layers.path_cost`). end_time: training ends at a time drawn from 1 - end_time to
    1 + end_time for each batch (Ghosh et al., STEER, 2020, section 3). more_steps: one batch in four is
    solved in more steps, up to so many times the depth's own, a number drawn for each, so that the model cannot lean on
    its steps: without, a model of few steps is often a tied network of these rather than an ODE.

    Raises ValueError for a value out of range.
    """

    kinetic: float = 0.0
    jacobian: float = 0.0
    end_time: float = 0.0
    more_steps: int = 1

    def __post_init__(self):
        for name in ("kinetic", "jacobian"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise ValueError(f"{name} must be 0 or above, but is {value}.")
        if not 0 <= self.end_time < 1:
            raise ValueError(f"end_time must be at least 0 and less than 1, but is {self.end_time}.")
        if self.more_steps < 1:
            raise ValueError(f"more_steps must be at least 1, but is {self.more_steps}.")

    @property
    def has_costs(self) -> bool:
        return self.kinetic > 0 or self.jacobian > 0

    @property
    def words(self) -> str:
        """For example "kinetic 0.1, end time 0.3"; "" for none."""
        found = [
            f"{name} {value:g}"
            for name, value, least in (
                ("kinetic", self.kinetic, 0),
                ("Jacobian", self.jacobian, 0),
                ("end time", self.end_time, 0),
                ("steps times", self.more_steps, 1),
            )
            if value > least
        ]
        return ", ".join(found)
