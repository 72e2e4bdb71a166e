"""checkpointed: accepted states are kept, each step is made again on the way back, and differentiated exactly.

The gradient is that of the discrete solution with the accepted steps held fixed: no adjoint equation, no second error
tolerance.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import torch

from neurode.core.nest import describe
from neurode.gradients.gradient import AbstractGradient, Differentiated
from neurode.gradients.journal import EveryState, SomeStates
from neurode.gradients.kept_graphs import GRAPH_BYTES
from neurode.gradients.schedule import Slots, check_slots
from neurode.gradients.sweep import Sweep
from neurode.gradients.trail import AbstractExactTrail
from neurode.gradients.walk import solve_with_trail
from neurode.integration.problem import AcceptedStep, Attempt, Problem
from neurode.methods.stepper import StepResult


@dataclass(frozen=True)
class Checkpointed(AbstractGradient):
    """Exact gradients from stored states: the default.

    Good for training: activations of f are kept for the first steps up to `graph_bytes`, and never beyond. Every other
    accepted step costs one more forward evaluation of f on the way back.
    Not good for second derivatives: those need gradient="direct".

    k: how many states are kept between the forward pass and the way back. None (default): that of each accepted step.
        A whole number: so many, however long the solve, y0 among them; states that were let go are made again from
        those kept, in a binomial order that repeats few steps: with 10 states each of 1,000 steps 2.7 times on
        average, with 20 states 1.8 times, with 50 once. "log": twice the binary digits of the number of steps (20 for
        1,000). The gradient is the same for every k, to the last bit if f gives the same for the same
        and no graphs are kept.
    A state is y, and f(t, y) beside it where the method hands that over (dopri5, tsit5, bosh3). Beyond the k there are
    the states in hand, and on the host about 40 bytes of each step and sample, so that a per-sample solve of states as
    narrow as that gains nothing. What `save` keeps comes on top: save="steps" and "dense" grow with the steps in any
    case.
    graph_bytes: while the graphs of the steps (with the activations of f) fit in so many bytes they are kept, and these
        steps are not made again: small solves save a third of their time. None: 4 MiB if k is None, else 0.
    Not for a field that draws random numbers: it gives something else when it is called again (for any k).
    Raises TypeError or ValueError for another k.

    Source: Griewank and Walther (2000), Stumm and Walther (2010); see `neurode.gradients.schedule`.
    """

    k: Slots | None = None
    graph_bytes: int | None = None

    def __post_init__(self):
        check_slots(self.k, "Checkpointed")
        if self.k is not None and self.graph_bytes:
            raise ValueError(
                f"Checkpointed keeps k={self.k} states and no graphs, so graph_bytes={self.graph_bytes} has no effect. "
                "Leave one of the two out."
            )
        if self.graph_bytes is not None and not (isinstance(self.graph_bytes, int) and self.graph_bytes >= 0):
            raise ValueError(f"graph_bytes must be a whole number, 0 or more, but is {describe(self.graph_bytes)}.")

    @property
    def reason_against_kernel(self) -> str | None:
        return None

    @property
    def kept_states(self) -> Slots | None:
        return self.k

    @property
    def graph_limit(self) -> int:
        if self.k is not None:
            return 0
        return GRAPH_BYTES if self.graph_bytes is None else self.graph_bytes

    def run(self, problem: Problem) -> Differentiated:
        return solve_with_trail(problem, _StoredStates(self.k), graph_bytes=self.graph_limit)


class _StoredStates(AbstractExactTrail):
    """The accepted steps with the states they began at: every one, or k of them and the rest made again."""

    name = "checkpointed"

    def __init__(self, slots: Slots | None):
        self.slots = slots
        self.journal: EveryState | SomeStates = EveryState()

    def begin(self, problem: Problem) -> None:
        if self.slots is not None:
            self.journal = SomeStates(self.slots, problem)

    def note(self, step: AcceptedStep, attempt: Attempt, result: StepResult) -> None:
        del result
        self.journal.note(step, attempt)

    def kept(self) -> Iterable[torch.Tensor]:
        return self.journal.kept()

    @property
    def evaluations(self) -> int:
        return self.journal.evaluations

    def walk_back(self, sweep: Sweep) -> None:
        for step in self.journal.backwards():
            if step.kept is not None:
                sweep.step_back(step, step.kept.scope, step.kept.replayed)
                continue
            scope, interval = sweep.scope(step.lanes), step.interval
            replayed = sweep.stepper.replay(
                scope, interval.t, interval.t_end, step.y, step.carried, read=step.rows.read_inside
            )
            sweep.step_back(step, scope, replayed)
            del scope, replayed  # this step's graph goes before the next one is made
