"""Made series beside real ones."""

from typing import TYPE_CHECKING

import numpy as np

from neurode.report.page import Page
from neurode.report.picture import Picture
from neurode.report.style import BLUE, INK, MANY_POINTS, clean, drawing, new_figure, plural, time_label
from neurode.tasks.series.results import SampleExamples

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SHOWN = 4
"""Features in one picture; a table of forty would not fit a page."""


def samples_page(samples: SampleExamples | None) -> Page:
    """Series made from nothing, beside real ones."""
    if samples is None or not _features(samples):
        return Page("Made series", ("No series were sampled from this model.",))
    said = (
        "The model can make series that nobody observed: a code is drawn from the density of the training series' "
        "codes, carried through time by the learned field, and decoded. The more they resemble real ones in range, "
        "shape and variety, the better the model has caught what the table is like."
    )
    picture = Picture(draw_samples(samples), _caption(samples), "Real series on the left, made series on the right.")
    return Page("Made series", (said, picture))


def draw_samples(samples: SampleExamples) -> "Figure":
    """Real series left, made ones right, a feature a row, on the same scales; ValueError if there is none."""
    features = _features(samples)[:SHOWN]
    if not features:
        raise ValueError("neither made nor real series hold a finite value; there is nothing to draw")
    end = _end(samples)
    with drawing():
        figure = new_figure(1.75 * len(features) + 0.7)
        grid = figure.subplots(len(features), 2, sharex=True, squeeze=False)
        for row, feature in zip(grid, features, strict=True):
            _draw_real(row[0], samples, feature)
            _draw_made(row[1], samples, feature)
            row[0].set_ylabel(clean(samples.features[feature], 20))
            low, high = _view(samples, feature)
            for axes in row:
                axes.set_ylim(low, high)
                axes.set_xlim(0, end)
            row[1].tick_params(labelleft=False)
        grid[0, 0].set_title("Real")
        grid[0, 1].set_title("Made")
        for axes in grid[-1]:
            axes.set_xlabel(time_label(clean(samples.time_unit, 20), "the start of the series"))
    return figure


def _draw_real(axes: "Axes", samples: SampleExamples, feature: int) -> None:
    heavy = sum(len(times) for times, _ in samples.real) > MANY_POINTS
    for times, values in samples.real:
        known = np.isfinite(values[:, feature])
        marker = "o" if known.sum() == 1 else ""
        axes.plot(
            times[known], values[known, feature], marker=marker, color=INK, lw=0.9, alpha=0.55, ms=2.5, rasterized=heavy
        )


def _draw_made(axes: "Axes", samples: SampleExamples, feature: int) -> None:
    heavy = samples.made.shape[0] * samples.made.shape[1] > MANY_POINTS
    for path in samples.made:
        axes.plot(samples.times, path[:, feature], color=BLUE, lw=0.9, alpha=0.6, rasterized=heavy)


def _features(samples: SampleExamples) -> list[int]:
    return [
        index
        for index in range(len(samples.features))
        if (samples.made.size and np.isfinite(samples.made[..., index]).any())
        or any(np.isfinite(values[:, index]).any() for _, values in samples.real)
    ]


def _values(samples: SampleExamples, feature: int) -> np.ndarray:
    """The finite values in view."""
    end = _end(samples)
    made = samples.made[..., feature].ravel() if samples.made.size else np.zeros(0)
    values = np.concatenate([made, *(values[times <= end, feature] for times, values in samples.real)])
    return values[np.isfinite(values)]


def _view(samples: SampleExamples, feature: int) -> tuple[float, float]:
    values = _values(samples, feature)
    values = values if len(values) else np.zeros(1)
    low, high = float(values.min()), float(values.max())
    margin = 0.06 * (high - low) or 0.1 * max(abs(high), 1.0)
    return low - margin, high + margin


def _end(samples: SampleExamples) -> float:
    """Where both panels end: with the made series, or where there are none with the longest real one."""
    if len(samples.times) and samples.made.size and samples.times[-1] > 0:
        return float(samples.times[-1])
    return max((float(times[-1]) for times, _ in samples.real if len(times)), default=1.0) or 1.0


def _caption(samples: SampleExamples) -> str:
    said = (
        f"Left: {len(samples.real):,} real series of the table. Right: {len(samples.made):,} made by the model, "
        "from the start of a series on. Both are drawn on the same scales."
    )
    if any(len(times) and times[-1] > _end(samples) for times, _ in samples.real):
        said += " Real series that last longer go on outside the frame."
    hidden = len(_features(samples)) - SHOWN
    return said if hidden <= 0 else f"{said} The first {SHOWN} of {plural(hidden + SHOWN, 'feature')} are shown."
