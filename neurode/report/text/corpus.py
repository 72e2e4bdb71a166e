"""What the text is like: sizes, lengths, split, and what was left out."""

from typing import TYPE_CHECKING

import numpy as np

from neurode.report.page import Item, Listing, Page
from neurode.report.picture import Picture
from neurode.report.style import BLUE, clean, drawing, new_figure, whole_numbers
from neurode.tasks.text.report_results import CorpusSummary

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_PURPOSE = {
    "train": "to train on",
    "validation": "to stop training by",
    "judge": "to train the judges on",
    "pairs": "to walk between and to score on",
}


def corpus_page(corpus: CorpusSummary) -> Page:
    """What was read, and how it was split."""
    split = ", ".join(f"{count:,} {_PURPOSE.get(name, name)}" for name, count in corpus.split.items() if count)
    items: list[Item] = [
        f"{clean(corpus.source)}: {corpus.num_sentences:,} sentences, {corpus.num_words:,} words and marks; the model "
        f"writes with {corpus.vocabulary:,} ids. Split by a hash of each sentence: {split}.",
        Picture(draw_lengths(corpus), "How many words and marks a sentence has.", "Lengths of the sentences."),
        "Some of the sentences:",
        Listing(tuple(clean(one, 160) for one in corpus.examples)),
        "What was counted and left out:",
        Listing(tuple(clean(one) for one in corpus.statistics)),
    ]
    return Page("The text", tuple(items))


def draw_lengths(corpus: CorpusSummary) -> "Figure":
    """A histogram of the lengths."""
    lengths = np.asarray(corpus.lengths)
    edges = np.arange(lengths.min() - 0.5, lengths.max() + 1.5)
    counts, _ = np.histogram(lengths, edges)
    with drawing():
        figure = new_figure(1.9, 5.4)
        axes = figure.subplots()
        axes.stairs(counts, edges, fill=True, color=BLUE, alpha=0.75, lw=0)
        axes.set_xlabel("words and marks")
        axes.set_ylabel("sentences")
        axes.grid(axis="x", visible=False)
        whole_numbers(axes.xaxis)
    return figure
