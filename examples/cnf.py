"""A density in the plane, learned by a continuous normalizing flow, with exact log likelihoods beside simpler models.

    python examples/cnf.py                  about a minute on one core; prints a table, writes cnf.png
    python examples/cnf.py --data rings     two rings, which no flow of the plane can cut a normal distribution into
    python examples/cnf.py --quick          a few seconds, for a look at the output (it learns little)

The flow carries a standard normal distribution along dz/dt = f(t, z); along a path the log density changes by minus the
divergence of f (Chen et al., 2018, arXiv 1806.07366). Held-out log likelihoods stand beside a normal distribution, a
kernel density, a mixture of normal distributions, whose settings are chosen on validation data, and the truth, which
is known since the data are made: points of a curve, moved by normal noise.
"""

import argparse
import math
import time
from dataclasses import dataclass
from pathlib import Path

import torch

from neurode import CNF, MLPField, solve
from neurode.report.picture import write_png
from neurode.report.style import AMBER, BLUE, GREEN, INK, MUTED, PURPLE, VERMILION, bare, drawing, new_figure

NUM_POINTS, BATCH = 4000, 500
NOISE = 0.15


def moons(turn: torch.Tensor) -> torch.Tensor:
    """Points (n, 2) on two half circles that hold each other, for numbers in [0, 1)."""
    upper = turn < 0.5
    angle = 2 * math.pi * torch.where(upper, turn, turn - 0.5)
    x = torch.where(upper, torch.cos(angle) - 0.5, 0.5 - torch.cos(angle))
    y = torch.where(upper, torch.sin(angle) - 0.25, 0.25 - torch.sin(angle))
    return 1.5 * torch.stack([x, y], dim=-1)


def rings(turn: torch.Tensor) -> torch.Tensor:
    """Points (n, 2) on a small and, twice as often, on a large circle."""
    radius = torch.where(turn < 1 / 3, 1.0, 2.2)
    angle = 6 * math.pi * turn
    return torch.stack([radius * torch.cos(angle), radius * torch.sin(angle)], dim=-1)


CURVES = {"moons": moons, "rings": rings}


@dataclass(frozen=True)
class Mixture:
    """Normal distributions of weights (k,), means (k, 2) and covariances (k, 2, 2)."""

    weights: torch.Tensor
    means: torch.Tensor
    covariances: torch.Tensor

    def log_parts(self, x: torch.Tensor) -> torch.Tensor:
        """log(weight * density) of each part at x (n, 2): (n, k)."""
        roots = torch.linalg.cholesky(self.covariances)
        away = torch.einsum("kij,nkj->nki", torch.linalg.inv(roots), x.unsqueeze(1) - self.means)
        volumes = roots.diagonal(dim1=-2, dim2=-1).log().sum(-1)
        return self.weights.log() - away.square().sum(-1) / 2 - volumes - math.log(2 * math.pi)

    def log_prob(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([self.log_parts(piece).logsumexp(1) for piece in x.split(500)])


def around(points: torch.Tensor, spread: float) -> Mixture:
    """A round normal distribution of standard deviation `spread` around each point: a kernel density, or the truth."""
    n = len(points)
    return Mixture(torch.full((n,), 1 / n), points, torch.eye(2).mul(spread**2).expand(n, 2, 2))


def fitted_mixture(x: torch.Tensor, k: int, generator: torch.Generator, rounds: int = 100) -> Mixture:
    """k normal distributions by expectation and maximisation, from k points of the data."""
    means = x[torch.randperm(len(x), generator=generator)[:k]]
    mixture = Mixture(torch.full((k,), 1 / k), means, torch.cov(x.T).expand(k, 2, 2))
    for _ in range(rounds):
        share = mixture.log_parts(x).softmax(1)
        mass = share.sum(0)
        means = share.T @ x / mass.unsqueeze(1)
        away = x.unsqueeze(1) - means
        covariances = torch.einsum("nk,nki,nkj->kij", share, away, away) / mass.view(-1, 1, 1) + 1e-4 * torch.eye(2)
        mixture = Mixture(mass / mass.sum(), means, covariances)
    return mixture


def best(models: dict[str, Mixture], validation: torch.Tensor) -> tuple[str, Mixture]:
    """The one under which the validation data are most likely."""
    return max(models.items(), key=lambda item: item[1].log_prob(validation).mean().item())


def train(flow: CNF, x: torch.Tensor, steps: int) -> list[float]:
    """Maximise the log likelihood; returns the negative one of each batch."""
    optimizer = torch.optim.Adam(flow.parameters())
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-2, total_steps=steps)
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = -flow.log_prob(x[torch.randint(len(x), (BATCH,))]).mean()
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
    return losses


