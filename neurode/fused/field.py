"""What a kernel has to know of a field that was read: a chain of affine layers and activations, in live tensors.

Shape legend: R rows of the state (all its axes but the last, flattened), D its last axis, W_i the width of layer i.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch

ACTIVATIONS = ("identity", "tanh", "silu", "softplus", "relu", "elu", "gelu", "gelu_tanh", "sin")
"""The activations a layer may have, as torch's functions of these names with their default settings ("gelu" by erf,
"gelu_tanh" by its tanh approximation). Their order is their number in the C interface."""

POWERS = ("square", "cube")
"""What may stand in an activation's place. Their numbers there follow those of the activations."""

CLOCKS = ("t", "sin", "cos")
"""What a layer may know of time: t itself, or sin(rate t), cos(rate t). Their order is their number there too."""


@dataclass(frozen=True)
class TimeTerm:
    """A part of a layer's bias that changes with time: clock(rate t) times `weight`.

    clock: of `CLOCKS`; "t" has rate 1. weight: (W,), or (R, W) with a row for each row of the state.
    """

    clock: str
    rate: float
    weight: torch.Tensor


@dataclass(frozen=True)
class Layer:
    """x -> activation(weight x + bias + time terms) + skip x.

    weight: (W_out, W_in). bias: (W_out,), (R, W_out), or None. activation: of `ACTIVATIONS` or `POWERS`. skip: 0 for
    none, else W_in == W_out.
    """

    weight: torch.Tensor
    bias: torch.Tensor | None
    activation: str
    time: tuple[TimeTerm, ...] = ()
    skip: float = 0.0


@dataclass(frozen=True)
class ReadField:
    """dy/dt = scale * (last layer of ... of first layer of y) + skip * y, along the state's last axis.

    All tensors have the state's dtype and device. They are live: parameters themselves or made from them with their
    graph, so that gradients for them are gradients for everything that the field depends on (what further arguments and
    the time's columns contribute to a layer is in its bias and time terms). They may be strided views, and the same
    tensor may stand in several places.
    """

    dim: int
    layers: tuple[Layer, ...]
    scale: float = 1.0
    skip: float = 0.0

    @cached_property
    def tensors(self) -> tuple[torch.Tensor, ...]:
        """All tensors, layer by layer: weight, bias where there is one, weights of the time terms."""
        found = []
        for layer in self.layers:
            found.append(layer.weight)
            if layer.bias is not None:
                found.append(layer.bias)
            found += [term.weight for term in layer.time]
        return tuple(found)

    @cached_property
    def shelf(self) -> dict[Any, Any]:
        """What a kernel made for this field and may use again, as long as the field is in use."""
        return {}

    def with_tensors(self, tensors: tuple[torch.Tensor, ...]) -> "ReadField":
        """The same field with other tensors, in the order of `tensors`."""
        rest = iter(tensors)
        layers = []
        for layer in self.layers:
            weight = next(rest)
            bias = None if layer.bias is None else next(rest)
            time = tuple(TimeTerm(term.clock, term.rate, next(rest)) for term in layer.time)
            layers.append(Layer(weight, bias, layer.activation, time, layer.skip))
        return ReadField(self.dim, tuple(layers), self.scale, self.skip)


@dataclass(frozen=True)
class Unreadable:
    """Why a field could not be read: a clause that follows "because"."""

    reason: str
