"""The same solve in torch's operations, followed by autograd: derivatives of higher order of what a kernel solved."""

from dataclasses import dataclass, replace

import numpy as np
import torch

from neurode.core.equation import Equation
from neurode.core.nest import PerSample
from neurode.fused.evaluation import derivative
from neurode.fused.field import ReadField
from neurode.integration.loop import integrate
from neurode.integration.problem import Problem, Trajectory


@dataclass(frozen=True)
class _FieldFunction:
    """A field that was read as f(t, y, args); args: its tensors with a row for each row of the state, by lanes."""

    field: ReadField

    def __call__(self, t: torch.Tensor, y: torch.Tensor, own: tuple[torch.Tensor, ...]) -> torch.Tensor:
        rest = iter(own)
        tensors = tuple(next(rest).flatten(0, 1) if one else x for x, one in _with_flags(self.field))
        times = t.broadcast_to((*y.shape[:-1], 1)).reshape(-1, 1) if t.ndim else t
        return derivative(self.field.with_tensors(tensors), times, y.reshape(-1, self.field.dim)).reshape(y.shape)


def eager_equation(problem: Problem, field: ReadField) -> Equation:
    """The equation of a field that was read, for the loop."""
    lanes = problem.lanes
    own = tuple(PerSample(x.reshape(lanes, -1, x.shape[-1])) for x, one in _with_flags(field) if one)
    return Equation(_FieldFunction(field), own, layout=problem.equation.layout)


def _with_flags(field: ReadField) -> list[tuple[torch.Tensor, bool]]:
    """Its tensors, each with whether it has a row for each row of the state."""
    flags = []
    for layer in field.layers:
        flags.append(False)
        if layer.bias is not None:
            flags.append(layer.bias.ndim == 2)
        flags += [term.weight.ndim == 2 for term in layer.time]
    return list(zip(field.tensors, flags, strict=True))


def replayed_outputs(
    problem: Problem, field: ReadField
) -> tuple[torch.Tensor, torch.Tensor | None, torch.Tensor | None]:
    """values (rows, lanes, width) and, saved densely, starts (steps, width) and stages (stages, steps, width), lane
    after lane, as the kernel gives them, with the graph of every operation.

    The steps are chosen anew; as sizes are rounded to a few binary digits, they are the kernel's.
    """
    trajectory = integrate(replace(problem, equation=eager_equation(problem, field)), traced=True)
    values, dense = _arranged(problem, trajectory), trajectory.recorder.dense
    if dense is None or not dense.starts:
        return values, None, None
    order = torch.from_numpy(np.argsort(np.concatenate(dense.lane), kind="stable")).to(values.device)
    return values, torch.cat(dense.starts)[order], torch.cat(dense.stages, dim=1)[:, order]


def _arranged(problem: Problem, trajectory: Trajectory) -> torch.Tensor:
    what, lanes = problem.save.what, problem.lanes
    rows = {"end": 1, "steps": int(trajectory.accepted.max()) + 1}.get(what, problem.times.host.shape[0])
    written = trajectory.recorder.written()
    values = trajectory.values
    empty = values.new_full((rows * lanes, values.shape[1]), float("nan"))
    place = torch.from_numpy(np.asarray(written.index * lanes + written.lane)).to(values.device)
    return empty.index_copy(0, place, values).view(rows, lanes, -1)


def differentiable_gradients(
    problem: Problem, field: ReadField, inputs: list[torch.Tensor], bars: tuple[torch.Tensor | None, ...]
) -> list[torch.Tensor | None]:
    """Gradients of values, starts and stages by `inputs` (y0, ts or tensors of the field, as they are in problem and
    field), with their own graph. bars: of the three, in any shape of as many numbers; None for zeros."""
    with torch.enable_grad():
        outputs = replayed_outputs(problem, field)
        pairs = [(out, bar) for out, bar in zip(outputs, bars, strict=True) if out is not None and bar is not None]
        if any(out.numel() != bar.numel() for out, bar in pairs):
            raise RuntimeError(
                "a derivative of a derivative was asked for, and the steps could not be repeated: there were more or "
                "fewer of them at the second time. Solve with engine='eager' and gradient='direct'."
            )
        whole = [torch.where(torch.isfinite(out.detach()), bar.reshape(out.shape), 0) for out, bar in pairs]
        return list(torch.autograd.grad([out for out, _ in pairs], inputs, whole, create_graph=True, allow_unused=True))
