"""A metric of the data: lengths are short where codes are, long where none are, and the shortest curves in it.

Arvanitidis, Hauberg and Schölkopf, "Geometrically enriched latent spaces", AISTATS 2021 (radial basis functions on the
centres of k-means); Kapuśniak et al., "Metric flow matching for smooth interpolations on the data manifold", NeurIPS
2024, section 4.1.

Shape legend: N codes, B pairs, D latent numbers, K centres, C control points, J pieces of a curve.
"""

import math
from collections.abc import Callable

import torch
from torch import nn

from neurode.models.code_batch import check_codes
from neurode.models.code_scale import CodeScale
from neurode.models.latent_density import spread_out

_MOST_CODES = 20_000
"""Codes that centres are fitted to, at most: more no longer move a hundred centres."""

_ROUNDS = 25
_PIECES = 24
_STRIDE = 0.1  # of the optimisation, in standard units


class CodeMetric(nn.Module):
    """The cost of passing each place of the latent space: about 1 among codes, up to 1 / floor where none are.

    Good for codes in up to some dozens of dimensions that leave holes between them. Not good for codes that fill a ball
    in many dimensions: there all places between two codes cost about the same. Its numbers are buffers and travel with
    the state_dict.

    latent_dim: D. num_centres: K. floor: of the density that the cost is the inverse of.
    """

    centres: torch.Tensor
    log_weights: torch.Tensor
    precisions: torch.Tensor
    fitted: torch.Tensor

    def __init__(self, latent_dim: int, num_centres: int = 100, *, floor: float = 0.05):
        super().__init__()
        if latent_dim < 1 or num_centres < 1:
            raise ValueError(f"latent_dim={latent_dim} and num_centres={num_centres} must be at least 1.")
        if not 0 < floor < 1:
            raise ValueError(f"floor={floor} must lie between 0 and 1, the density among codes.")
        self.latent_dim, self.num_centres, self.floor = latent_dim, num_centres, floor
        self.scale = CodeScale(latent_dim)
        self.register_buffer("centres", torch.zeros(num_centres, latent_dim))
        self.register_buffer("log_weights", torch.full((num_centres,), -math.inf))
        self.register_buffer("precisions", torch.ones(num_centres))
        self.register_buffer("fitted", torch.tensor(False))

    @torch.no_grad()
    def fit(self, codes: torch.Tensor, *, seed: int = 0) -> "CodeMetric":
        """Place the centres among these codes (N, D), by k-means; returns self."""
        check_codes(codes, self.latent_dim)
        if len(codes) > _MOST_CODES:
            order = torch.randperm(len(codes), generator=torch.Generator().manual_seed(seed))
            codes = codes[order[:_MOST_CODES].to(codes.device)]
        z = self.scale.fit(codes).to_unit(codes)
        count = min(self.num_centres, len(codes))
        centres, owner = _k_means(z, count, seed)
        squares = (z - centres[owner]).square().sum(dim=1)
        members = torch.bincount(owner, minlength=count).clamp(min=1)
        width = torch.zeros(count).to(squares).index_add(0, owner, squares) / members
        # A centre with one code has no width of its own; one of all codes together keeps it from being a needle.
        width = (width * members + squares.mean()) / (members + 1)
        self.centres[:count] = centres
        self.precisions[:count] = 1 / width.clamp(min=1e-12)
        self.log_weights.fill_(-math.inf)[:count] = 0
        self.log_weights -= self._log_density(z).exp().mean().log()
        self.fitted.fill_(True)
        return self

    def cost(self, codes: torch.Tensor) -> torch.Tensor:
        """What a unit of squared length costs at codes (..., D), in the codes' standard deviations: (...)."""
        return self.cost_in_units(self.scale.to_unit(codes))

    def cost_in_units(self, z: torch.Tensor) -> torch.Tensor:
        """`cost` at places (..., D) that are in standard units already."""
        if not bool(self.fitted):
            raise RuntimeError("the metric knows no codes yet: call fit(codes) first.")
        return 1 / (self._log_density(z.flatten(0, -2)).exp().view(z.shape[:-1]) + self.floor)

    def _log_density(self, z: torch.Tensor) -> torch.Tensor:
        """Of standardised codes (N, D), relative to that among codes: (N,)."""
        squares = z.square().sum(dim=1, keepdim=True) - 2 * z @ self.centres.T + self.centres.square().sum(dim=1)
        return torch.logsumexp(self.log_weights - 0.5 * self.precisions * squares, dim=1)


