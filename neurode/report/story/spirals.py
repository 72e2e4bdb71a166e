"""Spirals of both turning directions: reconstructed, extrapolated, walked between, and made from nothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import torch

from neurode.data.batch import collate
from neurode.data.scaling import Scaling
from neurode.data.series import Series
from neurode.models.ode_vae import ODEVAE
from neurode.report.page import Page
from neurode.report.picture import Picture
from neurode.report.style import BLUE, INK, MUTED, VERMILION, bare, drawing, legend_above, new_figure, number, plural

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure

SHOWN = 4
"""Spirals in the first picture: half of them clockwise where there are as many."""


@dataclass(frozen=True)
class SpiralReading:
    """What a trained model makes of spirals: plain arrays in the spirals' own units.

    times: (T,). truth, mean: (B, T, 2), without noise; NaN in `mean` before a spiral's first observation. seen: what
    the model was given, one (n, 2) array a spiral. clockwise: (B,) bool. seen_until: the last moment that could be
    observed; beyond it `mean` extrapolates. noise: standard deviation of the observation noise. walk: (steps, W, 2)
    from a clockwise to a counter-clockwise spiral, over the times that could be observed. samples: (n, W, 2) made from
    the latent density.
    """

    times: np.ndarray
    truth: np.ndarray
    mean: np.ndarray
    seen: tuple[np.ndarray, ...]
    clockwise: np.ndarray
    seen_until: float
    noise: float
    walk: np.ndarray
    samples: np.ndarray

    @property
    def beyond(self) -> np.ndarray:
        """(T,) bool: where the model extrapolates."""
        return self.times > self.seen_until

    def rmse(self, where: np.ndarray) -> float:
        """Root mean square error of a coordinate over all spirals at the times `where` (T,) bool; NaN where none is."""
        gaps = (self.mean - self.truth)[:, where]
        gaps = gaps[np.isfinite(gaps)]
        return float(np.sqrt(np.mean(gaps**2))) if gaps.size else float("nan")


def read_spirals(
    model: ODEVAE,
    scaling: Scaling,
    seen: Sequence[Series],
    times: np.ndarray,
    truth: np.ndarray,
    *,
    seen_until: float,
    noise: float,
    num_steps: int = 7,
    num_made: int = 14,
    num_draws: int = 32,
    seed: int = 0,
) -> SpiralReading:
    """Ask a trained model for everything the spirals page shows.

    model: trained on spirals in the units of `scaling`, its latent density fitted. seen: observed points of test
    spirals, two features, in their own units. times: (T,) a fine grid. truth: (B, T, 2), the spirals without noise.
    The walk goes from the first clockwise spiral to the first counter-clockwise one; ValueError if all turn one way or
    shapes do not fit, RuntimeError if the latent density was not fitted.
    """
    times, truth = np.asarray(times, dtype=float), np.asarray(truth, dtype=float)
    if truth.shape != (len(seen), len(times), 2):
        raise ValueError(f"truth must be of shape {(len(seen), len(times), 2)} (spirals, times, 2); got {truth.shape}.")
    clockwise = np.array([turns_clockwise(path) for path in truth], dtype=bool)
    if clockwise.all() or not clockwise.any():
        raise ValueError("all spirals turn the same way; the walk needs one of each. Pass more spirals.")
    was_training = model.training
    model.eval()
    mean = _predictions(model, scaling, seen, times, num_draws, seed)
    a, b = (collate([scaling.to_model(seen[int(np.flatnonzero(kind)[0])])]) for kind in (clockwise, ~clockwise))
    # As long as what was shown in training: a path from the start was never asked to go on beyond that.
    shown = times[times <= seen_until]
    course = torch.from_numpy((shown - shown[0]) / scaling.time_scale).float()
    walk = scaling.values_to_user(model.walk(a, b, num_steps, course)[:, 0].numpy())
    made = scaling.values_to_user(model.sample(num_made, course, seed=seed, white_noise=False).numpy())
    model.train(was_training)
    observed = tuple(one.values for one in seen)
    return SpiralReading(times, truth, mean, observed, clockwise, float(seen_until), float(noise), walk, made)


def _predictions(model, scaling, seen: Sequence[Series], times: np.ndarray, num_draws: int, seed: int) -> np.ndarray:
    """The model's means at `times` for each spiral, (B, T, 2); NaN before a spiral's own zero of model time."""
    asked = np.stack([scaling.times_to_model(times, scaling.start(one)) for one in seen])
    batch = collate([scaling.to_model(one) for one in seen])
    grid = torch.from_numpy(np.maximum(asked, 0.0)).float()
    mean = scaling.values_to_user(model.predict(batch, grid, num_samples=num_draws, seed=seed).mean.numpy())
    mean[asked < 0] = np.nan
    return mean


def turns_clockwise(path: np.ndarray) -> bool:
    """Whether a path (T, 2) turns clockwise about its middle, by the area its radius sweeps."""
    return _swept(path) < 0


def spirals_page(reading: SpiralReading) -> Page:
    """Spirals reconstructed and extrapolated, a walk between the turning directions, and made ones."""
    return Page(
        "Spirals: an ODE-VAE at work",
        (
            "The model was trained on spirals that turn clockwise and counter-clockwise, observed at irregular times "
            f"with noise of standard deviation {number(reading.noise, 2)}. An RNN reads a spiral's points backwards "
            "into a code, a neural ODE carries the code through time, a decoder turns it into points.",
            Picture(draw_predictions(reading), _prediction_caption(reading), "Spirals reconstructed and extrapolated."),
            Picture(
                draw_walk(reading), _walk_caption(reading), "A walk from a clockwise to a counter-clockwise spiral."
            ),
            Picture(draw_made(reading), _made_caption(reading), "Spirals made by the model."),
        ),
    )


def draw_predictions(reading: SpiralReading) -> "Figure":
    """Test spirals, clockwise first: what the model was given, reconstructs and extrapolates, and the truth."""
    with drawing():
        shown = _shown(reading)
        figure = new_figure(9.2 / len(shown) + 0.45)
        _predictions_row(list(figure.subplots(1, len(shown), squeeze=False)[0]), reading, shown)
        legend_above(figure, figure.axes[0])
    return figure


def draw_walk(reading: SpiralReading) -> "Figure":
    """The walk, a panel a step."""
    with drawing() as matplotlib:
        figure = new_figure(1.75)
        _walk_row(list(figure.subplots(1, len(reading.walk), squeeze=False)[0]), reading, _between(matplotlib))
    return figure


def draw_made(reading: SpiralReading) -> "Figure":
    """Spirals made from draws of the latent density, two rows."""
    with drawing() as matplotlib:
        columns = max(1, min(7, -(-len(reading.samples) // 2)))
        rows = -(-len(reading.samples) // columns)
        figure = new_figure(1.32 * rows + 0.1)
        grid = figure.subplots(rows, columns, squeeze=False)
        for axes in grid.flat:
            bare(axes)
        _made_panels(list(grid.flat), reading, _between(matplotlib))
    return figure


def draw_spirals(reading: SpiralReading) -> "Figure":
    """All of it in one figure, for a README: predictions, the walk, made spirals, a row each."""
    with drawing() as matplotlib:
        shown, columns = _shown(reading), len(reading.walk)
        heights = (9.2 / len(shown) + 0.7, 1.8, 1.8)
        figure = new_figure(sum(heights))
        top, middle, bottom = figure.subfigures(3, 1, height_ratios=heights, squeeze=False)[:, 0]
        _predictions_row(list(top.subplots(1, len(shown), squeeze=False)[0]), reading, shown)
        handles, labels = top.axes[0].get_legend_handles_labels()
        top.legend(handles, labels, loc="outside upper left", ncols=len(handles))
        _walk_row(list(middle.subplots(1, columns, squeeze=False)[0]), reading, _between(matplotlib))
        panels = list(bottom.subplots(1, columns, squeeze=False)[0])
        for axes in panels:
            bare(axes)
        _made_panels(panels, reading, _between(matplotlib))
        heading = {"x": 0.005, "ha": "left", "fontsize": 9.5, "fontweight": "bold"}
        middle.suptitle("A walk between two codes, from a clockwise spiral to a counter-clockwise one", **heading)
        bottom.suptitle("Spirals that nobody drew, from the density of the codes", **heading)
    return figure


def _predictions_row(panels: list["Axes"], reading: SpiralReading, shown: list[int]) -> None:
    beyond = reading.beyond
    # The join of both parts: the extrapolation starts where the reconstruction ends.
    joined = beyond | np.roll(beyond, -1)
    for axes, index in zip(panels, shown, strict=True):
        axes.plot(*reading.truth[index].T, color=MUTED, lw=3.4, alpha=0.32, label="truth")
        axes.plot(*reading.seen[index].T, "o", color=INK, ms=2.6, mew=0, label="given to the model")
        axes.plot(*reading.mean[index, ~beyond].T, color=BLUE, lw=1.6, label="reconstructed")
        if beyond.any():
            axes.plot(*reading.mean[index, joined].T, color=VERMILION, lw=1.6, label="extrapolated")
        axes.set_title(
            "clockwise" if reading.clockwise[index] else "counter-clockwise", loc="center", fontweight="normal"
        )
        _frame(axes, np.concatenate([reading.truth[index], reading.mean[index], reading.seen[index]]))


def _walk_row(panels: list["Axes"], reading: SpiralReading, colors: "Colormap") -> None:
    half = _half(reading.walk)
    for step, (axes, path) in enumerate(zip(panels, reading.walk, strict=True)):
        share = step / max(1, len(reading.walk) - 1)
        _path(axes, path, colors(share))
        _frame(axes, path, half)
        name = {0.0: "clockwise", 1.0: "counter-clockwise"}.get(share, f"{100 * share:.0f}%")
        axes.set_title(name, loc="center", fontweight="normal", fontsize=8)


def _made_panels(panels: list["Axes"], reading: SpiralReading, colors: "Colormap") -> None:
    half = _half(reading.samples)
    for axes, path in zip(panels, reading.samples, strict=False):
        _path(axes, path, colors(0.0 if turns_clockwise(path) else 1.0))
        _frame(axes, path, half)


def _path(axes: "Axes", path: np.ndarray, color) -> None:
    axes.plot(*path.T, color=color, lw=1.4)
    axes.plot(*path[0], "o", color=color, ms=4, mew=0)


def _half(paths: np.ndarray) -> float:
    """Half the side of the square that the largest of these paths (n, T, 2) needs: one scale for all."""
    return max(_size(path) for path in paths)


def _size(points: np.ndarray) -> float:
    points = points[np.isfinite(points).all(axis=-1)]
    return 0.54 * float(np.ptp(points, axis=0).max()) or 1.0


def _frame(axes: "Axes", points: np.ndarray, half: float | None = None) -> None:
    """A square around the points; `half` its side where several panels share a scale."""
    half = _size(points) if half is None else half
    points = points[np.isfinite(points).all(axis=-1)]
    bare(axes)
    axes.set_aspect("equal")
    middle = 0.5 * (points.min(axis=0) + points.max(axis=0))
    axes.set_xlim(middle[0] - half, middle[0] + half)
    axes.set_ylim(middle[1] - half, middle[1] + half)


def _between(matplotlib) -> "Colormap":
    return matplotlib.colors.LinearSegmentedColormap.from_list("turning", ["#2e7ec4", "#8f6a8e", "#d9642b"])


def _shown(reading: SpiralReading) -> list[int]:
    clockwise, counter = np.flatnonzero(reading.clockwise), np.flatnonzero(~reading.clockwise)
    half = SHOWN // 2
    picked = [*clockwise[: max(half, SHOWN - len(counter))], *counter[: max(half, SHOWN - len(clockwise))]]
    return [int(index) for index in picked]


def _swept(path: np.ndarray) -> float:
    """Twice the signed area that the radius from the path's middle sweeps; negative for clockwise."""
    path = path[np.isfinite(path).all(axis=-1)]
    radius = path - path.mean(axis=0)
    return float((radius[:-1, 0] * radius[1:, 1] - radius[:-1, 1] * radius[1:, 0]).sum())


