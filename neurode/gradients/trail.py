"""What one solve leaves behind for its way back, and what the way back starts from.

What is kept between the two, and how the way back goes, is a Trail's affair. An exact trail makes the accepted steps
again: its gradient is that of the discrete solution with those steps held fixed.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass

import torch

from neurode.core.tape import Tape
from neurode.gradients.sweep import Sweep
from neurode.integration.problem import AcceptedStep, Attempt, Problem, Trajectory
from neurode.methods.stepper import StepResult


@dataclass(frozen=True)
class WayBack:
    """What the way back starts from. bars: gradients of the solve's values and, saved densely, of the kept steps'
    starts and stages; None for zero. trajectory: of the forward pass."""

    problem: Problem
    trajectory: Trajectory
    tape: Tape
    bars: tuple[torch.Tensor | None, ...]


class AbstractTrail(ABC):
    """What one solve leaves behind, from which its accepted steps can be made again in reverse."""

    @property
    @abstractmethod
    def name(self) -> str:
        """As in gradient="..."."""

    @property
    def watches(self) -> bool:
        """Does it want to be told of the steps also where nothing wants a gradient?"""
        return False

    @property
    def evaluations(self) -> int:
        """Calls of f so far that are on no tape: those by which states are made again."""
        return 0

    @abstractmethod
    def begin(self, problem: Problem) -> None:
        """Before the first step: the problem as the loop gets it, without graphs."""

    @abstractmethod
    def note(self, step: AcceptedStep, attempt: Attempt, result: StepResult) -> None:
        """Take note of an accepted step of the forward pass."""

    @abstractmethod
    def kept(self) -> Iterable[torch.Tensor]:
        """The tensors held between the forward pass and the way back."""

    @abstractmethod
    def pull_back(self, way: WayBack) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Gradients of y0 and of ts from those of the values; those of parameters and args are summed on the tape.

        May run more than once.
        """


class AbstractExactTrail(AbstractTrail):
    """A trail whose steps are made again: the gradient of the discrete solution."""

    def pull_back(self, way: WayBack) -> tuple[torch.Tensor, torch.Tensor | None]:
        sweep = Sweep(way.problem, way.tape, way.bars)
        self.walk_back(sweep)
        return sweep.finish(way.trajectory)

    @abstractmethod
    def walk_back(self, sweep: Sweep) -> None:
        """Make the steps again, the last one first, and hand each to the sweep."""
