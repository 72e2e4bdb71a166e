"""Sentences that the model makes, by prior."""

from neurode.report.page import Item, Listing, Page, Table
from neurode.report.style import clean, number, percent
from neurode.tasks.text.evaluation_results import TextEvaluation

_NAMES = {"normal": "N(0, I)", "flow": "the flow prior"}


def made_page(evaluation: TextEvaluation) -> Page:
    """How real made sentences look and how much of real text they cover, and some of them."""
    title = "Made sentences"
    if len(evaluation.samples) < 2:
        return Page(title, ("No sentences were made.",))
    rows = tuple(
        (
            _NAMES.get(row.name, row.name),
            number(row.forward),
            number(row.reverse),
            percent(row.accepted),
            percent(row.distinct),
            percent(row.copied),
            number(row.words),
        )
        for row in evaluation.samples
    )
    items: list[Item] = [
        "Sentences written for codes that no sentence gave: drawn from N(0, I), which the codes are meant to follow, "
        "and from the flow prior, a neural ODE that carries N(0, I) to where the codes really are.",
        Table(
            ("codes from", "perplexity", "reverse perplexity", "judge passes", "distinct", "copied", "words"),
            rows,
            caption="perplexity: of these sentences under the judge's language model. reverse perplexity: of real "
            "sentences under a small model of these; high where they lack variety. copied: word for word from the "
            "training text.",
        ),
    ]
    for row in evaluation.samples:
        if row.examples:
            items.append(f"From {_NAMES.get(row.name, row.name)}:")
            items.append(Listing(tuple(clean(one, 160) or "(nothing)" for one in row.examples)))
    return Page(title, tuple(items))
