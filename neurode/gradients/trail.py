"""The frame of every gradient that is more than autograd: a forward pass without a graph, and the way back.

What is kept between the two, and how the way back goes, is a Trail's affair. An exact trail makes the accepted steps
again: its gradient is that of the discrete solution with those steps held fixed.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from functools import partial

import torch

from neurode.core.equation import Equation
from neurode.core.tape import Tape, captured_leaves
from neurode.gradients.gradient import Differentiated, kept_steps
from neurode.gradients.sweep import Sweep
from neurode.integration.backward_stats import BackwardMeter, BackwardStats
from neurode.integration.loop import integrate
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


def solve_with_trail(
    problem: Problem, trail: AbstractTrail, only: tuple[torch.Tensor, ...] | None = None
) -> Differentiated:
    """Solve, and differentiate by walking the trail back; where nothing wants a gradient no trail is left.

    only: the parameters to differentiate; None for all that f depends on.
    """
    if not torch.is_grad_enabled():
        return _plain(problem, trail, None)
    first, parameters = _probe(problem)
    if only is not None:
        parameters = [tensor for tensor in only if tensor.requires_grad]
    args = problem.equation.args_tensors
    ts = problem.times.tensor
    inputs = [problem.y0, *([ts] if ts is not None else []), *parameters, *args]
    if not any(tensor.requires_grad for tensor in inputs):
        return _plain(problem, trail, first)
    job = _Job(problem, trail, first, parameters)
    values, starts, stages = _Walk.apply(job, problem.y0, ts, len(parameters), *parameters, *args)
    assert job.trajectory is not None
    return Differentiated(job.trajectory, values, starts, stages, job.stats)


def _plain(problem: Problem, trail: AbstractTrail, first: torch.Tensor | None) -> Differentiated:
    journal = None
    if trail.watches:
        trail.begin(problem)
        journal = trail.note
    trajectory = integrate(problem, traced=False, first=first, journal=journal)
    return Differentiated(trajectory, trajectory.values, *kept_steps(trajectory, problem))


def _probe(problem: Problem) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """f(t0, y0), which the solve needs anyway, called with a graph: it shows which leaves f depends on."""
    equation = problem.equation
    assert isinstance(equation, Equation)
    args = equation.args_tensors
    detached = equation.with_args_tensors([tensor.detach() for tensor in args])
    t0 = equation.times([problem.times.first])[0]
    with torch.enable_grad():
        value = detached(t0, problem.y0.detach())
    known = [*args, problem.y0, *([problem.times.tensor] if problem.times.tensor is not None else [])]
    return value.detach(), captured_leaves(equation.f, value, known)


@dataclass
class _Job:
    """What travels beside the tensors between forward and backward."""

    problem: Problem
    trail: AbstractTrail
    first: torch.Tensor
    parameters: list[torch.Tensor]
    trajectory: Trajectory | None = None
    stats: BackwardStats = field(default_factory=BackwardStats)


class _Walk(torch.autograd.Function):
    @staticmethod
    def forward(ctx, job: _Job, y0, ts, num_parameters, *leaves):
        equation = job.problem.equation
        detached = equation.with_args_tensors([leaf.detach() for leaf in leaves[num_parameters:]])
        problem = replace(job.problem, y0=y0.detach(), equation=detached)
        job.trail.begin(problem)
        job.trajectory = integrate(problem, traced=False, first=job.first, journal=job.trail.note)
        starts, stages = kept_steps(job.trajectory, problem)
        job.stats.kept_bytes = _bytes(job.trail.kept(), apart=[y0])
        ctx.job, ctx.needs, ctx.precision = job, ctx.needs_input_grad, _precision(y0.device.type)
        # Saved so that autograd notices when one of them is changed in place before the backward pass.
        ctx.save_for_backward(y0, *leaves)
        ctx.set_materialize_grads(False)
        return job.trajectory.values, starts, stages

    @staticmethod
    def backward(ctx, *bars):
        job, needs = ctx.job, ctx.needs
        if torch.is_grad_enabled():
            raise RuntimeError(
                f"gradient={job.trail.name!r} gives first derivatives only, and this backward pass was asked for a "
                "graph (create_graph=True). Solve with gradient='direct' for derivatives of higher order."
            )
        _ = ctx.saved_tensors
        equation, count = job.problem.equation, len(job.parameters)
        tape = Tape(
            replace(equation, count=type(equation.count)()),
            job.parameters,
            wants_args=[bool(flag) for flag in needs[4 + count :]],
            time=job.problem.times.tensor is not None and needs[2],
        )
        again = job.trail.evaluations
        with ctx.precision(), BackwardMeter(job.stats, job.problem.y0.device):
            y_bar, ts_bar = job.trail.pull_back(WayBack(job.problem, job.trajectory, tape, bars))
        job.stats.num_evaluations = tape.equation.count.calls + job.trail.evaluations - again
        return (None, y_bar, ts_bar, None, *tape.sums)


def _bytes(tensors: Iterable[torch.Tensor], *, apart: list[torch.Tensor]) -> int:
    """Bytes of the storages behind these tensors, each counted once, without those of `apart`."""
    known = {tensor.untyped_storage().data_ptr() for tensor in apart}
    storages = {tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes() for tensor in tensors}
    return sum(size for place, size in storages.items() if place not in known)


def _precision(device: str) -> Callable[[], AbstractContextManager]:
    """Makes the context that sets autocast as it is now: on the way back f must be rounded as it was on the way."""
    if not torch.amp.is_autocast_available(device):
        return nullcontext
    enabled, dtype = torch.is_autocast_enabled(device), torch.get_autocast_dtype(device)
    # No cache: a weight that is cast while a state is made again has no graph, and must not be reused for the gradient.
    return partial(torch.autocast, device, dtype=dtype, enabled=enabled, cache_enabled=False)
