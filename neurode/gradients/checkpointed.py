"""checkpointed: the accepted states are kept, each step is made again on the way back, and differentiated exactly.

The gradient is that of the discrete solution with the accepted steps held fixed: no adjoint equation, no second error
tolerance. Memory: one state (two with first-same-as-last) a step, and the activations of one step's calls of f.
"""

from dataclasses import dataclass

from neurode.gradients.exact import AbstractTrail, solve_with_trail
from neurode.gradients.gradient import AbstractGradient, Differentiated
from neurode.gradients.sweep import Sweep
from neurode.integration.problem import AcceptedStep, Problem
from neurode.methods.stepper import StepResult


@dataclass(frozen=True)
class Checkpointed(AbstractGradient):
    """Exact gradients from stored states: the default.

    Good for training: activations of f are never kept beyond one step. Costs one more forward evaluation of each
    accepted step on the way back. Not good for second derivatives: those need gradient="direct".
    """

    def run(self, problem: Problem) -> Differentiated:
        return solve_with_trail(problem, _StoredStates())


class _StoredStates(AbstractTrail):
    """Every accepted step with the state it began at."""

    name = "checkpointed"

    def __init__(self):
        self.steps: list[AcceptedStep] = []

    def note(self, step: AcceptedStep, result: StepResult) -> None:
        del result
        self.steps.append(step)

    def walk_back(self, sweep: Sweep) -> None:
        for step in reversed(self.steps):
            scope, interval = sweep.scope(step.lanes), step.interval
            replayed = sweep.stepper.replay(
                scope, interval.t, interval.t_end, step.y, step.carried, read=step.rows.read_inside
            )
            sweep.step_back(step, scope, replayed)
