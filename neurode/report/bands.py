"""Predicted series: the line, its band, what the model was given and what it was not."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from neurode.report.page import Page
from neurode.report.picture import Picture
from neurode.report.style import (
    BLUE,
    INK,
    MANY_POINTS,
    MUTED,
    PAPER,
    VERMILION,
    amount,
    clean,
    drawing,
    legend_above,
    new_figure,
    percent,
    plural,
    time_label,
)
from neurode.tasks.series.results import FORECAST, SeriesExample

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SHOWN = 8
"""Panels in one picture; further examples are left out, and the caption says how many."""

STRETCH = 3.0
"""A forecast is drawn with what lies before its cut, up to this many times its own length."""


def filled_page(examples: Sequence[SeriesExample], skipped: str = "") -> Page:
    """Series with hidden observations, filled; `skipped` says why there are none."""
    title = "Filled series"
    if not _drawable(examples):
        why = clean(skipped) or "no observation of a test series was hidden"
        return Page(title, (f"There is no filled series to show: {why}.",))
    said = (
        "Some observations of series that training never saw were hidden from the model. It read the remaining ones "
        "and drew the line; the hidden ones show how far off it is, and whether the band is honest."
    )
    return Page(title, (said, Picture(draw_bands(examples), _caption(examples), "Filled series with bands.")))


def forecast_page(examples: Sequence[SeriesExample], skipped: str = "") -> Page:
    """Series cut and predicted beyond the cut; `skipped` says why there are none."""
    title = "Forecast series"
    if not _drawable(examples):
        why = clean(skipped) or "no test series was long enough to be cut"
        return Page(title, (f"There is no forecast to show: {why}.",))
    said = (
        "The model read each test series up to the cut, the dashed vertical line, and nothing beyond it. Right of the "
        "cut the line is a forecast, and the open circles are what then happened."
    )
    return Page(title, (said, Picture(draw_bands(examples), _caption(examples), "Forecast series with bands.")))


def draw_bands(examples: Sequence[SeriesExample]) -> "Figure":
    """Up to six series, two a row: dots were given to the model, open circles were not; ValueError if there is none."""
    shown = _drawable(examples)[:SHOWN]
    if not shown:
        raise ValueError("no example holds a finite prediction or observation; there is nothing to draw")
    columns = 1 if len(shown) == 1 else 2
    rows = -(-len(shown) // columns)
    with drawing():
        figure = new_figure((2.7 if rows == 1 else 2.15 * rows) + 0.35)
        grid = figure.subplots(rows, columns, squeeze=False)
        for axes in grid.flat[len(shown) :]:
            axes.set_visible(False)
        for axes, example in zip(grid.flat, shown, strict=False):
            draw_band(axes, example)
        _legend(figure, shown)
    return figure


def draw_band(axes: "Axes", example: SeriesExample) -> None:
    """One series in the given panel."""
    start = float(example.times[0]) if example.time_labels and len(example.times) else 0.0
    times = example.times - start
    heavy = len(times) + len(example.observed) + len(example.hidden) > MANY_POINTS
    axes.fill_between(
        times, example.lo, example.hi, color=BLUE, alpha=0.17, lw=0, rasterized=heavy, label=_band_label(example)
    )
    axes.plot(times, example.mean, color=BLUE, lw=1.6, label="prediction", rasterized=heavy)
    first, last = _span(example)
    small = (example.observed_times >= first).sum() + len(example.hidden) > 80
    axes.plot(
        example.observed_times - start,
        example.observed,
        "o",
        color=INK,
        ms=2.4 if small else 3.6,
        mew=0,
        label="given to the model",
        rasterized=heavy,
    )
    axes.plot(
        example.hidden_times - start,
        example.hidden,
        "o",
        mfc=PAPER,
        mec=VERMILION,
        mew=1.0 if small else 1.2,
        ms=3.0 if small else 4.2,
        label="hidden from it",
        rasterized=heavy,
    )
    if example.cut is not None:
        axes.axvline(example.cut - start, color=MUTED, lw=1.0, ls=(0, (4, 2.5)), zorder=1)
    axes.set_title(panel_title(example, 44))
    axes.set_ylabel(clean(example.feature, 20))
    axes.set_xlabel(
        time_label(clean(example.time_unit, 20), clean(example.time_labels[0], 25) if example.time_labels else "")
    )
    axes.set_xlim(first - start - 0.02 * (last - first), last - start + 0.02 * (last - first))
    axes.set_ylim(*_view(example, first))


def panel_title(example: SeriesExample, limit: int) -> str:
    """The series' name, and in brackets why it is shown."""
    why = f" ({clean(example.why, 20)})" if example.why else ""
    return clean(example.title, limit - len(why)) + why


