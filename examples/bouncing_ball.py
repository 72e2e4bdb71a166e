"""Events with jumps: gravity, drag and the loss of each bounce are learned from nothing but the times of the bounces.

    python examples/bouncing_ball.py                a few seconds on one core; prints a table, writes bouncing_ball.png
    python examples/bouncing_ball.py --quick        fewer balls, for a look at the output

Each ball falls from a height of its own and bounces: an event where its height passes zero, with a jump that turns its
speed around. The balls are the samples of one per-sample solve, so that each has its own bounces and step sizes.
Measured is when they hit the ground; the gradient of an event's time by the parameters, through all bounces before it,
is what the fit goes by.
"""

import argparse
from pathlib import Path

import torch
from torch import nn

from neurode import Event, solve
from neurode.report.picture import write_png
from neurode.report.style import BLUE, MUTED, VERMILION, drawing, legend_above, new_figure

BOUNCES, NOISE = 4, 0.004
TRUTH = {"gravity": 9.81, "drag": 0.04, "kept": 0.78}


class Ball(nn.Module):
    """Height and speed (batch, 2) of balls that fall with drag and bounce."""

    def __init__(self, gravity: float, drag: float, kept: float):
        super().__init__()
        self.gravity = nn.Parameter(torch.tensor(gravity, dtype=torch.float64))
        self.drag = nn.Parameter(torch.tensor(drag, dtype=torch.float64))
        self.kept = nn.Parameter(torch.tensor(kept, dtype=torch.float64))

    def forward(self, t: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        speed = y[:, 1]
        return torch.stack([speed, -self.gravity - self.drag * speed * speed.abs()], dim=1)

    def bounce(self, t: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return torch.stack([y[:, 0], -self.kept * y[:, 1]], dim=1)

    def events(self) -> Event:
        return Event(lambda t, y: y[:, 0], direction=-1, jump=self.bounce, terminal=BOUNCES, required=True)

    def bounce_times(self, heights: torch.Tensor) -> torch.Tensor:
        """(bounces, balls), in seconds."""
        y0 = torch.stack([heights, torch.zeros_like(heights)], dim=1)
        solution = solve(
            self, y0, [0.0, 20.0], batching="per_sample", events=self.events(), save="end", rtol=1e-8, atol=1e-8
        )
        assert solution.events is not None
        return solution.events.times


def fitted(heights: torch.Tensor, measured: torch.Tensor, turns: int) -> tuple[Ball, list[float]]:
    """Parameters by L-BFGS from a poor start, and the root mean square error of the times at each look."""
    ball, errors = Ball(gravity=7.0, drag=0.0, kept=0.6), []
    optimiser = torch.optim.LBFGS(ball.parameters(), max_iter=turns, line_search_fn="strong_wolfe")

    def closure():
        optimiser.zero_grad()
        loss = ((ball.bounce_times(heights) - measured) ** 2).mean()
        loss.backward()
        errors.append(loss.item() ** 0.5)
        return loss

    optimiser.step(closure)
    return ball, errors


def draw(ball: Ball, heights: torch.Tensor, measured: torch.Tensor, path: Path) -> Path:
    """Three of the flights, with the measured bounces."""
    ts = torch.linspace(0, float(measured[:, :3].min(dim=1).values[-1]), 400, dtype=torch.float64)
    y0 = torch.stack([heights[:3], torch.zeros(3, dtype=torch.float64)], dim=1)
    free = Event(lambda t, y: y[:, 0], direction=-1, jump=ball.bounce)
    with torch.no_grad():
        flights = solve(ball, y0, ts, batching="per_sample", events=free, rtol=1e-8, atol=1e-8).ys[:, :, 0]
    with drawing():
        figure = new_figure(3.6)
        axes = figure.subplots()
        for number, colour in enumerate((BLUE, VERMILION, MUTED)):
            axes.plot(ts, flights[:, number], color=colour, label=f"dropped from {float(heights[number]):.1f} m")
            axes.plot(measured[:, number], torch.zeros(len(measured)), "o", color=colour, markersize=4)
        axes.set_xlabel("time in seconds (dots: measured bounces)")
        axes.set_ylabel("height in metres")
        axes.set_xlim(0, float(ts[-1]))
        legend_above(figure, axes)
    return write_png(figure, path)


def main() -> None:
    """Fit, print what was learned beside the truth, draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer balls")
    parser.add_argument("--output", type=Path, default=Path("bouncing_ball.png"), help="where the picture goes")
    options = parser.parse_args()
    count, turns = (6, 30) if options.quick else (24, 40)
    generator = torch.Generator().manual_seed(0)
    heights = 1 + 9 * torch.rand(count, generator=generator, dtype=torch.float64)
    with torch.no_grad():
        exact = Ball(**TRUTH).bounce_times(heights)
    measured = exact + NOISE * torch.randn(exact.shape, generator=generator, dtype=torch.float64)
    ball, errors = fitted(heights, measured, turns)
    print(f"{count} balls, {BOUNCES} bounces each, times measured to {1000 * NOISE:.0f} ms")
    print(f"root mean square error of the times: {errors[0]:.3f} s at first, {errors[-1]:.4f} s at last")
    for name, value in TRUTH.items():
        print(f"  {name:8} learned {getattr(ball, name).item():.4f}, true {value:.4f}")
    print(f"written: {draw(ball, heights, measured, options.output)}")


if __name__ == "__main__":
    main()
