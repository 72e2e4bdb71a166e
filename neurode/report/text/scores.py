"""The table of all kinds of path beside the references, and two pictures of it."""

from typing import TYPE_CHECKING

import numpy as np

from neurode.report.page import Cell, Item, Listing, Page, Table
from neurode.report.picture import Picture
from neurode.report.style import (
    AMBER,
    BLUE,
    GREEN,
    INK,
    MUTED,
    PURPLE,
    VERMILION,
    clean,
    drawing,
    new_figure,
    number,
    percent,
)
from neurode.tasks.text.evaluation_results import BESIDE, PATH, REFERENCE, TEXT, PathRow, TextEvaluation

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_TABLE = (
    ("exact", "ends exact", True),
    ("accepted", "judge passes", True),
    ("acceptable", "fluent", True),
    ("attested", "attested", True),
    ("copied", "copied", None),
    ("distinct", "distinct", True),
    ("jump", "largest jump", False),
    ("monotony", "straight", True),
    ("barrier", "barrier", False),
    ("radius", "distance", None),
)
"""Measure, heading, and which way is better; the best of the model's own rows is bold."""

_COLORS = {PATH: BLUE, BESIDE: PURPLE, REFERENCE: AMBER, TEXT: MUTED}
_MARKERS = {PATH: "o", BESIDE: "s", REFERENCE: "D", TEXT: "x"}
_GROUPS = {PATH: "paths of this model", BESIDE: "paths of another model", REFERENCE: "paths without a model"}
_LINES = (BLUE, VERMILION, GREEN, PURPLE, AMBER, INK)
_SHARES = frozenset({"exact", "accepted", "acceptable", "attested", "copied", "distinct", "jump"})


def scores_page(evaluation: TextEvaluation) -> Page:
    """All kinds of path and the references, in numbers and pictures."""
    items: list[Item] = [
        f"{evaluation.num_pairs:,} pairs of unseen sentences, {evaluation.steps} points a path, the ends included. "
        "The references need no model: real sentences; the same with their words shuffled; a splice, the first words "
        "of one sentence and the last of the other, smooth and often wrong; retrieval, the training sentence nearest "
        "to each point, right and jumpy.",
        scores_table(evaluation),
        Listing(_LEGEND),
    ]
    if any(row.curve is not None for row in evaluation.rows):
        items.append(Picture(draw_curves(evaluation), _CURVES, "Surprisal along the paths, by kind of path."))
    items.append(Picture(draw_trade(evaluation), _TRADE, "Right sentences against exact ends, and against movement."))
    return Page("Ends, middles and movement", tuple(items))


def scores_table(evaluation: TextEvaluation) -> Table:
    """One line a kind of path or reference."""
    own = [row for row in evaluation.rows if row.group == PATH]
    rows = []
    for row in evaluation.rows:
        cells: list[str | Cell] = [clean(row.name, 60)]
        for key, _, higher in _TABLE:
            value = row.values[key]
            text = percent(value) if key in _SHARES else number(value)
            cells.append(
                Cell(text, best=row.group == PATH and higher is not None and _is_best(own, key, value, higher))
            )
        rows.append(tuple(cells))
    return Table(
        header=("", *(heading for _, heading, _ in _TABLE)),
        rows=tuple(rows),
        caption="The best of this model's own paths is bold.",
    )


def _is_best(rows: list[PathRow], key: str, value: float, higher: bool) -> bool:
    values = [row.values[key] for row in rows if np.isfinite(row.values[key])]
    return bool(values) and value == (max(values) if higher else min(values))


_LEGEND = (
    "ends exact: share of the two ends that are the sentences asked for.",
    "judge passes: share of the sentences between that the trained judge takes for real; it passes 95 of 100 real "
    "ones.",
    "fluent: share whose mean surprisal under a language model is like real sentences' of that length.",
    "attested: share of their trigrams that stand in the text. copied: share that stands word for word in the training "
    "text.",
    "distinct: different sentences over all. largest jump: over the whole way, in the median.",
    "straight: rank correlation of the place on the path with the progress from one end to the other, in the median.",
    "barrier: nats a word by which the worst sentence between is above the two ends. distance: of the codes on the "
    "path from the nearest training codes, over that of real sentences.",
)


def draw_curves(evaluation: TextEvaluation) -> "Figure":
    """Mean surprisal at each point of the even paths, and of real sentences; ValueError without any curve."""
    rows = [row for row in evaluation.rows if row.curve is not None]
    if not rows:
        raise ValueError("no path was read at even places; there is nothing to draw")
    with drawing():
        figure = new_figure(3.1)
        axes = figure.subplots()
        paths = [row for row in rows if row.group == PATH]
        others = [row for row in rows if row.group != PATH]
        for row, color in zip([*paths, *others], [*_LINES, *([MUTED] * len(rows))], strict=False):
            assert row.curve is not None
            style = "-" if row.group == PATH else (0, (4, 1.5)) if row.name == "splice" else (0, (1.5, 1.5))
            shown = MUTED if row.group == REFERENCE else color
            axes.plot(np.linspace(0, 1, len(row.curve)), row.curve, color=shown, ls=style, label=clean(row.name, 40))
        if evaluation.samples:
            axes.axhline(
                np.log(evaluation.samples[0].forward), color=INK, lw=0.9, ls=(0, (6, 3)), label="real sentences"
            )
        axes.set_xlabel("place on the path")
        axes.set_ylabel("surprisal a word (nats)")
        axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5))
    return figure


_CURVES = (
    "Mean surprisal a word under the judge's language model at each point of the paths, read at even places: a hill in "
    "the middle is a hole between the codes. A splice is smooth, and high where its two halves meet."
)


def draw_trade(evaluation: TextEvaluation) -> "Figure":
    """What the judge passes against exact ends (left) and against distinct sentences (right), one mark a row."""
    with drawing():
        figure = new_figure(3.6)
        for axes, (key, label) in zip(
            figure.subplots(1, 2), (("exact", "ends exact"), ("distinct", "distinct sentences")), strict=True
        ):
            _draw_trade_panel(axes, evaluation, key)
            axes.set_xlabel("sentences between that the judge passes")
            axes.set_title(label)
    return figure


def _draw_trade_panel(axes: "Axes", evaluation: TextEvaluation, key: str) -> None:
    rows = [row for row in evaluation.rows if np.isfinite(row.values[key]) and np.isfinite(row.values["accepted"])]
    own = [row.name for row in rows if row.group == PATH]
    named = {own[0]: "textbook", own[-1]: _short(own[-1])} if own else {}
    seen = set()
    for row in rows:
        place = row.values["accepted"], row.values[key]
        label = _GROUPS[row.group] if row.group not in seen else None
        seen.add(row.group)
        axes.plot(*place, _MARKERS[row.group], color=_COLORS[row.group], mew=0, label=label, ls="")
        name = named.get(row.name, "" if row.group == PATH else _short(row.name))
        axes.annotate(name, place, xytext=(4, 3), textcoords="offset points", fontsize=7, color=MUTED)
    axes.margins(0.15)
    axes.legend(loc="best")


def _short(name: str) -> str:
    return clean(name.replace("points by the text", "by text"), 28)


_TRADE = (
    "Each mark is a kind of path: to the right the sentences between are right more often, and further up the ends are "
    "the sentences asked for (left), or the path moves more (right). Nothing that lies below and left of another mark "
    "is worth having."
)
