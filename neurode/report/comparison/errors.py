"""Which classes are taken for which, and what noise does."""

from typing import TYPE_CHECKING, Any

import numpy as np

from neurode.report.comparison.looks import looks, shown, titled
from neurode.report.page import Page
from neurode.report.picture import Picture
from neurode.report.style import BLUE, INK, PAPER, clean, drawing, legend_above, new_figure
from neurode.tasks.comparison.results import Comparison, ModelFigures

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_CLASSES = 12


def errors_page(found: Comparison) -> Page:
    """Confusion of the best model of each family, and robustness to noise of all."""
    items: list[Any] = [Picture(draw_noise(found), _noise_caption(found), "Score against noise added to the inputs.")]
    best = best_of_families(found)
    if found.kind == "classes" and best and len(found.classes) <= MOST_CLASSES:
        items.append(Picture(draw_confusion(found), _CONFUSION, "Confusion of the best model of each family."))
    return Page("Noise and confusion", (_noise_words(found), *items))


def best_of_families(found: Comparison) -> list[ModelFigures]:
    """The residual network and the ODE-net with the highest score."""
    families = (found.resnets, found.odenets)
    return [max(family, key=lambda one: one.score) for family in families if family]


def draw_noise(found: Comparison) -> "Figure":
    """A line a model."""
    look = looks(found)
    with drawing():
        figure = new_figure(3.3, 6.6)
        axes = figure.subplots()
        for model in shown(found.trained):
            own = look[model.candidate.name]
            scores = 100 * np.array(model.noise)
            axes.plot(
                found.noise_levels, scores, color=own.color, ls=own.dash, marker=own.mark, label=model.candidate.name
            )
        axes.set_xlabel("standard deviation of the noise, in units of the inputs'")
        axes.set_ylabel(f"{found.score_name}, %")
        legend_above(figure, axes, columns=2)
    return figure


def draw_confusion(found: Comparison) -> "Figure":
    """Counts of all repeats: truth by rows; errors in blue, the diagonal in words only."""
    best = best_of_families(found)
    with drawing() as matplotlib:
        size = len(found.classes)
        figure = new_figure(min(4.6, 1.6 + 0.35 * size))
        for axes, model in zip(figure.subplots(1, len(best), squeeze=False)[0], best, strict=True):
            _draw_matrix(axes, model, found, matplotlib)
    return figure


def _draw_matrix(axes: "Axes", model: ModelFigures, found: Comparison, matplotlib: Any) -> None:
    counts = np.array(model.confusion, dtype=float)
    wrong = counts * (1 - np.eye(len(counts)))
    colors = matplotlib.colors.LinearSegmentedColormap.from_list("errors", [PAPER, BLUE])
    shade = np.ma.masked_equal(wrong, 0)
    axes.imshow(shade, cmap=colors, vmin=0, vmax=max(1.0, wrong.max()), alpha=0.8)
    for row, column in zip(*np.nonzero(counts), strict=True):
        axes.text(column, row, f"{counts[row, column]:.0f}", ha="center", va="center", fontsize=7, color=INK)
    names = [clean(name, 12) for name in found.classes]
    axes.set_xticks(range(len(names)), names, rotation=0 if max(map(len, names)) < 4 else 40)
    axes.set_yticks(range(len(names)), names)
    axes.grid(False)
    axes.set_xlabel("answer")
    axes.set_ylabel("truth")
    axes.set_title(titled(model.candidate.name))


def _noise_words(found: Comparison) -> str:
    """At the noise where the models differ most, who loses least by it and who most."""
    models = found.trained
    if not models:
        return "No model was trained."
    scores = np.array([model.noise for model in models])
    lost = scores[:, :1] - scores
    place = int(np.argmax(lost.max(0) - lost.min(0)))
    best, worst = int(np.argmin(lost[:, place])), int(np.argmax(lost[:, place]))
    if best == worst or lost[worst, place] - lost[best, place] < 0.005:
        return "Noise on the inputs hits all models alike."

    def told(number: int, how: str) -> str:
        before, after = 100 * scores[number, 0], 100 * scores[number, place]
        return f"{models[number].candidate.name} loses {how} (from {before:.1f}% to {after:.1f}%)"

    level = found.noise_levels[place]
    return f"With noise of {level:g} of the inputs' spread {told(best, 'least')} and {told(worst, 'most')}."


def _noise_caption(found: Comparison) -> str:
    return (
        f"The {found.score_name} on held-out samples with Gaussian noise added, the same for all; means over repeats."
    )


_CONFUSION = "Counts of held-out samples over all repeats: what they are by rows, what they were taken for by columns."
