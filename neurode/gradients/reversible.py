"""reversible: no states are kept but a fixed number; the others are re-created on the way back by undoing the steps.

The gradient is that of the discrete solution with the accepted steps held fixed. Kept are the last state, a fixed
number of anchors, and two numbers a step (see StepLog).
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import torch

from neurode.core.nest import describe
from neurode.gradients.anchors import Anchors, KeptState, with_rows
from neurode.gradients.drift import DRIFT, Place, warn_of_gap
from neurode.gradients.gradient import AbstractGradient, Differentiated
from neurode.gradients.step_log import StepLog
from neurode.gradients.sweep import Sweep
from neurode.gradients.trail import AbstractExactTrail, WayBack
from neurode.gradients.undoing import Undoing
from neurode.gradients.walk import solve_with_trail
from neurode.integration.problem import AcceptedStep, Attempt, Problem
from neurode.methods.explicit_rk import ExplicitRungeKutta
from neurode.methods.inverse import UndoableRungeKutta
from neurode.methods.reversible import ReversibleRungeKutta, reversible
from neurode.methods.stepper import AbstractStepper, StepResult
from neurode.methods.symplectic import Symplectic
from neurode.methods.undoable import AbstractUndoable


@dataclass(frozen=True)
class Reversible(AbstractGradient):
    """Exact gradients at a memory that does not grow with the number of steps, by running the method backwards.

    Good for very long solves of fields that neither contract nor expand much (oscillations, flows, Hamiltonian fields).
    Not good for fields that contract: those expand backwards, and rounding with them; nor for second derivatives.
    What was re-created is compared with kept states on the way. Where it is too far off, the steps are made again from
    these, as Checkpointed(k) does; the gradient stays right, costs more, and a RuntimeWarning says so.

    coupling: None (default): the solution is that of the method itself, and a step is undone by iteration (see
        `neurode.methods.inverse`). In (0, 1]: it is that of the algebraically reversible version of the method (see
        `neurode.methods.reversible`), which has the same order, a second state, twice the evaluations, and an inverse
        that needs no iteration, however long the step. How freely its two states run: 0.999 is usual; smaller is
        stabler forward, and less precise backward (rounding grows by 1 / coupling a step). Where the field contracts
        they come apart by a factor of about coupling * exp(k h) a step for y' = -k y, and the solution is wrong before
        long; a RuntimeWarning says so.
    anchors: states that are kept, spread over the solve (beside the first and the last). 0 keeps none.
    drift: the largest difference from a kept state, relative to its size, that is let be. None: 1e-10 in float64, 1e-4
        in float32.

    Raises ValueError for settings out of range, TypeError for a method that cannot be undone.
    Source: Shmelev, Ebrahimi-Fard, Tapia and Salvi (2025) run a method backwards with no second state; McCallum and
    Foster (2024), arXiv 2410.11648, for the coupled states.
    """

    coupling: float | None = None
    anchors: int = 8
    drift: float | None = None

    def __post_init__(self):
        if self.coupling is not None and not 0 < self.coupling <= 1:
            raise ValueError(f"coupling must be None or lie in (0, 1], but is {self.coupling}. 0.999 is usual.")
        if not isinstance(self.anchors, int) or self.anchors < 0:
            raise ValueError(f"anchors must be a whole number, 0 or more, but is {describe(self.anchors)}.")
        if self.drift is not None and not self.drift > 0:
            raise ValueError(f"drift must be positive, but is {self.drift}.")

    def run(self, problem: Problem) -> Differentiated:
        stepper = self._undoable(problem.stepper)
        if not isinstance(stepper, ReversibleRungeKutta):
            return solve_with_trail(problem, _UndoneSteps(problem, stepper, self))
        problem = replace(problem, stepper=stepper)
        trail = _UndoneSteps(problem, stepper, self)
        run = solve_with_trail(problem, trail)
        warn_of_gap(problem, trail.places(), stepper.coupling)
        return run

    def _undoable(self, method: AbstractStepper) -> AbstractUndoable:
        if self.coupling is not None:
            return reversible(method, self.coupling)
        if isinstance(method, Symplectic):
            return replace(method, hands_over=False)
        if isinstance(method, AbstractUndoable):
            return method
        if isinstance(method, ExplicitRungeKutta):
            return UndoableRungeKutta(method)
        raise TypeError(
            f"the steps of method {method.name!r} cannot be undone: it is no explicit Runge-Kutta method, nor a "
            "symplectic one. "
            "Use gradient='checkpointed', or Checkpointed(k) at bounded memory."
        )


class _UndoneSteps(AbstractExactTrail):
    """The last state, the anchors, and the log of the steps between."""

    name = "reversible"

    def __init__(self, problem: Problem, stepper: AbstractUndoable, settings: Reversible):
        self.stepper, self.settings = stepper, settings
        self.log = StepLog(problem.times)
        self.anchors = Anchors(settings.anchors)
        self.first = self.last = self._beginning(problem)

    @property
    def watches(self) -> bool:
        """Two states may come apart, whether gradients are wanted or not."""
        return self.stepper.carries

    def _beginning(self, problem: Problem) -> KeptState:
        y0 = problem.y0.detach()
        return (y0, y0) if self.stepper.carries else (y0,)

    def begin(self, problem: Problem) -> None:
        self.first = self.last = self._beginning(problem)

    def note(self, step: AcceptedStep, attempt: Attempt, result: StepResult) -> None:
        del attempt
        self.log.add(step)
        part = (result.y1, result.carried_next) if self.stepper.carries else (result.y1,)
        self.last = with_rows(self.last, step.lanes, part)
        self.anchors.offer(len(self.log), self.last)

    def kept(self) -> Iterable[torch.Tensor]:
        return [tensor for state in (self.last, *self.anchors.kept.values()) for tensor in state]

    def places(self) -> list[Place]:
        """The anchors and the last pair."""
        kept = self.anchors.kept.items()
        anchors = [Place(pair, self.log.interval(number - 1).t_end) for number, pair in kept]
        return [*anchors, Place(self.last, None)]

    def pull_back(self, way: WayBack) -> tuple[torch.Tensor, torch.Tensor | None]:
        # On the way back no step hands f over to the next: each evaluates its own.
        return super().pull_back(replace(way, problem=replace(way.problem, stepper=self.stepper)))

    def walk_back(self, sweep: Sweep) -> None:
        allowed = DRIFT[sweep.problem.y0.dtype] if self.settings.drift is None else self.settings.drift
        kept = {0: self.first, **self.anchors.kept}
        Undoing(sweep, self.stepper, self.log, kept, allowed).walk(self.last)
