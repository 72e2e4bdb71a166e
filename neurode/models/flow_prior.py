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
from neurode.models.code_batch import CodeBatch
from neurode.models.code_scale import CodeScale
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

    latent_dim: D. hidden, activation: of the field, an `MLPField` that knows s; with two hidden layers the exact
    density costs little more than the way itself, with three or more D times as much. whiten: take the correlations out
    of the codes too, beside their scales; better for codes near a surface of fewer dimensions. method, step_size, rtol,
    atol: of `neurode.solve`. The default, classical Runge-Kutta in 16 steps, gives a code the same result in any batch,
    at a fixed cost; the way there and back then errs by about 1e-5 standard deviations (`round_trip` measures it).
    engine: of the way between base and codes, as in `neurode.solve`; densities go the eager way.
    """

    def __init__(
        self,
        latent_dim: int,
        hidden: tuple[int, ...] | list[int] = (384, 384),
        *,
        activation: str = "silu",
        whiten: bool = False,
        method: str = "rk4",
        step_size: float | None = 0.0625,
        rtol: float | None = None,
        atol: float | None = None,
        engine: str = "auto",
    ):
        super().__init__()
        self.latent_dim, self.hidden, self.activation = latent_dim, tuple(hidden), activation
        self.options = {"method": method, "step_size": step_size, "rtol": rtol, "atol": atol}
        self.engine = engine
        field = MLPField(latent_dim, self.hidden, activation=activation, time_input=True)
        self.flow = CNF(field, latent_dim, **self.options)
        self.scale = CodeScale(latent_dim, whiten=whiten)

    def config(self) -> dict[str, Any]:
        """What `from_config` needs to build the same flow, in plain types."""
        return {
            "latent_dim": self.latent_dim,
            "hidden": list(self.hidden),
            "activation": self.activation,
            "whiten": self.scale.whiten,
            "engine": self.engine,
        } | self.options

    @classmethod
    def from_config(cls, config: dict) -> "FlowPrior":
        """The flow, untrained, that `config()` describes."""
        return cls(**config)

    # -- training

    def standardise(self, codes: torch.Tensor, std: torch.Tensor | None = None) -> "FlowPrior":
        """Learn mean and scale of the codes (N, D), std as in `CodeBatch`; to be called before training."""
        self.scale.fit(codes, std)
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
        target = self.scale.to_unit(codes)
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
        return self.scale.from_unit(self._carry(self._checked(z), 0.0, 1.0))

    def to_base(self, codes: torch.Tensor) -> torch.Tensor:
        """Points (B, D) of the base space that the flow carries to these codes (B, D)."""
        return self._carry(self.scale.to_unit(self._checked(codes)), 1.0, 0.0)

    @torch.no_grad()
    def sample(self, n: int, *, seed: int = 0) -> torch.Tensor:
        """New codes (n, D); n more do not change the first n."""
        if n < 1:
            raise ValueError(f"n={n} must be at least 1: the number of codes to draw.")
        index = torch.arange(n, device=self._like.device)
        return self.from_base(keyed_normals(index, (self.latent_dim,), seed=seed, stream=_BASE, dtype=self._like.dtype))

    @torch.no_grad()
    def round_trip(self, codes: torch.Tensor) -> torch.Tensor:
        """Largest error of each code (B, D) after the way to the base space and back, in standard deviations: (B,)."""
        return ((self.from_base(self.to_base(codes)) - codes) / self.scale.scale).abs().amax(dim=1)

    def log_density(self, codes: torch.Tensor) -> torch.Tensor:
        """log density of codes (B, D) under the flow, in nats: (B,), with the exact divergence of the field."""
        return self.flow.log_prob(self.scale.to_unit(self._checked(codes))) - self.scale.log_volume()

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
        z = s * self.scale.to_unit(self._checked(codes))
        return self.scale.slope_of_unit((s * self.flow.field(z.new_tensor(s), z) - z) * (s / (1 - s)))

    # -- pieces

    def _carry(self, z: torch.Tensor, first: float, last: float) -> torch.Tensor:
        return solve(self.flow.field, z, [first, last], save="end", engine=self.engine, **self.options).ys[0]

    def _checked(self, codes: torch.Tensor) -> torch.Tensor:
        self._check_standardised()
        if codes.ndim != 2 or codes.shape[1] != self.latent_dim:
            raise ValueError(f"codes must be (B, {self.latent_dim}); got {tuple(codes.shape)}.")
        return codes

    @property
    def _like(self) -> torch.Tensor:
        return self.scale.mean

    def _check_standardised(self) -> None:
        if not bool(self.scale.fitted):
            raise RuntimeError("the flow does not know the scale of the codes yet: call standardise(codes) first.")
