"""adjoint: the continuous adjoint equation, a second solve backwards in time.

da/dt = -a df/dy with a jump by the loss's gradient at each time it looked at the solution; the gradient of the
parameters is the integral of a df/dtheta, summed beside the solve. L. S. Pontryagin et al. (1962); R. T. Q. Chen et al.
(2018), arXiv 1806.07366, section 2 and appendix B.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Literal, get_args

import numpy as np
import torch

from neurode.core.equation import CallCount
from neurode.core.nest import describe
from neurode.gradients.adjoint_solve import AdjointControl, AdjointSolve, AdjointStep
from neurode.gradients.gradient import AbstractGradient, Differentiated
from neurode.gradients.journal import SomeStates
from neurode.gradients.schedule import Slots, check_slots
from neurode.gradients.trail import AbstractTrail, WayBack
from neurode.gradients.walk import solve_with_trail
from neurode.gradients.window import DenseStep, JointWindow, LaneWindow, Window
from neurode.integration.control import choose_controller
from neurode.integration.controller import AdaptiveSteps, ConstantSteps
from neurode.integration.problem import AcceptedStep, Attempt, Problem, Trajectory
from neurode.methods.catalogue import stepper_of
from neurode.methods.stepper import AbstractStepper, StepResult
from neurode.methods.tableau import Tableau

TrajectoryFrom = Literal["back", "dense", "checkpoints"]


@dataclass(frozen=True)
class Adjoint(AbstractGradient):
    """The gradient of the exact solution, by solving the adjoint equation backwards: the textbook's way.

    Good for what the textbook uses it for, long solves at constant memory, and for tolerances of its own on the way
    back. Not good as a default: it is not the derivative of the computed solution, but as near to it as both solves'
    tolerances allow; and at each output time the step back has to end, so that many outputs cost many steps. Not for
    second derivatives, nor for save="dense" (a reading of the dense output would carry no gradient).

    trajectory: where the way back takes the forward states from. "back" (default): solved back with the adjoint, from
    the state at the end, set right at each output time; constant memory, and wrong where the field contracts, which a
    RuntimeWarning says. "dense": the dense output of the forward pass; all its stages are kept. "checkpoints": k states
    are kept, the steps between are made again, in a binomial order (see Checkpointed), and read densely; per sample,
    steps stay in hand until the slowest sample has passed them.
    k: of trajectory="checkpoints": a whole number, or "log"; None (default): "log".
    method, controller, step_size, rtol, atol, max_steps: of the solve backwards, as in `solve`. None: those of the
    forward pass (after constant steps: the same steps in reverse). Tolerances hold for y and for the adjoint, which is
    divided by the largest root mean square of the loss's gradients by the outputs, so that a sum or a mean of losses
    means the same. Parameters are never in the norm (a seminorm, as Kidger, Chen and Lyons, 2021, call it).
    parameters: the only ones to differentiate; None: all that the field uses.
    callback: called with an AdjointStep after each accepted step back.
    drift: with "back", the largest difference between a state solved back and the forward one, relative to its size,
    that goes without a RuntimeWarning.

    Raises ValueError or TypeError for settings that do not fit together; SolveError, in the backward pass, where the
    adjoint solve fails.
    """

    trajectory: TrajectoryFrom = "back"
    k: Slots | None = None
    method: str | Tableau | AbstractStepper | None = None
    rtol: float | None = None
    atol: float | None = None
    step_size: float | None = None
    controller: str | AdaptiveSteps | ConstantSteps | None = None
    max_steps: int | None = None
    parameters: tuple[torch.Tensor, ...] | None = field(default=None, compare=False)
    callback: Callable[[AdjointStep], None] | None = None
    drift: float = 0.05

    def __post_init__(self):
        if self.trajectory not in get_args(TrajectoryFrom):
            allowed = ", ".join(map(repr, get_args(TrajectoryFrom)))
            raise ValueError(f"trajectory of Adjoint must be one of {allowed}, but is {self.trajectory!r}.")
        if self.k is not None and self.trajectory != "checkpoints":
            raise ValueError(
                f"k={self.k!r} has no effect with trajectory={self.trajectory!r}. Leave it out, or pass "
                "trajectory='checkpoints'."
            )
        check_slots(self.k, "Adjoint")
        for name in ("rtol", "atol", "drift"):
            value = getattr(self, name)
            if value is not None and not value >= 0:
                raise ValueError(f"{name} of Adjoint must not be negative or NaN, but is {value}.")
        if self.max_steps is not None and not (isinstance(self.max_steps, int) and self.max_steps > 0):
            raise ValueError(f"max_steps must be a positive whole number, but is {describe(self.max_steps)}.")
        if self.parameters is not None:
            object.__setattr__(self, "parameters", _only(self.parameters))
        if self.method is not None:
            stepper_of(self.method)

    @property
    def is_exact(self) -> bool:
        return False

    def run(self, problem: Problem) -> Differentiated:
        trail = _AdjointTrail(self, self._control(problem), problem)
        run = solve_with_trail(problem, trail, only=self.parameters)
        if problem.save.what == "dense" and run.backward is not None:
            raise ValueError(
                "gradient='adjoint' does not go with save='dense': what evaluate() returns would carry no gradient. "
                "Use gradient='checkpointed', or put the times into ts."
            )
        return run

    def _control(self, problem: Problem) -> AdjointControl:
        stepper = problem.stepper if self.method is None else stepper_of(self.method)
        if stepper.linearises:
            raise ValueError(
                f"method {stepper.name!r} needs the Jacobian of what it solves, and the adjoint equation has none that "
                "autograd could give. Use gradient='checkpointed', which is exact, or Adjoint(method='dopri5')."
            )
        given = (self.controller, self.step_size, self.rtol, self.atol)
        controller: AdaptiveSteps | ConstantSteps | None
        if all(setting is None for setting in given):
            controller = problem.controller
            if isinstance(controller, ConstantSteps):
                controller = None
            elif not stepper.has_error:
                raise ValueError(
                    f"method {stepper.name!r} of Adjoint has no error estimate, and the forward pass chose its steps "
                    "by the error. Pass Adjoint(step_size=...), or a method that estimates its error."
                )
        else:
            controller = choose_controller(stepper, *given)
            if controller.step_t or controller.jump_t:
                raise ValueError(
                    "step_t and jump_t of Adjoint(controller=...) have no effect: the way back ends its steps where "
                    "the loss looked at the solution. Pass jump_t to solve(controller=...), which parts both ways."
                )
        default = problem.max_steps if isinstance(controller, AdaptiveSteps) else 2**62
        return AdjointControl(
            stepper,
            controller,
            problem.rtol if self.rtol is None else self.rtol,
            problem.atol if self.atol is None else self.atol,
            self.max_steps or default,
            self.drift,
        )


def _only(parameters: Iterable[torch.Tensor]) -> tuple[torch.Tensor, ...]:
    found = tuple(parameters)
    for tensor in found:
        if not isinstance(tensor, torch.Tensor):
            raise TypeError(f"parameters of Adjoint must be tensors, but one is {describe(tensor)}.")
    return found


class _AdjointTrail(AbstractTrail):
    """What the adjoint needs of the forward pass: the state at the end, or the steps in one of two forms."""

    name = "adjoint"

    def __init__(self, settings: Adjoint, control: AdjointControl, problem: Problem):
        self.settings, self.control = settings, control
        self.last = problem.y0.detach()
        self.steps: list[DenseStep] = []
        self.journal: SomeStates | None = None
        self.again = CallCount()
        self.stepper = problem.stepper
        self.equation = replace(problem.equation, count=self.again)

    def begin(self, problem: Problem) -> None:
        self.last = problem.y0.detach()
        self.equation = replace(problem.equation, count=self.again)
        if self.settings.trajectory == "checkpoints":
            self.journal = SomeStates(self.settings.k or "log", problem)

    def note(self, step: AcceptedStep, attempt: Attempt, result: StepResult) -> None:
        if self.journal is not None:
            self.journal.note(step, attempt)
        elif self.settings.trajectory == "dense":
            self.steps.append(self._dense(step, result))
        else:
            self._reach(step, result.y1)

    def _reach(self, step: AcceptedStep, y1: torch.Tensor) -> None:
        """The state that the way back starts from: at a step's end, or at the event that stopped it."""
        if step.cut is not None:
            places, states = step.cut
            y1 = states.view(y1.shape) if step.lanes is None else y1.index_copy(0, places, states)
        if step.lanes is None or len(step.lanes) == self.last.shape[0]:
            self.last = y1
        else:
            self.last = self.last.index_copy(0, step.lanes, y1)

    def _dense(self, step: AcceptedStep, result: StepResult) -> DenseStep:
        """The step as it is read on the way back; slopes that this needs beyond the step's own count as part of it."""
        interval = step.interval
        if self.stepper.completes:
            own = self.equation if step.lanes is None else self.equation.select(step.lanes)
            # Made anew: the loop has them for those lanes only that it read.
            result = replace(result, stages=result.stages[: self.stepper.num_made])
            result = self.stepper.complete(own, interval.t, interval.t_end, step.y, result, traced=False)
        return DenseStep(interval, _host(step.lanes), step.y, result.stages)

    @property
    def evaluations(self) -> int:
        return self.again.calls + (0 if self.journal is None else self.journal.evaluations)

    def kept(self) -> Iterator[torch.Tensor]:
        yield self.last
        for step in self.steps:
            yield from (step.y, step.stages)
        if self.journal is not None:
            yield from self.journal.kept()

    def pull_back(self, way: WayBack) -> tuple[torch.Tensor, torch.Tensor | None]:
        if way.bars[0] is None:
            y0, ts = way.problem.y0, way.problem.times.tensor
            return torch.zeros_like(y0), None if ts is None else torch.zeros_like(ts)
        window = self._window(way.problem, way.trajectory)
        return AdjointSolve(way, self.control, window, self.last, self.settings.callback).run()

    def _window(self, problem: Problem, trajectory: Trajectory) -> Window | None:
        if self.settings.trajectory == "back":
            return None
        steps = reversed(self.steps) if self.journal is None else self._made_again(problem, self.journal)
        first, reached = np.atleast_1d(problem.times.first), np.atleast_1d(trajectory.reached)
        forward = reached >= first
        if problem.times.host.ndim == 1:
            return JointWindow(problem.stepper, iter(steps), forward=bool(forward[0]))
        return LaneWindow(problem.stepper, iter(steps), forward)

    def _made_again(self, problem: Problem, journal: SomeStates) -> Iterator[DenseStep]:
        """The accepted steps, last one first, with their stages."""
        equation = replace(problem.equation, count=self.again)
        for step in journal.backwards():
            own = equation if step.lanes is None else equation.select(step.lanes)
            interval = step.interval
            with torch.no_grad():
                result = problem.stepper.step(own, interval.t, interval.t_end, step.y, step.carried, traced=False)
                result = problem.stepper.complete(own, interval.t, interval.t_end, step.y, result, traced=False)
            yield DenseStep(interval, _host(step.lanes), step.y, result.stages)


def _host(lanes: torch.Tensor | None) -> np.ndarray | None:
    return None if lanes is None else lanes.cpu().numpy()
