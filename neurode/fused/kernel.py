"""Whole solves by the native kernel: what it takes, and the solve as a node of autograd's graph."""

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import torch

from neurode.core.transforms import active, forward_mode, one_by_one
from neurode.fused.field import ReadField
from neurode.fused.library import status
from neurode.fused.native_solve import AcceptedSteps, NativeSolve, Slots
from neurode.fused.replay import differentiable_gradients
from neurode.integration.backward_stats import BackwardMeter, BackwardStats
from neurode.integration.controller import ConstantSteps
from neurode.integration.problem import Problem
from neurode.methods.explicit_rk import ExplicitRungeKutta

if TYPE_CHECKING:
    from neurode.fused.triton.device_solve import DeviceSolve

DENSE = torch.contiguous_format
MOST_STAGES = 32
MOST_POWERS = 15
ACTIVATION_BYTES = 4 << 20
"""So much memory of activations a solve may keep for its way back, if it is not told otherwise."""


@dataclass(frozen=True)
class FusedRun:
    """What a fused solve brings back.

    values: (rows, *shape of the packed y0) with their graph, NaN where not reached: at the times of ts, at t1, or
    (save="steps") at t0 and after each accepted step. starts, stages: for save="dense", (steps, width) and (stages,
    steps, width) with their graph, of all lanes, lane after lane. backward: filled in by the way back, None where
    nothing wants a gradient. solve: with counts and ends as `NativeSolve` has them.
    """

    values: torch.Tensor
    starts: torch.Tensor | None
    stages: torch.Tensor | None
    backward: BackwardStats | None
    solve: "NativeSolve | DeviceSolve"

    @property
    def native(self) -> NativeSolve:
        """The solve where the native kernel made it, which alone keeps more than values at output times."""
        assert isinstance(self.solve, NativeSolve)
        return self.solve

    def accepted_steps(self, lane: int) -> AcceptedSteps:
        """The steps of one lane; known where a gradient is wanted, and for save="steps"."""
        return self.native.accepted_steps(lane)


def refusal(problem: Problem, field: ReadField) -> str | None:
    """What the kernel does not take, as a clause that follows "because"; None where it takes everything."""
    native, layout = status(), problem.equation.layout
    if not native.available:
        return native.reason.rstrip(".")
    if layout.device.type != "cpu":
        return f"the native kernel runs on the CPU, but the state is on {layout.device}"
    return common_refusal(problem, field)


def common_refusal(problem: Problem, field: ReadField) -> str | None:
    """What neither the native kernel nor that for a GPU takes."""
    layout = problem.equation.layout
    if layout.kind != "tensor":
        return f"the kernel takes a tensor as the state, but y0 is a {layout.kind}"
    if active() or forward_mode():
        return "inside torch.func and forward-mode derivatives only the eager engine can be followed"
    if problem.stops is not None:
        return "the solve has stops at which the state jumps"
    if problem.events is not None or problem.first_size is not None:
        return "the solve is made piece by piece"
    # What does not depend on values is looked at once for a field, as long as it is the very same one.
    asked, known = (layout, problem.y0.shape), field.shelf.get("refusal")
    if known is None or known[0] is not problem.stepper or known[1] != asked:
        field.shelf["refusal"] = known = (problem.stepper, asked, _lasting_refusal(problem, field))
    if known[2] is None and problem.stepper.completes and (problem.save.what == "dense" or _reads_inside(problem)):
        return f"the method {problem.stepper.name!r} needs further calls of f to be read between its steps"
    return known[2]


def _lasting_refusal(problem: Problem, field: ReadField) -> str | None:
    layout = problem.equation.layout
    shape = layout.shapes[0]
    if layout.per_sample and len(shape) != 1:
        return f"the kernel steps rows of numbers, but each sample of y0 has shape {tuple(shape)}"
    if problem.y0.numel() == 0:
        return "y0 is empty"
    if not isinstance(problem.stepper, ExplicitRungeKutta):
        return f"the method {problem.stepper.name!r} is not an explicit Runge-Kutta method"
    if problem.stepper.tableau.coarse_order is not None:
        return f"the method {problem.stepper.name!r} judges its steps by two estimates of the error"
    if problem.stepper.tableau.num_stages > MOST_STAGES:
        return f"the method {problem.stepper.name!r} has more than {MOST_STAGES} stages"
    if problem.stepper.tableau.dense_matrix.shape[1] > MOST_POWERS:
        return f"the dense output of {problem.stepper.name!r} has a degree above {MOST_POWERS}"
    return _field_refusal(problem, field)


def _reads_inside(problem: Problem) -> bool:
    """May an output time lie between the ends of a step?"""
    controller, times = problem.controller, problem.times.host
    steps_at_times = isinstance(controller, ConstantSteps) and controller.step_size is None
    return problem.save.what == "ts" and not steps_at_times and len(times) > 2


def _field_refusal(problem: Problem, field: ReadField) -> str | None:
    layout = problem.equation.layout
    width_in, rows = field.dim, problem.y0.numel() // field.dim
    for tensor in field.tensors:
        if tensor.dtype != layout.dtype or tensor.device != layout.device:
            return (
                f"the field has a tensor of dtype {tensor.dtype} on {tensor.device}, but the state is {layout.dtype} "
                f"on {layout.device}"
            )
    for number, layer in enumerate(field.layers, start=1):
        width_out = layer.weight.shape[0]
        if layer.weight.shape[1] != width_in or (layer.skip and width_in != width_out):
            return f"layer {number} has a weight of shape {tuple(layer.weight.shape)} behind {width_in} numbers"
        for tensor in [layer.bias, *(term.weight for term in layer.time)]:
            if tensor is not None and tuple(tensor.shape) not in ((width_out,), (rows, width_out)):
                return f"a bias of layer {number} has shape {tuple(tensor.shape)}"
        width_in = width_out
    if width_in != field.dim:
        return f"the field's last layer gives {width_in} numbers, but the state has {field.dim}"
    return None


