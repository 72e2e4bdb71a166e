"""Draws the pictures of gradients.md into docs/pictures: `make pictures`. Everything drawn is computed here."""

import argparse
import warnings
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch

from neurode import Adjoint, Checkpointed, solve
from neurode.report.style import AMBER, BLUE, GREEN, INK, MUTED, PURPLE, VERMILION, drawing, powers_of_ten

try:
    import torchdiffeq
except ImportError:
    torchdiffeq = None

STEPS = 16
KEPT, AGAIN = {"marker": "o", "color": BLUE, "s": 34, "zorder": 4}, {"marker": "o", "s": 30, "zorder": 3}


def turning(t, y):
    """A spiral that the pictures of kept states run along."""
    return torch.stack([y[..., 1] - 0.1 * y[..., 0], -y[..., 0] - 0.1 * y[..., 1]], dim=-1)


def states() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Step boundaries with their values, and a fine curve through them."""
    y0 = torch.tensor([1.0, 0.6], dtype=torch.float64)
    options = {"method": "rk4", "step_size": 6.0 / STEPS}
    fine = torch.linspace(0, 6, 300, dtype=torch.float64)
    steps = solve(turning, y0, [0.0, 6.0], save="steps", **options)
    curve = solve(turning, y0, fine, **options)
    return steps.ts.numpy(), steps.ys[:, 0].numpy(), fine.numpy(), curve.ys[:, 0].numpy()


def base(title: str):
    figure, axes = plt.subplots(figsize=(9.2, 2.1), layout="constrained")
    times, values, fine, curve = states()
    axes.plot(fine, curve, color=MUTED, linewidth=1.2, zorder=1)
    axes.set_title(title, loc="left")
    axes.set_xlabel("t")
    axes.set_ylabel("y")
    axes.set_xlim(-0.15, 6.15)
    axes.margins(y=0.25)
    return figure, axes, times, values


def back_arrow(axes, times, values, step: int, text: str) -> None:
    """A step on the way back, from its end to its beginning."""
    axes.annotate(
        "", (times[step], values[step]), (times[step + 1], values[step + 1]),
        arrowprops={"arrowstyle": "->", "color": VERMILION, "linewidth": 1.8, "connectionstyle": "arc3,rad=0.55"},
        zorder=6,
    )  # fmt: skip
    middle = (times[step] + times[step + 1]) / 2
    axes.annotate(
        text, (middle, (values[step] + values[step + 1]) / 2), (0, -26), textcoords="offset points", color=VERMILION,
        ha="center", fontsize=8,
    )  # fmt: skip


def draw_direct(folder: Path) -> None:
    figure, axes, times, values = base("direct: every evaluation stays in memory, with all its activations")
    for start, end, low, high in zip(times[:-1], times[1:], values[:-1], values[1:], strict=True):
        for place in (0.0, 0.33, 0.66, 1.0):
            t, y = start + 0.8 * place * (end - start), low + 0.8 * place * (high - low)
            axes.scatter([t] * 3, [y - 0.09, y, y + 0.09], marker="s", s=9, color=BLUE, zorder=3)
    axes.scatter([], [], marker="s", s=9, color=BLUE, label="kept: layers of each call of f")
    axes.legend(loc="upper right", ncols=2)
    figure.savefig(folder / "gradient_direct.png", dpi=130)


def draw_checkpointed(folder: Path) -> None:
    figure, axes, times, values = base("checkpointed: one state a step; a step is made again when its turn comes")
    axes.scatter(times[:-1], values[:-1], **KEPT, label="kept")
    back_arrow(axes, times, values, 11, "made again, differentiated, forgotten")
    some = Checkpointed(4)
    places = kept_places(some)
    axes.scatter(
        times[places], values[places], s=120, facecolors="none", edgecolors=GREEN, linewidths=1.6, zorder=5,
        label="kept by Checkpointed(4)",
    )  # fmt: skip
    axes.legend(loc="upper right", ncols=2)
    figure.savefig(folder / "gradient_checkpointed.png", dpi=130)


def kept_places(way: Checkpointed) -> list[int]:
    """The steps whose states the schedule has in hand at the end of the forward pass."""
    from neurode.gradients.schedule import OnlineSchedule

    schedule, kept = OnlineSchedule(way.k), set()
    for place in range(STEPS):
        offer = schedule.offer()
        if offer.drop is not None:
            kept.discard(offer.drop)
        if offer.keep:
            kept.add(place)
    return sorted(kept)


def draw_reversible(folder: Path) -> None:
    figure, axes, times, values = base("reversible: the end is kept, and a few anchors; the rest is computed backwards")
    axes.scatter(
        times[:-1], values[:-1], **AGAIN, facecolors="white", edgecolors=BLUE, label="made again from the right"
    )
    axes.scatter(times[-1:], values[-1:], **KEPT, label="kept")
    axes.scatter(times[[0, 4, 8, 12]], values[[0, 4, 8, 12]], marker="D", s=34, color=AMBER, zorder=5, label="anchors")
    back_arrow(axes, times, values, 13, "a step undone")
    axes.legend(loc="upper right", ncols=3)
    figure.savefig(folder / "gradient_reversible.png", dpi=130)


def draw_adjoint(folder: Path) -> None:
    """A real one: the state, and the adjoint with its jumps at three outputs."""
    figure, (upper, lower) = plt.subplots(2, 1, figsize=(9.2, 3.6), sharex=True, layout="constrained")
    y0 = torch.tensor([1.0, 0.6], dtype=torch.float64, requires_grad=True)
    heard = []

    outputs = torch.tensor([0.0, 2.0, 4.0, 6.0], dtype=torch.float64)
    way = Adjoint(
        method="rk4", step_size=0.05, callback=lambda step: heard.append((step.t_end, step.adjoint[0].item()))
    )
    solution = solve(turning, y0, outputs, gradient=way, rtol=1e-8, atol=1e-10)
    weights = torch.tensor([0.0, 1.0, -1.0, 0.8], dtype=torch.float64)
    (weights * solution.ys[:, 0]).sum().backward()
    _, _, fine, curve = states()
    upper.plot(fine, curve, color=BLUE)
    upper.scatter(outputs[1:], solution.ys[1:, 0].detach(), **KEPT)
    upper.set_title("adjoint: forwards the state, of which the loss sees three values ...", loc="left")
    upper.set_ylabel("y")
    pieces: list[list[tuple[float, float]]] = [[(6.0, 0.8)]]
    for time, value in heard:
        pieces[-1].append((time, value))
        for output, weight in ((4.0, -1.0), (2.0, 1.0)):
            if time == output:
                pieces.append([(time, value + weight)])
    for number, piece in enumerate(pieces):
        lower.plot(*np.array(piece).T, color=VERMILION)
        if number:
            time, value = piece[0]
            lower.plot([time, time], [pieces[number - 1][-1][1], value], color=VERMILION, linestyle=":")
    lower.annotate("", (0.4, 0.0), (5.6, 0.0), arrowprops={"arrowstyle": "->", "color": MUTED})
    lower.set_title("... backwards the gradient by the state, which jumps by the loss's gradient at each", loc="left")
    lower.set_ylabel("a = dL/dy")
    lower.set_xlabel("t")
    figure.savefig(folder / "gradient_adjoint.png", dpi=130)


def relaxing(rate: float, weight: torch.Tensor):
    """A fast component that relaxes to cos t, and a slow one that gathers it."""

    def field(t, y):
        fast = y[..., :1]
        return torch.cat((-rate * (fast - torch.cos(t)), weight * fast), dim=-1)

    return field


def exact_slope(rate: float, end: float) -> float:
    """d y2(end) / d weight = the integral of y1, with y1(0) = 1."""
    t = np.linspace(0, end, 2_000_001)
    square = rate**2
    y1 = (square * np.cos(t) + rate * np.sin(t)) / (square + 1) + (1 - square / (square + 1)) * np.exp(-rate * t)
    return float(np.trapezoid(y1, t))


def errors_of(rates: np.ndarray, end: float) -> dict[str, list[float]]:
    ways = {
        "checkpointed": "checkpointed",
        "reversible": "reversible",
        "adjoint, from checkpoints": Adjoint(trajectory="checkpoints"),
        "adjoint, solved back": Adjoint(),
    }
    y0 = torch.tensor([[1.0, 0.0]], dtype=torch.float64)
    found: dict[str, list[float]] = {name: [] for name in ways}
    if torchdiffeq is not None:
        found["torchdiffeq odeint_adjoint"] = []
    for rate in rates:
        due = exact_slope(rate, end)
        for name in found:
            weight = torch.nn.Parameter(torch.tensor(0.7, dtype=torch.float64))
            field = relaxing(rate, weight)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", RuntimeWarning)  # they say what the picture shows
                if name in ways:
                    ys = solve(field, y0, [0.0, end], gradient=ways[name], rtol=1e-6, atol=1e-8).ys
                else:
                    span = torch.tensor([0.0, end], dtype=torch.float64)
                    ys = torchdiffeq.odeint_adjoint(field, y0, span, rtol=1e-6, atol=1e-8, adjoint_params=(weight,))
                value = torch.autograd.grad(ys[-1, 0, 1], weight)[0].item()
            found[name].append(abs(value - due) / abs(due))
    return found


def draw_contracting(folder: Path) -> dict[str, list[float]]:
    rates, end = np.array([1.0, 2, 4, 6, 8, 10, 12, 15, 20, 25, 30]), 1.5
    found = errors_of(rates, end)
    looks = {
        "checkpointed": (BLUE, "o", "-"),
        "reversible": (GREEN, "D", "-"),
        "adjoint, from checkpoints": (PURPLE, "s", "--"),
        "adjoint, solved back": (VERMILION, "^", "-"),
        "torchdiffeq odeint_adjoint": (AMBER, "v", "--"),
    }
    figure, axes = plt.subplots(figsize=(9.2, 3.6), layout="constrained")
    for name, errors in found.items():
        color, marker, line = looks[name]
        axes.semilogy(rates, errors, color=color, marker=marker, linestyle=line, markersize=5, label=name)
    powers_of_ten(axes.yaxis)
    axes.axhline(1.0, color=INK, linewidth=0.8)
    axes.annotate("as large as the gradient itself", (1.0, 1.0), (0, 4), textcoords="offset points", fontsize=8)
    axes.set_xlabel("how fast the field contracts (k of y1' = -k (y1 - cos t))")
    axes.set_ylabel("relative error of the gradient")
    axes.set_title("Where the field contracts, a trajectory solved back is not the one that was solved", loc="left")
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    figure.savefig(folder / "gradient_contracting.png", dpi=130)
    return {"rate": rates.tolist(), **found}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "pictures")
    folder = parser.parse_args().output
    torch.set_num_threads(1)
    with drawing():
        for draw in (draw_direct, draw_checkpointed, draw_reversible, draw_adjoint):
            draw(folder)
        table = draw_contracting(folder)
    for name, values in table.items():
        print(f"{name:28s}", *(f"{value:9.2g}" for value in values))


if __name__ == "__main__":
    main()
