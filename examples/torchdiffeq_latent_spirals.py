"""A latent ODE on noisy pieces of spirals, clockwise and counter-clockwise: encode, solve in between, decode.

    python examples/torchdiffeq_latent_spirals.py                          two minutes; prints the loss
    python examples/torchdiffeq_latent_spirals.py --library torchdiffeq    the same by torchdiffeq, where that is there

A recurrent network reads each piece backwards and gives a Gaussian over the latent state at its beginning; a neural ODE
carries a draw of it through time; a network reads positions from it; evidence lower bound (Chen et al., 2018, section
5). The program is written for torchdiffeq's interface, with one changed import.
"""

import math

import torch
from torch import nn
from torchdiffeq_training import options, train

LATENT, SEEN, NOISE = 4, 100, 0.3


def spirals(count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Noisy pieces (count, SEEN, 2) of spirals r = a + b angle, and the times (SEEN,) of their points."""
    generator = torch.Generator().manual_seed(seed)
    long = torch.linspace(0.0, 6 * math.pi, 500)
    radius = 0.3 * long
    outwards = torch.stack([radius * torch.cos(long) - 5, radius * torch.sin(long)], dim=-1)
    # Backwards in angle, and so the other way round and inwards.
    inwards = outwards.flip(0) * torch.tensor([-1.0, 1.0])
    begin = torch.randint(0, len(long) - SEEN, (count,), generator=generator)
    turned = torch.rand(count, generator=generator) < 0.5
    rows = begin[:, None] + torch.arange(SEEN)
    pieces = torch.where(turned[:, None, None], inwards[rows], outwards[rows])
    return pieces + NOISE * torch.randn(pieces.shape, generator=generator), long[:SEEN]


class LatentField(nn.Module):
    """dz/dt."""

    def __init__(self, hidden: int = 20):
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(LATENT, hidden), nn.ELU(), nn.Linear(hidden, hidden), nn.ELU(), nn.Linear(hidden, LATENT)
        )

    def forward(self, t: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
        del t
        return self.net(z)


class LatentODE(nn.Module):
    """Encoder, field and decoder. odeint: of either library."""

    def __init__(self, odeint, hidden: int = 25):
        super().__init__()
        self.odeint, self.field = odeint, LatentField()
        self.encoder, self.head = nn.RNN(2, hidden, batch_first=True), nn.Linear(hidden, 2 * LATENT)
        self.decoder = nn.Sequential(nn.Linear(LATENT, 20), nn.ReLU(), nn.Linear(20, 2))

    def loss(self, pieces: torch.Tensor, times: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """The negative evidence lower bound of a piece, in nats."""
        _, last = self.encoder(pieces.flip(1))
        mean, log_variance = self.head(last[0]).chunk(2, dim=-1)
        z0 = mean + torch.randn(mean.shape, generator=generator) * (log_variance / 2).exp()
        found = self.decoder(self.odeint(self.field, z0, times).transpose(0, 1))
        squares = ((pieces - found) / NOISE) ** 2
        likelihood = -(squares / 2 + math.log(NOISE * math.sqrt(2 * math.pi))).sum((1, 2))
        divergence = ((mean**2 + log_variance.exp() - 1 - log_variance) / 2).sum(1)
        return (divergence - likelihood).mean()


def main(arguments: list[str] | None = None) -> float:
    """Train, print, and return the last loss."""
    chosen, library = options(__doc__, arguments, steps=500, spirals=1000)
    pieces, times = spirals(chosen.spirals, seed=1)
    model = LatentODE(library.odeint_adjoint if chosen.adjoint else library.odeint)
    generator, optimizer = torch.Generator().manual_seed(2), torch.optim.Adam(model.parameters(), lr=0.01)
    words = "negative evidence lower bound {:10.1f} nats"
    return train(lambda: model.loss(pieces, times, generator), optimizer, chosen, words)


if __name__ == "__main__":
    main()
