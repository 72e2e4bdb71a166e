"""What the smooth path leaves over: a stationary Gaussian process per feature, beside white noise.

Observation = path + scale * (s r + n e): e is white, r has unit variance and the correlation exp(-(gap /
length)**power), 0 < power < 2: an Ornstein-Uhlenbeck process at power 1 (Uhlenbeck and Ornstein, 1930), smoother
above. Conditioning on a few neighbours is a small linear system, solved in closed form for all cells at once.

Shape legend: C any shape of asked cells, K neighbours, B series, Q asked times, F features.
"""

import math
from dataclasses import dataclass

import torch
from torch import nn

from neurode.models.anchors import Anchors

# Lengths stay between these (in model time, in which a series spans about 1): beyond them nothing changes any more.
_SHORTEST, _LONGEST = 1e-3, 1e2
_SMALLEST_NOISE = 1e-3
# One parameter stands for a hundred numbers of the networks and may have far to go (a noise of 0.001 of the spread),
# so it moves this much faster than a weight under the same learning rate.
_GAIN = 10.0


@dataclass(frozen=True)
class ResidualParts:
    """The residual's parameters at each asked cell: variance, noise, length and power, each (*C), float64.

    float64, since the systems of smooth residuals are close to singular.
    """

    variance: torch.Tensor
    noise: torch.Tensor
    length: torch.Tensor
    power: torch.Tensor

    def correlation(self, gap: torch.Tensor) -> torch.Tensor:
        """Correlation at distance `gap`, (*C)."""
        # The power of 0 has an infinite slope: keep away from it, exp() of the rest is 1 in any case.
        return torch.exp(-((gap.abs() / self.length).clamp(min=1e-9) ** self.power))

    def weights(self, anchors: Anchors) -> tuple[torch.Tensor, torch.Tensor]:
        """Weights of the neighbours' residuals (*C, K), and the variance of r that is left (*C).

        The neighbours are observed with the white noise; missing ones weigh 0. Everything is in units of the process
        variance.
        """
        to_asked, system = self._system(anchors)
        weights = solve_unrolled(system, to_asked)
        known = (torch.stack(weights) * torch.stack(to_asked)).sum(dim=0)
        return torch.stack(weights, dim=-1), (1 - known).clamp(min=0) * self.variance

    def covariance(self, anchors: Anchors) -> torch.Tensor:
        """Joint covariance of r over each series' asked times, (B, F, Q, Q), given the neighbours, for C = (B, Q, F).

        Two times with different nearest neighbours are taken as independent (exact for power 1 without noise); the
        diagonal is always that of `weights`.
        """
        to_asked, system = self._system(anchors)
        weights = torch.stack(solve_unrolled(system, to_asked), dim=-1)
        times = anchors.asked.transpose(1, 2)
        gap = times[..., :, None] - times[..., None, :]
        per_feature = ResidualParts(
            *(part[:, 0, :, None, None] for part in (self.variance, self.noise, self.length, self.power))
        )
        known = torch.einsum("bqfk,brfk->bfqr", weights, torch.stack(to_asked, dim=-1))
        nearest = torch.where(anchors.present, anchors.rows, -1).transpose(1, 2)
        same = (nearest[:, :, :, None] == nearest[:, :, None]).all(dim=-1)
        covariance = torch.where(same, per_feature.correlation(gap) - known, 0)
        return per_feature.variance * 0.5 * (covariance + covariance.transpose(2, 3))

    def _system(self, anchors: Anchors) -> tuple[list[torch.Tensor], list[list[torch.Tensor]]]:
        """Correlations of the asked cell with each neighbour, and the lower triangle of those among neighbours."""
        times, present = anchors.times.double().unbind(-1), anchors.present.unbind(-1)
        asked = anchors.asked.double()
        to_asked = [self.correlation(t - asked) * here for t, here in zip(times, present, strict=True)]
        own = 1 + self.noise / self.variance
        system = [
            [self.correlation(times[i] - times[j]) * (present[i] & present[j]) for j in range(i)] + [own]
            for i in range(len(times))
        ]
        return to_asked, system


def solve_unrolled(system: list[list[torch.Tensor]], right: list[torch.Tensor]) -> list[torch.Tensor]:
    """Solve many small positive definite systems at once, element by element: L D L' factorisation, unrolled.

    system: lower triangle, K rows of 1 to K tensors; right: K tensors; all of one shape. Batched library routines cost
    a call per system of this size.
    """
    size = len(right)
    lower: list[list[torch.Tensor]] = []
    diagonal: list[torch.Tensor] = []
    for i in range(size):
        scaled: list[torch.Tensor] = []  # row i of L D
        for j in range(i):
            entry = system[i][j]
            for k in range(j):
                entry = entry - scaled[k] * lower[j][k]
            scaled.append(entry)
        lower.append([entry / diagonal[j] for j, entry in enumerate(scaled)])
        pivot = system[i][i]
        for j in range(i):
            pivot = pivot - scaled[j] * lower[i][j]
        diagonal.append(pivot)
    solution = list(right)
    for i in range(size):
        for j in range(i):
            solution[i] = solution[i] - lower[i][j] * solution[j]
    solution = [entry / pivot for entry, pivot in zip(solution, diagonal, strict=True)]
    for i in reversed(range(size)):
        for j in range(i + 1, size):
            solution[i] = solution[i] - lower[j][i] * solution[j]
    return solution


class Residual(nn.Module):
    """Learned residual process and white noise of every feature, for `kinds` kinds of reading.

    Good for what a latent path cannot follow: slow drifts, levels of one's own, measurement noise. Not good for
    correlation between features, which is the path's business.

    forward(kind, feature): index tensors of the asked cells, (*C) -> ResidualParts.
    """

    start: torch.Tensor

    def __init__(self, num_features: int, kinds: int = 1, *, std: float = 0.5, noise: float = 0.3, length: float = 0.3):
        super().__init__()
        self.register_buffer("start", torch.tensor([math.log(std), math.log(noise), math.log(length), 0.0]))
        self.shift = nn.Parameter(torch.zeros(4, kinds, num_features))

    def forward(self, kind: torch.Tensor, feature: torch.Tensor) -> ResidualParts:
        raw = self.start.double()[:, None, None] + _GAIN * self.shift.double()
        variance = torch.exp(2 * raw[0]) + _SMALLEST_NOISE**2
        noise = torch.exp(2 * raw[1]) + _SMALLEST_NOISE**2
        length = raw[2].clamp(math.log(_SHORTEST), math.log(_LONGEST)).exp()
        # From 0.1 to 1.9: at 2 the process is so smooth that its covariance is singular.
        power = 0.1 + 1.8 * torch.sigmoid(raw[3])
        return ResidualParts(*(part[kind, feature] for part in (variance, noise, length, power)))
