"""The adjoint equation da/dt = -a df/dy as the loop sees it, alone or beside the state that is solved back with it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from neurode.core.equation import AbstractEquation, HostTime
from neurode.core.state import StateLayout
from neurode.gradients.window import Window


@dataclass(frozen=True)
class MarkedTime:
    """A time as f wants it, beside the same on the host, by which a window is read."""

    host: HostTime
    tensor: torch.Tensor


@dataclass(frozen=True)
class AdjointEquation(AbstractEquation):
    """The right-hand side for packed states: (y, a) without a window, a alone with one.

    forward: the equation that was solved. window: reads y. lanes: original numbers of the present ones.
    """

    forward: AbstractEquation
    window: Window | None
    lanes: np.ndarray

    @classmethod
    def of(cls, forward: AbstractEquation, window: Window | None, y: torch.Tensor) -> "AdjointEquation":
        """y: a packed state of the forward equation."""
        layout = forward.layout
        own = tuple(y.shape[1:]) if layout.per_sample else tuple(y.shape)
        if window is None:
            own = (2 * own[0],) if layout.per_sample else (2, *own)
        adjoint = StateLayout("tensor", (), (own,), layout.per_sample, layout.dtype, layout.device)
        return cls(forward, window, np.arange(layout.lanes(y)), layout=adjoint, count=forward.count)

    def times(self, times: Sequence[HostTime]) -> Sequence[Any]:
        """MarkedTimes, which go to `__call__` as they are."""
        return [MarkedTime(host, own) for host, own in zip(times, self.forward.times(times), strict=True)]

    def select(self, rows: torch.Tensor) -> "AdjointEquation":
        lanes = self.lanes[rows.cpu().numpy()]
        return replace(self, forward=self.forward.select(rows), lanes=lanes)

    def join(self, y: torch.Tensor, a: torch.Tensor) -> torch.Tensor:
        """The packed state of this equation."""
        if self.window is not None:
            return a
        return torch.cat((y, a), dim=1) if self.layout.per_sample else torch.stack((y, a))

    def split(self, t: HostTime, state: torch.Tensor, lanes: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        """y and a at host time t, from a packed state of these lanes."""
        if self.window is not None:
            return self.window.at(t, lanes), state
        y, a = state.chunk(2, dim=1) if self.layout.per_sample else state.unbind(0)
        return y, a

    def states_in(self, packed: torch.Tensor) -> list[Any]:
        layout = self.forward.layout
        if self.window is not None:
            return [layout.unpack(packed)]
        return [layout.unpack(part) for part in self.split(None, packed, self.lanes)]

    def __call__(self, t: MarkedTime, state: torch.Tensor) -> torch.Tensor:
        y, a = self.split(t.host, state, self.lanes)
        y = y.detach().requires_grad_()
        with torch.enable_grad():
            dy = self.forward(t.tensor, y)
        da = torch.autograd.grad(dy, y, a, allow_unused=True)[0] if dy.requires_grad else None
        return self.join(dy.detach(), torch.zeros_like(y) if da is None else da.neg())
