"""Solves on a grid of fixed steps for torchdiffeq's interface: the grid, the steps, and outputs between grid points."""

import warnings
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from neurode.core.errors import SolveError
from neurode.gradients.direct import Direct
from neurode.methods.adams import HIGHEST, Adams
from neurode.methods.implicit_rk import ImplicitRungeKutta
from neurode.methods.newton import Newton
from neurode.methods.stepper import AbstractStepper
from neurode.solving import solve
from neurode.torchdiffeq.adaptive import raise_as_there
from neurode.torchdiffeq.attempts import Attempts
from neurode.torchdiffeq.methods import METHODS
from neurode.torchdiffeq.numbers import back_of, host, next_to, real_field, real_view
from neurode.torchdiffeq.request import Request, demand
from neurode.torchdiffeq.steered import SteeredStepper

USUAL_ADAMS = 5
"""The order where the user asks for none: beyond it few steps are short enough to be stable."""


def values(request: Request) -> torch.Tensor:
    """The solution at the times of t, (len(t), *y0.shape)."""
    grid = grid_of(request)
    ys = on_grid(request, grid, stepper_of(request, _attempts(request)))
    return read_between(request, grid, ys)


def _attempts(request: Request) -> Attempts | None:
    return Attempts(request.callbacks, back_of(request.y0), request.t.detach()) if request.callbacks else None


def stepper_of(request: Request, attempts: Attempts | None) -> AbstractStepper:
    """The method, with what the user put between."""
    stepper, perturb = request.method.stepper, bool(request.options.get("perturb", False))
    iterations = request.options.get("max_iters")
    if isinstance(stepper, Adams):
        stepper = _adams(stepper, request)
    elif iterations is not None and isinstance(stepper, ImplicitRungeKutta):
        stepper = replace(stepper, newton=Newton(iterations=max(2, int(iterations))))
    return SteeredStepper(stepper, perturb=perturb, attempts=attempts) if perturb or attempts is not None else stepper


def _adams(stepper: Adams, request: Request) -> AbstractStepper:
    """The Adams method of the options: of order 5, or what is asked for up to our highest, and of as many corrections
    as the user allows."""
    options = request.options
    order = int(options.get("max_order", USUAL_ADAMS))
    demand(order <= 12, f"max_order must be 12 at most, but is {order}.")
    if order < 4:
        warnings.warn(f"max_order={order} is below 4, so the solver reduces to `rk4`.", stacklevel=5)
        return METHODS["rk4"].stepper
    corrections = stepper.corrections
    if corrections and "max_iters" in options:
        corrections = int(options["max_iters"])
    if not options.get("implicit", True):
        corrections = 0
    return replace(stepper, order=min(order, HIGHEST), corrections=corrections)


def grid_of(request: Request) -> torch.Tensor:
    """The times between which steps are made: t itself, equal steps from its first to its last, or what the user's
    grid_constructor gives."""
    t, size, make = request.t, request.options.get("step_size"), request.options.get("grid_constructor")
    if size is not None and make is not None:
        raise ValueError("step_size and grid_constructor are mutually exclusive arguments.")
    if make is not None:
        grid = make(request.func, request.y0, t)
    elif size is not None and len(t) > 1:
        grid = equal_steps(t, host(size))
    else:
        return t
    for place in (0, -1):
        given, wanted = host(grid[place]), host(t[place])
        demand(given == wanted, f"grid[{place}] must be t[{place}]={wanted}, but is {given}.")
    return grid


def equal_steps(t: torch.Tensor, size: float) -> torch.Tensor:
    """From t[0] to t[-1] in steps of `size`, the last one shorter."""
    span = host(t[-1].double() - t[0].double())
    # A number of steps that is whole up to rounding is meant to be whole.
    count = max(1, int(np.ceil(abs(span) / size * (1 - 1e-6))))
    inner = t[0] + torch.arange(count, dtype=t.dtype, device=t.device) * (size if span > 0 else -size)
    return torch.cat([inner, t[-1:]])


