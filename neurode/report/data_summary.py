"""What the data are: sizes, spacing, features, and what the reader noticed."""

from typing import TYPE_CHECKING

import numpy as np

from neurode.report.page import Item, Listing, Page, Table
from neurode.report.picture import Picture
from neurode.report.style import BLUE, INK, amount, clean, drawing, new_figure, number, percent, plural, whole_numbers
from neurode.tasks.series.results import DataSummary

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


_PURPOSE = {
    "train": "to train on",
    "validation": "to stop training by",
    "calibration": "to set the intervals",
    "test": "to test on",
}


def data_page(data: DataSummary) -> Page:
    """What was read, how it was split, and a line a feature."""
    items: list[Item] = [_sentence(data)]
    split = [f"{count:,} {_PURPOSE.get(name, name)}" for name, count in data.split.items()]
    if split:
        items.append(f"Split by series: {', '.join(split)}. Scales were learned on the training series only.")
    if _panels(data):
        items.append(Picture(draw_data(data), _caption(data), "Rows, span and spacing of the series."))
    if data.features:
        items.append(_feature_table(data))
    else:
        items.append("The table has no feature that could be modelled.")
    if data.notes or data.left_out:
        items.append("What the reader noticed and did:")
        said = [note for note in data.notes if note.startswith("Left out")]
        left_out = [
            f"Left out ({clean(why)}): {clean(name, 60)}."
            for name, why in data.left_out.items()
            if not any(name in note for note in said)
        ]
        items.append(Listing((*(clean(note) for note in data.notes), *left_out)))
    return Page("The data", tuple(items))


def draw_data(data: DataSummary) -> "Figure":
    """How many rows a series has, how long it lasts, how far apart its rows are; ValueError if there is no series."""
    panels = _panels(data)
    if not panels:
        raise ValueError("the summary holds no finite length, span or gap; there is nothing to draw")
    with drawing():
        figure = new_figure(2.25, 9.2 if len(panels) > 1 else 4.6)
        for axes, (title, label, values, what) in zip(
            figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True
        ):
            _draw_histogram(axes, values, whole=label == "rows")
            axes.set_title(title)
            axes.set_xlabel(label)
            axes.set_ylabel(what)
    return figure


def _draw_histogram(axes: "Axes", values: np.ndarray, *, whole: bool) -> None:
    # Times written as dates come back as fractions of a unit: what differs in the tenth digit only is one value.
    median = float(np.median(values))
    values = np.where(np.abs(values - median) <= 1e-9 * abs(median), median, values)
    low, high = float(values.min()), float(np.percentile(values, 99))
    if whole and high - low < 30:
        edges = np.arange(low - 0.5, high + 1.5)
    elif high > low:
        edges = np.linspace(low, high, 25)
    else:
        size = 0.5 if whole else max(abs(low), 1.0) * 0.1
        edges = np.array([low - 3 * size, low - size, low + size, low + 3 * size])
    counts, edges = np.histogram(np.minimum(values, edges[-1]), edges)
    axes.stairs(counts, edges, fill=True, color=BLUE, alpha=0.75, lw=0)
    axes.axvline(median, color=INK, lw=1.0, ls=(0, (3, 2)))
    late = median > 0.5 * (edges[0] + edges[-1])
    axes.annotate(
        f"median {amount(median)}",
        (median, 1.0),
        xycoords=("data", "axes fraction"),
        xytext=(-4 if late else 4, 1),
        textcoords="offset points",
        ha="right" if late else "left",
        va="top",
        fontsize=8,
    )
    axes.set_ylim(top=max(counts.max(), 1) * 1.15)
    axes.grid(axis="x", visible=False)
    whole_numbers(axes.yaxis)


def _panels(data: DataSummary) -> list[tuple[str, str, np.ndarray, str]]:
    unit = clean(data.time_unit, 20) or "time"
    panels = [
        ("Rows of a series", "rows", data.lengths, "series"),
        ("Span of a series", unit, data.spans, "series"),
        ("Spacing of rows", unit, data.gaps, "pairs of rows"),
    ]
    panels = [(title, label, np.asarray(v, dtype=float), what) for title, label, v, what in panels]
    panels = [(title, label, v[np.isfinite(v)], what) for title, label, v, what in panels]
    return [panel for panel in panels if len(panel[2]) and not (len(panel[2]) == 1 and len(data.lengths) == 1)]


def _feature_table(data: DataSummary) -> Table:
    rows = tuple(
        (
            clean(feature.name, 60),
            f"{feature.num_observations:,}",
            percent(feature.share),
            *(number(value) for value in (feature.minimum, feature.median, feature.maximum, feature.mean, feature.std)),
            "logarithm" if feature.transform == "log" else "as it is",
        )
        for feature in data.features
    )
    header = ("feature", "observed", "of rows", "minimum", "median", "maximum", "mean", "std", "modelled")
    return Table(header, rows, words=frozenset({8}), caption="The features, in the table's own units.")


def _sentence(data: DataSummary) -> str:
    if not data.num_series:
        return f"{clean(data.source)} holds no series."
    cells = data.num_rows * len(data.features)
    said = f"{clean(data.source)}: {data.num_series:,} series ({data.layout} layout), {plural(data.num_rows, 'row')}, "
    said += f"{plural(len(data.features), 'feature')}, {plural(data.num_observations, 'observation')}."
    if cells and data.num_observations <= cells:
        said += f" {percent(1 - data.num_observations / cells)} of the cells are blank."
    return said


def _caption(data: DataSummary) -> str:
    said = ["How many rows a series has, how long it lasts, and how far apart its rows are; dashed: the median."]
    gaps = np.asarray(data.gaps, dtype=float)
    gaps = gaps[np.isfinite(gaps)]
    if len(gaps):
        low, high = np.percentile(gaps, [5, 95])
        unit = f" {clean(data.time_unit, 20)}" if data.time_unit else ""
        if low == high:
            said.append(f"Nine in ten rows follow each other after {amount(low)}{unit}.")
        else:
            said.append(f"Nine in ten rows follow each other after {amount(low)} to {amount(high)}{unit}.")
    said.append("The longest hundredth is drawn at the right edge.")
    return " ".join(said)
