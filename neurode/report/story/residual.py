"""The story's first line: a residual network moves points, h[t+1] = h[t] + f(h[t], theta[t])."""

import math
from typing import TYPE_CHECKING

import numpy as np
import torch

from neurode.report.page import Formula, Page
from neurode.report.picture import Picture
from neurode.report.style import AXIS, INK, PAPER, VERMILION, bare, drawing, new_figure, ramp

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NUM_LAYERS = 6


def residual_page() -> Page:
    """A residual network of six layers, seen as arrows."""
    paths = residual_paths(start_points())
    return Page(
        "A residual network moves points",
        (
            "A residual network does not replace its state, it adds to it. Each layer reads the state h and adds a "
            "small correction, so that the state travels:",
            Formula("h[t+1] = h[t] + f(h[t], θ[t])        t = 0, 1, 2, …"),
            Picture(draw_layers(paths), _CAPTION, "Points moved by six layers of a residual network, drawn as arrows."),
        ),
    )


def weights(t: float) -> torch.Tensor:
    """theta(t): the 2 x 2 weights of the layer at depth t, which change smoothly with depth."""
    turn = 0.52 + 0.16 * math.cos(0.9 * t)
    return torch.tensor([[-0.08, -turn], [turn, -0.08]], dtype=torch.float64)


def layer(t: float | torch.Tensor, h: torch.Tensor) -> torch.Tensor:
    """f(h, theta(t)) = tanh(theta(t) h): a layer of two neurons, (..., 2) -> (..., 2)."""
    return torch.tanh(h @ weights(float(t)).T)


def start_points() -> torch.Tensor:
    """Eight points on two short arcs, (8, 2): two classes, as it were."""
    angles = torch.linspace(-0.6, 0.6, 4, dtype=torch.float64)
    arc = torch.stack([torch.cos(angles), torch.sin(angles)], dim=-1)
    return torch.cat([2.4 * arc, -1.1 * arc])


def residual_paths(start: torch.Tensor, num_layers: int = NUM_LAYERS) -> np.ndarray:
    """The states before the first and after every layer: (num_layers + 1, points, 2)."""
    states = [start]
    for t in range(num_layers):
        states.append(states[-1] + layer(t, states[-1]))
    return torch.stack(states).numpy()


def draw_layers(paths: np.ndarray) -> "Figure":
    """Left: each layer as an arrow on the plane. Right: one coordinate under the number of layers."""
    with drawing() as matplotlib:
        figure = new_figure(3.9)
        left, right = figure.subplots(1, 2, width_ratios=(1, 1.15))
        colors = [
            matplotlib.colors.to_hex(color) for color in ramp(matplotlib)(np.linspace(0.05, 0.95, len(paths) - 1))
        ]
        draw_plane(left, paths, colors)
        left.set_title("The plane of the states: an arrow is a layer")
        half = paths.shape[1] // 2
        for point in range(paths.shape[1]):
            right.plot(range(len(paths)), paths[:, point, 0], color=AXIS, lw=1.0, zorder=1)
            for t in range(len(paths) - 1):
                right.plot([t, t + 1], paths[t : t + 2, point, 0], color=colors[t], lw=1.2)
            right.plot(0, paths[0, point, 0], "o" if point < half else "s", mfc=PAPER, mec=INK, ms=4.5, zorder=4)
            right.plot(len(paths) - 1, paths[-1, point, 0], "o" if point < half else "s", color=VERMILION, ms=4, mew=0)
        right.set_title("The same: first number of the state under depth")
        right.set_xlabel("layer t")
        right.set_ylabel("first number of h[t]")
        right.set_xlim(-0.15, len(paths) - 0.85)
    return figure


def draw_plane(axes: "Axes", paths: np.ndarray, colors: list[str], *, heads: float = 12) -> None:
    """Points moving on the plane: (steps + 1, points, 2); the first half of the points are dots, the others squares.

    heads: size of the arrow heads in points, 0 for plain lines.
    """
    half = paths.shape[1] // 2
    for t, color in enumerate(colors):
        for tail, head in zip(paths[t], paths[t + 1], strict=True):
            shape = {"arrowstyle": "-|>,head_width=0.16,head_length=0.32", "shrinkA": 0, "shrinkB": 0}
            if heads:
                axes.annotate("", head, tail, arrowprops={**shape, "color": color, "lw": 1.2, "mutation_scale": heads})
            else:
                axes.plot(*zip(tail, head, strict=True), color=color, lw=1.2)
    for part, marker in ((slice(None, half), "o"), (slice(half, None), "s")):
        axes.plot(*paths[0, part].T, marker, mfc=PAPER, mec=INK, ms=4.8, zorder=5)
        axes.plot(*paths[-1, part].T, marker, color=VERMILION, ms=4.5, mew=0, zorder=5)
    bare(axes)
    frame(axes, paths)


def frame(axes: "Axes", points: np.ndarray) -> None:
    """Show all of `points` (..., 2) with one scale for both directions, at the top left of the panel's place."""
    low, high = points.reshape(-1, 2).min(axis=0), points.reshape(-1, 2).max(axis=0)
    margin = 0.04 * float((high - low).max())
    axes.set_xlim(low[0] - margin, high[0] + margin)
    axes.set_ylim(low[1] - margin, high[1] + margin)
    axes.set_aspect("equal", anchor="NW")


_CAPTION = (
    f"Eight inputs, the open marks, pass through {NUM_LAYERS} layers and end at the red marks; dots and squares are "
    "two classes. Here f(h, θ) = tanh(θ h), a layer of two neurons, whose weights θ[t] change a little from layer to "
    "layer. Blue arrows are the first layers, yellow ones the last. An arrow starts where the one before ended: the "
    "layers draw broken curves, with one corner a layer."
)