def on_grid(request: Request, grid: torch.Tensor, stepper: AbstractStepper) -> torch.Tensor:
    """The solution at the points of the grid."""
    y0 = request.y0
    try:
        solution = solve(
            real_field(request.func, y0), real_view(y0), grid, method=stepper, gradient=Direct(kernel=True)
        )
    except SolveError as error:
        raise_as_there(error)
    if isinstance(stepper, SteeredStepper) and stepper.attempts is not None:
        stepper.attempts.end(host(grid[-1]))
    return back_of(y0)(solution.ys)


def read_between(request: Request, grid: torch.Tensor, ys: torch.Tensor) -> torch.Tensor:
    """The solution at the times of t from that on the grid."""
    t = request.t
    if grid is t:
        return ys
    points, asked = (x.detach().double().cpu().numpy() for x in (grid, t))
    sign = 1.0 if request.forward else -1.0
    after = np.searchsorted(points * sign, asked * sign, side="left")
    exact = torch.from_numpy(points[after] == asked).to(t.device)
    after = torch.from_numpy(after).to(t.device)
    rows = ys.index_select(0, after)
    # On a point of the grid the value is known; how it changes with t is not, but for the first.
    inside = (after > 0 if t.requires_grad else ~exact).nonzero().squeeze(1)
    if len(inside) == 0:
        return rows
    found = Between.of(request, grid, ys, after[inside]).read(t[inside])
    known = exact[inside].reshape(-1, *(1,) * (ys.ndim - 1))
    found = torch.where(known, rows[inside].detach() + (found - found.detach()), found)
    return rows.index_copy(0, inside, found)


@dataclass(frozen=True)
class Between:
    """Steps (n of them) that are read inside. f0, f1: func at their ends, None for a straight line."""

    t0: torch.Tensor
    t1: torch.Tensor
    y0: torch.Tensor
    y1: torch.Tensor
    f0: torch.Tensor | None = None
    f1: torch.Tensor | None = None

    @classmethod
    def of(cls, request: Request, grid: torch.Tensor, ys: torch.Tensor, ends: torch.Tensor) -> "Between":
        """The steps that end at these points of the grid."""
        line = cls(grid[ends - 1], grid[ends], ys[ends - 1], ys[ends])
        return line.curved(request) if interpolation_of(request) == "cubic" else line

    def curved(self, request: Request) -> "Between":
        """With the slopes at both ends."""
        dtype, perturb = real_view(request.y0).dtype, bool(request.options.get("perturb", False))

        def slopes(times: torch.Tensor, others: torch.Tensor, states: torch.Tensor) -> torch.Tensor:
            places = [(time.to(dtype), other.to(dtype)) for time, other in zip(times, others, strict=True)]
            moved = [next_to(time, other) if perturb else time for time, other in places]
            return torch.stack([request.func(time, y) for time, y in zip(moved, states, strict=True)])

        f0, f1 = slopes(self.t0, self.t1, self.y0), slopes(self.t1, self.t0, self.y1)
        return Between(self.t0, self.t1, self.y0, self.y1, f0, f1)

    def read(self, t: torch.Tensor) -> torch.Tensor:
        """The value of each step at its own time of t (n,)."""
        size, place = self.t1 - self.t0, t - self.t0
        theta, size = (self._column(x) for x in (place / size, size))
        if self.f0 is None or self.f1 is None:
            return self.y0 + theta * (self.y1 - self.y0)
        # Hermite's cubic through both ends with both slopes.
        rest, step = 1 - theta, self.y1 - self.y0
        bend = theta * rest * (rest * (size * self.f0 - step) - theta * (size * self.f1 - step))
        return self.y0 + theta * step + bend

    def _column(self, numbers: torch.Tensor) -> torch.Tensor:
        return numbers.to(real_view(self.y0).dtype).reshape(-1, *(1,) * (self.y0.ndim - 1))


def interpolation_of(request: Request) -> Any:
    """linear or cubic; ValueError for another."""
    interp = request.options.get("interp", "linear")
    if interp not in ("linear", "cubic"):
        raise ValueError(f"Unknown interpolation method {interp}: there are 'linear' and 'cubic'.")
    return interp
