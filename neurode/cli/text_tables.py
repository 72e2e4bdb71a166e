"""Sentences for a person on standard error, and as rows for a program."""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from neurode.cli.output import Destination
from neurode.cli.streams import Streams
from neurode.tasks.text.evaluation_results import TextEvaluation
from neurode.tasks.text.results import Interpolation, Neighbours, Reconstruction, SentenceScores

if TYPE_CHECKING:
    from pandas import DataFrame

DOUBTED = "?"
"""Stands behind the score of a sentence that the judge does not accept."""

_JUDGED = (
    "judge: how probable the trained judge finds it that a sentence is real text and none made wrong; "
    f"{DOUBTED} where 95 of 100 real sentences of that length fare better."
)


def write_rows(streams: Streams, place: Destination, frame: "DataFrame") -> None:
    """The rows into a file; to standard output, as CSV, where that is not a terminal or nothing else is said."""
    if place.path is not None or streams.is_quiet or not sys.stdout.isatty():
        place.write(frame)
    if place.path is not None:
        streams.say(f"Written: {place.path} ({len(frame):,} rows)")


def say_path(streams: Streams, path: Interpolation) -> None:
    """The sentences of a path, one a line, with what the judge says of each; then what the user should know."""
    judged = path.scores is not None and path.accepted is not None
    columns = ["sentence", "t", *(["judge"] if judged else [])]
    rows = [
        [sentence, f"{place:.2f}", *_verdict(path.scores, path.accepted, row)]
        for row, (sentence, place) in enumerate(zip(path.sentences, path.places, strict=True))
    ]
    streams.table(f"A {path.path} path in {len(path) - 1} steps, {_ENDS[path.ends]}", columns, rows)
    if judged:
        streams.say(_JUDGED)
    for note in path.notes:
        streams.say(note)


_ENDS = {
    "fading": "its ends held",
    "refined": "its ends held all along",
    "encoded": "its ends as the encoder gives them",
}


def say_sentences(streams: Streams, title: str, sentences: Sequence[str], scores: SentenceScores | None) -> None:
    """Sentences, one a line, with the judge's scores where there are some."""
    columns = ["sentence", *(["judge"] if scores is not None else [])]
    rows = [
        [sentence, *(_verdict(scores.scores, scores.accepted, row) if scores is not None else [])]
        for row, sentence in enumerate(sentences)
    ]
    streams.table(title, columns, rows)
    if scores is not None:
        streams.say(_JUDGED)


def say_reconstruction(streams: Streams, found: Reconstruction) -> None:
    """What comes back of each sentence, and how many come back word for word."""
    rows = [
        [sentence, written, "yes" if exact else "no"]
        for sentence, written, exact in zip(found.sentences, found.written, found.exact, strict=True)
    ]
    shown = rows[:_MOST_ROWS]
    title = f"{int(found.exact.sum()):,} of {len(rows):,} come back word for word"
    streams.table(title, ["sentence", "comes back as", "exact"], shown)
    if len(rows) > len(shown):
        streams.say(f"... and {len(rows) - len(shown):,} more.")
    for note in found.notes:
        streams.say(note)


_MOST_ROWS = 40


def say_neighbours(streams: Streams, found: Neighbours) -> None:
    """The nearest sentences of each, with their distances."""
    for sentence, nearest, distances in zip(found.sentences, found.nearest, found.distances, strict=True):
        rows = [[text, f"{distance:.3f}"] for text, distance in zip(nearest, distances, strict=True)]
        streams.table(sentence, ["neighbour", "distance"], rows)
    streams.say("distance: of the codes, in their standard deviations, a root mean square over their numbers.")


_COLUMNS = (
    ("exact", "ends exact", 100),
    ("accepted", "judge passes", 100),
    ("acceptable", "fluent", 100),
    ("distinct", "distinct", 100),
    ("jump", "largest jump", 100),
    ("monotony", "straight", 1),
)
_SCORED = (
    "Shares in percent, between pairs of unseen sentences. ends exact: ends that are the sentences asked for. Of the "
    "sentences between: judge passes, by the trained judge, which passes 95 of 100 real ones; fluent, by a language "
    "model's mean surprisal; distinct, different ones. largest jump: over the whole way, in the median; lower is "
    "better. straight: rank correlation of place and progress, 1 at best."
)


def say_evaluation(streams: Streams, found: TextEvaluation) -> None:
    """The kinds of path beside the references, then the verdicts and the made sentences."""
    rows = [[row.name, *(_figure(row.values[key], scale) for key, _, scale in _COLUMNS)] for row in found.rows]
    title = f"Paths of {found.steps} points between {found.num_pairs:,} pairs of unseen sentences"
    streams.table(title, ["", *(name for _, name, _ in _COLUMNS)], rows)
    streams.say(_SCORED)
    streams.say("")
    for sentence in found.verdicts:
        streams.say(sentence)
    made = [
        [row.name, f"{row.forward:.1f}", f"{row.reverse:.1f}", f"{100 * row.accepted:.1f}", f"{100 * row.distinct:.1f}"]
        for row in found.samples
    ]
    streams.say("")
    columns = ["prior", "perplexity", "reverse perplexity", "judge passes", "distinct"]
    streams.table("Made sentences", columns, made)
    streams.say("reverse perplexity: of real sentences under a trigram model of the made ones; lower is better.")


def _figure(value: float, scale: int) -> str:
    if value != value:
        return "-"
    return f"{scale * value:.1f}" if scale > 1 else f"{value:.2f}"


def _verdict(scores: np.ndarray | None, accepted: np.ndarray | None, row: int) -> list[str]:
    if scores is None or accepted is None:
        return []
    return [f"{scores[row]:.2f}{' ' if accepted[row] else DOUBTED}"]
