"""What a sentence model took: seconds, memory, and the price of a path."""

from collections.abc import Mapping

from neurode.report.page import Page, Table
from neurode.report.style import clean, number, percent, plural
from neurode.tasks.text.report_results import TextCost


def text_cost_page(cost: TextCost, information: Mapping[str, float | int | None]) -> Page:
    """The cost of the model, and what its codes hold, as tables."""
    passes = cost.sentences * cost.epochs / cost.train_seconds if cost.train_seconds > 0 else float("nan")
    rows = (
        ("weights", f"{cost.parameters:,}", "numbers that training chose"),
        ("epochs", f"{cost.epochs:,}", f"passes over {cost.sentences:,} sentences of {cost.words:,} words and marks"),
        ("training", f"{number(cost.train_seconds)} s", f"{number(passes)} sentences a second"),
        ("flow prior", f"{number(cost.flow_seconds)} s", "trained on the codes afterwards"),
        ("holding the ends", f"{number(cost.refining_seconds)} s", "a pair of sentences, many refined together"),
        ("walking", f"{number(cost.walking_seconds)} s", "one path, many decoded together"),
        ("memory", f"{number(cost.peak_memory_mb)} MB", "largest resident size of the process"),
        ("device", clean(cost.device), plural(cost.threads, "thread")),
    )
    items = [Table(("", "", "what it is"), rows, words=frozenset({2}))]
    held = tuple(
        (name, _shown(information[key], scale), says)
        for key, name, scale, says in _INFORMATION
        if information.get(key) is not None
    )
    if held:
        items.append(Table(("the codes", "", "what it is"), held, words=frozenset({2})))
    return Page("The codes and the cost", tuple(items))


_INFORMATION = (
    (
        "exact",
        "come back exactly",
        "share",
        "unseen sentences that greedy decoding of their code returns word for word",
    ),
    ("bleu", "BLEU", "", "of what comes back of unseen sentences"),
    ("nll", "nats a sentence", "", "importance-weighted bound on -log p, its end included"),
    ("perplexity", "perplexity", "", "of that bound, over words and ends"),
    ("kl", "KL", "", "nats that a code says, against N(0, I)"),
    ("mutual_information", "mutual information", "", "nats between sentence and code"),
    ("active_units", "active units", "", "numbers of the code that vary with the sentence"),
)


def _shown(value: float | int | None, scale: str) -> str:
    assert value is not None
    return percent(float(value)) if scale == "share" else number(float(value))
