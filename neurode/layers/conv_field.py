"""ConvField: the vector field of the ODE-net for images, two convolutions between group norms.

Shape legend: B samples, C channels, H x W pixels.
"""

import torch
from torch import nn
from torch.nn import functional

from neurode.layers.fields import make_activation

MOST_GROUPS = 32


class ConvField(nn.Module):
    """A vector field f(t, y) for images: norm, activation, convolution, twice, and a norm at the end.

    Good for states that are maps of features, as in the ODE-net of Chen et al. (2018), section 3, whose block this is;
    the last norm bounds the derivative, so training cannot blow up. Not good for single pixels or vectors (use
    MLPField). With the activation relu the field is not smooth, and methods of high order lose their order.

    channels: C. kernel: odd, in pixels; edges are padded with zeros. groups: of the norms, a divisor of C; None: the
    largest that leaves four channels a group or more (the paper has 32 groups of two). activation: as of MLPField.
    time_input: t as one more channel of either convolution.

    forward(t, y): t a number, 0-d, or (B, 1, 1, 1) against y (B, C, H, W). Returns the derivative, of y's shape.
    ValueError for settings that do not fit.
    """

    def __init__(
        self,
        channels: int,
        *,
        kernel: int = 3,
        groups: int | None = None,
        activation: str = "relu",
        time_input: bool = True,
    ):
        super().__init__()
        if channels < 1 or kernel < 1 or kernel % 2 == 0:
            raise ValueError(f"channels={channels}, kernel={kernel}: at least one channel, and an odd kernel, are due.")
        groups = num_groups(channels) if groups is None else groups
        if groups < 1 or channels % groups:
            raise ValueError(f"groups={groups} must divide the {channels} channels.")
        self.channels, self.time_input = channels, time_input
        self.norms = nn.ModuleList(nn.GroupNorm(groups, channels) for _ in range(3))
        self.convolutions = nn.ModuleList(TimedConvolution(channels, kernel, timed=time_input) for _ in range(2))
        self.activation = make_activation(activation)

    def forward(self, t: torch.Tensor | float, y: torch.Tensor) -> torch.Tensor:
        if y.ndim != 4 or y.shape[1] != self.channels:
            raise ValueError(
                f"the state has shape {tuple(y.shape)}, this field was built for (batch, {self.channels}, height, "
                "width)."
            )
        for norm, convolution in zip(self.norms, self.convolutions, strict=False):
            y = convolution(t, self.activation(norm(y)))
        return self.norms[2](y)


class TimedConvolution(nn.Module):
    """A convolution that keeps size and channels, with the time as one more channel of constant value.

    The share of that channel is t times a map that depends on the weights alone, so no channel is joined to the state.
    """

    def __init__(self, channels: int, kernel: int = 3, *, timed: bool = True):
        super().__init__()
        whole = nn.Conv2d(channels + int(timed), channels, kernel, padding=kernel // 2)
        self.padding = kernel // 2
        self.weight = nn.Parameter(whole.weight[:, :channels].detach().clone())
        self.bias = nn.Parameter(whole.bias.detach().clone())  # pyrefly: ignore
        self.time_weight = nn.Parameter(whole.weight[:, channels:].detach().clone()) if timed else None

    def forward(self, t: torch.Tensor | float, y: torch.Tensor) -> torch.Tensor:
        result = functional.conv2d(y, self.weight, self.bias, padding=self.padding)
        if self.time_weight is None:
            return result
        ones = y.new_ones(1, 1, *y.shape[2:])
        share = functional.conv2d(ones, self.time_weight, padding=self.padding)
        return result + torch.as_tensor(t, dtype=y.dtype, device=y.device) * share


def num_groups(channels: int) -> int:
    """The largest divisor of `channels` up to a quarter of them, and up to 32.

    With a group a channel the mean of a channel is lost, and with it what a head that averages over pixels reads.
    """
    return max(groups for groups in range(1, max(1, min(channels // 4, MOST_GROUPS)) + 1) if channels % groups == 0)
