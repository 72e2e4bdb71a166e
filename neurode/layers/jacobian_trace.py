"""The trace of the Jacobian of a stack of linear layers and activations, without the Jacobian.

Shape legend: ... samples, D inputs and outputs, H and G widths of hidden layers.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn

Slope = Callable[[Any, torch.Tensor, torch.Tensor], torch.Tensor]

SLOPES: dict[type[nn.Module], Slope] = {
    nn.Tanh: lambda layer, a, s: 1 - s * s,
    nn.SiLU: lambda layer, a, s: torch.sigmoid(a) * (1 + a - s),
    nn.Softplus: lambda layer, a, s: torch.sigmoid(layer.beta * a),
    nn.ReLU: lambda layer, a, s: (a > 0).to(a.dtype),
    nn.ELU: lambda layer, a, s: torch.where(a > 0, 1.0, s + layer.alpha),
}
"""Derivative of an activation by its class, from the layer, its input a and its output s."""


def trace_of_stack(weights: Sequence[torch.Tensor], slopes: Sequence[torch.Tensor]) -> torch.Tensor:
    """tr(W[n] S[n-1] W[n-1] ... S[1] W[1]), where S[k] is the diagonal matrix of slopes[k], one for each sample.

    Up to two hidden layers it costs about one more matrix product of the widest layer, whatever D is; with more, D
    tangents are carried through the layers between.

    weights: n matrices (out, in), the first (H, D), the last (D, H). slopes: n - 1 tensors (..., width). Returns (...);
    0-d for n = 1, where no sample matters.
    """
    first, last = weights[0], weights[-1]
    if not slopes:
        return first.diagonal().sum()
    if len(slopes) == 1:
        return slopes[0] @ (last * first.T).sum(0)
    if len(slopes) == 2:
        # tr(W3 S2 W2 S1 W1) is a form in the two slopes, whose matrix W2 * (W1 W3)' is the same for all samples.
        return ((slopes[1] @ (weights[1] * (first @ last).T)) * slopes[0]).sum(-1)
    tangents = slopes[0].unsqueeze(-2) * first.T
    for weight, slope in zip(weights[1:-1], slopes[1:], strict=True):
        tangents = slope.unsqueeze(-2) * (tangents @ weight.T)
    return (tangents * last).sum((-2, -1))
