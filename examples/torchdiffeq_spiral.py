"""A network learns the field of a spiral from pieces of its path: the first program most people write with torchdiffeq.

    python examples/torchdiffeq_spiral.py                          a minute; prints the loss
    python examples/torchdiffeq_spiral.py --library torchdiffeq    the same by torchdiffeq itself, where it is installed

The true field is y' = y^3 A. Batches of short pieces of one long path are drawn, and the network's solve from the first
point of each is held against the others. The program is written for torchdiffeq's interface, with one changed import.
"""

import argparse
import time
from importlib import import_module

import torch
from torch import nn

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
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--library", default="neurode.torchdiffeq", help="where odeint is imported from")
    parser.add_argument("--steps", type=int, default=1000)
    chosen = parser.parse_args(arguments)
    odeint = import_module(chosen.library).odeint  # the one changed import

    torch.manual_seed(0)
    torch.set_num_threads(1)
    start, times = torch.tensor([[2.0, 0.0]]), torch.linspace(0.0, 25.0, 1000)
    with torch.no_grad():
        path = odeint(TrueField(), start, times)
    field = LearnedField()
    optimizer = torch.optim.RMSprop(field.parameters(), lr=1e-3)
    began = time.perf_counter()
    for step in range(1, chosen.steps + 1):
        rows = torch.randperm(len(times) - LENGTH)[:PIECES]
        pieces = torch.stack([path[rows + offset] for offset in range(LENGTH)])
        found = odeint(field, pieces[0], times[:LENGTH])
        loss = (found - pieces).abs().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step == 1:  # the first one also loads what torch loads late
            began = time.perf_counter()
        if step % max(1, chosen.steps // 5) == 0:
            print(f"step {step:5}  mean absolute error of the pieces {loss.item():.4f}")
    seconds = time.perf_counter() - began
    with torch.no_grad():
        error = (odeint(field, start, times) - path).abs().mean().item()
    step = 1000 * seconds / max(1, chosen.steps - 1)
    print(f"{chosen.library}: {step:.2f} ms a step; the whole path is off by {error:.3f}")
    return error


if __name__ == "__main__":
    main()