def _prediction_caption(reading: SpiralReading) -> str:
    beyond = reading.beyond
    inside = reading.rmse(~beyond)
    said = [
        f"Spirals that training never saw. Dots: the observations given to the model, {_counts(reading)} a spiral. "
        "Blue: its reconstruction. Wide grey: the spiral without noise."
    ]
    if beyond.any():
        said.append(
            f"Red: the extrapolation over the {plural(int(beyond.sum()), 'time')} beyond the observed part. Root mean "
            f"square error of a coordinate over {plural(len(reading.truth), 'test spiral')}: {number(inside)} where "
            f"observed, {number(reading.rmse(beyond))} beyond."
        )
    else:
        said.append(
            f"Root mean square error of a coordinate over {plural(len(reading.truth), 'test spiral')}: "
            f"{number(inside)}."
        )
    return " ".join(said)


def _counts(reading: SpiralReading) -> str:
    counts = sorted({len(points) for points in reading.seen})
    return f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"


def _walk_caption(reading: SpiralReading) -> str:
    ways = [turns_clockwise(path) for path in reading.walk]
    changes = sum(a != b for a, b in pairwise(ways))
    said = (
        "Both ends are codes of test spirals; between them the code moves on a straight line in "
        f"{plural(len(ways), 'step')}, and each code is carried through time and decoded. The dot is the start of the "
        "path."
    )
    if changes == 1 and ways[0]:
        said += f" The first {sum(ways)} turn clockwise, the other {len(ways) - sum(ways)} counter-clockwise."
    elif changes:
        said += f" The turning direction changes {plural(changes, 'time')} on the way."
    else:
        said += " The turning direction never changes on the way."
    return said


def _made_caption(reading: SpiralReading) -> str:
    ways = [turns_clockwise(path) for path in reading.samples]
    return (
        f"{plural(len(ways), 'spiral')} made from codes drawn from the density of the training codes, without "
        f"observation noise; {sum(ways)} turn clockwise (blue), {len(ways) - sum(ways)} counter-clockwise (red). The "
        "dot is the start."
    )
