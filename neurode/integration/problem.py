"""What goes into the loop and what comes out: the problem, the accepted steps, the trajectory."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch

from neurode.core.equation import AbstractEquation, HostTime
from neurode.core.tape import TapeScope
from neurode.integration.callbacks import Callbacks
from neurode.integration.clock import Interval, MaxSteps
from neurode.integration.controller import AdaptiveSteps, ConstantSteps
from neurode.integration.events import EventRows, Watched
from neurode.integration.recorder import EndRows, Recorder, StepRows
from neurode.integration.save import Save
from neurode.integration.stops import Stops
from neurode.integration.times import OutputTimes
from neurode.methods.stepper import AbstractStepper, KeptStep, StepResult


@dataclass(frozen=True)
class Problem:
    """Everything a solve needs, checked: what `solve` hands to a gradient, and a gradient to the loop.

    y0: packed (core.state). rtol, atol: floats or tensors that broadcast against it; used by adaptive control only.
    max_steps: attempted steps at most; per sample also an array (lanes,). stops: where steps have to end and the state
    jumps; a jump is not for a traced solve. events: what is watched. callbacks: told of each step. max_evaluations: no
    step begins with so many calls of f; per sample also an array. first_size: of the first step, a float or (lanes,);
    None: chosen.
    """

    equation: AbstractEquation
    y0: torch.Tensor
    times: OutputTimes
    stepper: AbstractStepper
    controller: AdaptiveSteps | ConstantSteps
    save: Save
    rtol: float | torch.Tensor
    atol: float | torch.Tensor
    max_steps: MaxSteps
    stops: Stops | None = None
    events: Watched | None = None
    callbacks: Callbacks | None = None
    max_evaluations: MaxSteps | None = None
    first_size: HostTime | None = None

    @property
    def lanes(self) -> int:
        return self.equation.layout.lanes(self.y0)


@dataclass(frozen=True)
class AcceptedStep:
    """One accepted step as a gradient needs it to make it again: where it began, and which saved rows it wrote.

    lanes: index tensor of the original lanes, None for all. carried: what the step was handed, where its method carries
    anything. kept: the step with its graph, where that was kept on the way. cut: of lanes that an event stopped within
    the step, places among its lanes and the states (places, width) there.
    """

    interval: Interval
    lanes: torch.Tensor | None
    y: torch.Tensor
    carried: torch.Tensor | None
    rows: StepRows
    kept: KeptStep | None = None
    cut: tuple[torch.Tensor, torch.Tensor] | None = None


@dataclass(frozen=True)
class Attempt:
    """One turn of the loop in which a step was accepted: what it takes to repeat it, to the last bit.

    All lanes that took part are here, also those that rejected: rounding depends on how many are computed together.
    interval, y, carried: of these lanes. lanes: their original numbers, None for the one lane of a joint solve.
    accepted: (lanes,) bool, which of them accepted; None for all.
    """

    interval: Interval
    lanes: np.ndarray | None
    accepted: np.ndarray | None
    y: torch.Tensor
    carried: torch.Tensor | None


class Keeper(Protocol):
    """Says which steps are to be made with their graphs kept.

    lanes: those of an attempt by their original numbers, None for the one of a joint solve.
    """

    def scope(self, lanes: np.ndarray | None) -> TapeScope | None:
        """What to record the next attempt on; None for not at all."""
        ...

    def weighed(self, lanes: np.ndarray | None) -> AbstractContextManager[None]:
        """Around an attempt that is recorded."""
        ...

    def accepted(self, lanes: np.ndarray | None) -> bool:
        """A recorded attempt was accepted by all its lanes: keep it?"""
        ...


Journal = Callable[[AcceptedStep, Attempt, StepResult], None]
"""Told of each accepted step, and what it gave."""


@dataclass(frozen=True)
class Trajectory:
    """What the loop brings back. values: (rows, width) in the recorder's order; counts and status per lane."""

    recorder: Recorder
    values: torch.Tensor
    beginning: EndRows | None
    status: np.ndarray
    steps: np.ndarray
    accepted: np.ndarray
    evaluations: np.ndarray
    jacobians: np.ndarray
    reached: np.ndarray
    last_size: np.ndarray
    events: EventRows | None = None
