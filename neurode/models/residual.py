"""What the smooth path leaves over: a stationary Gaussian process per feature, beside white noise.

Observation = path + scale * (s r + n e): e is white, r has unit variance and the correlation exp(-(gap /
length)**power), 0 < power < 2, which is an Ornstein-Uhlenbeck process at power 1 (Uhlenbeck and Ornstein, 1930) and
smoother above. Conditioning on two neighbours is a 2 x 2 solve in closed form.

Shape legend: B series, Q asked times, F features, K kinds of reading (from the start; onward from the newest value).
"""

import math
from dataclasses import dataclass

import torch
from torch import nn

from neurode.models.anchors import Anchors

# Lengths stay between these (in model time, in which a series spans about 1): beyond them nothing changes any more.
_SHORTEST, _LONGEST = 1e-3, 1e2
_SMALLEST_NOISE = 1e-3


@dataclass(frozen=True)
class ResidualParts:
    """The residual's parameters, read out for each series: variance, noise, length and power, each (B, 1, F)."""

    variance: torch.Tensor
    noise: torch.Tensor
    length: torch.Tensor
    power: torch.Tensor

    def correlation(self, gap: torch.Tensor) -> torch.Tensor:
        """Correlation at distance `gap` (B, Q, F), or (..., B, Q, F)."""
        # The power of 0 has an infinite slope: keep away from it, exp() of the rest is 1 in any case.
        return torch.exp(-((gap / self.length).clamp(min=1e-6) ** self.power))

    def weights(self, anchors: Anchors) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """(weight of the previous residual, of the following one, variance of r that is left), each (B, Q, F).

        The residuals of the neighbours are observed with the white noise; missing neighbours weigh 0.
        """
        # Everything in units of the process variance: numbers stay near 1 in float32.
        eta = self.noise / self.variance
        rho_1 = self.correlation(anchors.gap_before) * anchors.has_previous
        rho_2 = self.correlation(anchors.gap_after) * anchors.has_following
        both = anchors.has_previous & anchors.has_following
        rho_12 = self.correlation(anchors.gap_before + anchors.gap_after) * both
        own = 1 + eta
        determinant = own.square() - rho_12.square()
        w_1 = (own * rho_1 - rho_12 * rho_2) / determinant
        w_2 = (own * rho_2 - rho_12 * rho_1) / determinant
        left = (1 - w_1 * rho_1 - w_2 * rho_2).clamp(min=0)
        return w_1, w_2, left * self.variance

    def covariance(self, queries: torch.Tensor, anchors: Anchors | None) -> torch.Tensor:
        """Joint covariance of r at the asked times (B, Q), given its neighbours: (B, F, Q, Q).

        Two times with different neighbours are independent: exact for power 1 without noise, and the diagonal is
        always that of `weights`.
        """
        gap = (queries[:, :, None] - queries[:, None, :]).abs()
        rho = self.correlation(gap[..., None].flatten(1, 2)).unflatten(1, gap.shape[1:]).movedim(3, 1)
        variance = self.variance[:, 0, :, None, None]
        if anchors is None:
            return variance * rho
        w_1, w_2, _ = self.weights(anchors)
        rho_1 = self.correlation(anchors.gap_before) * anchors.has_previous
        rho_2 = self.correlation(anchors.gap_after) * anchors.has_following
        known = torch.einsum("bqf,brf->bfqr", w_1, rho_1) + torch.einsum("bqf,brf->bfqr", w_2, rho_2)
        return variance * torch.where(anchors.same_gap(), rho - known, 0)


class Residual(nn.Module):
    """Learned residual process and white noise of every feature, for `kinds` kinds of reading.

    Good for what a latent path cannot follow: slow drifts, levels of one's own, measurement noise. Not good for
    correlation between features, which is the path's business. forward(kind): kind (B,) int64 -> ResidualParts.
    """

    def __init__(self, num_features: int, kinds: int = 1, *, std: float = 0.5, noise: float = 0.3, length: float = 0.3):
        super().__init__()
        shape = (kinds, num_features)
        self.log_std = nn.Parameter(torch.full(shape, math.log(std)))
        self.log_noise = nn.Parameter(torch.full(shape, math.log(noise)))
        self.log_length = nn.Parameter(torch.full(shape, math.log(length)))
        self.power_logit = nn.Parameter(torch.zeros(shape))

    def forward(self, kind: torch.Tensor) -> ResidualParts:
        variance = torch.exp(2 * self.log_std[kind]) + _SMALLEST_NOISE**2
        noise = torch.exp(2 * self.log_noise[kind]) + _SMALLEST_NOISE**2
        length = self.log_length[kind].clamp(math.log(_SHORTEST), math.log(_LONGEST)).exp()
        # From 0.1 to 1.9: at 2 the process is so smooth that its covariance is singular.
        power = 0.1 + 1.8 * torch.sigmoid(self.power_logit[kind])
        return ResidualParts(*(part[:, None, :] for part in (variance, noise, length, power)))
