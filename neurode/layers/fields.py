"""Vector fields: what a neural ODE integrates.

Shape legend: B samples, D state, A further inputs, P periods.
"""

import itertools
import math
from collections.abc import Sequence

import torch
from torch import nn

from neurode.layers.divergence import by_pulling_back
from neurode.layers.jacobian_trace import SLOPES, trace_of_stack

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "tanh": nn.Tanh,
    "silu": nn.SiLU,
    "softplus": nn.Softplus,
    "relu": nn.ReLU,
    "elu": nn.ELU,
}
"""The activations a field or an emission network may have, by the name used in configurations."""


def make_activation(name: str) -> nn.Module:
    """The activation called `name`; ValueError with the list of names for any other."""
    if name not in ACTIVATIONS:
        raise ValueError(f"activation={name!r} is unknown. Pass one of: {', '.join(sorted(ACTIVATIONS))}.")
    return ACTIVATIONS[name]()


class MLPField(nn.Module):
    """A vector field f(t, y) or f(t, y, args) made of fully connected layers.

    Good for states of up to a few hundred numbers. Not good for images, whose neighbourhoods it cannot see. With the
    activation relu the field is not smooth, so that methods of high order lose their order.

    dim: length of the state's last axis. hidden: widths of the hidden layers; () is a linear field. activation: tanh |
    silu | softplus | relu | elu. time_input: feed t too; without it the field is autonomous. bound: largest absolute
    value of each component of the derivative, so that training cannot blow up; None leaves it free. args_dim: length of
    the last axis of `args`, which is joined to the state; 0 means that the field takes no args.

    forward(t, y, args=None): t 0-d, or (B, 1, ..., 1) against y (B, ..., dim); args (B, ..., args_dim). Returns the
    derivative, of y's shape. The last layer starts small, so that an untrained field hardly moves the state.
    """

    def __init__(
        self,
        dim: int,
        hidden: Sequence[int] = (64, 64),
        *,
        activation: str = "tanh",
        time_input: bool = False,
        bound: float | None = None,
        args_dim: int = 0,
    ):
        super().__init__()
        if dim < 1 or args_dim < 0 or any(width < 1 for width in hidden):
            raise ValueError(
                f"dim={dim}, hidden={tuple(hidden)}, args_dim={args_dim}: dim and every hidden width must be at least "
                "1, args_dim at least 0."
            )
        if bound is not None and not (math.isfinite(bound) and bound > 0):
            raise ValueError(f"bound={bound} must be a positive finite number, or None for no bound.")
        self.dim, self.args_dim, self.time_input, self.bound = dim, args_dim, time_input, bound
        widths = [dim + args_dim + int(time_input), *hidden]
        layers: list[nn.Module] = []
        for width_in, width_out in itertools.pairwise(widths):
            layers += [nn.Linear(width_in, width_out), make_activation(activation)]
        last = nn.Linear(widths[-1], dim)
        with torch.no_grad():
            last.weight.mul_(0.1)
            last.bias.zero_()
        self.net = nn.Sequential(*layers, last)

    def forward(self, t: torch.Tensor, y: torch.Tensor, args: torch.Tensor | None = None) -> torch.Tensor:
        dy = self.net(self._inputs(t, y, args))
        if self.bound is not None:
            dy = self.bound * torch.tanh(dy / self.bound)
        return dy

    def value_and_divergence(
        self, t: torch.Tensor, y: torch.Tensor, args: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The derivative, and its divergence over the last axis (...), from the weights; see `neurode.divergence`.

        Where layers were replaced by others than Linear and the listed activations, by pulling unit vectors back.
        """
        layers = list(self.net)
        linear, between = layers[::2], layers[1::2]
        if {type(layer) for layer in linear} != {nn.Linear} or any(type(layer) not in SLOPES for layer in between):
            return by_pulling_back(self, t, y, args, batch_ndim=y.ndim - 1)
        signal, weights, slopes = self._inputs(t, y, args), [], []
        for layer in layers:
            result = layer(signal)
            if isinstance(layer, nn.Linear):
                weights.append(layer.weight)
            else:
                slopes.append(SLOPES[type(layer)](layer, signal, result))
            signal = result
        if self.bound is not None:
            squashed = torch.tanh(signal / self.bound)
            slopes.append(1 - squashed * squashed)
            weights.append(torch.eye(self.dim, dtype=y.dtype, device=y.device))
            signal = self.bound * squashed
        weights[0] = weights[0][:, : self.dim]
        return signal, trace_of_stack(weights, slopes).expand(y.shape[:-1])

    def _inputs(self, t: torch.Tensor, y: torch.Tensor, args: torch.Tensor | None) -> torch.Tensor:
        """What the first layer reads: the state, then args, then the time."""
        if y.shape[-1] != self.dim:
            raise ValueError(f"the state's last axis is {y.shape[-1]}, this field was built for dim={self.dim}.")
        if (args is None) != (self.args_dim == 0):
            came = "none came" if args is None else "args came"
            raise ValueError(f"this field was built with args_dim={self.args_dim}, but {came}.")
        inputs = (y,)
        if args is not None:
            inputs = (*inputs, args.expand(*y.shape[:-1], self.args_dim))
        if self.time_input:
            inputs = (*inputs, torch.as_tensor(t, dtype=y.dtype, device=y.device).expand(*y.shape[:-1], 1))
        return torch.cat(inputs, dim=-1) if len(inputs) > 1 else y


class CalendarField(nn.Module):
    """A field that knows the phase of given periods: hour of day, day of year.

    Good for data with a daily or yearly cycle. Not good where only the time since the start matters.

    field: called as field(t, y, waves), an MLPField with args_dim = 2 * len(periods). periods: in the solver's unit of
    time. forward(t, y, args): args (B, P) is the phase at t = 0, in turns, for each sample and period.
    """

    def __init__(self, field: nn.Module, periods: Sequence[float]):
        super().__init__()
        self.field = field
        self.periods = tuple(float(period) for period in periods)

    def forward(self, t: torch.Tensor, y: torch.Tensor, args: torch.Tensor) -> torch.Tensor:
        return self.field(t, y, calendar_waves(t, args, self.periods))


def calendar_waves(t: torch.Tensor, phase: torch.Tensor, periods: Sequence[float]) -> torch.Tensor:
    """Sine and cosine of every period at time t: (..., 2 P).

    phase: (..., P), in turns, at t = 0. t: 0-d, or with a last axis of length 1 that broadcasts against the phase.
    """
    turns = phase + torch.as_tensor(t, dtype=phase.dtype, device=phase.device) / phase.new_tensor(periods)
    angle = 2 * math.pi * turns
    return torch.cat([torch.sin(angle), torch.cos(angle)], dim=-1)
