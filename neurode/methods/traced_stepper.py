"""Steps whose derivative autograd takes: of a method that is written once, in operations that it can follow."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from neurode.core.tape import Evaluation, TapeScope
from neurode.methods.stepper import AbstractStepper, Replayed, StepGradient, StepResult


class AbstractTracedStepper(AbstractStepper):
    """A method whose `step`, traced, is differentiated as a whole: one graph a step.

    Good for methods that are no table of slopes. It holds the activations of all of a step's calls of f at once, where
    an explicit Runge-Kutta method holds those of one call after the other.
    """

    def smooth_columns(self, y: torch.Tensor) -> int | None:
        """So many columns of what a step is handed have gradients, the first ones; None: all. y: the state."""
        del y

    def replay(self, scope: TapeScope, t, t_end, y, carried, *, read: bool) -> Replayed:
        smooth, rest = carried, None
        columns = None if carried is None else self.smooth_columns(y)
        if carried is not None and columns is not None:
            smooth, rest = carried[..., :columns], carried[..., columns:].detach()
        handed = [] if smooth is None else [smooth.reshape(-1)]
        leaf = torch.cat((y.reshape(-1), *handed)).detach().requires_grad_()
        # Held as a leaf also where no time is differentiated: the tape asks for both.
        ends: Any = torch.from_numpy(np.stack((t, t_end))).to(y.device)
        ends.requires_grad_(scope.tape.time)
        with torch.enable_grad():
            begin, end = ends.unbind(0) if scope.tape.time else (t, t_end)
            start = leaf[: y.numel()].view(y.shape)
            given = None if smooth is None else leaf[y.numel() :].view(smooth.shape)
            given = given if given is None or rest is None else torch.cat((given, rest), dim=-1)
            result = self.step(scope.equation, begin, end, start, given, traced=True)
            if read:
                result = self.complete(scope.equation, begin, end, start, result, traced=True)
            following = result.carried_next
            following = following if following is None or rest is None else following[..., :columns]
            outputs = (result.y1, result.stages, following)
            value = torch.cat([x.reshape(-1) for x in outputs if x is not None])
        call = Evaluation(value, leaf, ends)
        return Replayed(result.stages.detach(), _TracedStep(call, y, smooth, following))

    def pull_back(self, scope: TapeScope, replayed: Replayed, y1_bar, stages_bar, next_bar) -> StepGradient:
        step: _TracedStep = replayed.recorded
        if stages_bar is None:
            stages_bar = torch.zeros_like(replayed.stages)
        bars = [y1_bar, stages_bar]
        if step.following is not None:
            bars.append(torch.zeros_like(step.following) if next_bar is None else next_bar)
        bar, ends_bar = scope.pull(step.call, torch.cat([x.reshape(-1) for x in bars]))
        size = step.y.numel()
        handed = None if step.carried is None else bar[size:].view(step.carried.shape)
        if ends_bar is None:
            return StepGradient(bar[:size].view(step.y.shape), handed, None, None)
        t_bar, t_end_bar = ends_bar.to(step.y.dtype).reshape(2, -1).unbind(0)
        return StepGradient(bar[:size].view(step.y.shape), handed, t_bar, t_end_bar)


@dataclass(frozen=True)
class _TracedStep:
    """A step made again. call: its graph, from all inputs to all outputs. following: what it hands over."""

    call: Evaluation
    y: torch.Tensor
    carried: torch.Tensor | None
    following: torch.Tensor | None


def add_scaled(y: torch.Tensor, slope: torch.Tensor, size, weight: float) -> torch.Tensor:
    """y + size weight slope."""
    if isinstance(size, float):
        return torch.add(y, slope, alpha=size * weight)
    return torch.addcmul(y, size * weight, slope)


def combined(y: torch.Tensor, stages: torch.Tensor, size, weights: np.ndarray) -> torch.Tensor:
    """y + size sum_j weights[j] stages[j]."""
    row = torch.from_numpy(weights).to(y.device, y.dtype)
    total = torch.tensordot(row, stages[: len(weights)], dims=1)
    return y + total * size


def with_lanes(whole: StepResult, places: torch.Tensor, part: StepResult) -> StepResult:
    """A step with constant steps, with that of some lanes in its place."""
    assert whole.carried_next is not None
    assert part.carried_next is not None
    failed = whole.failed
    if failed is not None:
        failed = failed.copy()
        failed[places.cpu().numpy()] = False if part.failed is None else part.failed
    return StepResult(
        whole.y1.index_copy(0, places, part.y1),
        whole.stages.index_copy(1, places, part.stages),
        None,
        whole.carried_next.index_copy(0, places, part.carried_next),
        failed=failed,
    )