def run(
    problem: Problem,
    field: ReadField,
    *,
    probed: bool | None = None,
    checked: bool = False,
    activation_bytes: int = ACTIVATION_BYTES,
    slots: Slots = None,
) -> FusedRun:
    """Solve.

    probed: does f(t0, y0) count as called for every sample, as it is in the eager engine to find out what f depends on?
    None: as there, wherever gradients are enabled. checked: was `refusal` asked before? Raises ValueError for what it
    names. activation_bytes: to be spent at most on activations that the way back of a joint solve need then not compute
        again. slots: states that it may keep for the way back; the others are made again.
    """
    reason = None if checked else refusal(problem, field)
    if reason is not None:
        raise ValueError(f"the fused engine cannot solve this, because {reason}. Use engine='eager' or 'auto'.")
    enabled = torch.is_grad_enabled()
    probed = enabled if probed is None else probed
    ts, tensors = problem.times.tensor, field.tensors
    wanted = enabled and (
        problem.y0.requires_grad
        or (ts is not None and ts.requires_grad)
        or any(tensor.requires_grad for tensor in tensors)
    )
    if not wanted:
        solve = NativeSolve(problem, field, probed=probed, keep=False)
        return _fused_run(solve.take_outputs(), None, solve)
    job = _Job(problem, field, probed, BackwardStats(), activation_bytes, slots)
    outputs = _FusedSolve.apply(job, problem.y0, ts, *tensors)
    assert job.solve is not None
    return _fused_run(outputs, job.stats, job.solve)


def _fused_run(outputs: tuple, stats: BackwardStats | None, solve: NativeSolve) -> FusedRun:
    values, starts, stages = outputs
    return FusedRun(values, starts, stages, stats, solve)


@dataclass
class _Job:
    """What travels beside the tensors between forward and backward."""

    problem: Problem
    field: ReadField
    probed: bool
    stats: BackwardStats
    activation_bytes: int
    slots: Slots
    solve: NativeSolve | None = None


class _FusedSolve(torch.autograd.Function):
    """The solve as a node: inputs (job, y0, ts, *tensors of the field)."""

    @staticmethod
    def forward(ctx, job: _Job, y0: torch.Tensor, ts: torch.Tensor | None, *tensors: torch.Tensor):
        # The numbers of these inputs are those of the job's own problem and field.
        job.solve = NativeSolve(
            job.problem, job.field, probed=job.probed, keep=True, activation_bytes=job.activation_bytes,
            slots=job.slots,
        )  # fmt: skip
        job.stats.kept_bytes = job.solve.kept_bytes
        # Saved so that autograd notices when one of them is changed in place before the backward pass.
        ctx.save_for_backward(y0, ts, *tensors)
        ctx.job = job
        ctx.set_materialize_grads(False)
        # What is given back is not held here as well: the node would hold itself.
        return job.solve.take_outputs()

    @staticmethod
    def backward(ctx, *bars):
        if torch.is_grad_enabled():
            return None, *_followed(ctx, bars)
        # is_grads_batched=True: one way back after the other.
        return None, *one_by_one(partial(_pulled_back, ctx), bars)


def _pulled_back(ctx, bars: tuple[torch.Tensor | None, ...]) -> tuple[torch.Tensor | None, ...]:
    """Gradients of y0, ts and the tensors of the field."""
    job, (y0, ts, *tensors) = ctx.job, ctx.saved_tensors
    _, y0_wanted, ts_wanted, *wanted = ctx.needs_input_grad
    # The kernel writes them all; rows of samples that take no step are the exception.
    gradients = tuple(
        [
            None
            if not want
            else torch.zeros_like(x, memory_format=DENSE)
            if x.ndim == 2
            else torch.empty_like(x, memory_format=DENSE)
            for x, want in zip(tensors, wanted, strict=True)
        ]
    )
    times_bar = torch.zeros(ts.shape, dtype=torch.float64) if ts_wanted else None
    with BackwardMeter(job.stats, y0.device):
        y0_bar, job.stats.num_evaluations = job.solve.pull_back(job.problem, job.field, bars, gradients, times_bar)
    ts_bar = None if times_bar is None else times_bar.to(ts.dtype)
    return y0_bar if y0_wanted else None, ts_bar, *gradients


def _followed(ctx, bars: tuple[torch.Tensor | None, ...]) -> list[torch.Tensor | None]:
    """The gradients with a graph of their own (create_graph=True), by solving once more in torch's operations."""
    job, (y0, ts, *tensors) = ctx.job, ctx.saved_tensors
    problem = replace(job.problem, y0=y0, times=replace(job.problem.times, tensor=ts))
    field = job.field.with_tensors(tuple(tensors))
    gradients: list[torch.Tensor | None] = [None] * (2 + len(tensors))
    wanted = [number for number, want in enumerate(ctx.needs_input_grad[1:]) if want]
    inputs = [(y0, ts, *tensors)[number] for number in wanted]
    for number, gradient in zip(wanted, differentiable_gradients(problem, field, inputs, bars), strict=True):
        gradients[number] = gradient
    return gradients
