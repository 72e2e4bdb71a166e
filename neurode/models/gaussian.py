"""Diagonal Gaussians and the parts of an evidence lower bound (ELBO).

Kingma and Welling, "Auto-encoding variational Bayes", 2014; free bits: Kingma et al., "Improved variational inference
with inverse autoregressive flow", 2016.
"""

import math
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class DiagonalGaussian:
    """A Gaussian with independent components, given by mean and log-variance of equal shape (..., D)."""

    mean: torch.Tensor
    log_variance: torch.Tensor

    @property
    def std(self) -> torch.Tensor:
        return torch.exp(0.5 * self.log_variance)

    def sample(self, noise: torch.Tensor) -> torch.Tensor:
        """The draw that standard normal `noise` (..., D) selects; differentiable in mean and log-variance."""
        return self.mean + self.std * noise

    def kl_to_standard(self) -> torch.Tensor:
        """Kullback-Leibler divergence to N(0, 1) of every component, in nats, of the mean's shape."""
        return 0.5 * (self.mean.square() + self.log_variance.exp() - 1 - self.log_variance)

    def choose(self, other: "DiagonalGaussian", here: torch.Tensor) -> "DiagonalGaussian":
        """This Gaussian where `here` (B,) is true, `other` elsewhere."""
        pick = here.reshape(-1, *(1,) * (self.mean.ndim - 1))
        return DiagonalGaussian(
            torch.where(pick, self.mean, other.mean), torch.where(pick, self.log_variance, other.log_variance)
        )


def gaussian_log_density(value: torch.Tensor, mean: torch.Tensor, variance: torch.Tensor) -> torch.Tensor:
    """log N(value; mean, variance), element by element, in nats."""
    return -0.5 * (torch.log(2 * math.pi * variance) + (value - mean).square() / variance)


# A far-out reading counts as one from a Gaussian this much wider: at ten standard deviations it pulls as hard as a
# regular one at one.
_OUTLIER_WIDTH = 10.0


def robust_log_density(
    value: torch.Tensor, mean: torch.Tensor, variance: torch.Tensor, outlier_share: float
) -> torch.Tensor:
    """log of a Gaussian of which `outlier_share` is ten times as wide (Tukey's contaminated normal, 1960), in nats.

    `variance` is that of the regular readings. A share of 0 is the plain Gaussian.
    """
    regular = gaussian_log_density(value, mean, variance)
    if outlier_share == 0:
        return regular
    wide = gaussian_log_density(value, mean, _OUTLIER_WIDTH**2 * variance)
    return torch.logaddexp(regular + math.log1p(-outlier_share), wide + math.log(outlier_share))


def kl_with_free_bits(kl: torch.Tensor, free_bits: float) -> torch.Tensor:
    """KL per component, of which the first `free_bits` nats cost nothing to use: max(kl, free_bits)."""
    return kl.clamp(min=free_bits) if free_bits > 0 else kl


def beta_at(epoch: int, beta: float, warmup_epochs: int) -> float:
    """The weight of the KL term: grows linearly from beta / (warmup + 1) to `beta` over the first `warmup_epochs`."""
    return beta * min(1.0, (epoch + 1) / (warmup_epochs + 1))
