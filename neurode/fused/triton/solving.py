"""A solve by the kernels of Triton as a node of autograd's graph."""

from dataclasses import dataclass, replace

import torch

from neurode.fused.field import ReadField
from neurode.fused.kernel import FusedRun
from neurode.fused.replay import differentiable_gradients
from neurode.fused.triton.device_solve import DeviceSolve
from neurode.fused.triton.packing import PackedField, packed, unpacked, whole_blocks
from neurode.integration.backward_stats import BackwardMeter, BackwardStats
from neurode.integration.problem import Problem


@dataclass
class _Job:
    """What travels beside the tensors between forward and backward."""

    problem: Problem
    field: ReadField
    packed: PackedField
    stats: BackwardStats
    solve: DeviceSolve | None = None


def run(problem: Problem, field: ReadField) -> FusedRun:
    """Solve. problem, field: what `fused.kernel.common_refusal` and `packing.refusal` have let pass."""
    whole = packed(field, whole_blocks(problem.y0.numel() // field.dim))
    enabled = torch.is_grad_enabled()
    if not (enabled and any(x.requires_grad for x in (problem.y0, whole.weights, whole.terms))):
        solve = DeviceSolve(problem, field, whole, probed=enabled, keep=False)
        return FusedRun(_shaped(solve), None, None, None, solve)
    job = _Job(problem, field, whole, BackwardStats())
    values = _DeviceSolve.apply(job, problem.y0, whole.weights, whole.terms)
    assert job.solve is not None
    return FusedRun(values, None, None, job.stats, job.solve)


def _shaped(solve: DeviceSolve) -> torch.Tensor:
    return solve.values.reshape(len(solve.values), *solve.shape)


class _DeviceSolve(torch.autograd.Function):
    """Inputs (job, y0, packed weights, packed terms), whose numbers are those of the job's problem and field."""

    @staticmethod
    def forward(ctx, job: _Job, y0: torch.Tensor, weights: torch.Tensor, terms: torch.Tensor):
        solve = job.solve = DeviceSolve(job.problem, job.field, job.packed, probed=True, keep=True)
        job.stats.kept_bytes = sum(log.states.numel() * log.states.element_size() for log in solve.log)
        # Saved so that autograd notices when one of them is changed in place before the backward pass.
        ctx.save_for_backward(y0, weights, terms)
        ctx.job = job
        # What is given back is not held here as well: the node would hold itself.
        values, solve.values = _shaped(solve), solve.values[:0]
        return values

    @staticmethod
    def backward(ctx, *bars: torch.Tensor):
        (bar,) = bars
        job, (y0, weights, terms) = ctx.job, ctx.saved_tensors
        if torch.is_grad_enabled():
            return None, *_followed(ctx, y0, weights, terms, bar)
        with BackwardMeter(job.stats, y0.device):
            *gradients, job.stats.num_evaluations = job.solve.pull_back(bar)
        return None, *gradients


def _followed(ctx, y0, weights, terms, bar) -> list[torch.Tensor | None]:
    """The gradients with a graph of their own (create_graph=True), by solving once more in torch's operations."""
    job = ctx.job
    problem = replace(job.problem, y0=y0)
    field = unpacked(job.field, weights, terms, y0.numel() // job.field.dim)
    inputs = [x for x, wanted in zip((y0, weights, terms), ctx.needs_input_grad[1:], strict=True) if wanted]
    found = iter(differentiable_gradients(problem, field, inputs, (bar, None, None)))
    return [next(found) if wanted else None for wanted in ctx.needs_input_grad[1:]]
