"""The emission: from a latent path to the distribution of what is observed.

Shape legend: S draws, B series, T rows, Q asked times, F features, D latent numbers, W calendar waves, C any
shape of asked cells.
Leading axes S are optional throughout.
"""

from dataclasses import dataclass

import torch
from torch import nn

from neurode.layers.fields import make_activation
from neurode.models.anchors import Anchors, Cells
from neurode.models.residual import Residual, ResidualParts

# exp(+-1.5): the scale of a feature may vary by a factor of 20 along a path, not run away.
_SCALE_RANGE = 1.5


@dataclass(frozen=True)
class Levels:
    """What the path says of each feature: mean and scale (standard deviations are multiplied by it), (..., Q, F)."""

    mean: torch.Tensor
    scale: torch.Tensor


class Emission(nn.Module):
    """Observation = g(z(t)) + scale(z(t)) * (residual + noise), per feature.

    g and scale come from one small network; the residual is a stationary process (see `Residual`) that ties the reading
    to the neighbouring observed values, the anchors: a residual with a long length carries the last value on, and bands
    widen with the distance from it.

    Good for features with a level of their own and for forecasts. `anchored=False` is the classical emission, g(z(t))
    and white noise: good for series that the latent path explains in full, such as spirals.

    num_features: F. latent_dim: D. hidden: width of the network's hidden layer; 0 is a linear emission. waves: further
    inputs W (sine and cosine of the calendar). kinds: how many sets of residual parameters. varying_scale: let the
    scale depend on z.
    """

    def __init__(
        self,
        num_features: int,
        latent_dim: int,
        *,
        hidden: int = 64,
        activation: str = "elu",
        waves: int = 0,
        kinds: int = 1,
        anchored: bool = True,
        varying_scale: bool = True,
    ):
        super().__init__()
        self.num_features, self.anchored, self.varying_scale = num_features, anchored, varying_scale
        outputs = num_features * (2 if varying_scale else 1)
        width = latent_dim + waves
        if hidden:
            self.net = nn.Sequential(nn.Linear(width, hidden), make_activation(activation), nn.Linear(hidden, outputs))
        else:
            self.net = nn.Linear(width, outputs)
        self.residual = Residual(num_features, kinds)

    def levels(self, path: torch.Tensor, waves: torch.Tensor | None = None) -> Levels:
        """Mean and scale along a path (..., Q, D), waves (Q-axes alike, W)."""
        if waves is not None:
            path = torch.cat([path, waves.expand(*path.shape[:-1], waves.shape[-1])], dim=-1)
        out = self.net(path)
        if not self.varying_scale:
            return Levels(out, torch.ones_like(out))
        mean, raw = out.chunk(2, dim=-1)
        return Levels(mean, torch.exp(_SCALE_RANGE * torch.tanh(raw / _SCALE_RANGE)))

    def parts(self, kind: torch.Tensor, cells: Cells) -> ResidualParts:
        """Residual parameters at the asked cells of series read as `kind` (B,): without anchoring, only the noise."""
        parts = self.residual(kind[cells.series], cells.feature)
        if self.anchored:
            return parts
        return ResidualParts(torch.zeros_like(parts.variance), parts.noise, parts.length, parts.power)

    def read(
        self,
        asked: Levels,
        cells: Cells,
        parts: ResidualParts,
        anchors: Anchors | None = None,
        values: torch.Tensor | None = None,
        known: Levels | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and variance of an observation at the asked cells, (..., *C) each.

        asked: levels (..., B, Q, F). With anchors: given the context's `values` (B, T, F) and the path's levels at its
        rows, `known` (..., B, T, F). Without: the distribution that the path alone gives.
        """
        mean, scale = cells.of(asked.mean), cells.of(asked.scale)
        if anchors is None or values is None or known is None or not self.anchored:
            return mean, scale.square() * (parts.variance + parts.noise).to(scale)
        weights, left = parts.weights(anchors)
        series, feature = cells.series[..., None], cells.feature[..., None]
        away = (values[series, anchors.rows, feature] - known.mean[..., series, anchors.rows, feature]) / known.scale[
            ..., series, anchors.rows, feature
        ]
        mean = mean + scale * (weights.to(away) * away).sum(dim=-1)
        return mean, scale.square() * (left + parts.noise).to(scale)
