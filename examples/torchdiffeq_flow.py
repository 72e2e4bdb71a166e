"""A continuous normalising flow fits two moons by maximum likelihood, its divergence exact, by autograd.

    python examples/torchdiffeq_flow.py                          a few minutes; prints the loss
    python examples/torchdiffeq_flow.py --library torchdiffeq    the same by torchdiffeq, where it is installed

The field is a sum of planar layers whose weights depend on time through a small network (Chen et al., 2018, section 4);
the state is the points with their log density, which falls by the divergence. The program is written for torchdiffeq's
interface, with one changed import. (`neurode.CNF` does the same in less time: see cnf.py.)
"""

import math

import torch
from torch import nn
from torchdiffeq_training import options, train

END = 10.0


def moons(count: int, generator: torch.Generator) -> torch.Tensor:
    """Points (count, 2) of two half circles that reach into each other, blurred."""
    angle = torch.rand(count, generator=generator) * math.pi
    upper = torch.rand(count, generator=generator) < 0.5
    x = torch.where(upper, torch.cos(angle), 1 - torch.cos(angle)) - 0.5
    y = torch.where(upper, torch.sin(angle), 0.5 - torch.sin(angle)) - 0.25
    return torch.stack([x, y], dim=-1) + 0.1 * torch.randn(count, 2, generator=generator)


class PlanarField(nn.Module):
    """d(z, log p)/dt with dz/dt = mean_k u_k(t) tanh(w_k(t) z + b_k(t)), and d log p/dt = -divergence."""

    def __init__(self, hidden: int = 32, width: int = 64):
        super().__init__()
        self.width = width
        self.net = nn.Sequential(
            nn.Linear(1, hidden), nn.Tanh(), nn.Linear(hidden, hidden), nn.Tanh(), nn.Linear(hidden, 7 * width)
        )

    def forward(self, t: torch.Tensor, state: tuple[torch.Tensor, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        z = state[0]
        with torch.enable_grad():
            z = z if z.requires_grad else z.detach().requires_grad_()
            w, u, gate, b = self.net(t.reshape(1, 1)).reshape(-1).split([2 * self.width] * 3 + [self.width])
            w, u = w.view(-1, 2), u.view(-1, 2) * torch.sigmoid(gate.view(-1, 2))
            dz = torch.tanh(z @ w.T + b) @ u / self.width
            rows = [torch.autograd.grad(dz[:, i].sum(), z, create_graph=True)[0][:, i] for i in range(2)]
        return dz, -(rows[0] + rows[1]).unsqueeze(1)


def main(arguments: list[str] | None = None) -> float:
    """Fit, print, and return the last loss in nats."""
    chosen, library = options(__doc__, arguments, steps=500, points=512)
    odeint = library.odeint_adjoint if chosen.adjoint else library.odeint
    field, generator = PlanarField(), torch.Generator().manual_seed(1)
    base = torch.distributions.MultivariateNormal(torch.zeros(2), 0.1 * torch.eye(2))
    span = torch.tensor([END, 0.0])

    def loss_of() -> torch.Tensor:
        state = moons(chosen.points, generator), torch.zeros(chosen.points, 1)
        z, change = odeint(field, state, span, rtol=1e-5, atol=1e-5)
        return -(base.log_prob(z[-1]) - change[-1].squeeze(1)).mean()

    optimizer = torch.optim.Adam(field.parameters(), lr=3e-3)
    return train(loss_of, optimizer, chosen, "negative log density {:.3f} nats a point")


if __name__ == "__main__":
    main()
