"""A fit over thousands of solver steps at the memory of twenty: a law that shows only after many periods is learned.

    python examples/long_horizon.py            a minute or two on one core; prints tables, writes long_horizon.png
    python examples/long_horizon.py --quick    a few seconds, for a look at the output (it learns little)

Sixty oscillators are driven, each with a strength and a frequency of its own. With use they get stiffer: w, which
nobody observes, grows a thousand times slower than they swing, by a law of their energy that is to be learned. Only the
position is seen, at 101 times, with noise. What the law does shows after many periods, so the solve must be long: 2,000
steps, 8,000 calls of the field. `Checkpointed(20)` keeps 20 states, however many steps there are, and gives the
gradient of the default, which keeps every state, to the last bit. A fit to as many observations from the first 25 time
units stands beside it: short solves are cheap, and see nothing.
"""

import argparse
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from neurode import Checkpointed, Direct, Solution, solve
from neurode.report.picture import write_png
from neurode.report.style import AMBER, BLUE, INK, MUTED, VERMILION, drawing, legend_above, new_figure, powers_of_ten

BATCH, NOISE, SLOWNESS, STEP_SIZE, NUM_TIMES, KEPT = 60, 0.1, 0.001, 0.25, 101, 20


class Oscillators(nn.Module):
    """x'' = push(t) - (1 + w) x - 0.2 x', w' = SLOWNESS law(energy); the state (batch, 3) is x, x', w."""

    def __init__(self, law):
        super().__init__()
        self.law = law

    def forward(self, t: torch.Tensor, y: torch.Tensor, drive: torch.Tensor) -> torch.Tensor:
        x, v, w = y.unbind(-1)
        push = drive[0] * torch.cos(drive[1] * t)
        return torch.stack([v, push - (1 + w) * x - 0.2 * v, SLOWNESS * self.law((x * x + v * v) / 2)], dim=-1)


class Law(nn.Module):
    """A positive function of the energy: one layer over eight bumps along the speed, which is the energy's root."""

    def __init__(self):
        super().__init__()
        self.weights = nn.Linear(8, 1)
        nn.init.zeros_(self.weights.weight)
        nn.init.zeros_(self.weights.bias)
        self.register_buffer("centres", torch.linspace(0, 2, 8))

    def forward(self, energy: torch.Tensor) -> torch.Tensor:
        speed = (energy + 1e-6).sqrt().unsqueeze(-1)
        bumps = torch.exp(-(((speed - self.centres) / 0.3) ** 2) / 2)
        return nn.functional.softplus(self.weights(bumps)).squeeze(-1)


def true_law(energy: torch.Tensor) -> torch.Tensor:
    """No wear at rest, and a limit."""
    return energy / (0.3 + energy)


def drives(seed: int) -> torch.Tensor:
    """Strength and frequency of each drive, (2, batch)."""
    unit = torch.rand(2, BATCH, generator=torch.Generator().manual_seed(seed))
    return torch.stack([0.1 + 0.5 * unit[0], 0.9 + 0.4 * unit[1]])


def swing(law, drive: torch.Tensor, ts: torch.Tensor, gradient="checkpointed") -> Solution:
    """All oscillators from rest, in constant steps: ys (times, batch, 3)."""
    start = torch.zeros(BATCH, 3)
    return solve(Oscillators(law), start, ts, args=drive, method="rk4", step_size=STEP_SIZE, gradient=gradient)


@dataclass
class Fit:
    """What is to be learned from, and what was: the law, the loss at each evaluation, seconds an evaluation."""

    name: str
    ts: torch.Tensor
    drive: torch.Tensor
    gradient: Checkpointed
    law: Law
    losses: list[float]
    seconds: float = 0.0


def fit(name: str, until: float, gradient: Checkpointed, iterations: int) -> Fit:
    """Learn the law from positions seen up to a time."""
    torch.manual_seed(0)
    ts, drive = torch.linspace(0, until, NUM_TIMES), drives(seed=0)
    with torch.no_grad():
        positions = swing(true_law, drive, ts).ys[..., 0]
    seen = positions + NOISE * torch.randn(positions.shape)
    done = Fit(name, ts, drive, gradient, Law(), [])
    optimizer = torch.optim.LBFGS(done.law.parameters(), max_iter=iterations, line_search_fn="strong_wolfe")

    def misfit() -> torch.Tensor:
        optimizer.zero_grad()
        squares = (swing(done.law, drive, ts, gradient).ys[..., 0] - seen).square().mean()
        loss = squares / (2 * NOISE**2)
        loss.backward()
        done.losses.append(squares.item())
        return loss

    began = time.perf_counter()
    optimizer.step(misfit)  # type: ignore[arg-type]
    done.seconds = (time.perf_counter() - began) / len(done.losses)
    return done


def kept_bytes(gradient, steps: int) -> int:
    """Bytes held between the forward pass and the way back of a solve of so many steps."""
    ts = torch.tensor([0.0, steps * STEP_SIZE])
    if isinstance(gradient, Direct):
        return graph_bytes(lambda: swing(Law(), drives(seed=0), ts, gradient))
    solution = swing(Law(), drives(seed=0), ts, gradient)
    assert solution.backward is not None
    return solution.backward.kept_bytes


def graph_bytes(run) -> int:
    """Bytes of all tensors that autograd saves while `run` runs, each storage counted once."""
    saved: dict[int, torch.UntypedStorage] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        saved[storage.data_ptr()] = storage  # held, so that no address comes up twice
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        run()
    return sum(storage.nbytes() for storage in saved.values())


