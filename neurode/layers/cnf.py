"""A continuous normalizing flow: a density carried by a neural ODE, with its logarithm beside it."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from torch.distributions import Distribution

from neurode.core.nest import PerSample, describe
from neurode.core.protocols import VectorField
from neurode.core.transforms import bare
from neurode.gradients.gradient import AbstractGradient
from neurode.integration.controller import AdaptiveSteps, ConstantSteps
from neurode.layers.base_density import BaseDensity
from neurode.layers.divergence import AbstractDivergence, divergence_of, value_and_divergence
from neurode.methods.stepper import AbstractStepper
from neurode.methods.tableau import Tableau
from neurode.solving import solve


class CNF(nn.Module):
    """A density on samples of any shape: a simple one, carried along dz/dt = field(t, z) from t0 to t1.

    Good for densities of a few to a few dozen dimensions with exact likelihoods, for conditional densities (`args`),
    and for sampling. Not good for data on a lower-dimensional surface, whose density is not finite, nor where one
    network call a sample must do.

    field: f(t, z) or f(t, z, args) for z (batch, *event); a module is registered, and the flow's state_dict is the
        field's. Its samples must not see each other.
    event_shape: shape of one sample; the base density is then the standard normal, in dtype and on the device of the
        module (its own parameters; `to` moves it). Or base: a torch.distributions object with an event shape and no
        batch shape, used as it is. One of the two.
    divergence: "exact" (default), "hutchinson", or Hutchinson(probes, noise); see `neurode.divergence`. An attribute of
        this name may be set later.
    interval: (t0, t1); the base density is at t0, the data's at t1.
    The other options are those of `neurode.solve`; the log density is part of the state, and of what tolerances bound.

    In all methods `args` is what the field is given (with batching="per_sample", wrap what has a row a sample in
    PerSample), and `generator` what draws; without one, torch's global generator does. `last_evaluations` is the number
    of calls of the field in the last solve (largest over samples).
    Raises ValueError or TypeError for what does not fit together, SolveError where a solve fails.

    Source: Chen et al. (2018), arXiv 1806.07366, section 4; Grathwohl et al. (2019), arXiv 1810.01367.
    """

    def __init__(
        self,
        field: VectorField,
        event_shape: int | Sequence[int] | None = None,
        *,
        base: Distribution | None = None,
        divergence: str | AbstractDivergence = "exact",
        interval: tuple[float, float] = (0.0, 1.0),
        method: str | Tableau | AbstractStepper = "dopri5",
        rtol: float | None = None,
        atol: float | None = None,
        step_size: float | None = None,
        controller: str | AdaptiveSteps | ConstantSteps | None = None,
        batching: str = "joint",
        gradient: str | AbstractGradient = "checkpointed",
        max_steps: int | None = None,
    ):
        super().__init__()
        t0, t1 = (float(time) for time in interval)
        if t0 == t1:
            raise ValueError(f"interval={interval} has no length. The base density is at its first time.")
        self.field, self.interval = field, (t0, t1)
        self.base = BaseDensity(event_shape, base)
        self.divergence = divergence
        self.options = {
            "method": method,
            "rtol": rtol,
            "atol": atol,
            "step_size": step_size,
            "controller": controller,
            "batching": batching,
            "gradient": gradient,
            "max_steps": max_steps,
        }
        self.last_evaluations = 0
        # Follows `to`, `double` and the like, and so says where and in what precision samples are to begin.
        self.register_buffer("_place", torch.empty(0), persistent=False)

    @property
    def event_shape(self) -> tuple[int, ...]:
        """The shape of one sample."""
        return self.base.event_shape

    @property
    def divergence(self) -> AbstractDivergence:
        """How the divergence is found."""
        return self._divergence

    @divergence.setter
    def divergence(self, given: str | AbstractDivergence) -> None:
        self._divergence = divergence_of(given)

    def forward(
        self, z: torch.Tensor, args: Any = None, *, generator: torch.Generator | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """From the base to the data: z (batch, *event) to x, and log |det dx/dz| (batch,)."""
        return self._carry(z, self.interval, args, self._probes(z, self.divergence, generator))

    def inverse(
        self, x: torch.Tensor, args: Any = None, *, generator: torch.Generator | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """From the data to the base: x (batch, *event) to z, and log |det dz/dx| (batch,)."""
        return self._carry(x, self.interval[::-1], args, self._probes(x, self.divergence, generator))

    def log_prob(
        self,
        x: torch.Tensor,
        args: Any = None,
        *,
        divergence: str | AbstractDivergence | None = None,
        generator: torch.Generator | None = None,
    ) -> torch.Tensor:
        """The log density at x (batch, *event), (batch,), in nats.

        divergence: for this call; None (default): the flow's own. So a flow may be trained with "hutchinson" and
        reported with "exact".
        """
        chosen = self.divergence if divergence is None else divergence_of(divergence)
        z, change = self._carry(x, self.interval[::-1], args, self._probes(x, chosen, generator))
        return self.base.log_prob(z) + change

    @torch.no_grad()
    def sample(self, n: int, args: Any = None, *, generator: torch.Generator | None = None) -> torch.Tensor:
        """n samples (n, *event), without a graph; args with one row a sample needs n rows."""
        z = self.base.sample(n, self._place, generator, reparameterized=False)
        solution = solve(self.field, z, self.interval, args=args, save="end", **self.options)
        self.last_evaluations = int(bare(solution.stats.num_evaluations).max())
        return solution.ys[0]

    def sample_and_log_prob(
        self, n: int, args: Any = None, *, generator: torch.Generator | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """n samples (n, *event) and their log densities (n,), both with their graph.

        Good for objectives that are expectations under the flow (variational inference). With "hutchinson" the log
        densities are unbiased estimates.
        """
        z = self.base.sample(n, self._place, generator, reparameterized=True)
        own = generator if self.divergence.is_random else None
        x, change = self._carry(z, self.interval, args, self._probes(z, self.divergence, own))
        return x, self.base.log_prob(z) - change

    def _probes(
        self, y: torch.Tensor, divergence: AbstractDivergence, generator: torch.Generator | None
    ) -> torch.Tensor | None:
        if tuple(y.shape[1:]) != self.event_shape or y.ndim == 0:
            raise ValueError(
                f"the flow is of samples of shape {self.event_shape}, but {describe(y)} came. Pass (batch, "
                f"{', '.join(map(str, self.event_shape))})."
            )
        if generator is not None and not divergence.is_random:
            raise ValueError("a generator has no effect with an exact divergence: nothing is drawn. Leave it out.")
        return divergence.draw(y, generator)

    def _carry(
        self, y: torch.Tensor, times: tuple[float, float], args: Any, probes: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """y at the other end, and the logarithm of the volume's change on the way, the integral of the divergence."""
        carried = None
        if args is not None or probes is not None:
            rows = None if probes is None else PerSample(probes.movedim(0, 1))
            carried = {"args": args, "probes": rows}
        start = (y, y.new_zeros(len(y)))
        solution = solve(self._with_divergence, start, times, args=carried, save="end", **self.options)
        self.last_evaluations = int(bare(solution.stats.num_evaluations).max())
        end, change = solution.ys
        return end[0], change[0]

    def _with_divergence(self, t, state, carried=None):
        """The field of (y, log of the change of volume). A method, so that a solve finds the field's parameters."""
        y, _ = state
        args, probes = (None, None) if carried is None else (carried["args"], carried["probes"])
        if t.ndim:  # per sample the state is a tuple and t (batch,), while the field expects it to broadcast against y
            t = t.reshape(-1, *(1,) * (y.ndim - 1))
        return value_and_divergence(self.field, t, y, args, probes=None if probes is None else probes.movedim(1, 0))

    def extra_repr(self) -> str:
        shown = {"event_shape": self.event_shape, "divergence": self.divergence, "interval": self.interval}
        options = {**shown, **{name: value for name, value in self.options.items() if value is not None}}
        return ", ".join(f"{name}={value!r}" for name, value in options.items())
