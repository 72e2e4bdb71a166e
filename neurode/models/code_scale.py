"""The scale of codes: mean 0 and unit spread, with or without their correlations.

Shape legend: N codes, D latent numbers.
"""

import torch
from torch import nn

from neurode.models.code_batch import check_codes


class CodeScale(nn.Module):
    """Takes codes to standard units and back; what it knows of them are buffers and travels with the state_dict.

    Good for giving a model of codes numbers of ordinary size. Not good for heavy tails, which stay heavy.

    latent_dim: D. whiten: take out the correlations too, by the symmetric root of the covariance, so that a code moves
    as little as possible (Kessy, Lewin and Strimmer, "Optimal whitening and decorrelation", 2018).
    """

    mean: torch.Tensor
    scale: torch.Tensor
    unit: torch.Tensor
    root: torch.Tensor
    fitted: torch.Tensor

    def __init__(self, latent_dim: int, *, whiten: bool = False):
        super().__init__()
        if latent_dim < 1:
            raise ValueError(f"latent_dim={latent_dim} must be at least 1.")
        self.latent_dim, self.whiten = latent_dim, whiten
        self.register_buffer("mean", torch.zeros(latent_dim))
        self.register_buffer("scale", torch.ones(latent_dim))
        self.register_buffer("unit", torch.eye(latent_dim))
        self.register_buffer("root", torch.eye(latent_dim))
        self.register_buffer("fitted", torch.tensor(False))

    @torch.no_grad()
    def fit(self, codes: torch.Tensor, std: torch.Tensor | None = None) -> "CodeScale":
        """Learn mean and spread of codes (N, D), each a Gaussian of standard deviation std (N, D) where given."""
        check_codes(codes, self.latent_dim)
        wide = codes.double()
        away = wide - wide.mean(dim=0)
        covariance = away.T @ away / len(wide)
        if std is not None:
            covariance += torch.diag(std.double().square().mean(dim=0))
        spread = covariance.diagonal()
        if self.whiten:
            variances, directions = torch.linalg.eigh(covariance)
        else:
            variances, directions = spread, torch.eye(self.latent_dim, dtype=spread.dtype, device=spread.device)
        roots = _moving(variances).sqrt()
        self.mean.copy_(wide.mean(dim=0))
        self.scale.copy_(_moving(spread).sqrt())
        self.unit.copy_(directions @ torch.diag(1 / roots) @ directions.T)
        self.root.copy_(directions @ torch.diag(roots) @ directions.T)
        self.fitted.fill_(True)
        return self

    def to_unit(self, codes: torch.Tensor) -> torch.Tensor:
        """Codes (..., D) in standard units."""
        return (codes - self.mean) @ self.unit

    def from_unit(self, z: torch.Tensor) -> torch.Tensor:
        """Codes (..., D) from standard units."""
        return z @ self.root + self.mean

    def slope_of_unit(self, slope: torch.Tensor) -> torch.Tensor:
        """A gradient by standard units (..., D) as one by codes."""
        return slope @ self.unit

    def log_volume(self) -> torch.Tensor:
        """The logarithm of a code's volume for a unit of standard volume, 0-d."""
        return torch.linalg.slogdet(self.root)[1]


def _moving(variances: torch.Tensor) -> torch.Tensor:
    """The variances, 1 where nothing moves: dividing by rounding errors would make noise of them."""
    return torch.where(variances > 1e-12 * variances.max().clamp(min=1e-30), variances, 1.0)
