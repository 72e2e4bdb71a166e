"""A field that is itself a derivative: a pendulum's energy is learned from noisy tracks, and conserved far beyond them.

    python examples/hamiltonian.py                  half a minute on one core; prints a table, writes hamiltonian.png
    python examples/hamiltonian.py --quick          a few seconds, for a look at the output (it learns little)

A network H(q, p) gives the field dq/dt = dH/dp, dp/dt = -dH/dq (Greydanus et al., 2019, arXiv 1906.01563). The solve
calls the field without gradients on the way forward and with a graph on the way back; `torch.func.grad` inside the
field is right in both. A plain network of the same size learns the same tracks beside it. What solves H flows without
contracting, which is what gradient="reversible" needs: no state is kept on the way, and the gradient is exact.
"""

import argparse
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from neurode import MLPField, solve
from neurode.report.picture import write_png
from neurode.report.style import BLUE, MUTED, VERMILION, drawing, legend_above, new_figure

NOISE, WINDOW, NUM_TIMES, NUM_TRACKS = 0.1, 4.0, 21, 48
FAR = 100.0


class HamiltonianField(nn.Module):
    """dq/dt = dH/dp, dp/dt = -dH/dq for a state (batch, 2) of (q, p) and a network H."""

    def __init__(self, hidden: int = 64):
        super().__init__()
        self.energy = nn.Sequential(
            nn.Linear(2, hidden), nn.Tanh(), nn.Linear(hidden, hidden), nn.Tanh(), nn.Linear(hidden, 1, bias=False)
        )

    def forward(self, t: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        # The sum over the batch has every sample's own gradient, since no sample sees another.
        dq, dp = torch.func.grad(lambda state: self.energy(state).sum())(y).unbind(-1)
        return torch.stack([dp, -dq], dim=-1)


def pendulum(t: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """The truth: H = p^2 / 2 - cos q."""
    q, p = y.unbind(-1)
    return torch.stack([p, -torch.sin(q)], dim=-1)


def true_energy(y: torch.Tensor) -> torch.Tensor:
    """p^2 / 2 + 1 - cos q, 0 at rest."""
    return y[..., 1] ** 2 / 2 + 1 - torch.cos(y[..., 0])


def starts(n: int, seed: int) -> torch.Tensor:
    """n states (n, 2) with energies up to 1.6, well below 2, where the pendulum would turn over."""
    generator = torch.Generator().manual_seed(seed)
    energy = 0.1 + 1.5 * torch.rand(n, generator=generator, dtype=torch.float64)
    angle = torch.acos(1 - energy)
    ahead = solve(pendulum, torch.stack([angle, torch.zeros_like(angle)], dim=-1), [0.0, 8.0], save="dense")
    moments = 8 * torch.rand(n, generator=generator, dtype=torch.float64)
    return torch.stack([ahead.evaluate(moment)[i] for i, moment in enumerate(moments)])


@dataclass
class Learned:
    """A field after training: losses of each step, seconds, evaluations of the last solve."""

    field: nn.Module
    losses: list[float]
    seconds: float


def train(field: nn.Module, tracks: torch.Tensor, ts: torch.Tensor, steps: int, gradient: str) -> Learned:
    """Fit the field, and the start of each track, which was observed with noise like all the rest."""
    y0 = nn.Parameter(tracks[0].clone())
    # Every track is in every step, and gradients are exact: a quasi-Newton method needs fewer steps than Adam.
    optimizer = torch.optim.LBFGS([*field.parameters(), y0], max_iter=steps, line_search_fn="strong_wolfe")
    losses, began = [], time.perf_counter()

    def misfit() -> torch.Tensor:
        optimizer.zero_grad()
        ys = solve(field, y0, ts, rtol=1e-4, atol=1e-5, gradient=gradient).ys
        loss = (ys - tracks).square().mean()
        loss.backward()
        losses.append(loss.item())
        return loss

    optimizer.step(misfit)
    return Learned(field, losses, time.perf_counter() - began)


def continued(field, y0: torch.Tensor, ts: torch.Tensor) -> torch.Tensor:
    """The solution far beyond the tracks, to tolerances that add no drift of their own."""
    with torch.no_grad():
        return solve(field, y0, ts, rtol=1e-8, atol=1e-8).ys


def main(arguments: list[str] | None = None) -> None:
    """Train both fields, print the table, draw the picture."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="few steps: seconds instead of a minute")
    parser.add_argument("--gradient", default="reversible", help="how the Hamiltonian field's solve is differentiated")
    parser.add_argument("--output", type=Path, default=Path("hamiltonian.png"))
    chosen = parser.parse_args(arguments)
    steps, far = (10, 10.0) if chosen.quick else (150, FAR)
    torch.manual_seed(0)
    torch.set_num_threads(1)  # so small a network is slower on two

    ts = torch.linspace(0, WINDOW, NUM_TIMES, dtype=torch.float64)
    clean = solve(pendulum, starts(NUM_TRACKS, seed=1), ts).ys
    tracks = clean + NOISE * torch.randn(clean.shape, dtype=torch.float64)
    print(
        f"{NUM_TRACKS} tracks of {NUM_TIMES} points over {WINDOW:g} time units, noise {NOISE:g}; then on to {far:g}.\n"
    )
    learned = {
        "Hamiltonian": train(HamiltonianField().double(), tracks, ts, steps, chosen.gradient),
        "plain": train(MLPField(2, (64, 64)).double(), tracks, ts, steps, "checkpointed"),
    }

    test, far_ts = starts(20, seed=2), torch.linspace(0, far, 10 * int(far) + 1, dtype=torch.float64)
    paths = {"truth": continued(pendulum, test, far_ts)}
    print(
        f"{'field':12} {'parameters':>10} {'seconds':>8} {'loss':>8} "
        f"{'error, window':>14} {'error, far':>11} {'drift':>8}"
    )
    for name, one in learned.items():
        paths[name] = continued(one.field, test, far_ts)
        off = (paths[name] - paths["truth"]).square().sum(-1).sqrt()
        near = off[far_ts <= WINDOW].square().mean().sqrt()
        drift = (true_energy(paths[name][-1]) - true_energy(test)).abs().mean()
        size = sum(parameter.numel() for parameter in one.field.parameters())
        print(
            f"{name:12} {size:10,} {one.seconds:8.1f} {one.losses[-1]:8.5f} {near:14.4f} "
            f"{off.square().mean().sqrt():11.3f} {drift:8.4f}"
        )
    print(
        f"\nloss: mean square misfit on the noisy tracks, {NOISE**2:g} is the noise. error: root mean square distance "
        f"from the truth of 20 new tracks,\nover the window and up to {far:g}. drift: mean change of the true energy "
        f"by then (energies reach from 0.1 to 1.6)."
    )
    print(f"written: {write_png(draw(paths, far_ts), chosen.output)}")


def draw(paths: dict[str, torch.Tensor], ts: torch.Tensor):
    """Three tracks in the plane of q and p, their energies over time, and one track's angle at the end."""
    looks: dict[str, dict[str, Any]] = {
        "truth": {"color": MUTED, "lw": 3.4, "alpha": 0.5, "zorder": 1},
        "plain": {"color": VERMILION, "lw": 1.2, "zorder": 2},
        "Hamiltonian": {"color": BLUE, "lw": 1.2, "zorder": 3},
    }
    by_energy = true_energy(paths["truth"][0]).argsort()
    shown = [int(by_energy[i]) for i in (3, 10, 17)]
    late = ts >= ts[-1] - 25
    with drawing():
        figure = new_figure(5.4)
        panels = figure.subplot_mosaic([["plane", "energy"], ["angle", "angle"]], height_ratios=[1.5, 1])
        for name, look in looks.items():
            path = paths[name]
            thin: dict[str, Any] = {**look, "lw": 0.6 * look["lw"]}
            for number, track in enumerate(shown):
                panels["plane"].plot(*path[ts <= 40, track].T, **thin)
                label = {0: "truth" if name == "truth" else f"{name} field"}.get(number)
                panels["energy"].plot(ts, true_energy(path[:, track]), label=label, **look)
            panels["angle"].plot(ts[late], path[late, shown[1], 0], **look)
        panels["plane"].set(
            title="Three new tracks, up to t = 40", xlabel="angle q", ylabel="momentum p", aspect="equal"
        )
        panels["energy"].set(title="Their true energy", xlabel="time", ylim=(0, None))
        panels["energy"].axvspan(0, WINDOW, color=MUTED, alpha=0.2, lw=0)
        panels["energy"].annotate("the tracks learned from were so long", (WINDOW + 1, 0.06), color=MUTED)
        panels["angle"].set(title="The middle track at the end", xlabel="time", ylabel="angle q")
        legend_above(figure, panels["energy"])
    return figure


if __name__ == "__main__":
    main()
