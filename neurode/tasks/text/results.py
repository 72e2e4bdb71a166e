"""What a sentence task hands out: plain frozen dataclasses of text and numpy arrays. Nothing here imports torch."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class Interpolation:
    """A path of S sentences between two.

    start, end: the user's sentences, as the tokenizer writes them. path, ends, points: how it was made (see
    `TextModel.interpolate`). places: (S,), rising from 0 to 1. sentences: S texts, the ends included. tokens: their
    ids. codes: (S, D). exact: whether the first and the last are the user's own. scores: (S,) by the model's judge, or
    None where it has none; accepted: (S,) bool beside. notes: sentences for a person, what could not be made exact
    among them. refining_seconds, walking_seconds: what it took.
    """

    start: str
    end: str
    path: str
    ends: str
    points: str
    places: np.ndarray
    sentences: tuple[str, ...]
    tokens: tuple[tuple[int, ...], ...]
    codes: np.ndarray
    exact: tuple[bool, bool]
    scores: np.ndarray | None = None
    accepted: np.ndarray | None = None
    notes: tuple[str, ...] = ()
    refining_seconds: float = 0.0
    walking_seconds: float = 0.0

    def __len__(self) -> int:
        return len(self.sentences)

    @property
    def distinct(self) -> int:
        """Different sentences between the ends."""
        return len(set(self.sentences[1:-1]))

    def to_frame(self) -> "pd.DataFrame":
        """One row a point: t, sentence and, where there is a judge, score and accepted."""
        import pandas as pd

        columns: dict[str, object] = {"t": self.places, "sentence": list(self.sentences)}
        return pd.DataFrame(columns | _judged(self.scores, self.accepted))


@dataclass(frozen=True, eq=False)
class Reconstruction:
    """Sentences and what comes back of them through their codes. exact: (n,) bool. notes: what the user should know."""

    sentences: tuple[str, ...]
    written: tuple[str, ...]
    exact: np.ndarray
    notes: tuple[str, ...] = ()

    def to_frame(self) -> "pd.DataFrame":
        """One row a sentence: sentence, reconstruction, exact."""
        import pandas as pd

        return pd.DataFrame({"sentence": self.sentences, "reconstruction": self.written, "exact": self.exact})


@dataclass(frozen=True, eq=False)
class Neighbours:
    """For each sentence the nearest ones of a corpus. distances: in standard deviations of the codes, a root mean
    square over their numbers; rising. nearest, distances: one list a sentence."""

    sentences: tuple[str, ...]
    nearest: tuple[tuple[str, ...], ...]
    distances: tuple[np.ndarray, ...]

    def to_frame(self) -> "pd.DataFrame":
        """One row a neighbour: sentence, rank (from 1), neighbour, distance."""
        import pandas as pd

        rows = [
            {"sentence": sentence, "rank": rank, "neighbour": text, "distance": float(distance)}
            for sentence, texts, distances in zip(self.sentences, self.nearest, self.distances, strict=True)
            for rank, (text, distance) in enumerate(zip(texts, distances, strict=True), 1)
        ]
        return pd.DataFrame(rows, columns=["sentence", "rank", "neighbour", "distance"])


@dataclass(frozen=True, eq=False)
class SentenceScores:
    """What the trained judge says. scores: (n,), the probability that a sentence is real text and none made wrong, at
    even odds beforehand. accepted: (n,) bool; 95 % of real sentences of each length are."""

    sentences: tuple[str, ...]
    scores: np.ndarray
    accepted: np.ndarray

    def to_frame(self) -> "pd.DataFrame":
        """One row a sentence: sentence, score, accepted."""
        import pandas as pd

        return pd.DataFrame({"sentence": self.sentences, "score": self.scores, "accepted": self.accepted})


def _judged(scores: np.ndarray | None, accepted: np.ndarray | Sequence[bool] | None) -> dict[str, object]:
    return {name: values for name, values in (("score", scores), ("accepted", accepted)) if values is not None}
