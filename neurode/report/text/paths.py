"""Paths between sentences as tables, kinds of path side by side, coloured by what the judge says."""

from collections.abc import Sequence

from neurode.report.page import Cell, Item, Page, Table
from neurode.report.style import clean
from neurode.tasks.text.evaluation_results import TextEvaluation
from neurode.tasks.text.results import Interpolation

_COLUMNS = 4
"""Kinds of path beside each other; more would not fit a page."""

_NAMES = {
    "linear": "straight line",
    "flow": "through the flow",
    "linear, points by the text": "straight line, by the text",
    "flow, points by the text": "through the flow, by the text",
}


def paths_page(evaluation: TextEvaluation) -> Page:
    """A table for each example pair."""
    title = "From one sentence to another"
    if not evaluation.examples:
        return Page(title, ("No path was walked.",))
    items: list[Item] = [
        "Each table walks between two sentences that neither the model nor its judge has seen, in columns by the kind "
        "of path. Green: the judge takes the sentence for real text; red: it does not. An end in bold is the very "
        "sentence that was asked for."
    ]
    kinds = _shown(evaluation.kinds)
    for pair in evaluation.examples:
        items.append(path_table([pair[evaluation.kinds.index(kind)] for kind in kinds], kinds))
    return Page(title, tuple(items))


def path_table(paths: Sequence[Interpolation], kinds: Sequence[str]) -> Table:
    """One row a point, one column a path; all paths have the same number of points."""
    rows = []
    last = len(paths[0]) - 1
    for place in range(len(paths[0])):
        cells: list[str | Cell] = [f"{place} of {last}"]
        for path in paths:
            held = (place == 0 and path.exact[0]) or (place == last and path.exact[1])
            cells.append(_cell(path, place, held))
        rows.append(tuple(cells))
    start, end = clean(paths[0].start, 120), clean(paths[0].end, 120)
    return Table(
        header=("point", *(_NAMES.get(kind, kind) for kind in kinds)),
        rows=tuple(rows),
        caption=f"From “{start}” to “{end}”.",
        words=frozenset(range(1, len(paths) + 1)),
        shown=last + 1,
    )


def _cell(path: Interpolation, place: int, held: bool) -> Cell:
    text = clean(path.sentences[place], 120) or "(nothing)"
    if 0 < place < len(path) - 1 and path.sentences[place] == path.sentences[place - 1]:
        text = "(the same)"
    score = None if path.scores is None else float(path.scores[place])
    return Cell(text, best=held, score=score)


def _shown(kinds: Sequence[str]) -> list[str]:
    """The textbook's path first, the documented one last, and the flow between them."""
    wanted = [kinds[0], *(kind for kind in ("flow", "flow, points by the text") if kind in kinds), kinds[-1]]
    return list(dict.fromkeys(wanted))[:_COLUMNS]
