"""What a model says about asked cells: moments, or whole courses.

Shape legend: S draws, B series, Q asked times, F features.
"""

from dataclasses import dataclass

import torch

from neurode.models.anchors import Anchors
from neurode.models.keyed_noise import keyed_normals
from neurode.models.residual import ResidualParts

_COURSE, _WHITE = 21, 22  # streams of keyed noise


@dataclass(frozen=True)
class Prediction:
    """Mean and standard deviation of an observation at asked times, (B, Q, F) each, in model units."""

    mean: torch.Tensor
    std: torch.Tensor


def matched(means: torch.Tensor, variances: torch.Tensor) -> Prediction:
    """Mean and standard deviation of the equal mixture over the first axis of means and variances (S, B, Q, F)."""
    mean = means.mean(dim=0)
    return Prediction(mean, (variances.mean(dim=0) + (means - mean).square().mean(dim=0)).sqrt())


def draw_courses(
    means: torch.Tensor,
    scale: torch.Tensor,
    parts: ResidualParts,
    anchors: Anchors,
    index: torch.Tensor,
    *,
    seed: int,
    white_noise: bool,
) -> torch.Tensor:
    """One course (S, B, Q, F) for each of the means: plus a joint draw of the residual, and white noise if asked for.

    scale: of the path, (S, B, Q, F). index (B,) and seed key the noise. A residual without variance adds nothing.
    """
    shape = (len(means), *means.shape[2:])
    covariance = parts.covariance(anchors) if bool((parts.variance > 0).any()) else None
    courses = means
    if covariance is not None:
        # Smooth residuals at close times are almost equal: a little extra on the diagonal keeps the factor real.
        jitter = 1e-6 * parts.variance[:, 0, :, None] + 1e-12
        factor = torch.linalg.cholesky(covariance + torch.diag_embed(jitter.expand(covariance.shape[:-1])))
        noise = keyed_normals(index, shape, seed=seed, stream=_COURSE)
        courses = courses + scale * torch.einsum("bfqr,bsrf->sbqf", factor, noise).to(means)
    if white_noise:
        noise = keyed_normals(index, shape, seed=seed, stream=_WHITE, dtype=means.dtype).transpose(0, 1)
        courses = courses + scale * parts.noise.sqrt().to(means) * noise
    return courses
