"""Learning curves: what each epoch brought and what it cost."""

from typing import TYPE_CHECKING

import numpy as np

from neurode.report.page import Item, Page
from neurode.report.picture import Picture
from neurode.report.style import (
    BLUE,
    GREEN,
    INK,
    MUTED,
    PURPLE,
    VERMILION,
    amount,
    drawing,
    new_figure,
    plural,
    whole_numbers,
)
from neurode.tasks.series.results import History

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_PANELS = (
    (
        "Loss",
        "per observation",
        (("loss", "training", BLUE, "-"), ("validation_loss", "held out", VERMILION, (0, (4, 1.5)))),
    ),
    (
        "Parts of the loss",
        "per observation",
        (("reconstruction", "reconstruction", GREEN, "-"), ("kl", "KL", PURPLE, (0, (4, 1.5)))),
    ),
    ("Evaluations of the field", "per epoch", (("evaluations", "", INK, "-"),)),
    ("Time", "seconds per epoch", (("seconds", "", INK, "-"),)),
)
"""Title, axis, and the lines (column, label, colour, dashes) of each panel; a panel without numbers is left out."""


def learning_page(history: History, what: str = "series") -> Page:
    """How training went, in a sentence and a picture; what: is counted in the loss."""
    if not _panels(history):
        return Page("Learning curves", ("Training left no numbers to draw: no epoch was completed.",))
    said = f"{plural(history.num_epochs, 'epoch')} in {amount(history.seconds)} s. "
    said += f"The model keeps the weights of epoch {history.best_epoch}. {history.stopped_because}"
    picture = Picture(
        draw_learning_curves(history), _caption(history, what), "Learning curves: loss and cost of each epoch."
    )
    items: tuple[Item, ...] = (said, picture)
    return Page("Learning curves", items)


def draw_learning_curves(history: History) -> "Figure":
    """Loss, its parts, evaluations and seconds of each epoch; ValueError if all are NaN."""
    panels = _panels(history)
    if not panels:
        raise ValueError("the history holds no finite number; there is nothing to draw")
    with drawing():
        figure = new_figure(2.5 if len(panels) < 3 else 4.6)
        grid = figure.subplots(1 if len(panels) < 3 else 2, min(len(panels), 2), squeeze=False)
        cells = list(grid.flat)
        for axes in cells[len(panels) :]:
            axes.set_visible(False)
        for axes, (title, unit, lines) in zip(cells, panels, strict=False):
            _draw_panel(axes, history, title, unit, lines)
    return figure


def _draw_panel(axes: "Axes", history: History, title: str, unit: str, lines: tuple) -> None:
    epochs = _epochs(history)
    for column, label, color, dashes in lines:
        values = _finite(history.columns[column])
        known = np.isfinite(values)
        marker = "o" if known.sum() < 3 else ""
        axes.plot(epochs[known], values[known], color=color, ls=dashes, marker=marker, label=label or None, lw=1.6)
    low, high = _view(history, lines)
    axes.set_ylim(low, high)
    axes.set_title(title)
    axes.set_ylabel(unit)
    axes.set_xlabel("epoch")
    whole_numbers(axes.xaxis)
    if epochs[0] <= history.best_epoch <= epochs[-1] and len(epochs) > 1 and title == "Loss":
        axes.axvline(history.best_epoch, color=MUTED, lw=0.9, ls=(0, (1.5, 1.5)))
        late = history.best_epoch > epochs[0] + 0.6 * (epochs[-1] - epochs[0])
        axes.annotate(
            f"kept: epoch {history.best_epoch}",
            (history.best_epoch, 1.0),
            xycoords=("data", "axes fraction"),
            xytext=(-4 if late else 4, -2),
            textcoords="offset points",
            ha="right" if late else "left",
            va="top",
            color=MUTED,
            fontsize=8,
        )
    if any(label for _, label, _, _ in lines):
        axes.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=2)


def _panels(history: History) -> list[tuple[str, str, tuple]]:
    """The panels that have something to show, each with the lines that have."""
    kept = []
    for title, unit, lines in _PANELS:
        shown = tuple(
            line
            for line in lines
            if line[0] in history.columns and _has_news(line[0], _finite(history.columns[line[0]]))
        )
        if shown:
            kept.append((title, unit, shown))
    return kept


def _has_news(column: str, values: np.ndarray) -> bool:
    """Whether there is a number to show; a model without a field has no evaluations."""
    return bool(np.isfinite(values).any()) and not (column == "evaluations" and not np.nan_to_num(values).any())


def _epochs(history: History) -> np.ndarray:
    if "epoch" in history.columns:
        return np.asarray(history.columns["epoch"], dtype=float)
    return np.arange(1, history.num_epochs + 1, dtype=float)


def _finite(column: object) -> np.ndarray:
    return np.asarray(column, dtype=float)


def _view(history: History, lines: tuple) -> tuple[float, float]:
    """Limits that show the course: the first epochs, which fall steeply, may leave the frame at its top."""
    columns = [_finite(history.columns[line[0]]) for line in lines]
    everything = np.concatenate(columns)
    everything = everything[np.isfinite(everything)]
    late = np.concatenate([column[len(column) // 8 :] for column in columns])
    late = late[np.isfinite(late)] if np.isfinite(late).any() else everything
    low, high = float(everything.min()), float(everything.max())
    if lines[0][0] in ("evaluations", "seconds"):
        return 0.0, (high or 1.0) * 1.1
    top = float(late.max())
    if high - low > 2.5 * (top - low) > 0:
        high = top + 0.35 * (top - low)
    margin = 0.06 * (high - low) or 0.06 * max(abs(high), 1.0)
    return low - margin, high + margin


def _caption(history: History, what: str) -> str:
    said = []
    panels = _panels(history)
    for title, _, lines in panels:
        if title == "Loss":
            names = {"loss": f"training {what} (solid)", "validation_loss": f"{what} kept out of training (dashed)"}
            said.append(f"Top left: the loss of {' and of '.join(names[line[0]] for line in lines)}; lower is better.")
            if any(np.nanmax(_finite(history.columns[line[0]])) > _view(history, lines)[1] for line in lines):
                said.append("The first epochs lie above the frame.")
    if any(lines[0][0] == "evaluations" for _, _, lines in panels):
        said.append(
            "Evaluations count how often the solver called the field, each call for a whole batch of " + what + "."
        )
    return " ".join(said) or "What each epoch brought and what it cost."
