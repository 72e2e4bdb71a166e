"""The simple density that a flow starts from."""

import math
from collections.abc import Sequence
from math import prod

import torch
from torch.distributions import Distribution

from neurode.core.nest import describe


class BaseDensity:
    """The standard normal of a shape, or a torch distribution.

    event_shape: of the standard normal. distribution: with an event shape and no batch shape. One of the two.
    """

    def __init__(self, event_shape: int | Sequence[int] | None, distribution: Distribution | None):
        if (event_shape is None) == (distribution is None):
            came = "neither" if distribution is None else "both"
            raise ValueError(
                "a flow needs event_shape (for a standard normal base) or base (a torch distribution), "
                f"but {came} came."
            )
        self.distribution = distribution
        if distribution is None:
            assert event_shape is not None
            self.event_shape = (event_shape,) if isinstance(event_shape, int) else tuple(event_shape)
            if any(not isinstance(size, int) or size < 1 for size in self.event_shape):
                raise ValueError(f"event_shape={event_shape} must hold whole numbers of at least 1.")
            return
        if not isinstance(distribution, Distribution):
            raise TypeError(f"base must be a torch.distributions object, but is {describe(distribution)}.")
        if distribution.batch_shape:
            raise ValueError(
                f"base has batch_shape {tuple(distribution.batch_shape)}: it is many densities. Wrap it in "
                f"torch.distributions.Independent(base, {len(distribution.batch_shape)})."
            )
        self.event_shape = tuple(distribution.event_shape)

    def log_prob(self, z: torch.Tensor) -> torch.Tensor:
        """Log densities (batch,) of z (batch, *event)."""
        if self.distribution is not None:
            return self.distribution.log_prob(z)
        squares = z.square().flatten(1).sum(-1) if z.ndim > 1 else z.square()
        return -0.5 * (squares + prod(self.event_shape) * math.log(2 * math.pi))

    def sample(
        self, n: int, place: torch.Tensor, generator: torch.Generator | None, *, reparameterized: bool
    ) -> torch.Tensor:
        """n samples (n, *event): of the standard normal in dtype and on the device of `place`, of a distribution in its
        own, and with the graph to its parameters where `reparameterized` is asked for and it can."""
        if not isinstance(n, int) or isinstance(n, bool) or n < 1:
            raise ValueError(f"n must be a whole number of at least 1, but is {describe(n)}.")
        if self.distribution is None:
            device = place.device if generator is None else generator.device
            shape = (n, *self.event_shape)
            return torch.randn(shape, generator=generator, dtype=place.dtype, device=device).to(place.device)
        with_graph = reparameterized and self.distribution.has_rsample
        draw = self.distribution.rsample if with_graph else self.distribution.sample
        if generator is None:
            return draw(torch.Size([n]))
        # Distributions know the global generators only: they get a seed from ours, and their own state back.
        seed = int(torch.randint(2**62, (), generator=generator, device=generator.device))
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            return draw(torch.Size([n]))
