"""A density of the codes that training produced, to draw new series from.

The codes of real series do not fill N(0, I) evenly, so that draws from the prior look like no series at all (Makhzani
et al., "Adversarial autoencoders", 2015, discuss the mismatch). A Gaussian mixture fitted to the codes afterwards does.

Shape legend: N codes, D latent numbers, K components.
"""

import math

import torch
from torch import nn

_ITERATIONS = 200
_TOLERANCE = 1e-4  # mean log-likelihood per code


class LatentDensity(nn.Module):
    """A Gaussian mixture with full covariances, fitted by expectation maximisation (Dempster et al., 1977).

    Good for drawing codes in up to some dozens of dimensions. Not good for fewer codes than about five a dimension,
    where it falls back to fewer components, at last to a single Gaussian. Weights, means and covariance factors are
    buffers and travel with the state_dict.

    latent_dim: D. num_components: K at most.
    """

    weights: torch.Tensor
    means: torch.Tensor
    factors: torch.Tensor
    fitted: torch.Tensor

    def __init__(self, latent_dim: int, num_components: int = 8):
        super().__init__()
        if latent_dim < 1 or num_components < 1:
            raise ValueError(f"latent_dim={latent_dim} and num_components={num_components} must be at least 1.")
        self.latent_dim, self.num_components = latent_dim, num_components
        self.register_buffer("weights", torch.zeros(num_components))
        self.register_buffer("means", torch.zeros(num_components, latent_dim))
        self.register_buffer("factors", torch.eye(latent_dim).repeat(num_components, 1, 1))
        self.register_buffer("fitted", torch.tensor(False))

    @torch.no_grad()
    def fit(self, means: torch.Tensor, variances: torch.Tensor | None = None, *, seed: int = 0) -> "LatentDensity":
        """Fit to posterior means (N, D); each component's covariance also gets the mean of their variances (N, D)."""
        if means.ndim != 2 or means.shape[1] != self.latent_dim or not len(means):
            raise ValueError(f"means must be (N, {self.latent_dim}) with N at least 1; got {tuple(means.shape)}.")
        if not bool(torch.isfinite(means).all()):
            raise ValueError("some codes are not finite; the density cannot be fitted to them.")
        codes = means.double()
        extra = codes.new_zeros(self.latent_dim) if variances is None else variances.double().mean(dim=0)
        components = max(1, min(self.num_components, len(codes) // (5 * self.latent_dim)))
        weights, centres, covariances = _fit_mixture(codes, components, seed)
        factors = torch.linalg.cholesky(covariances + torch.diag(extra))
        self.weights.zero_()[:components] = weights.to(self.weights)
        self.means.zero_()[:components] = centres.to(self.means)
        self.factors[:components] = factors.to(self.factors)
        self.fitted.fill_(True)
        return self

    def sample(self, uniforms: torch.Tensor, normals: torch.Tensor) -> torch.Tensor:
        """Codes (N, D) from uniforms (N,), which choose the component, and standard normals (N, D)."""
        self._check_fitted()
        edges = self.weights.double().cumsum(0)
        component = torch.searchsorted(edges, uniforms.double() * edges[-1]).clamp(max=self.num_components - 1)
        return self.means[component] + (self.factors[component] @ normals[..., None].to(self.means))[..., 0]

    def log_density(self, codes: torch.Tensor) -> torch.Tensor:
        """log density of codes (N, D), in nats: (N,)."""
        self._check_fitted()
        used = self.weights > 0
        terms = _component_log_density(codes.to(self.means), self.means[used], self.factors[used])
        return torch.logsumexp(terms + self.weights[used].log(), dim=1)

    @torch.no_grad()
    def score(self, codes: torch.Tensor) -> torch.Tensor:
        """Gradient of the log density at codes (N, D), (N, D): where codes get more likely."""
        with torch.enable_grad():
            codes = codes.detach().requires_grad_()
            (slope,) = torch.autograd.grad(self.log_density(codes).sum(), codes)
        return slope

    def _check_fitted(self) -> None:
        if not bool(self.fitted):
            raise RuntimeError(
                "the latent density was not fitted yet: call fit_latent_density(batches) after training."
            )


def _component_log_density(codes: torch.Tensor, centres: torch.Tensor, factors: torch.Tensor) -> torch.Tensor:
    """log N(code; component): (N, K)."""
    away = (codes[:, None, :] - centres).transpose(0, 1).transpose(1, 2)  # (K, D, N)
    white = torch.linalg.solve_triangular(factors, away, upper=False)
    log_det = factors.diagonal(dim1=1, dim2=2).log().sum(dim=1)
    return (-0.5 * white.square().sum(dim=1) - log_det[:, None] - 0.5 * codes.shape[1] * math.log(2 * math.pi)).T


def _fit_mixture(codes: torch.Tensor, components: int, seed: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    count, dim = codes.shape
    overall = torch.cov(codes.T, correction=0).reshape(dim, dim) if count > 1 else codes.new_zeros(dim, dim)
    spread = overall.diagonal().mean().clamp(min=1e-6)
    floor = 1e-3 * spread * torch.eye(dim, dtype=codes.dtype, device=codes.device)
    centres = spread_out(codes, components, seed)
    covariances = (overall + floor).repeat(components, 1, 1)
    weights = codes.new_full((components,), 1 / components)
    before = -math.inf
    for _ in range(_ITERATIONS):
        terms = _component_log_density(codes, centres, torch.linalg.cholesky(covariances)) + weights.log()
        level = torch.logsumexp(terms, dim=1, keepdim=True)
        share = torch.exp(terms - level)
        # A pseudo-count of D codes with the overall covariance: a component of few codes cannot become a needle.
        mass = share.sum(dim=0) + 1e-9
        weights = mass / mass.sum()
        centres = (share.T @ codes) / mass[:, None]
        away = codes[None] - centres[:, None]
        scatter = torch.einsum("nk,kni,knj->kij", share, away, away)
        shrunk = overall * dim * 0.1 / components
        covariances = (scatter + shrunk) / (mass + dim * 0.1)[:, None, None] + floor
        now = float(level.mean())
        if now - before < _TOLERANCE:
            break
        before = now
    return weights, centres, covariances


def spread_out(codes: torch.Tensor, components: int, seed: int) -> torch.Tensor:
    """First centres, far from each other: k-means++ (Arthur and Vassilvitskii, 2007)."""
    generator = torch.Generator().manual_seed(seed)
    chosen = [int(torch.randint(len(codes), (1,), generator=generator))]
    for _ in range(components - 1):
        distance = torch.cdist(codes, codes[chosen]).square().amin(dim=1).cpu()
        if float(distance.sum()) == 0:
            break
        chosen.append(int(torch.multinomial(distance, 1, generator=generator)))
    chosen += [chosen[0]] * (components - len(chosen))
    return codes[chosen].clone()