def chosen_words(whys: Sequence[str]) -> str:
    """How the series of a picture were chosen, as one sentence; "" where nothing is known of it."""
    named = [clean(why, 20) for why in dict.fromkeys(whys) if why]
    return f"Series are chosen for a spread, not for their looks: {', '.join(named)}." if named else ""


def _legend(figure: "Figure", shown: Sequence[SeriesExample]) -> None:
    """The legend of the panel that shows most kinds of mark, so that a kind missing from the first panel is named."""
    panels = [axes for axes in figure.axes if axes.get_visible()]
    richest = max(range(len(shown)), key=lambda i: (bool(len(shown[i].hidden)) + bool(len(shown[i].observed)), -i))
    legend_above(figure, panels[richest])


def _span(example: SeriesExample) -> tuple[float, float]:
    """First and last time in view; of a forecast only a stretch before the cut, or its band were a sliver."""
    times = np.concatenate([example.times, example.observed_times, example.hidden_times])
    first, last = float(times.min()), float(times.max())
    if example.cut is not None and last > example.cut:
        first = max(first, example.cut - STRETCH * (last - example.cut))
    return first, last if last > first else first + 1.0


def _view(example: SeriesExample, first: float) -> tuple[float, float]:
    """Limits of the values from `first` on: points and line always inside, a band that dwarfs them cut."""
    line = example.times >= first
    solid = np.concatenate([example.mean[line], example.observed[example.observed_times >= first], example.hidden])
    solid = solid[np.isfinite(solid)]
    solid = solid if len(solid) else np.zeros(1)
    band = np.concatenate([example.lo[line], example.hi[line]])
    band = band[np.isfinite(band)]
    low, high = float(solid.min()), float(solid.max())
    size = (high - low) or max(abs(high), 1.0) * 0.1
    if len(band):
        low = min(low, max(float(band.min()), low - 1.5 * size))
        high = max(high, min(float(band.max()), high + 1.5 * size))
    margin = 0.06 * ((high - low) or size)
    return low - margin, high + margin


def _band_label(example: SeriesExample) -> str:
    return f"{percent(example.coverage)} interval"


def _drawable(examples: Sequence[SeriesExample]) -> list[SeriesExample]:
    return [
        example
        for example in examples
        if np.isfinite(np.concatenate([example.mean, example.observed, example.hidden])).any()
    ]


def _caption(examples: Sequence[SeriesExample]) -> str:
    shown = _drawable(examples)[:SHOWN]
    inside = total = 0
    for example in shown:
        if len(example.hidden) and len(example.times) > 1:
            known = np.isfinite(example.hidden)
            low = np.interp(example.hidden_times, example.times, example.lo)
            high = np.interp(example.hidden_times, example.times, example.hi)
            inside += int(((example.hidden >= low) & (example.hidden <= high) & known).sum())
            total += int(known.sum())
    said = [
        "Dots: observations the model was given. Open circles: observations it was not given. Line: prediction. "
        f"Band: where it expects {percent(shown[0].coverage)} of the truths."
    ]
    if chosen := chosen_words([example.why for example in shown]):
        said.append(chosen)
    if total:
        said.append(
            f"Here {inside} of {plural(total, 'hidden observation')} lie in the band ({percent(inside / total)})."
        )
    if shown[0].task == FORECAST and all(example.cut is not None and len(example.times) for example in shown):
        ahead = max(float(example.times[-1]) - float(example.cut or 0.0) for example in shown)
        said.append(f"The longest forecast shown reaches {amount(ahead)} {shown[0].time_unit or 'time units'} ahead.")
        if any(
            _span(example)[0] > min(example.times.min(), example.observed_times.min(initial=np.inf))
            for example in shown
        ):
            said.append("Of what lies before the cut the last part is drawn; the model was given all of it.")
    left = len(_drawable(examples)) - len(shown)
    if left:
        said.append(f"{plural(left, 'further example')} not shown.")
    return " ".join(said)
