"""The codes of the series on a plane, and the learned field on it."""

from typing import TYPE_CHECKING

import numpy as np

from neurode.report.page import Page
from neurode.report.picture import Picture
from neurode.report.style import (
    AXIS,
    BLUE,
    INK,
    MANY_POINTS,
    MUTED,
    PAPER,
    VERMILION,
    clean,
    drawing,
    new_figure,
    percent,
    plural,
    ramp,
)
from neurode.tasks.series.results import LatentMap

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure


def latent_page(latent: LatentMap | None) -> Page:
    """Where the series lie among each other, and where the field carries them."""
    if latent is None or not np.isfinite(latent.codes).all(axis=-1).any():
        return Page("Codes and phase portrait", ("There are no codes to draw for this model.",))
    said = (
        "The encoder turns each series into a code, a point from which the learned field dz/dt = f(z) carries it "
        "through time. The two pictures show the plane in which the codes differ most."
    )
    picture = Picture(
        draw_latent_map(latent), _caption(latent), "Map of the codes, and phase portrait of the learned field."
    )
    return Page("Codes and phase portrait", (said, picture))


def draw_latent_map(latent: LatentMap) -> "Figure":
    """Left: one dot a series. Right: streamlines of the field and paths of a few series; ValueError without codes."""
    known = np.asarray(np.isfinite(latent.codes).all(axis=-1))
    if not known.any():
        raise ValueError("no code is finite; there is nothing to draw")
    with drawing() as matplotlib:
        figure = new_figure(4.3)
        left, right = figure.subplots(1, 2)
        _draw_codes(figure, left, latent, known, ramp(matplotlib))
        _draw_portrait(right, latent)
        for axes in (left, right):
            axes.set_xlabel(f"direction 1 ({percent(float(latent.explained[0]))} of the variance)")
        left.set_ylabel(f"direction 2 ({percent(float(latent.explained[1]))})")
        left.set_title("Codes of the series")
        right.set_title("The field, and paths through time")
    return figure


def _draw_codes(figure: "Figure", axes: "Axes", latent: LatentMap, known: np.ndarray, ramp: "Colormap") -> None:
    codes = latent.codes[known]
    color = np.asarray(latent.color, dtype=float)[known]
    heavy = len(codes) > MANY_POINTS
    size = float(np.clip(4000 / len(codes), 5, 22))
    if np.isfinite(color).any() and np.nanmax(color) > np.nanmin(color):
        low, high = np.nanpercentile(color, [2, 98])
        low, high = (low, high) if high > low else (np.nanmin(color), np.nanmax(color))
        drawn = np.isfinite(color)
        axes.scatter(*codes[~drawn].T, s=size, color=AXIS, lw=0, rasterized=heavy)
        dots = axes.scatter(
            *codes[drawn].T, c=color[drawn], cmap=ramp, vmin=low, vmax=high, s=size, lw=0, rasterized=heavy
        )
        bar = figure.colorbar(dots, ax=axes, location="bottom", shrink=0.55, aspect=32, pad=0.03, extend="both")
        bar.set_label(clean(latent.color_label, 50), color=MUTED)
        bar.outline.set_visible(False)
    else:
        axes.scatter(*codes.T, s=size, color=BLUE, alpha=0.7, lw=0, rasterized=heavy)
    for direction, values in (("x", codes[:, 0]), ("y", codes[:, 1])):
        low, high = np.percentile(values, [0.5, 99.5])
        margin = 0.12 * (high - low) or 0.5
        getattr(axes, f"set_{direction}lim")(low - margin, high + margin)


def _draw_portrait(axes: "Axes", latent: LatentMap) -> None:
    x, y = latent.grid_x, latent.grid_y
    fields = np.nan_to_num(latent.field_x), np.nan_to_num(latent.field_y)
    if len(x) > 1 and len(y) > 1 and np.hypot(*fields).max() > 0:
        _draw_streamlines(axes, x, y, *fields)
    for path in latent.paths:
        path = path[np.isfinite(path).all(axis=-1)]
        if not len(path):
            continue
        axes.plot(*path.T, color=BLUE, lw=1.5, alpha=0.9)
        axes.plot(*path[0], "o", mfc=PAPER, mec=INK, ms=4.5, zorder=5)
        axes.plot(*path[-1], "s", color=VERMILION, ms=4.5, mew=0, zorder=5)
    if len(x) > 1 and len(y) > 1 and y[-1] > y[0]:
        axes.set_xlim(float(x[0]), float(x[-1]))
        axes.set_ylim(float(y[0]), float(y[-1]))


def _draw_streamlines(axes: "Axes", x: np.ndarray, y: np.ndarray, u: np.ndarray, v: np.ndarray) -> None:
    """Streamlines, each as one path: matplotlib draws thousands of pieces, which would fill the page's bytes."""
    from matplotlib.collections import LineCollection

    drawn = axes.streamplot(x, y, u, v, color=AXIS, linewidth=0.9, density=1.0, arrowsize=0.8)
    pieces = drawn.lines.get_segments()
    drawn.lines.remove()
    paths: list[list[np.ndarray]] = []
    for piece in pieces:
        if paths and np.array_equal(paths[-1][-1], piece[0]):
            paths[-1].extend(piece[1:])
        else:
            paths.append(list(piece))
    axes.add_collection(LineCollection([np.array(path) for path in paths], colors=AXIS, linewidths=0.9, zorder=1))


def _caption(latent: LatentMap) -> str:
    shown = int(np.isfinite(latent.codes).all(axis=-1).sum())
    said = [f"Left: {plural(shown, 'code')}, one a series; series near each other behave alike."]
    color = np.asarray(latent.color, dtype=float)
    if np.isfinite(color).any() and np.nanmax(color) > np.nanmin(color):
        said.append(f"Colour: {clean(latent.color_label, 80)}.")
    said.append("Right, grey: where the field leads on this plane, taken through the mean code.")
    if len(latent.paths):
        said.append(
            f"Blue: the paths of {plural(len(latent.paths), 'series')}, from the open circle to the red square. They "
            "move in all dimensions of the code, so on a plane they may cross each other and the grey lines."
        )
    total = float(np.nansum(latent.explained))
    said.append(f"The plane holds {percent(min(total, 1.0))} of the variance of the codes.")
    return " ".join(said)