def main(arguments: list[str] | None = None) -> None:
    """Fit, print the tables, draw the picture."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument(
        "--quick", action="store_true", help="a short horizon and few steps: seconds instead of minutes"
    )
    parser.add_argument("--output", type=Path, default=Path("long_horizon.png"))
    chosen = parser.parse_args(arguments)
    torch.set_num_threads(1)  # tensors this small are slower on two
    long, short, iterations = (50.0, 10.0, 2) if chosen.quick else (500.0, 25.0, 8)

    lengths = [50, 100, 200] if chosen.quick else [250, 1000, 4000]
    memory = memory_table(lengths)
    fits = [
        fit("every state", long, Checkpointed(), iterations),
        fit(f"{KEPT} states", long, Checkpointed(KEPT), iterations),
        fit("short", short, Checkpointed(), 3 * iterations),
    ]
    energies, new, far = torch.linspace(0, 3, 100), drives(seed=1), torch.linspace(0, 2 * long, 201)
    with torch.no_grad():
        truth = swing(true_law, new, far).ys[..., 0]
        laws = {one.name: one.law(energies) for one in fits}
        later = {one.name: (swing(one.law, new, far).ys[..., 0] - truth)[100:].square().mean().sqrt() for one in fits}
    print(
        f"\n{'fit':12} {'steps':>6} {'evaluations':>12} {'s each':>7} {'misfit':>8} {'error of the law':>17} "
        f"{'later':>8}"
    )
    for one in fits:
        off = (laws[one.name] - true_law(energies)).square().mean().sqrt()
        print(
            f"{one.name:12} {int(one.ts[-1] / STEP_SIZE):6,} {len(one.losses):12} {one.seconds:7.2f} "
            f"{one.losses[-1]:8.5f} {off:17.3f} {later[one.name]:8.3f}"
        )
    same = fits[0].losses == fits[1].losses
    print(
        f"\nThe losses of the two long fits are {'the same to the last bit' if same else 'NOT the same'}. misfit: mean "
        f"square of position minus observation, {NOISE**2:g} is the noise.\nlater: root mean square error of the "
        f"positions of 60 new oscillators from t = {long:g} to {2 * long:g}; they move by "
        f"{truth[100:].square().mean().sqrt():.2f}."
    )
    print(f"written: {write_png(draw(fits, laws, energies, lengths, memory), chosen.output)}")


def memory_table(lengths: list[int]) -> dict[str, list[float]]:
    """Print and return what each gradient keeps, in MB, for solves of so many steps."""
    ways = {"the whole graph": Direct(), "every state": Checkpointed(), f"{KEPT} states": Checkpointed(KEPT)}
    table = {name: [kept_bytes(way, steps) / 1e6 for steps in lengths] for name, way in ways.items()}
    print(f"{'kept, MB':18}" + "".join(f"{steps:>9,}" for steps in lengths) + "  steps")
    for name, row in table.items():
        print(f"{name:18}" + "".join(f"{value:9.3f}" for value in row))
    return table


def draw(fits: list[Fit], laws: dict[str, torch.Tensor], energies: torch.Tensor, lengths: list[int], memory):
    """What is kept, how the misfit falls, and the laws that were learned."""
    colours = {"the whole graph": AMBER, "every state": MUTED, fits[1].name: BLUE, "short": VERMILION}
    with drawing():
        figure = new_figure(3.1)
        kept, misfit, learned = figure.subplots(1, 3)
        for name, row in memory.items():
            kept.loglog(lengths, row, "o-", color=colours[name])
            place = {"xytext": (-4, 7), "textcoords": "offset points", "ha": "right", "color": colours[name]}
            kept.annotate(name, (lengths[-1], row[-1]), **place)
        kept.set(title="Kept for the way back, MB", xlabel="steps", ylim=(None, 5 * max(map(max, memory.values()))))
        for one, wide in zip(fits, (5.0, 1.5, 1.5), strict=True):
            look = {"color": colours[one.name], "lw": wide, "alpha": 0.5 if wide > 2 else 1.0}
            steps = f"{int(one.ts[-1] / STEP_SIZE):,} steps"
            misfit.semilogy(one.losses, label=steps if one.name == "short" else f"{steps}, {one.name}", **look)
            learned.plot(energies, laws[one.name], **look)
        misfit.axhline(NOISE**2, color=MUTED, lw=0.8, ls=":")
        misfit.annotate(
            "noise", (len(fits[2].losses) - 1, NOISE**2), xytext=(0, -11), textcoords="offset points", ha="right"
        )
        misfit.set(title="Misfit", xlabel="evaluation", ylim=(0.8 * NOISE**2, None))
        learned.plot(energies, true_law(energies), color=INK, lw=1, ls="--", label="truth")
        learned.annotate(
            "truth", (2.0, float(true_law(torch.tensor(2.0)))), xytext=(0, -14), textcoords="offset points"
        )
        learned.set(title="The law of wear", xlabel="energy", ylim=(0, 1.5))
        powers_of_ten(kept.xaxis, lengths)
        powers_of_ten(kept.yaxis)
        powers_of_ten(misfit.yaxis, (0.01, 0.02, 0.03, 0.04))
        legend_above(figure, misfit)
    return figure


if __name__ == "__main__":
    main()