def shortest_curves(
    metric: CodeMetric, start: torch.Tensor, end: torch.Tensor, *, control_points: int, steps: int
) -> Callable[[torch.Tensor], torch.Tensor]:
    """Bezier curves of least energy between start and end, both (B, D): curve(t) of t (N, B, 1) gives (N, B, D).

    The energy, the sum over pieces of cost times squared length, is least for the shortest curve at constant speed.
    """
    a, b = metric.scale.to_unit(start), metric.scale.to_unit(end)
    ticks = torch.linspace(0, 1, _PIECES + 1, dtype=start.dtype, device=start.device)
    shape, straight = _bernstein(ticks, control_points), torch.lerp(a, b, ticks[:, None, None])
    span = (b - a).norm(dim=1, keepdim=True) / metric.latent_dim**0.5
    stride = _STRIDE * span / (span + 1)  # short curves are moved in short steps
    offsets = torch.zeros(control_points, *start.shape, dtype=start.dtype, device=start.device)
    first, second = torch.zeros_like(offsets), torch.zeros_like(offsets)
    for step in range(1, steps + 1):
        with torch.enable_grad():
            moved = offsets.requires_grad_()
            curve = straight + torch.einsum("jc,cbd->jbd", shape, moved)
            lengths = (curve[1:] - curve[:-1]).square().sum(dim=-1)
            energy = (lengths * metric.cost_in_units(0.5 * (curve[1:] + curve[:-1]))).sum(dim=0)
            # The logarithm makes slopes of long and short curves alike, and pairs do not disturb each other.
            (slope,) = torch.autograd.grad((energy + 1e-20).log().sum(), moved)
        first, second = torch.lerp(first, slope, 0.1), torch.lerp(second, slope.square(), 0.01)
        size = stride * 0.5 * (1 + math.cos(math.pi * step / (steps + 1)))
        offsets = offsets.detach() - size * (first / (1 - 0.9**step)) / ((second / (1 - 0.99**step)).sqrt() + 1e-8)
    bent = (offsets.detach() @ metric.scale.root).detach()

    def curve_at(t: torch.Tensor) -> torch.Tensor:
        return torch.lerp(start, end, t) + torch.einsum("nbc,cbd->nbd", _bernstein(t[..., 0], control_points), bent)

    return curve_at


def _bernstein(t: torch.Tensor, control_points: int) -> torch.Tensor:
    """The Bernstein polynomials of the inner control points at t (...): (..., C). All are 0 at both ends."""
    degree = control_points + 1
    return torch.stack(
        [math.comb(degree, i) * t**i * (1 - t) ** (degree - i) for i in range(1, degree)],
        dim=-1,
    )


def _k_means(z: torch.Tensor, count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Centres (K, D) and the centre of each code (N,), by Lloyd's rounds from k-means++."""
    centres = spread_out(z, count, seed)
    owner = torch.cdist(z, centres).argmin(dim=1)
    for _ in range(_ROUNDS):
        sums = torch.zeros_like(centres).index_add(0, owner, z)
        members = torch.bincount(owner, minlength=count)
        centres = torch.where(members[:, None] > 0, sums / members.clamp(min=1)[:, None], centres)
        nearest = torch.cdist(z, centres).argmin(dim=1)
        if bool((nearest == owner).all()):
            break
        owner = nearest
    return centres, owner
