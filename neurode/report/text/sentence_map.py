"""The codes of unseen sentences on a plane, and the paths between two of them."""

from typing import TYPE_CHECKING

import numpy as np

from neurode.report.page import Page
from neurode.report.picture import Picture
from neurode.report.style import (
    BLUE,
    GREEN,
    INK,
    MANY_POINTS,
    MUTED,
    PAPER,
    PURPLE,
    VERMILION,
    clean,
    drawing,
    new_figure,
    percent,
    plural,
    ramp,
)
from neurode.tasks.text.report_results import SentenceMap

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_LINES = {"linear": BLUE, "spherical": PURPLE, "flow": VERMILION, "metric": GREEN}


def map_page(found: SentenceMap | None) -> Page:
    """Where sentences lie among each other, and how the kinds of path go."""
    title = "Map of the codes"
    if found is None:
        return Page(title, ("There are too few unseen sentences to draw a map of.",))
    said = (
        "The encoder turns each sentence into a code. The picture shows the plane in which the codes of unseen "
        "sentences differ most, and on it the paths between two of them."
    )
    return Page(title, (said, Picture(draw_map(found), _caption(found), "Map of the codes, with paths between two.")))


def draw_map(found: SentenceMap) -> "Figure":
    """One dot a sentence, coloured by its length; a line a kind of path."""
    with drawing() as matplotlib:
        figure = new_figure(4.4, 7.2)
        axes = figure.subplots()
        size = float(np.clip(4000 / len(found.codes), 5, 22))
        dots = axes.scatter(
            *found.codes.T,
            c=found.lengths,
            cmap=ramp(matplotlib),
            s=size,
            lw=0,
            alpha=0.7,
            rasterized=len(found.codes) > MANY_POINTS,
        )
        bar = figure.colorbar(dots, ax=axes, shrink=0.6, aspect=28, pad=0.02)
        bar.set_label("words of the sentence", color=MUTED)
        bar.outline.set_visible(False)
        for name, color in _LINES.items():
            if name in found.paths:
                axes.plot(*found.paths[name].T, color=color, lw=1.8, marker="o", ms=2.5, label=name)
        if found.paths:
            path = next(iter(found.paths.values()))
            axes.plot(*path[0], "o", mfc=PAPER, mec=INK, ms=6, zorder=5)
            axes.plot(*path[-1], "s", color=INK, ms=6, mew=0, zorder=5)
            axes.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=len(_LINES))
        axes.set_xlabel(f"direction 1 ({percent(float(found.explained[0]))} of the variance)")
        axes.set_ylabel(f"direction 2 ({percent(float(found.explained[1]))})")
    return figure


def _caption(found: SentenceMap) -> str:
    total = float(np.nansum(found.explained))
    said = [f"{plural(len(found.codes), 'code')}, one a sentence; the plane holds {percent(min(total, 1.0))} of their"]
    said.append("variance, so paths that part in other directions lie near each other here.")
    if found.paths:
        start, end = (clean(one, 80) for one in found.ends)
        said.append(f"The paths go from “{start}” (open circle) to “{end}” (square), a dot a point.")
    return " ".join(said)
