"""The workloads of the speed comparison: what is solved, to which tolerance, read at which times.

Every contender builds the same field with the same weights, the same initial states and the same times from the
workload's own seed, in its own process.
"""

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Workload:
    """One row of the table: an MLP field, a batch of states, output times on [0, t1], tolerances; float32, dopri5.

    gain multiplies the weights of PyTorch's default initialisation: 1 is a network before training (few steps),
    3 bends the trajectories about as much as a trained one does (more steps).
    """

    name: str
    batch: int
    dim: int
    hidden: tuple[int, ...]
    num_outputs: int
    rtol: float
    atol: float
    t1: float = 5.0
    own_times: bool = False
    gain: float = 1.0
    seed: int = 0

    def generator(self) -> torch.Generator:
        return torch.Generator().manual_seed(self.seed)

    def field(self, dtype: torch.dtype = torch.float32) -> "Field":
        """The field with the workload's weights. Drawn in float32, so that every precision has the same weights."""
        torch.manual_seed(self.seed)
        field = Field(self.dim, self.hidden)
        with torch.no_grad():
            for parameter in field.parameters():
                parameter.mul_(self.gain)
        return field.to(dtype)

    def y0(self, dtype: torch.dtype = torch.float32) -> Tensor:
        """Initial states, shape (batch, dim)."""
        return torch.randn(self.batch, self.dim, generator=self.generator()).to(dtype)

    def ts(self, dtype: torch.dtype = torch.float32) -> Tensor:
        """Output times: (num_outputs,) for all, or (num_outputs, batch) sorted own times that start at 0."""
        if not self.own_times:
            return torch.linspace(0.0, self.t1, self.num_outputs).to(dtype)
        inner = torch.rand(self.num_outputs - 1, self.batch, generator=self.generator()).sort(dim=0).values
        return torch.cat([torch.zeros(1, self.batch), inner * self.t1]).to(dtype)

    def loss_weights(self, dtype: torch.dtype = torch.float32) -> Tensor:
        """Fixed weights w: the loss is sum(w * ys), shape (num_outputs, batch, dim)."""
        shape = (self.num_outputs, self.batch, self.dim)
        return (torch.randn(shape, generator=self.generator()) / self.num_outputs).to(dtype)


class Field(nn.Module):
    """f(t, y) = MLP(y) with tanh between its layers, the field of most neural ODEs in use."""

    def __init__(self, dim: int, hidden: tuple[int, ...]):
        super().__init__()
        widths = (dim, *hidden, dim)
        layers: list[nn.Module] = []
        for before, after in pairwise(widths):
            layers += [nn.Linear(before, after), nn.Tanh()]
        self.net = nn.Sequential(*layers[:-1])

    def forward(self, t, y: Tensor) -> Tensor:
        del t
        return self.net(y)


WORKLOADS = {
    workload.name: workload
    for workload in (
        Workload("demo", 20, 2, (50,), 10, rtol=1e-7, atol=1e-9),
        Workload("latent-small", 128, 8, (64, 64), 50, rtol=1e-3, atol=1e-4),
        Workload("latent-medium", 512, 16, (128, 128), 100, rtol=1e-4, atol=1e-5),
        Workload("irregular", 128, 8, (64, 64), 50, rtol=1e-3, atol=1e-4, own_times=True),
    )
}
