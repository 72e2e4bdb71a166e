"""What two textbook networks write between two sentences of a grammar, and what ours does."""

from neurode.report.page import Cell, Item, Page, Table
from neurode.report.style import clean, number, percent
from neurode.tasks.text.grammar_paths import GrammarReading, GrammarRow

_SHOWN = 3
"""Pairs of sentences whose paths are printed."""

_WRONG = "✗"


def grammar_page(reading: GrammarReading) -> Page:
    """What the two textbook networks write between two sentences, and what ours does."""
    textbook, vae, ours = reading.rows[0], reading.rows[1], reading.rows[-1]
    items: list[Item] = [
        f"A grammar of {reading.num_words} words, in which number agrees at a distance, makes the sentences: whether "
        f"one is right is decided exactly. Two networks learned {reading.num_train:,} of them: a conventional "
        "autoencoder, and a variational one with a flow prior, a neural ODE that carries N(0, I) to the codes. Both "
        "were then asked for what lies between two sentences that neither has seen.",
        _verdict(textbook, vae, ours),
    ]
    for number_ in range(min(_SHOWN, len(reading.examples))):
        items.append(_paths(reading, number_))
    items.append(_scores(reading))
    items.append(_made(reading))
    return Page("Sentences: a path that is grammatical all the way", tuple(items))


def _verdict(textbook: GrammarRow, vae: GrammarRow, ours: GrammarRow) -> str:
    return (
        f"Of the autoencoder's sentences between, {percent(textbook.grammatical)} are grammatical, in the middle of "
        f"the path {percent(textbook.middle)}; {percent(textbook.exact)} of its ends are the sentences asked for. Of "
        f"the VAE's, {percent(vae.grammatical)} are grammatical, and {percent(vae.exact)} of its ends exact. With ends "
        f"that are held, and points where the text moves, {percent(ours.grammatical)} are grammatical, "
        f"{percent(ours.exact)} of the ends exact, and {percent(ours.distinct)} of a path's sentences differ "
        f"({percent(vae.distinct)} as the textbook walks)."
    )


def _paths(reading: GrammarReading, row: int) -> Table:
    """One pair's paths side by side: the textbook's autoencoder, its VAE, and ours; wrong sentences are marked."""
    paths, correct = reading.examples[row], reading.correct[row]
    columns = (0, 1, len(paths) - 1)
    last = len(paths[0]) - 1
    rows = []
    for place in range(last + 1):
        cells: list[str | Cell] = [f"{place} of {last}"]
        for column in columns:
            path, right = paths[column], bool(correct[column][place])
            held = (place == 0 and path.exact[0]) or (place == last and path.exact[1])
            text = clean(path.sentences[place], 120) or "(nothing)"
            cells.append(Cell(text if right else f"{_WRONG} {text}", best=held, score=float(right)))
        rows.append(tuple(cells))
    start, end = clean(paths[0].start, 120), clean(paths[0].end, 120)
    return Table(
        header=("point", "autoencoder", "VAE", "VAE, ends held, by the text"),
        rows=tuple(rows),
        caption=f"From “{start}” to “{end}”. Bold: the very sentence asked for. {_WRONG}, red: not grammatical.",
        words=frozenset({1, 2, 3}),
        shown=last + 1,
    )


def _scores(reading: GrammarReading) -> Table:
    rows = tuple(
        (
            f"{one.network}: {one.path}",
            percent(one.exact),
            percent(one.grammatical),
            percent(one.middle),
            percent(one.distinct),
            percent(one.copied),
            percent(one.jump),
            number(one.monotony),
        )
        for one in reading.rows
    )
    ours = reading.rows[-1]
    return Table(
        ("", "ends exact", "grammatical", "in the middle", "distinct", "copied", "largest jump", "straight"),
        rows,
        caption=f"{reading.num_pairs} pairs of unseen sentences; shares of the sentences between. copied: word for "
        f"word from the training text, as are {percent(reading.fresh_copied)} of fresh sentences of the grammar that "
        f"are as long as ours ({percent(ours.copied)}), by chance. largest jump: over the whole way, in the median. "
        "straight: rank correlation of place and progress.",
    )


def _made(reading: GrammarReading) -> str:
    made, seconds = reading.made, reading.train_seconds
    return (
        f"Of sentences made from N(0, I), {percent(made['normal'])} are grammatical, from the flow prior "
        f"{percent(made['flow'])}. Training took {number(seconds['autoencoder'])} s for the autoencoder, "
        f"{number(seconds['VAE'])} s for the VAE and {number(seconds['flow'])} s for the flow."
    )
