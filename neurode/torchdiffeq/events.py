"""Solves that end where a function of time and state crosses zero, for torchdiffeq's interface."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from neurode.methods.stepper import AbstractStepper
from neurode.torchdiffeq import fixed
from neurode.torchdiffeq.adaptive import AdaptiveWalk
from neurode.torchdiffeq.attempts import Attempts, EventFired, MadeStep
from neurode.torchdiffeq.numbers import back_of, host, real_view
from neurode.torchdiffeq.request import Field, Request, demand

MOST_FIXED_STEPS = 20_000

Curve = Callable[[torch.Tensor], torch.Tensor]
"""The state at a time inside a step."""


class Event:
    """The user's function as one number that starts positive: the least of its values, each with the sign it has at
    the beginning."""

    def __init__(self, request: Request):
        assert request.event_fn is not None
        self.function: Field = request.event_fn
        self.dtype = real_view(request.y0).dtype
        with torch.no_grad():
            self.signs = torch.sign(self.function(self._time(request.t[0]), request.y0))

    def _time(self, t: Any) -> torch.Tensor:
        return torch.as_tensor(t, dtype=self.dtype, device=None)

    @property
    def at_start(self) -> bool:
        """Is it zero where the solve begins?"""
        return bool((self.signs == 0).any())

    def __call__(self, t: Any, y: torch.Tensor) -> torch.Tensor:
        return torch.min(self.function(self._time(t), y) * self.signs)

    def is_past(self, t: Any, y: torch.Tensor) -> bool:
        """Has it crossed zero?"""
        with torch.no_grad():
            return not host(self(t, y)) > 0

    def crossing(self, curve: Curve, t0: float, t1: float, tolerance: float) -> float:
        """Its time between t0, where it is positive, and t1, where it is not, by bisection."""
        smallest = 4 * np.finfo(np.float64).eps * max(abs(t0), abs(t1))
        width = max(tolerance, smallest, np.finfo(np.float64).tiny)
        with torch.no_grad():
            for _ in range(max(0, math.ceil(math.log2(abs(t1 - t0) / width)))):
                middle = (t0 + t1) / 2
                if self.is_past(middle, curve(torch.tensor(middle, dtype=torch.float64))):
                    t1 = middle
                else:
                    t0 = middle
        return (t0 + t1) / 2


def until(request: Request) -> tuple[torch.Tensor, torch.Tensor]:
    """(time of the event, 0-d and without gradient; y0 and the state there, (2, *y0.shape))."""
    event = Event(request)
    if event.at_start:
        return request.t[0].detach().clone(), torch.stack([request.y0, request.y0])
    find = {"adaptive": _adaptive, "fixed": _fixed}.get(request.method.kind)
    if find is None:
        raise NotImplementedError("method='scipy_solver' does not look for events. Use an adaptive method.")
    t0, t1, curve = find(request, event)
    smallest = request.atol.min() if isinstance(request.atol, torch.Tensor) else request.atol
    found = torch.tensor(event.crossing(curve, t0, t1, host(smallest)), dtype=torch.float64)
    return found.to(request.t), torch.stack([request.y0, curve(found)])


def _watch(event: Event, back: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[MadeStep], bool]:
    return lambda step: event.is_past(step.t_end, back(step.result.y1))


def _adaptive(request: Request, event: Event) -> tuple[float, float, Curve]:
    """The step in which it fires, and the dense output in it. Time goes on in longer and longer windows."""
    back = back_of(request.y0)
    walk = AdaptiveWalk(request, fired=_watch(event, back))
    step = _first_past(walk, request.t[0].double(), 1.0 if request.forward else -1.0)
    stages = step.complete().stages
    return step.t, step.t_end, lambda t: back(_dense(walk.stepper, step, stages, host(t)))


def _first_past(walk: AdaptiveWalk, start: torch.Tensor, length: float) -> MadeStep:
    """The first step that ends behind the event. length: of the first window, negative backwards in time."""
    try:
        while True:
            end = start.new_tensor(host(start) + length)
            walk.advance(torch.stack([start, end]), save="end")
            start, length = end, 2 * length
    except EventFired as fired:
        return fired.step


def _dense(stepper: AbstractStepper, step: MadeStep, stages: torch.Tensor, t: float) -> torch.Tensor:
    size = step.t_end - step.t
    weights = torch.from_numpy(stepper.dense_weights(np.array([(t - step.t) / size]))[0])
    return step.y + size * torch.tensordot(weights.to(stages), stages, dims=1)


def _fixed(request: Request, event: Event) -> tuple[float, float, Curve]:
    """The fixed step in which it fires, and the interpolation in it."""
    size, t0 = request.options.get("step_size"), request.t[0]
    demand(size is not None, "looking for an event with fixed steps needs options={'step_size': ...}.")
    fixed.interpolation_of(request)
    back = back_of(request.y0)
    attempts = Attempts({}, back, request.t.detach(), _watch(event, back))
    steps = torch.arange(MOST_FIXED_STEPS + 1, dtype=request.t.dtype, device=request.t.device)
    grid = t0 + steps * (host(size) if request.forward else -host(size))
    try:
        fixed.on_grid(request, grid, fixed.stepper_of(request, attempts))
    except EventFired as fired:
        step = fired.step
    else:
        raise RuntimeError(
            f"no event within {MOST_FIXED_STEPS} steps of {host(size)}: event_fn keeps its sign from t={host(t0)} to "
            f"t={host(grid[-1])}. Pass a larger step_size, or an adaptive method."
        )
    number = int((grid.detach().double() - step.t).abs().argmin())
    ends = grid[number : number + 1], grid[number + 1 : number + 2]
    between = fixed.Between(*ends, back(step.y).unsqueeze(0), back(step.result.y1).unsqueeze(0))
    if fixed.interpolation_of(request) == "cubic":
        between = between.curved(request)
    return step.t, step.t_end, lambda t: between.read(t.reshape(1))[0]
