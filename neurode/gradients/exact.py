"""The frame of every gradient that makes the accepted steps again: a forward pass without a graph, and the way back.

What is kept between the two is a Trail's affair; that the gradient is that of the discrete solution with the accepted
steps held fixed holds for each.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace

import torch

from neurode.core.tape import Tape, captured_leaves
from neurode.gradients.gradient import Differentiated, kept_steps
from neurode.gradients.sweep import Sweep
from neurode.integration.loop import integrate
from neurode.integration.problem import AcceptedStep, Problem, Trajectory
from neurode.methods.stepper import StepResult


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

    @abstractmethod
    def note(self, step: AcceptedStep, result: StepResult) -> None:
        """Take note of an accepted step of the forward pass."""

    @abstractmethod
    def walk_back(self, sweep: Sweep) -> None:
        """Make the steps again, the last one first, and hand each to the sweep; may run more than once."""


def solve_with_trail(problem: Problem, trail: AbstractTrail) -> Differentiated:
    """Solve, and differentiate by walking the trail back; where nothing wants a gradient no trail is left."""
    if not torch.is_grad_enabled():
        return _plain(problem, trail, None)
    first, parameters = _probe(problem)
    args = problem.equation.args_tensors
    ts = problem.times.tensor
    inputs = [problem.y0, *([ts] if ts is not None else []), *parameters, *args]
    if not any(tensor.requires_grad for tensor in inputs):
        return _plain(problem, trail, first)
    job = _Job(problem, trail, first, parameters)
    values, starts, stages = _Walk.apply(job, problem.y0, ts, len(parameters), *parameters, *args)
    assert job.trajectory is not None
    return Differentiated(job.trajectory, values, starts, stages)


def _plain(problem: Problem, trail: AbstractTrail, first: torch.Tensor | None) -> Differentiated:
    journal = trail.note if trail.watches else None
    trajectory = integrate(problem, traced=False, first=first, journal=journal)
    return Differentiated(trajectory, trajectory.values, *kept_steps(trajectory, problem))


def _probe(problem: Problem) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """f(t0, y0), which the solve needs anyway, called with a graph: it shows which leaves f depends on."""
    equation = problem.equation
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


class _Walk(torch.autograd.Function):
    @staticmethod
    def forward(ctx, job: _Job, y0, ts, num_parameters, *leaves):
        equation = job.problem.equation
        detached = equation.with_args_tensors([leaf.detach() for leaf in leaves[num_parameters:]])
        problem = replace(job.problem, y0=y0.detach(), equation=detached)
        job.trajectory = integrate(problem, traced=False, first=job.first, journal=job.trail.note)
        starts, stages = kept_steps(job.trajectory, problem)
        ctx.job, ctx.needs = job, ctx.needs_input_grad
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
        sweep = Sweep(job.problem, tape, bars)
        job.trail.walk_back(sweep)
        y_bar, ts_bar = sweep.finish(job.trajectory)
        return (None, y_bar, ts_bar, None, *tape.sums)
