"""Candidates: the models of a comparison, by name, and how each is built."""

import re
from dataclasses import dataclass
from typing import Literal

from neurode.core.errors import DataError
from neurode.gradients.checkpointed import Checkpointed
from neurode.gradients.gradient import AbstractGradient
from neurode.models.depth import Depth, Regulariser
from neurode.models.odenet import ODENet
from neurode.models.resnet import ResNet
from neurode.models.twin import AbstractTwin
from neurode.models.twin_shape import TwinShape
from neurode.tasks.comparison.config import SOLVER, ComparisonConfig

Family = Literal["resnet", "tied", "odenet"]
FAMILIES = {"resnet": "ResNet", "tied": "tied ResNet", "odenet": "ODE-net"}

_NONE = Regulariser()
_BOUNDED = re.compile(r"[Cc]heckpointed\((\d+)\)")


@dataclass(frozen=True)
class Candidate:
    """One model of a comparison, in plain types.

    depth: blocks of a residual network, else None. solver, gradient: of an ODE-net, as `parse_solver` reads them, else
    "". regulariser: of an ODE-net's training.
    """

    family: Family
    depth: int | None = None
    solver: str = ""
    gradient: str = ""
    regulariser: Regulariser = _NONE

    @property
    def name(self) -> str:
        """For example "ResNet 8" or "ODE-net midpoint:2"; a gradient other than the default is named."""
        if self.depth is not None:
            return f"{FAMILIES[self.family]} {self.depth}"
        said = [self.gradient] if self.gradient != "checkpointed" else []
        said += [self.regulariser.words] if self.regulariser.words else []
        return ", ".join([f"{FAMILIES[self.family]} {self.solver}", *said])

    @property
    def is_ode(self) -> bool:
        return self.family == "odenet"

    def build(self, shape: TwinShape, *, number: bool, seed: int) -> AbstractTwin:
        """The untrained model."""
        if self.depth is not None:
            return ResNet(shape, self.depth, tied=self.family == "tied", number=number, seed=seed)
        depth = parse_solver(self.solver, self.gradient)
        return ODENet(shape, depth, regulariser=self.regulariser, number=number, seed=seed)


def candidates_of(config: ComparisonConfig) -> tuple[Candidate, ...]:
    """The residual networks by depth, tied ones after them, then every solver with every gradient.

    Raises DataError for a method or gradient that does not exist, or that do not go together.
    """
    found = [Candidate("resnet", depth) for depth in config.depths]
    if config.tied:
        found += [Candidate("tied", depth) for depth in config.depths]
    regulariser = Regulariser(config.kinetic, config.jacobian, config.end_time, config.more_steps)
    for solver in config.solvers:
        for gradient in config.gradients:
            try:
                parse_solver(solver, gradient)
            except (TypeError, ValueError) as error:
                raise DataError(f"solver {solver!r} with gradient {gradient!r}: {error}") from None
            if regulariser.words and config.beside:
                found.append(Candidate("odenet", None, solver, gradient))
            found.append(Candidate("odenet", None, solver, gradient, regulariser))
    return tuple(found)


def parse_solver(solver: str, gradient: str) -> Depth:
    """The Depth for "midpoint:4" (equal steps), "dopri5@1e-3" (steps by the error, atol the same), "dopri5" (1e-3).

    Raises ValueError for words that mean nothing.
    """
    match = SOLVER.fullmatch(solver)
    if match is None:
        raise ValueError(f"{solver!r} is no solver: METHOD:STEPS, METHOD@TOLERANCE or METHOD.")
    if match["steps"] is not None:
        return Depth(match["method"], int(match["steps"]), gradient=parse_gradient(gradient))
    tolerance = float(match["rtol"] or 1e-3)
    return Depth(match["method"], None, rtol=tolerance, atol=tolerance, gradient=parse_gradient(gradient))


def parse_gradient(gradient: str) -> str | AbstractGradient:
    """A name of the catalogue as it is, "Checkpointed(2)" as the object."""
    bounded = _BOUNDED.fullmatch(gradient.strip())
    return gradient.strip() if bounded is None else Checkpointed(int(bounded[1]))