def main(arguments: list[str] | None = None) -> None:
    """Train, print the table, draw the picture."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--data", choices=sorted(CURVES), default="moons")
    parser.add_argument("--quick", action="store_true", help="few steps: seconds instead of a minute")
    parser.add_argument("--output", type=Path, default=Path("cnf.png"))
    chosen = parser.parse_args(arguments)
    torch.manual_seed(0)
    torch.set_num_threads(1)

    n = 500 if chosen.quick else NUM_POINTS
    x, validation, held_out = (CURVES[chosen.data](torch.rand(n)) + NOISE * torch.randn(n, 2) for _ in range(3))
    flow = CNF(MLPField(2, (64, 64), time_input=True), 2, rtol=1e-3, atol=1e-4, gradient="direct")
    began = time.perf_counter()
    train(flow, x, 10 if chosen.quick else 900)
    print(f"{chosen.data}: {n} points; the flow trained for {time.perf_counter() - began:.0f} s.\n")

    generator = torch.Generator().manual_seed(1)
    widths = (0.05, 0.07, 0.1, 0.14, 0.2, 0.28)
    sizes = (2, 4) if chosen.quick else (2, 4, 8, 16, 24, 32)
    kernel = best({f"kernel density, width {width:g}": around(x, width) for width in widths}, validation)
    mixture = best({f"mixture of {k}": fitted_mixture(x, k, generator) for k in sizes}, validation)
    truth = around(CURVES[chosen.data](torch.arange(500) / 500), NOISE)
    normal = Mixture(torch.ones(1), x.mean(0, keepdim=True), torch.cov(x.T).unsqueeze(0))
    with torch.no_grad():
        rows = {
            "one normal distribution": normal.log_prob(held_out),
            kernel[0]: kernel[1].log_prob(held_out),
            mixture[0]: mixture[1].log_prob(held_out),
            "flow": torch.cat([flow.log_prob(piece) for piece in held_out.split(500)]),
            "truth": truth.log_prob(held_out),
        }
    print(f"{'model':30} {'held-out log likelihood':>24} {'below the truth':>16}")
    for name, values in rows.items():
        error = values.std() / len(values) ** 0.5
        behind = rows["truth"] - values
        below = f"{behind.mean():8.3f} ± {behind.std() / len(values) ** 0.5:.3f}" if name != "truth" else ""
        print(f"{name:30} {values.mean():14.3f} ± {error:.3f} {below:>18}")
    print(f"\nIn nats a point, with standard errors. The last solve took {flow.last_evaluations} calls of the field.")
    print(f"written: {write_png(draw(flow, truth, held_out), chosen.output)}")


def draw(flow: CNF, truth: Mixture, held_out: torch.Tensor):
    """Data and samples, both densities, and below them points on their way, coloured by where they began."""
    edge, size, moments = 3.1, 161, torch.linspace(0, 1, 37)
    side = torch.linspace(-edge, edge, size)
    grid = torch.cartesian_prod(side, side)
    with torch.no_grad():
        density = torch.cat([flow.log_prob(piece) for piece in grid.split(2000)]).exp().view(size, size).T
        z = torch.randn(1500, 2, generator=torch.Generator().manual_seed(2))
        paths = solve(flow.field, z, moments, rtol=1e-4, atol=1e-5).ys
    true_density = truth.log_prob(grid).exp().view(size, size).T
    with drawing() as matplotlib:
        make_ramp = matplotlib.colors.LinearSegmentedColormap.from_list
        heat = make_ramp("heat", ["#ffffff", BLUE, INK])
        wheel = make_ramp("wheel", [BLUE, GREEN, AMBER, VERMILION, PURPLE, BLUE])
        origin = wheel((torch.atan2(z[:, 1], z[:, 0]) / (2 * math.pi) + 0.5).numpy())
        figure = new_figure(5.0)
        top, bottom = figure.subplots(2, 4)
        top[0].scatter(*held_out[:1500].T, s=1.5, color=MUTED, lw=0, rasterized=True)
        top[1].scatter(*paths[-1].T, s=1.5, color=BLUE, lw=0, rasterized=True)
        extent, most = (-edge, edge, -edge, edge), float(true_density.max())
        for axes, shown in zip(top[2:], (true_density, density), strict=True):
            axes.imshow(shown.numpy(), extent=extent, origin="lower", cmap=heat, vmin=0, vmax=1.2 * most)
        for axes, title in zip(top, ("Held-out data", "Samples", "True density", "Density of the flow"), strict=True):
            axes.set_title(title)
        for axes, now in zip(bottom, (0, 12, 24, 36), strict=True):
            axes.scatter(*paths[now].T, s=3, c=origin, lw=0, rasterized=True)
            for i in range(60):
                axes.plot(*paths[: now + 1, i].T, color=INK, lw=0.6, alpha=0.6)
            axes.set_title(f"Points at t = {moments[now]:.2g}")
        for axes in (*top, *bottom):
            bare(axes)
            axes.set(xlim=(-edge, edge), ylim=(-edge, edge), aspect="equal")
    return figure


if __name__ == "__main__":
    main()
