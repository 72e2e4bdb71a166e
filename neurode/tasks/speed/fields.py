"""The vector fields of the speed comparison, as modules of PyTorch."""

from itertools import pairwise

import torch
from torch import Tensor, nn


class Perceptron(nn.Module):
    """f(t, y) = MLP(y) with tanh between its layers, the field of most neural ODEs in use."""

    def __init__(self, dim: int, hidden: tuple[int, ...]):
        super().__init__()
        layers: list[nn.Module] = []
        for before, after in pairwise((dim, *hidden, dim)):
            layers += [nn.Linear(before, after), nn.Tanh()]
        self.net = nn.Sequential(*layers[:-1])

    def forward(self, t, y: Tensor) -> Tensor:
        del t
        return self.net(y)


class Gated(nn.Module):
    """f(t, y) = V (tanh(A y) * sigmoid(B y)): as small as a perceptron, but none, so that no kernel can read it."""

    def __init__(self, dim: int, hidden: tuple[int, ...]):
        super().__init__()
        (width,) = hidden
        self.value, self.gate, self.out = nn.Linear(dim, width), nn.Linear(dim, width), nn.Linear(width, dim)

    def forward(self, t, y: Tensor) -> Tensor:
        del t
        return self.out(torch.tanh(self.value(y)) * torch.sigmoid(self.gate(y)))


class TimedConvolution(nn.Module):
    """A 3x3 convolution that sees the time as one more channel."""

    def __init__(self, channels: int):
        super().__init__()
        self.conv = nn.Conv2d(channels + 1, channels, 3, padding=1)

    def forward(self, t: Tensor, x: Tensor) -> Tensor:
        # t is 0-d jointly, and (batch, 1, 1, 1) per sample; torchode gives (batch,).
        plane = t.reshape(-1, 1, 1, 1).expand(x.shape[0], 1, *x.shape[2:])
        return self.conv(torch.cat([plane, x], dim=1))


class ConvolutionBlock(nn.Module):
    """norm, relu, convolution, twice, and a norm: the block of the ODE-net of Chen et al. (2018), section 3."""

    def __init__(self, channels: int):
        super().__init__()
        groups = min(32, channels)
        self.norm1, self.norm2, self.norm3 = (nn.GroupNorm(groups, channels) for _ in range(3))
        self.conv1, self.conv2 = TimedConvolution(channels), TimedConvolution(channels)

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        y = self.conv1(t, torch.relu(self.norm1(y)))
        y = self.conv2(t, torch.relu(self.norm2(y)))
        return self.norm3(y)


class VanDerPol(nn.Module):
    """x'' = mu (1 - x^2) x' - x, with one mu a sample, handed over as the field's argument."""

    def forward(self, t, y: Tensor, mu: Tensor) -> Tensor:
        del t
        x, v = y.unbind(-1)
        return torch.stack([v, mu * (1 - x * x) * v - x], dim=-1)
