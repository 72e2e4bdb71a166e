"""The story's second line: Euler's method is a residual network with a step size."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from neurode.report.page import Formula, Page
from neurode.report.picture import Picture
from neurode.report.story.residual import NUM_LAYERS, draw_plane, frame, layer, residual_paths, start_points
from neurode.report.style import BLUE, MUTED, WIDTH, drawing, new_figure, number
from neurode.solving import solve

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STEP_SIZES = (1.0, 0.5, 0.125)
_NAMES = {1.0: "1", 0.5: "1/2", 0.125: "1/8"}


@dataclass(frozen=True)
class EulerPaths:
    """What Euler's method makes of the network: states (steps + 1, points, 2) of each step size, and exact curves.

    errors: root mean square distance of the end points from the exact ones. gap: largest difference between Euler's
    method with step 1 and the residual network.
    """

    paths: dict[float, np.ndarray]
    exact: np.ndarray
    errors: dict[float, float]
    gap: float


def euler_page() -> Page:
    """The same picture with step sizes 1, 1/2, 1/8."""
    result = euler_paths()
    same = "to the last digit" if result.gap == 0 else f"to {result.gap:.0e}, which is rounding"
    return Page(
        "Euler's method is that network, with a step size",
        (
            "Put a factor in front of the correction and let the depth t be a real number. This is Euler's method of "
            "1768 for the differential equation dh/dt = f(h, θ(t)):",
            Formula("y[n+1] = y[n] + Δt · f(t[n], y[n])"),
            f"With Δt = 1 it is the network above, {same}. With a smaller step it takes more, shorter arrows through "
            "the same field, and the broken curves become smooth ones: in the limit the solution, a network of "
            "continuous depth.",
            Picture(
                draw_euler(result), _caption(result), "The same points moved by Euler's method with three step sizes."
            ),
        ),
    )


def euler_paths() -> EulerPaths:
    """Solve the network's equation by Euler's method with each step size, and to rounding by dopri5."""
    start = start_points()
    span = torch.tensor([0.0, float(NUM_LAYERS)], dtype=torch.float64)
    paths = {}
    for step_size in STEP_SIZES:
        paths[step_size] = solve(layer, start, span, method="euler", step_size=step_size, save="steps").ys.numpy()
    fine = torch.linspace(0, NUM_LAYERS, 121, dtype=torch.float64)
    exact = solve(layer, start, fine, method="dopri5", rtol=1e-9, atol=1e-11).ys.numpy()
    errors = {size: float(np.sqrt(((path[-1] - exact[-1]) ** 2).sum(-1).mean())) for size, path in paths.items()}
    gap = float(np.abs(paths[1.0] - residual_paths(start)).max())
    return EulerPaths(paths, exact, errors, gap)


def draw_euler(result: EulerPaths) -> "Figure":
    """A panel a step size: Euler's steps in blue over the exact curves in grey."""
    everything = np.concatenate([result.exact, *result.paths.values()]).reshape(-1, 2)
    width, height = np.ptp(everything, axis=0)
    with drawing():
        figure = new_figure(0.31 * WIDTH * height / width + 0.4)
        for axes, (size, paths) in zip(figure.subplots(1, len(result.paths)), result.paths.items(), strict=True):
            for point in range(result.exact.shape[1]):
                axes.plot(*result.exact[:, point].T, color=MUTED, lw=2.6, alpha=0.4, zorder=1)
            draw_plane(axes, paths, [BLUE] * (len(paths) - 1), heads={1.0: 12, 0.5: 8}.get(size, 0))
            frame(axes, everything)
            axes.set_title(f"Δt = {_NAMES[size]}: {len(paths) - 1} steps, error {number(result.errors[size], 2)}")
    return figure


def _caption(result: EulerPaths) -> str:
    coarse, middle, fine = (result.errors[size] for size in STEP_SIZES)
    return (
        "Wide grey: the exact curves. Blue: Euler's steps, from the open marks to the red ones. The error is the root "
        f"mean square distance between the ends of both: {number(coarse, 2)}, {number(middle, 2)}, {number(fine, 2)}. "
        f"From 1/2 to 1/8 it falls {number(middle / fine, 2)}-fold for 4 times the work: Euler's method pays dearly "
        "for accuracy."
    )
