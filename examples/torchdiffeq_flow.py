"""A continuous normalising flow fits two moons by maximum likelihood, its divergence exact, by autograd.

    python examples/torchdiffeq_flow.py                          a few minutes; prints the loss
    python examples/torchdiffeq_flow.py --library torchdiffeq    the same by torchdiffeq, where it is installed

The field is a sum of planar layers whose weights depend on time through a small network (Chen et al., 2018, section 4);
the state is the points with their log density, which falls by the divergence. The program is written for torchdiffeq's
interface, with one changed import. (`neurode.CNF` does the same in less time: see cnf.py.)
"""

import argparse
import math
import time
from importlib import import_module

import torch
from torch import nn

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
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--library", default="neurode.torchdiffeq", help="where odeint is imported from")
    parser.add_argument("--adjoint", action="store_true", help="gradients by odeint_adjoint")
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--points", type=int, default=512)
    chosen = parser.parse_args(arguments)
    library = import_module(chosen.library)  # the one changed import
    odeint = library.odeint_adjoint if chosen.adjoint else library.odeint

    torch.manual_seed(0)
    torch.set_num_threads(1)
    field, generator = PlanarField(), torch.Generator().manual_seed(1)
    optimizer = torch.optim.Adam(field.parameters(), lr=3e-3)
    base = torch.distributions.MultivariateNormal(torch.zeros(2), 0.1 * torch.eye(2))
    began, value = time.perf_counter(), math.nan
    for step in range(1, chosen.steps + 1):
        points = moons(chosen.points, generator)
        state, span = (points, torch.zeros(chosen.points, 1)), torch.tensor([END, 0.0])
        z, change = odeint(field, state, span, rtol=1e-5, atol=1e-5)
        loss = -(base.log_prob(z[-1]) - change[-1].squeeze(1)).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step == 1:  # the first one also loads what torch loads late
            began = time.perf_counter()
        value = loss.item()
        if step % max(1, chosen.steps // 5) == 0:
            print(f"step {step:5}  negative log density {value:.3f} nats a point")
    seconds = time.perf_counter() - began
    print(f"{chosen.library}: {1000 * seconds / max(1, chosen.steps - 1):.0f} ms a step")
    return value


if __name__ == "__main__":
    main()
