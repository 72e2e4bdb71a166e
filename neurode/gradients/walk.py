"""The frame of every gradient that is more than autograd: a forward pass without a graph, and its node in the graph.

The node goes by torch.func as well as by autograd: backwards along the trail, forwards (tangents) through the loop.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import partial

import torch
from torch.autograd import forward_ad

from neurode.core.closure import AbstractOpenField
from neurode.core.equation import Equation
from neurode.core.held import Held, held_by
from neurode.core.precision import autocast_aside
from neurode.core.tape import Tape, captured, hooks_aside
from neurode.core.transforms import (
    above,
    active,
    bare,
    depth,
    forward_mode,
    is_differentiated,
    one_by_one,
    out_of_sight,
    outside,
    push_forward,
)
from neurode.gradients.gradient import Differentiated, kept_steps
from neurode.gradients.kept_graphs import KeptGraphs
from neurode.gradients.trail import AbstractTrail, WayBack
from neurode.integration.backward_stats import BackwardMeter, BackwardStats
from neurode.integration.loop import integrate
from neurode.integration.problem import Problem, Trajectory


def solve_with_trail(
    problem: Problem, trail: AbstractTrail, only: tuple[torch.Tensor, ...] | None = None, graph_bytes: int = 0
) -> Differentiated:
    """Solve, and differentiate by walking the trail back; where nothing wants a gradient no trail is left.

    only: the parameters to differentiate; None for all that f depends on. graph_bytes: so much of the steps' graphs may
    be kept for the way back.
    """
    if not (torch.is_grad_enabled() or forward_mode()):
        return _plain(problem, trail, None)
    assert isinstance(problem.equation, Equation)
    held = held_by(problem.equation.f)
    first, parameters = _probe(problem, held)
    if only is not None:
        parameters = [tensor for tensor in only if tensor.requires_grad]
    args = problem.equation.args_tensors
    ts = problem.times.tensor
    inputs = [problem.y0, *([ts] if ts is not None else []), *parameters, *args]
    if not any(is_differentiated(tensor) for tensor in inputs):
        return _plain(problem, trail, first)
    job = _Job(_without_graphs(problem), trail, first, parameters, held, depth())
    if graph_bytes and not (depth() or forward_mode()):
        job.graphs = _kept_graphs(job.problem, parameters, [is_differentiated(x) for x in args], graph_bytes)
    values, starts, stages = _Walk.apply(job, problem.y0, ts, len(parameters), *parameters, *args)
    assert job.trajectory is not None
    return Differentiated(job.trajectory, values, starts, stages, job.stats)


def _kept_graphs(problem: Problem, parameters: list[torch.Tensor], wants_args: list[bool], limit: int) -> KeptGraphs:
    tape = Tape(problem.equation.uncached(), parameters, wants_args=wants_args, time=problem.times.tensor is not None)
    return KeptGraphs(tape, limit, problem.lanes)


def _plain(problem: Problem, trail: AbstractTrail, first: torch.Tensor | None) -> Differentiated:
    journal = None
    problem = _without_graphs(problem)
    with outside():
        if trail.watches:
            trail.begin(problem)
            journal = trail.note
        trajectory = integrate(problem, traced=False, first=first, journal=journal)
        return Differentiated(trajectory, trajectory.values, *kept_steps(trajectory, problem))


def _without_graphs(problem: Problem) -> Problem:
    """The same problem in plain numbers: without graphs, and outside of torch.func."""
    equation = problem.equation
    if isinstance(equation, Equation) and isinstance(equation.f, AbstractOpenField):
        problem = replace(problem, equation=replace(equation, f=equation.f.taken_off()))
    tensors = [problem.y0, problem.times.tensor, *equation.args_tensors]
    return _with_tensors(problem, [None if tensor is None else bare(tensor) for tensor in tensors])


def _uncached(problem: Problem) -> Problem:
    return replace(problem, equation=problem.equation.uncached())


def _with_tensors(problem: Problem, tensors: list[torch.Tensor | None]) -> Problem:
    """The problem with other tensors for y0, ts and those of args."""
    y0, ts, *args = tensors
    assert y0 is not None
    equation = problem.equation.with_args_tensors([x for x in args if x is not None])
    return replace(problem, y0=y0, times=replace(problem.times, tensor=ts), equation=equation)


def _probe(problem: Problem, held: Held) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """f(t0, y0), which the solve needs anyway, called with a graph: it shows what f depends on."""
    detached = _without_graphs(problem)
    with outside(), torch.enable_grad():
        t0 = detached.equation.times([problem.times.first])[0]
        value = detached.equation(t0, detached.y0)
        return value.detach(), captured(held, value)


@dataclass
class _Job:
    """What travels beside the tensors between forward and backward.

    problem: in plain numbers. held: by the field. level: how many transforms of torch.func there are around the solve.
    """

    problem: Problem
    trail: AbstractTrail
    first: torch.Tensor
    parameters: list[torch.Tensor]
    held: Held
    level: int
    trajectory: Trajectory | None = None
    stats: BackwardStats = field(default_factory=BackwardStats)
    graphs: KeptGraphs | None = None

    def integrate(self) -> Trajectory:
        """The forward pass."""
        problem, graphs = self.problem, self.graphs
        self.trail.begin(problem)
        if graphs is not None:
            problem = _uncached(problem)
        trajectory = integrate(problem, traced=False, first=self.first, journal=self.trail.note, keeper=graphs)
        self.stats.kept_bytes = _bytes(self.trail.kept(), apart=[problem.y0]) + (0 if graphs is None else graphs.bytes)
        return trajectory

    def _tape(self, needs: tuple[bool, ...]) -> Tape:
        """The tape of kept graphs, or a new one for those gradients that are wanted."""
        if self.graphs is not None:
            self.graphs.tape.restart()
            return self.graphs.tape
        equation = self.problem.equation.uncached()
        return Tape(
            replace(equation, count=type(equation.count)()),
            self.parameters,
            wants_args=list(needs[2 + len(self.parameters) :]),
            time=self.problem.times.tensor is not None and needs[1],
        )

    def pull_back(self, needs: tuple[bool, ...], bars: tuple[torch.Tensor | None, ...]) -> tuple:
        """Gradients of y0, ts, parameters and args. needs: which are wanted."""
        assert self.trajectory is not None
        tape = self._tape(needs)
        before = tape.equation.count.calls + self.trail.evaluations
        meter = BackwardMeter(self.stats, self.problem.y0.device)
        aside = autocast_aside(self.problem.y0.device.type)
        with self.held.as_found(), hooks_aside(self.parameters), aside, meter:
            y_bar, ts_bar = self.trail.pull_back(WayBack(_uncached(self.problem), self.trajectory, tape, bars))
        self.stats.num_evaluations = tape.equation.count.calls + self.trail.evaluations - before
        return (y_bar, ts_bar, *tape.sums)

    def push_forward(self, *tangents: torch.Tensor | None) -> tuple[torch.Tensor, ...]:
        """Tangents of values (and, saved densely, starts and stages) from those of y0, ts, parameters and args.

        Parameters have none: a tensor with a tangent that the field captures is among args (core.closure).
        """
        count, problem = len(self.parameters), self.problem

        def outputs(*tensors: torch.Tensor | None) -> list[torch.Tensor]:
            moved = _with_tensors(problem, list(tensors))
            trajectory = integrate(moved, traced=True)
            return [x for x in (trajectory.values, *kept_steps(trajectory, moved)) if x is not None]

        plain = [problem.y0, problem.times.tensor, *problem.equation.args_tensors]
        with torch.no_grad():
            return push_forward(outputs, plain, [*tangents[:2], *tangents[2 + count :]])


class _Walk(torch.autograd.Function):
    """The solve as a node of the graph: inputs (job, y0, ts, number of parameters, *parameters, *args)."""

    @staticmethod
    def forward(job: _Job, *inputs):
        del inputs  # at the bottom of all transforms they are the numbers of the job's own problem
        job.trajectory = job.integrate()
        outputs = job.trajectory.values, *kept_steps(job.trajectory, job.problem)
        # Not the job's own tensors: these would lead to the node, and the node to the job, until the collector comes.
        return tuple(None if one is None else one.detach() for one in outputs)

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.job, *_ = inputs
        tensors = (inputs[1], inputs[2], *inputs[4:])
        # Saved so that autograd notices when one of them is changed in place before the backward pass.
        ctx.save_for_backward(*tensors)
        ctx.save_for_forward(*tensors)
        ctx.set_materialize_grads(False)
        # At a level of torch.func its own transform takes the derivative, and always asks for a graph.
        ctx.in_transform = active()

    @staticmethod
    def vmap(info, in_dims, *inputs):
        # The axes of vmap are samples by now (integration.mapped).
        raise out_of_sight(next(x for x, dim in zip(inputs, in_dims, strict=True) if dim is not None))

    @staticmethod
    def backward(ctx, *bars):
        job, inputs = ctx.job, ctx.saved_tensors
        needs = (*ctx.needs_input_grad[1:3], *ctx.needs_input_grad[4:])
        if not (ctx.in_transform or active()):
            if torch.is_grad_enabled():
                raise RuntimeError(_first_only(job.trail.name))
            y_bar, ts_bar, *others = one_by_one(partial(job.pull_back, needs), bars)
        else:
            y_bar, ts_bar, *others = _PullBack.apply(job, needs, len(bars), *bars, *inputs)
        return None, y_bar, ts_bar, None, *others

    @staticmethod
    def jvp(ctx, *tangents):
        _, y0, ts, _count, *others = tangents
        inputs = [None if x is None else forward_ad.unpack_dual(x).primal for x in ctx.saved_tensors]
        return _PushForward.apply(ctx.job, 0, y0, ts, *others, *inputs)


class _PullBack(torch.autograd.Function):
    """The way back as a node: inputs (job, needs, number of bars, *bars, *inputs of the solve), for torch.func.

    Not to be differentiated again; the solve's inputs are here so that it is asked and can say so.
    """

    @staticmethod
    def forward(job: _Job, needs, count, *tensors):
        return job.pull_back(needs, tensors[:count])

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.name = inputs[0].trail.name

    @staticmethod
    def vmap(info, in_dims, *operands):
        """Many gradients of the same solve (jacrev): one way back after the other."""
        job, needs, count, *tensors = operands
        bars, inputs = tensors[:count], tensors[count:]
        rows = []
        for number in range(info.batch_size):
            own = [
                bar if dim is None else bar.select(dim, number)
                for bar, dim in zip(bars, in_dims[3 : 3 + count], strict=True)
            ]
            rows.append(_PullBack.apply(job, needs, count, *own, *inputs))
        stacked = tuple(None if column[0] is None else torch.stack(column) for column in zip(*rows, strict=True))
        return stacked, tuple(None if column is None else 0 for column in stacked)

    @staticmethod
    def backward(ctx, *bars):
        raise RuntimeError(_first_only(ctx.name))

    @staticmethod
    def jvp(ctx, *tangents):
        raise RuntimeError(_first_only(ctx.name))


class _PushForward(torch.autograd.Function):
    """The tangents of the solve's values, in forward mode through the same accepted steps; nothing of it is kept.

    Inputs (job, lead, *tangents of y0, ts, parameters and args, *these themselves). lead: how many axes in front of the
    tangents count tangents (jacfwd pushes many at once).
    """

    @staticmethod
    def forward(job: _Job, lead, *tensors):
        tangents = tensors[: len(tensors) // 2]
        if lead == 0:
            pushed = job.push_forward(*tangents)
        else:
            fronts = next(x.shape[:lead] for x in tangents if x is not None)
            flat = [None if x is None else x.flatten(0, lead - 1) for x in tangents]
            with above(job.level):
                rows = torch.func.vmap(job.push_forward, tuple(None if x is None else 0 for x in flat))(*flat)
            pushed = tuple(x.unflatten(0, fronts) for x in rows)
        return *pushed, *[None] * (3 - len(pushed))

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.name = inputs[0].trail.name

    @staticmethod
    def vmap(info, in_dims, *operands):
        job, lead, *tensors = operands
        count, fronted = len(tensors) // 2, []
        for tangent, dim in zip(tensors[:count], in_dims[2 : 2 + count], strict=True):
            if tangent is not None:
                tangent = tangent.expand(info.batch_size, *tangent.shape) if dim is None else tangent.movedim(dim, 0)
            fronted.append(tangent)
        pushed = _PushForward.apply(job, lead + 1, *fronted, *tensors[count:])
        return pushed, tuple(None if x is None else 0 for x in pushed)

    @staticmethod
    def backward(ctx, *bars):
        raise RuntimeError(_first_only(ctx.name))

    @staticmethod
    def jvp(ctx, *tangents):
        raise RuntimeError(_first_only(ctx.name))


def _first_only(name: str) -> str:
    return (
        f"gradient={name!r} gives first derivatives only, and a derivative of its derivative was asked for "
        "(create_graph=True, or one transform of torch.func inside another). Solve with gradient='direct' for "
        "derivatives of higher order."
    )


def _bytes(tensors: Iterable[torch.Tensor], *, apart: list[torch.Tensor]) -> int:
    """Bytes of the storages behind these tensors, each counted once, without those of `apart`."""
    known = {tensor.untyped_storage().data_ptr() for tensor in apart}
    storages = {tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes() for tensor in tensors}
    return sum(size for place, size in storages.items() if place not in known)
