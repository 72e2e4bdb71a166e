"""A network learns the field of a spiral from pieces of its path: the first program most people write with torchdiffeq.

    python examples/torchdiffeq_spiral.py                          a minute; prints the loss
    python examples/torchdiffeq_spiral.py --library torchdiffeq    the same by torchdiffeq itself, where it is installed

The true field is y' = y^3 A. Batches of short pieces of one long path are drawn, and the network's solve from the first
point of each is held against the others. The program is written for torchdiffeq's interface, with one changed import.
"""

import torch
from torch import nn
from torchdiffeq_training import options, train

PIECES, LENGTH = 20, 10


class TrueField(nn.Module):
    """What is to be learned."""

    def __init__(self):
        super().__init__()
        self.register_buffer("matrix", torch.tensor([[-0.1, 2.0], [-2.0, -0.1]]))

    def forward(self, t: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        del t
        return y**3 @ self.matrix


class LearnedField(nn.Module):
    """A network of one hidden layer, given the cubes, so that its task is a fair one."""

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(2, 50), nn.Tanh(), nn.Linear(50, 2))
        for layer in (self.net[0], self.net[2]):
            nn.init.normal_(layer.weight, std=0.1)
            nn.init.zeros_(layer.bias)

    def forward(self, t: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        del t
        return self.net(y**3)


def main(arguments: list[str] | None = None) -> float:
    """Train, print, and return the mean absolute error over the whole path."""
    chosen, library = options(__doc__, arguments, steps=1000)
    odeint = library.odeint_adjoint if chosen.adjoint else library.odeint
    start, times = torch.tensor([[2.0, 0.0]]), torch.linspace(0.0, 25.0, 1000)
    with torch.no_grad():
        path = odeint(TrueField(), start, times)
    field = LearnedField()

    def loss_of() -> torch.Tensor:
        rows = torch.randperm(len(times) - LENGTH)[:PIECES]
        pieces = torch.stack([path[rows + offset] for offset in range(LENGTH)])
        return (odeint(field, pieces[0], times[:LENGTH]) - pieces).abs().mean()

    optimizer = torch.optim.RMSprop(field.parameters(), lr=1e-3)
    train(loss_of, optimizer, chosen, "mean absolute error of the pieces {:.4f}")
    with torch.no_grad():
        error = (odeint(field, start, times) - path).abs().mean().item()
    print(f"the whole path is off by {error:.3f}")
    return error


if __name__ == "__main__":
    main()
