"""A field that was read, computed with torch's operations: what a kernel's results mean, and the eager way of it.

Shape legend: R rows, D state.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F

from neurode.fused.field import ReadField

FUNCTIONS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "identity": lambda x: x,
    "tanh": torch.tanh,
    "silu": F.silu,
    "softplus": F.softplus,
    "relu": torch.relu,
    "elu": F.elu,
    "gelu": F.gelu,
    "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
    "sin": torch.sin,
    "square": torch.square,
    "cube": lambda x: x**3,
}
"""Each of `neurode.fused.field.ACTIVATIONS` and `POWERS` as a function of torch."""

_CLOCKS = {"t": lambda t: t, "sin": torch.sin, "cos": torch.cos}


def derivative(field: ReadField, t: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """dy/dt for y (R, D) at time t, 0-d or (R, 1)."""
    x = y
    for layer in field.layers:
        signal = F.linear(x, layer.weight)
        if layer.bias is not None:
            signal = signal + layer.bias
        for term in layer.time:
            signal = signal + _CLOCKS[term.clock](t if term.clock == "t" else term.rate * t) * term.weight
        signal = FUNCTIONS[layer.activation](signal)
        x = signal + layer.skip * x if layer.skip else signal
    x = field.scale * x if field.scale != 1 else x
    return x + field.skip * y if field.skip else x
