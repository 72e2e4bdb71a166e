"""What the reversible gradient asks of a method beside a step: the beginning of a step from its end."""

from abc import abstractmethod
from dataclasses import dataclass

import torch

from neurode.core.equation import AbstractEquation, HostTime
from neurode.core.tape import TapeScope
from neurode.methods.stepper import AbstractStepper, Replayed


@dataclass(frozen=True)
class Undone:
    """A step undone. y, carried: what it began from. replayed: the step, made again from there.

    sound: whether these states lead to the step's end; where not, they must not be used. finite: whether they are
    numbers. worst: the lane, of those of the step, that is the furthest off. passes: how often the step, or one of the
    same cost, was made for this; once is needed in any case.
    """

    y: torch.Tensor
    carried: torch.Tensor | None
    replayed: Replayed
    sound: bool
    finite: bool
    worst: int
    passes: int


class AbstractUndoable(AbstractStepper):
    """A method whose steps can be undone."""

    @abstractmethod
    def undo(
        self,
        scope: TapeScope,
        t: HostTime,
        t_end: HostTime,
        y1: torch.Tensor,
        carried: torch.Tensor | None,
        *,
        slope: torch.Tensor | None,
        read: bool,
    ) -> Undone:
        """The step that began at t and ended at (t_end, y1), and handed over `carried`.

        slope: f(t_end, y1), if it is known. read: are values inside the step wanted?
        """

    @abstractmethod
    def again(
        self, equation: AbstractEquation, t: HostTime, t_end: HostTime, y: torch.Tensor, carried: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """The end of the step from (t, y), and what it hands over; nothing else, and without a graph."""

    @abstractmethod
    def end_of(self, replayed: Replayed) -> tuple[torch.Tensor, torch.Tensor | None]:
        """The same of a step that was made again with a graph."""

    @abstractmethod
    def slope_of(self, replayed: Replayed) -> torch.Tensor | None:
        """f at the beginning of a step made again, if `undo` can use it for the step before."""
