"""reversible: steps of the algebraically reversible version of the method; no states are kept, they are re-created by
inverting the steps on the way back.

The gradient is that of the discrete solution with the accepted steps held fixed, up to the rounding of the inverse.
Kept are the last pair of states, a fixed number of anchors, and two numbers a step (see StepLog). S. McCallum and J.
Foster (2024), arXiv 2410.11648.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
import torch

from neurode.core.nest import describe
from neurode.gradients.anchors import Anchors, StatePair
from neurode.gradients.drift import DriftMonitor, Place, warn_of_gap
from neurode.gradients.gradient import AbstractGradient, Differentiated
from neurode.gradients.step_log import StepLog
from neurode.gradients.sweep import Sweep
from neurode.gradients.trail import AbstractExactTrail
from neurode.gradients.walk import solve_with_trail
from neurode.integration.problem import AcceptedStep, Attempt, Problem
from neurode.methods.reversible import ReversibleRungeKutta, reversible
from neurode.methods.stepper import StepResult


@dataclass(frozen=True)
class Reversible(AbstractGradient):
    """Exact gradients at a memory that does not grow with the number of steps, by a method that can be run backwards.

    Good for very long solves in float64 of fields that neither contract nor expand much (oscillations, flows,
    Hamiltonian fields). Not good for fields that contract: there the two states of the reversible method come apart,
    by a factor of about coupling * exp(k h) a step for y' = -k y, and the solution is wrong before long, which a
    RuntimeWarning says; nor for second derivatives.
    The solution itself is that of the reversible method (neurode.methods.reversible), of the base method's order, with
    gradients or without; a step costs two increments of the base method.

    coupling: in (0, 1], how freely its two states run; smaller is stabler forward, and less precise backward (rounding
    grows by 1 / coupling a step).
    anchors: pairs of states that are kept, spread over the solve (beside the first and the last). Each is compared with
    the re-created pair, and the way back goes on from the stored one. 0 keeps none.
    drift: the largest difference, relative to the state's size, that goes without a RuntimeWarning.

    Raises ValueError for settings out of range, TypeError for a method without a reversible version.
    """

    coupling: float = 0.999
    anchors: int = 8
    drift: float = 1e-4

    def __post_init__(self):
        if not 0 < self.coupling <= 1:
            raise ValueError(f"coupling must lie in (0, 1], but is {self.coupling}. 0.999 is usual.")
        if not isinstance(self.anchors, int) or self.anchors < 0:
            raise ValueError(f"anchors must be a whole number, 0 or more, but is {describe(self.anchors)}.")
        if not self.drift > 0:
            raise ValueError(f"drift must be positive, but is {self.drift}.")

    def run(self, problem: Problem) -> Differentiated:
        stepper = reversible(problem.stepper, self.coupling)
        problem = replace(problem, stepper=stepper)
        trail = _ReversedSteps(problem, stepper, self)
        run = solve_with_trail(problem, trail)
        warn_of_gap(problem, trail.places(), self.coupling)
        return run


class _ReversedSteps(AbstractExactTrail):
    """The last pair of states, the anchors, and the log of the steps between."""

    name = "reversible"
    watches = True

    def __init__(self, problem: Problem, stepper: ReversibleRungeKutta, settings: Reversible):
        self.stepper, self.settings = stepper, settings
        self.log = StepLog(problem.times)
        self.anchors = Anchors(settings.anchors)
        y0 = problem.y0.detach()
        self.last: StatePair = (y0, y0)

    def begin(self, problem: Problem) -> None:
        y0 = problem.y0.detach()
        self.last = (y0, y0)

    def note(self, step: AcceptedStep, attempt: Attempt, result: StepResult) -> None:
        del attempt
        assert result.carried_next is not None
        self.log.add(step)
        self.last = _put(self.last, step.lanes, (result.y1, result.carried_next))
        self.anchors.offer(len(self.log), self.last)

    def kept(self) -> Iterable[torch.Tensor]:
        return [tensor for pair in (self.last, *self.anchors.kept.values()) for tensor in pair]

    def places(self) -> list[Place]:
        """The anchors and the last pair."""
        kept = self.anchors.kept.items()
        anchors = [Place(pair, self.log.interval(number - 1).t_end) for number, pair in kept]
        return [*anchors, Place(self.last, None)]

    def walk_back(self, sweep: Sweep) -> None:
        problem, log, pair = sweep.problem, self.log, self.last
        y0 = problem.y0.detach()
        monitor = DriftMonitor(problem.equation.layout, y0)
        times = np.array(problem.times.first, copy=True)
        for number in reversed(range(len(log))):
            pair = self._invert(number, pair, sweep)
            lanes, t = log.lanes_of(number), log.interval(number).t
            times[... if lanes is None else lanes.cpu().numpy()] = t
            anchor = (y0, y0) if number == 0 else self.anchors.at(number)
            if anchor is not None:
                monitor.compare(pair, anchor, times)
                pair = anchor
        monitor.warn(self.settings.drift)

    def _invert(self, number: int, pair: StatePair, sweep: Sweep) -> StatePair:
        """The pair before step `number` from the one after it; the sweep is handed the step."""
        lanes, interval = self.log.lanes_of(number), self.log.interval(number)
        y1, z1 = (sweep.lane_rows(whole, lanes) for whole in pair)
        scope = sweep.scope(lanes)
        read = self.log.rows_of(number).read_inside
        y, z, replayed = self.stepper.invert(scope, interval.t, interval.t_end, y1, z1, read=read)
        sweep.step_back(self.log.step(number, y, z), scope, replayed)
        return _put(pair, lanes, (y, z))


def _put(whole: StatePair, lanes: torch.Tensor | None, part: StatePair) -> StatePair:
    """The pair with the rows of these lanes replaced; never in place, since anchors may be the same tensors."""
    if lanes is None or len(lanes) == whole[0].shape[0]:
        return part
    return whole[0].index_copy(0, lanes, part[0]), whole[1].index_copy(0, lanes, part[1])
