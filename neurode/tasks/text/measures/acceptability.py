"""M3, acceptability: the share of sentences that score like real ones of their own length."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

Numbers = Sequence[float] | np.ndarray

# Fewer real sentences of one length than this do not make a quantile; neighbouring lengths are then added.
_LEAST_SENTENCES = 200


@dataclass(frozen=True)
class LengthThresholds:
    """The least score that is accepted, per sentence length: `accept` of real sentences score at least that.

    Used for M3 with the mean surprisal (negated, so that higher is better), for its strict form with the worst word,
    and for M3d with the trained judge's score. lengths (K,): increasing; least (K,): the threshold of each; a length
    between or beyond them takes the nearest one's (the shorter of two).
    """

    lengths: np.ndarray
    least: np.ndarray
    accept: float

    @classmethod
    def fit(
        cls,
        scores: Numbers,
        lengths: Numbers,
        *,
        accept: float = 0.95,
        least_count: int = _LEAST_SENTENCES,
    ) -> "LengthThresholds":
        """From real held-out sentences' scores (N,), higher is better, and their numbers of words (N,).

        A length's threshold is the quantile 1 - accept over the real sentences of that length; where these are fewer
        than least_count, over those of the nearest lengths as well, as many as are needed. Raises ValueError for
        unequal numbers, none at all, values that are not finite, or an `accept` outside (0, 1).
        """
        score, length = np.asarray(scores, dtype=np.float64), np.asarray(lengths)
        if score.shape != length.shape or score.ndim != 1 or not len(score):
            raise ValueError(f"scores and lengths must be two lists of one size, got {score.shape} and {length.shape}.")
        if not np.isfinite(score).all():
            raise ValueError("scores must be finite; a sentence without any finite score cannot set a threshold.")
        if not 0 < accept < 1:
            raise ValueError(f"accept={accept} must lie between 0 and 1.")
        known = np.unique(length)
        least = []
        for one in known:
            gap = np.abs(length - one)
            reach = np.sort(gap)[min(least_count, len(gap)) - 1]
            least.append(np.quantile(score[gap <= reach], 1 - accept))
        return cls(known, np.array(least), accept)

    def accepts(self, scores: Numbers, lengths: Numbers) -> np.ndarray:
        """Whether each score reaches the threshold of its length, bool, of the scores' shape."""
        length = np.asarray(lengths)
        nearest = np.abs(length[..., None] - self.lengths).argmin(axis=-1)
        return np.asarray(scores, dtype=np.float64) >= self.least[nearest]


def mean_and_worst(surprisals: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Mean surprisal a token and the surprisal of the worst token of each sentence, (N,) each, nats."""
    return (
        np.array([float(np.mean(one)) for one in surprisals], dtype=np.float64),
        np.array([float(np.max(one)) for one in surprisals], dtype=np.float64),
    )


@dataclass(frozen=True)
class Acceptance:
    """Which sentences are acceptable to a language model: `mean` by their mean surprisal (M3), `strict` by their worst
    word as well."""

    mean: np.ndarray
    strict: np.ndarray


@dataclass(frozen=True)
class SurprisalThresholds:
    """M3 under a language model: thresholds of the mean and of the worst surprisal, per length, from real sentences."""

    mean: LengthThresholds
    worst: LengthThresholds

    @classmethod
    def fit(cls, surprisals: Sequence[np.ndarray], *, accept: float = 0.95) -> "SurprisalThresholds":
        """From the surprisals (L + 1,) of real held-out sentences, which the language model has not been trained on."""
        mean, worst = mean_and_worst(surprisals)
        lengths = [len(one) - 1 for one in surprisals]
        return cls(*(LengthThresholds.fit(-one, lengths, accept=accept) for one in (mean, worst)))

    def judge(self, surprisals: Sequence[np.ndarray]) -> Acceptance:
        """Which of these sentences are acceptable; real ones are with about `accept` by the mean alone."""
        mean, worst = mean_and_worst(surprisals)
        lengths = [len(one) - 1 for one in surprisals]
        good = self.mean.accepts(-mean, lengths)
        return Acceptance(good, good & self.worst.accepts(-worst, lengths))
