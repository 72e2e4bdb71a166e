"""A density without a formula: a continuous normalizing flow learns two moons, beside a Gaussian and a kernel density.

    python examples/cnf.py            about a minute on one core; prints a table, writes cnf.png
    python examples/cnf.py --quick    a few seconds, for a look at the output (it learns little)

A neural ODE carries a standard normal to the data; along each path the logarithm of the density falls by the divergence
of the field (Chen et al., 2018). So the likelihood of points that were never seen can be computed, and compared.
"""

import argparse
import math
import time
from pathlib import Path

import torch

from neurode import CNF, MLPField, solve
from neurode.report.picture import write_png
from neurode.report.style import BLUE, MUTED, drawing, new_figure

WIDTH = 0.1


def moons(n: int, seed: int) -> torch.Tensor:
    """n points (n, 2) of two half circles that reach into each other, blurred by WIDTH."""
    generator = torch.Generator().manual_seed(seed)
    angle, upper = torch.rand(n, generator=generator) * math.pi, torch.rand(n, generator=generator) < 0.5
    x = torch.where(upper, torch.cos(angle), 1 - torch.cos(angle)) - 0.5
    y = torch.where(upper, torch.sin(angle), 0.5 - torch.sin(angle)) - 0.25
    return torch.stack([x, y], dim=-1) * 1.5 + WIDTH * 1.5 * torch.randn(n, 2, generator=generator)


def gaussian_log_prob(train: torch.Tensor, points: torch.Tensor) -> torch.Tensor:
    """Of the normal density with the training points' mean and covariance."""
    return torch.distributions.MultivariateNormal(train.mean(0), torch.cov(train.T)).log_prob(points)


def kernel_log_prob(train: torch.Tensor, points: torch.Tensor, width: float) -> torch.Tensor:
    """Of a round normal density of this width about each training point."""
    squares = torch.cdist(points, train).square() / (2 * width**2)
    return torch.logsumexp(-squares, dim=1) - math.log(len(train)) - math.log(2 * math.pi * width**2)


def best_width(train: torch.Tensor, validation: torch.Tensor) -> float:
    """The kernel width under which points that are in neither set to come are likeliest."""
    widths = torch.logspace(-2, 0, 41).tolist()
    return max(widths, key=lambda width: kernel_log_prob(train, validation, width).mean().item())


def fit(flow: CNF, train: torch.Tensor, steps: int) -> list[float]:
    """Maximum likelihood by Adam; returns the loss (negative log density, nats) of each step."""
    optimizer = torch.optim.Adam(flow.parameters(), lr=5e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    generator, losses = torch.Generator().manual_seed(0), []
    for _ in range(steps):
        rows = torch.randint(len(train), (256,), generator=generator)
        loss = -flow.log_prob(train[rows]).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
    return losses


def main(arguments: list[str] | None = None) -> None:
    """Fit, print the table, draw the picture."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="few steps: seconds instead of a minute")
    parser.add_argument("--output", type=Path, default=Path("cnf.png"))
    chosen = parser.parse_args(arguments)
    torch.manual_seed(0)
    torch.set_num_threads(1)  # so small a network is slower on two
    steps, grid = (8, 24) if chosen.quick else (1200, 120)

    train, validation, test = moons(2000, seed=1), moons(500, seed=2), moons(2000, seed=3)
    flow = CNF(MLPField(2, (64, 64), time_input=True), 2, rtol=1e-3, atol=1e-4)
    began = time.perf_counter()
    losses = fit(flow, train, steps)
    seconds = time.perf_counter() - began

    width = best_width(train, validation)
    with torch.no_grad():
        flow.options |= {"rtol": 1e-5, "atol": 1e-5}  # figures that are reported cost more care than gradients
        scores = {
            "Gaussian": gaussian_log_prob(train, test).mean().item(),
            f"kernels {width:.2f} wide": kernel_log_prob(train, test, width).mean().item(),
            "CNF": flow.log_prob(test).mean().item(),
        }
        axis = torch.linspace(-2.6, 2.6, grid)
        points = torch.stack(torch.meshgrid(axis, axis, indexing="xy"), dim=-1)
        density = flow.log_prob(points.reshape(-1, 2)).exp().reshape(grid, grid)
        mass = density.sum().item() * (axis[1] - axis[0]).item() ** 2
        samples = flow.sample(1000, generator=torch.Generator().manual_seed(4))
        starts = torch.randn(60, 2, generator=torch.Generator().manual_seed(5))
        paths = solve(flow.field, starts, torch.linspace(0, 1, 40), rtol=1e-5, atol=1e-5).ys
    print(f"{'density':18} {'log density of 2,000 held-out points, nats':>44}")
    for name, score in scores.items():
        print(f"{name:18} {score:44.3f}")
    print(
        f"\nThe flow: {sum(p.numel() for p in flow.parameters()):,} parameters, {steps} steps in {seconds:.0f} s, "
        f"{flow.last_evaluations} evaluations a solve; over the square of the picture it holds a mass of {mass:.3f}."
    )
    print(f"written: {write_png(draw(losses, scores, density, axis, samples, test, paths), chosen.output)}")


def draw(losses, scores, density, axis, samples, test, paths):
    """Held-out points beside samples, the density, and how points flow to where they belong."""
    edges = (axis[0].item(), axis[-1].item())
    with drawing():
        figure = new_figure(5.4)
        panels = figure.subplot_mosaic([["seen", "made", "density"], ["loss", "flow", "flow"]], height_ratios=[1.15, 1])
        panels["seen"].scatter(*test[:1000].T, s=3, color=MUTED)
        panels["seen"].set_title("Held-out points")
        panels["made"].scatter(*samples.T, s=3, color=BLUE)
        panels["made"].set_title("Samples of the flow")
        panels["density"].imshow(density, origin="lower", extent=(*edges, *edges), cmap="Blues")
        panels["density"].set_title("Its density")
        for name in ("seen", "made", "density"):
            panels[name].set(xlim=edges, ylim=edges, aspect="equal", xticks=[], yticks=[])
        panels["loss"].plot(losses, color=BLUE, lw=0.8)
        for (name, score), below in zip(list(scores.items())[:2], (False, True), strict=True):
            panels["loss"].axhline(-score, color=MUTED, lw=0.8, ls=":")
            place = {"xytext": (-2, -22 if below else 3), "textcoords": "offset points", "ha": "right"}
            panels["loss"].annotate(name, (len(losses), -score), **place)
        panels["loss"].set_ylim(min(losses) - 0.4, None)
        panels["loss"].set(title="Loss, nats", xlabel="step")
        panels["flow"].plot(paths[..., 0], paths[..., 1], color=MUTED, lw=0.6)
        panels["flow"].scatter(*paths[0].T, s=8, color="none", edgecolors=MUTED, label="drawn")
        panels["flow"].scatter(*paths[-1].T, s=10, color=BLUE, label="carried")
        panels["flow"].set(title="From a standard normal to the moons", aspect="equal")
        panels["flow"].legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


if __name__ == "__main__":
    main()
