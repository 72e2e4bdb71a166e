"""Decision regions, and trajectories through the depth."""

from typing import TYPE_CHECKING, Any

import numpy as np

from neurode.report.comparison.looks import titled
from neurode.report.page import Page
from neurode.report.picture import Picture
from neurode.report.style import (
    AMBER,
    BLUE,
    GREEN,
    INK,
    MUTED,
    PAPER,
    PURPLE,
    VERMILION,
    bare,
    clean,
    drawing,
    new_figure,
    ramp,
)
from neurode.tasks.comparison.results import Comparison, Scene

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_CLASSES = (BLUE, VERMILION, GREEN, AMBER, PURPLE, INK, MUTED)


def plane_page(found: Comparison) -> Page:
    """How samples move from input to answer in the best model of each family."""
    is_plane = any(scene.regions for scene in found.scenes)
    items: list[Any] = [
        "Both networks move a sample step by step, from what the stem makes of it to where the head can tell it. In a "
        "residual network these are jumps; in an ODE-net they are curves, and in the full state no two are ever at the "
        "same place at the same time.",
        Picture(
            draw_scenes(found),
            _caption(is_plane, found.settings["stem"] == "none"),
            "Samples on their way through the depth of either network.",
        ),
    ]
    if any(scene.stages for scene in found.scenes):
        items.append(Picture(draw_stages(found), _STAGES, "Images on their way through the depth."))
    return Page("On the way through the depth", tuple(items))


def draw_scenes(found: Comparison) -> "Figure":
    """A row a model: decision regions where the data are a plane, and the paths."""
    is_plane = any(scene.regions for scene in found.scenes)
    with drawing() as matplotlib:
        rows = len(found.scenes)
        figure = new_figure(3.9 * rows if is_plane else 4.2)
        grid = figure.subplots(rows if is_plane else 1, 2 if is_plane else rows, squeeze=False)
        for place, scene in enumerate(found.scenes):
            name = found.models[scene.candidate].candidate.name
            paths_axes = grid[place][1] if is_plane else grid[0][place]
            if is_plane:
                _draw_regions(grid[place][0], scene, matplotlib)
                grid[place][0].set_title(titled(f"{name}: decision"))
            _draw_paths(paths_axes, scene)
            if not is_plane and found.kind == "classes":
                _name_ends(paths_axes, scene, found.classes)
            paths_axes.set_title(titled(f"{name}: paths"))
    return figure


def _draw_regions(axes: "Axes", scene: Scene, matplotlib: Any) -> None:
    values = np.array(scene.regions)
    axes.imshow(
        values,
        origin="lower",
        extent=scene.extent,  # type: ignore[arg-type]
        cmap=ramp(matplotlib).reversed(),
        vmin=0,
        vmax=1,
        alpha=0.55,
        aspect="auto",
        interpolation="bilinear",
    )
    axes.scatter(*np.array(scene.points).T, c=_colors(scene.labels), s=12, lw=0.5, edgecolors=PAPER)
    axes.set_xlim(scene.extent[0], scene.extent[1])
    axes.set_ylim(scene.extent[2], scene.extent[3])
    bare(axes)


def _draw_paths(axes: "Axes", scene: Scene) -> None:
    paths = np.array(scene.paths)
    colors = _colors(scene.labels)
    many = len(paths) > 12
    for number, color in enumerate(colors):
        axes.plot(*paths[:, number].T, color=color, lw=0.8, alpha=0.75, marker="" if many else ".", ms=3)
    axes.scatter(*paths[0].T, s=9, facecolors=PAPER, edgecolors=colors, lw=0.8, zorder=3)
    axes.scatter(*paths[-1].T, s=12, c=colors, marker="s", lw=0, zorder=4)
    bare(axes)


def _name_ends(axes: "Axes", scene: Scene, classes: tuple[str, ...]) -> None:
    """The name of each class amid the ends of its paths: there are more classes than colours that can be told apart."""
    ends, labels = np.array(scene.paths)[-1], np.array(scene.labels)
    for label in np.unique(labels):
        x, y = np.median(ends[labels == label], axis=0)
        axes.text(
            x,
            y,
            clean(classes[label], 12),
            ha="center",
            va="center",
            fontsize=8,
            color=INK,
            bbox={"boxstyle": "round,pad=0.15", "facecolor": PAPER, "edgecolor": "none", "alpha": 0.75},
            zorder=5,
        )


def draw_stages(found: Comparison) -> "Figure":
    """Rows: images; columns: the input, then the state at equal depths."""
    scenes = [scene for scene in found.scenes if scene.stages]
    with drawing() as matplotlib:
        count, times = min(4, len(scenes[0].stages[0])), len(scenes[0].stages)
        figure = new_figure(0.95 * count + 0.5)
        blocks = figure.subfigures(1, len(scenes), squeeze=False)[0]
        for block, scene in zip(blocks, scenes, strict=True):
            block.suptitle(titled(found.models[scene.candidate].candidate.name), fontsize=9, color=INK)
            panels = block.subplots(count, times + 1, squeeze=False)
            for row in range(count):
                _picture(panels[row][0], scene.pictures[row], "gray")
                for column in range(times):
                    _picture(panels[row][column + 1], scene.stages[column][row], ramp(matplotlib))
    return figure


def _picture(axes: "Axes", values: list, colors: Any) -> None:
    axes.imshow(np.array(values), cmap=colors, interpolation="nearest")
    bare(axes)


def _colors(labels: list) -> list[str]:
    return [_CLASSES[int(label) % len(_CLASSES)] for label in labels]


_STAGES = (
    "Left of each block: held-out images. Then their states at equal depths, from the stem's result to the end: the "
    "root mean square over the channels of each pixel, each picture on a scale of its own."
)


def _caption(is_plane: bool, raw: bool) -> str:
    if is_plane:
        where = "first two numbers of the state" if raw else "two directions in which their states differ most"
        return (
            "The best model of each family, first repeat. Left: probability of the first class (blue) and of the "
            "others (yellow), with held-out points. Right: these points from open marks, where they enter, to squares, "
            f"where the head reads them, in the {where}."
        )
    return (
        "The best model of each family, first repeat: held-out samples, coloured by class, from open marks, where they "
        "enter, to squares, where the head reads them, in the two directions in which their states differ most. Names "
        "stand amid the ends of a class."
    )
