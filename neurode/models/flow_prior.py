"""A neural ODE that carries N(0, I) to the codes of a trained model, and back: the flow prior.

Lipman, Chen, Ben-Hamu, Nickel and Le, "Flow matching for generative modeling", ICLR 2023, section 4 (the straight
conditional path); the density of a continuous flow: Chen et al., "Neural ordinary differential equations", 2018,
section 4. A flow as the prior of a sentence model: Ding and Gimpel, NAACL 2021.

Shape legend: B codes, D latent numbers.
"""

from typing import Any

import torch
from torch import nn

from neurode.core.protocols import LossParts, StepContext
from neurode.layers.cnf import CNF
from neurode.layers.fields import MLPField
from neurode.models.code_batch import CodeBatch, check_codes
from neurode.models.keyed_noise import keyed_normals, keyed_uniforms
from neurode.solving import solve

_BASE, _TIME, _CODE = 11, 12, 13  # streams of keyed noise


class FlowPrior(nn.Module):
    """A flow s -> z(s) with dz/ds = v(s, z), from draws of N(0, I) at s = 0 to standardised codes at s = 1.

    Good for drawing codes that look like those of real data, for the density of a code, and for paths between two codes
    that stay where codes are (through the base space). Not good for fewer than some hundred codes, which it learns
    by heart, nor beyond about a hundred dimensions, where the exact density gets slow (one product with the Jacobian
    per dimension).

    Train it with `training.fit` on `CodeBatches`, after `standardise(codes)`. Only the field is learned; mean and scale
    of the codes are buffers.

    latent_dim: D. hidden, activation: of the field, an `MLPField` that knows s. method, step_size, rtol, atol: of
    `neurode.solve`. The default, classical Runge-Kutta in 20 steps, gives a code the same result in any batch, at a
    fixed cost; the way there and back then errs by about 1e-5 standard deviations (`round_trip` measures it).
    """

    mean: torch.Tensor
    scale: torch.Tensor
    standardised: torch.Tensor

    def __init__(
        self,
        latent_dim: int,
        hidden: tuple[int, ...] | list[int] = (256, 256, 256),
        *,
        activation: str = "silu",
        method: str = "rk4",
        step_size: float | None = 0.05,
        rtol: float | None = None,
        atol: float | None = None,
    ):
        super().__init__()
        self.latent_dim, self.hidden, self.activation = latent_dim, tuple(hidden), activation
        self.options = {"method": method, "step_size": step_size, "rtol": rtol, "atol": atol}
        field = MLPField(latent_dim, self.hidden, activation=activation, time_input=True)
        self.flow = CNF(field, latent_dim, **self.options)
        self.register_buffer("mean", torch.zeros(latent_dim))
        self.register_buffer("scale", torch.ones(latent_dim))
        self.register_buffer("standardised", torch.tensor(False))

    def config(self) -> dict[str, Any]:
        """What `from_config` needs to build the same flow, in plain types."""
        return {"latent_dim": self.latent_dim, "hidden": list(self.hidden), "activation": self.activation} | self.options

    @classmethod
    def from_config(cls, config: dict) -> "FlowPrior":
        """The flow, untrained, that `config()` describes."""
        return cls(**config)

    # -- training

    @torch.no_grad()
    def standardise(self, codes: torch.Tensor, std: torch.Tensor | None = None) -> "FlowPrior":
        """Take mean and scale of each latent number from these codes (N, D), std as in `CodeBatch`; returns self."""
        check_codes(codes, self.latent_dim)
        wide = codes.double()
        variance = wide.var(dim=0, correction=0)
        if std is not None:
            variance = variance + std.double().square().mean(dim=0)
        # A latent number that never moves keeps its unit: dividing by its rounding errors would make noise of it.
        moves = variance > 1e-12 * variance.max().clamp(min=1e-30)
        self.mean.copy_(wide.mean(dim=0))
        self.scale.copy_(torch.where(moves, variance, 1.0).sqrt())
        self.standardised.fill_(True)
        return self

    def loss(self, batch: CodeBatch, context: StepContext) -> LossParts:
        """Squared error of the field against the straight way from a draw of N(0, I) to each code, one place s a code.

        Noise is keyed by (seed, epoch, index); in eval mode it is that of epoch 0, so that epochs compare.
        """
        self._check_standardised()
        key = {"seed": context.seed, "epoch": context.epoch if self.training else 0, "dtype": batch.codes.dtype}
        codes = batch.codes
        if batch.std is not None:
            codes = codes + batch.std * keyed_normals(batch.index, (self.latent_dim,), stream=_CODE, **key)
        target = (codes - self.mean) / self.scale
        base = keyed_normals(batch.index, (self.latent_dim,), stream=_BASE, **key)
        s = keyed_uniforms(batch.index, (1,), stream=_TIME, **key)
        away = target - base
        squares = (self.flow.field(s, base + s * away) - away).square()
        return LossParts(
            loss=squares.sum(),
            weight=float(squares.numel()),
            parts={"squares": squares.detach().sum()},
            evaluations=1,
        )

    # -- using

    def from_base(self, z: torch.Tensor) -> torch.Tensor:
        """Codes (B, D) to which the flow carries the points z (B, D) of its base space."""
        return self._carry(self._checked(z), 0.0, 1.0) * self.scale + self.mean

    def to_base(self, codes: torch.Tensor) -> torch.Tensor:
        """Points (B, D) of the base space that the flow carries to these codes (B, D)."""
        return self._carry((self._checked(codes) - self.mean) / self.scale, 1.0, 0.0)

    @torch.no_grad()
    def sample(self, n: int, *, seed: int = 0) -> torch.Tensor:
        """New codes (n, D); n more do not change the first n."""
        if n < 1:
            raise ValueError(f"n={n} must be at least 1: the number of codes to draw.")
        index = torch.arange(n, device=self.mean.device)
        return self.from_base(
            keyed_normals(index, (self.latent_dim,), seed=seed, stream=_BASE, dtype=self.mean.dtype)
        )

    @torch.no_grad()
    def round_trip(self, codes: torch.Tensor) -> torch.Tensor:
        """Largest error of each code (B, D) after the way to the base space and back, in standard deviations: (B,)."""
        return ((self.from_base(self.to_base(codes)) - codes) / self.scale).abs().amax(dim=1)

    def log_density(self, codes: torch.Tensor) -> torch.Tensor:
        """log density of codes (B, D) under the flow, in nats: (B,), with the exact divergence of the field."""
        return self.flow.log_prob((self._checked(codes) - self.mean) / self.scale) - self.scale.log().sum()

    @torch.no_grad()
    def score(self, codes: torch.Tensor, *, blur: float = 0.2) -> torch.Tensor:
        """Gradient of the log density of slightly blurred codes, (B, D): where codes get more likely.

        Good for pulling a code towards where codes are, at the price of one evaluation of the field. blur: standard
        deviation of the Gaussian noise that blurs the codes, in their own standard deviations; above 0.

        On the straight path from noise e to a code x, at z = (1 - s) e + s x, the field is E[x - e | z], hence
        E[e | z] = z - s v, and the score of z is -E[e | z] / (1 - s); z / s is a code blurred by (1 - s) / s.
        """
        if not blur > 0:
            raise ValueError(f"blur={blur} must be above 0, in standard deviations of the codes.")
        s = 1 / (1 + blur)
        z = s * (self._checked(codes) - self.mean) / self.scale
        return s * (s * self.flow.field(z.new_tensor(s), z) - z) / ((1 - s) * self.scale)

    # -- pieces

    def _carry(self, z: torch.Tensor, first: float, last: float) -> torch.Tensor:
        return solve(self.flow.field, z, [first, last], save="end", **self.options).ys[0]

    def _checked(self, codes: torch.Tensor) -> torch.Tensor:
        self._check_standardised()
        if codes.ndim != 2 or codes.shape[1] != self.latent_dim:
            raise ValueError(f"codes must be (B, {self.latent_dim}); got {tuple(codes.shape)}.")
        return codes

    def _check_standardised(self) -> None:
        if not bool(self.standardised):
            raise RuntimeError("the flow does not know the scale of the codes yet: call standardise(codes) first.")
