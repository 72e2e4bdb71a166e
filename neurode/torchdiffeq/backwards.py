"""The solve backwards in time of `odeint_adjoint`: the adjoint equation beside the state, interval by interval."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from neurode.torchdiffeq.numbers import real_view
from neurode.torchdiffeq.odeint import odeint
from neurode.torchdiffeq.request import Field, Request, flat_tolerance


@dataclass(frozen=True)
class AdjointSettings:
    """How the backward solve is made. options["norm"]: of (adj_t, y, adj_y, *adj_params). callbacks: of func, by their
    names with `_adjoint`."""

    rtol: Any
    atol: Any
    method: str | None
    options: dict[str, Any]
    callbacks: dict[str, Callable]

    def with_options(self, options: dict[str, Any]) -> "AdjointSettings":
        return replace(self, options=options)

    def spread(self, request: Request, parameters: int) -> "AdjointSettings":
        """With tolerances for each part of (adj_t, y, adj_y, *adj_params)."""
        rtol, atol = (_spread(given, request, parameters) for given in (self.rtol, self.atol))
        return replace(self, rtol=rtol, atol=atol)


def _spread(given: Any, request: Request, parameters: int) -> Any:
    """A tolerance of the state holds for its adjoint too, and the smallest of them for parameters; one that lists those
    of (adj_t, y, adj_y, *adj_params) is taken as it is."""
    if not hasattr(given, "__iter__") or (isinstance(given, torch.Tensor) and given.ndim == 0):
        return given
    if len(given) == 3 + parameters:
        return given
    if request.parts is None:
        own = torch.as_tensor(given).broadcast_to(request.y0.shape).reshape(-1)
    else:
        own = flat_tolerance("the adjoint's tolerance", given, request.parts)
    return (own.min(), own, own, *[own.min()] * parameters)


class _Augmented:
    """d/dt (adj_t, y, adj_y, *adj_params), with the user's callbacks where `odeint` looks for them. time: is adj_t
    wanted? It stays 0 otherwise."""

    def __init__(self, func: Field, settings: AdjointSettings, parameters: tuple[torch.Tensor, ...], *, time: bool):
        self.func, self.parameters, self.time = func, parameters, time
        for name, callback in settings.callbacks.items():
            setattr(self, name.removesuffix("_adjoint"), callback)

    def __call__(self, t: torch.Tensor, state: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        adj_t, y, adj_y = state[:3]
        # An implicit method asks for the derivative of all this.
        followed = torch.is_grad_enabled() and y.requires_grad
        t = t.detach().requires_grad_(self.time)
        y = y if followed else y.detach().requires_grad_()
        wanted = (*([t] if self.time else []), y, *self.parameters)
        pulled: Sequence[torch.Tensor | None] = [None] * len(wanted)
        with torch.enable_grad():
            slope = self.func(t, y)
            if slope.requires_grad:
                pulled = torch.autograd.grad(slope, wanted, -adj_y, create_graph=followed, allow_unused=True)
        bars = [torch.zeros_like(x) if bar is None else bar for x, bar in zip(wanted, pulled, strict=True)]
        by_t = bars.pop(0).to(adj_t) if self.time else torch.zeros_like(adj_t)
        return (by_t, slope if followed else slope.detach(), *bars)


class BackwardSolve:
    """Back over the intervals of t, the last one first. time: is the gradient of t wanted?"""

    def __init__(self, func: Field, settings: AdjointSettings, parameters: tuple[torch.Tensor, ...], *, time: bool):
        self.func, self.settings, self.parameters, self.time = func, settings, parameters, time
        self.augmented = _Augmented(func, settings, parameters, time=time)

    def run(
        self, t: torch.Tensor, ys: torch.Tensor, ys_bar: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor | None, Sequence[torch.Tensor]]:
        """Gradients of y0, of t (None unless wanted) and of the parameters, from those of the values."""
        t, ys, ys_bar = t.detach(), ys.detach(), ys_bar.detach()
        adj_t, adj_y = real_view(ys).new_zeros(()), ys_bar[-1]
        sums = [torch.zeros_like(parameter) for parameter in self.parameters]
        t_bar = torch.zeros_like(t) if self.time else None
        for number in range(len(t) - 1, 0, -1):
            if t_bar is not None:
                # An output time moves its value along the solution.
                moved = self._along(t[number], ys[number], ys_bar[number])
                t_bar[number], adj_t = moved, adj_t - moved
            state = (adj_t, ys[number], adj_y, *sums)
            adj_t, _, adj_y, *sums = self._interval(state, t[number - 1 : number + 1].flip(0))
            # The state itself goes on from where the forward solve saw it.
            adj_y = adj_y + ys_bar[number - 1]
        if t_bar is not None:
            t_bar[0] = adj_t
        return adj_y, t_bar, sums

    def _interval(self, state: tuple[torch.Tensor, ...], t: torch.Tensor) -> list[torch.Tensor]:
        settings = self.settings
        found = odeint(
            self.augmented, state, t, rtol=settings.rtol, atol=settings.atol, method=settings.method,
            options=settings.options,
        )  # fmt: skip
        return [part[1] for part in found]

    def _along(self, t: torch.Tensor, y: torch.Tensor, bar: torch.Tensor) -> torch.Tensor:
        return (self.func(t.to(real_view(y).dtype), y) * bar.conj()).sum().real
