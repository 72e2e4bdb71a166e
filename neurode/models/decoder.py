"""The decoder: a neural ODE carries the code through time, an emission says what would be observed.

Shape legend: B series, Q asked times, D latent numbers, P calendar periods, F features.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from neurode.core.nest import PerSample
from neurode.gradients.direct import Direct
from neurode.layers.fields import CalendarField, MLPField, calendar_waves
from neurode.layers.neural_ode import NeuralODE
from neurode.models.emission import Emission, Levels


@dataclass(frozen=True)
class Path:
    """A latent path read at asked times: z (B, Q, D), the calendar's waves there (B, Q, 2 P) or None, and its cost."""

    z: torch.Tensor
    waves: torch.Tensor | None
    evaluations: int


class NeuralODEDecoder(nn.Module):
    """Solves dz/dt = f(z) once for the whole batch and reads every series at its own times by dense output.

    Good for irregular times: cost grows with the horizon's steps and with the number of asked times, not with the union
    of times. Not good for chaotic or stiff latent motion, which a bounded MLP field does not show.

    output_dim: features F. hidden_dim: width of field and emission. latent_dim: D. field_layers: hidden layers of the
    field. bound: largest speed of each latent number, in units per unit of model time. periods: calendar periods
    in model time. method, step_size, rtol, atol, batching: of the solve. With a fixed method the steps stand at
    multiples of step_size, so that a result does not depend on the batch; with an adaptive method the batch shares its
    steps, unless batching="per_sample". gradient: of `neurode.solve`; "auto" (default) is the kernel's where the engine
    is fused, and plain autograd elsewhere. engine: of `neurode.solve`. Further arguments go to `Emission`.

    forward(z0 (B, D), times (B, Q), phase (B, P) in turns or None) -> Levels of (B, Q, F); `path` gives the latent
    path. Times are measured from z0's own time; earlier ones are read as 0.
    """

    def __init__(
        self,
        output_dim: int,
        hidden_dim: int,
        latent_dim: int,
        *,
        field_layers: int = 2,
        activation: str = "elu",
        bound: float | None = 20.0,
        periods: Sequence[float] = (),
        method: str = "rk4",
        step_size: float | None = 0.1,
        rtol: float | None = None,
        atol: float | None = None,
        batching: str = "joint",
        gradient: str = "auto",
        engine: str = "auto",
        emission_hidden: int | None = None,
        kinds: int = 1,
        anchored: bool = True,
        varying_scale: bool = True,
    ):
        super().__init__()
        self.latent_dim, self.periods, self.step_size = latent_dim, tuple(periods), step_size
        field: nn.Module = MLPField(
            latent_dim,
            (hidden_dim,) * field_layers,
            activation=activation,
            bound=bound,
            args_dim=2 * len(self.periods),
        )
        if self.periods:
            field = CalendarField(field, self.periods)
        self.ode = NeuralODE(
            field,
            method=method,
            rtol=rtol,
            atol=atol,
            step_size=step_size,
            batching=batching,
            gradient=Direct(kernel=True) if gradient == "auto" else gradient,
            engine=engine,
        )
        self.emission = Emission(
            output_dim,
            latent_dim,
            hidden=hidden_dim if emission_hidden is None else emission_hidden,
            activation=activation,
            waves=2 * len(self.periods),
            kinds=kinds,
            anchored=anchored,
            varying_scale=varying_scale,
        )

    def forward(self, z0: torch.Tensor, times: torch.Tensor, phase: torch.Tensor | None = None) -> Levels:
        path = self.path(z0, times, phase)
        return self.emission.levels(path.z, path.waves)

    def path(self, z0: torch.Tensor, times: torch.Tensor, phase: torch.Tensor | None = None) -> Path:
        """The latent path from z0 (B, D) at times (B, Q)."""
        if (phase is None) != (not self.periods):
            raise ValueError(
                f"this decoder knows {len(self.periods)} calendar periods: pass phase with one column for each, "
                "or None when there are none."
            )
        times = times.clamp(min=0).to(z0.dtype)
        args = None if phase is None else PerSample(phase)
        ends = times.new_tensor([self._end(end) for end in times.amax(dim=1).tolist()])
        z, evaluations = self.ode.read(z0, times, ends, args)
        waves = None if phase is None else calendar_waves(times[..., None], phase[:, None, :], self.periods)
        return Path(z, waves, evaluations)

    def _end(self, horizon: float) -> float:
        """Where to stop: for fixed steps a whole number of them, so that the grid is the same for every batch."""
        if self.step_size is None:
            return max(horizon, 1e-3)
        return self.step_size * max(1, math.ceil(horizon / self.step_size - 1e-6))
