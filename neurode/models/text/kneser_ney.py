"""An n-gram language model with interpolated modified Kneser-Ney smoothing: the judge without a network.

S. F. Chen and J. Goodman, "An empirical study of smoothing techniques for language modeling", TR-10-98, Harvard 1998,
sections 2.7 and 3; Kneser and Ney, ICASSP 1995. Sentence starts as in Heafield et al., ACL 2013, section 3.

Shape legend: n the length of an n-gram, R_n the number of different n-grams seen. An n-gram is a row of table n; its
key is (row of its first n - 1 words in table n - 1) * size + its last word, so that all of it is sorted integers.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from neurode.data.text.tokens import END, PAD, START, UNKNOWN

# Where counts of counts give no usable discount (tiny or odd corpora): Heafield's fallback, D1, D2, D3+.
FALLBACK_DISCOUNTS = (0.5, 1.0, 1.5)


@dataclass(frozen=True)
class _Table:
    """All n-grams of one length: sorted keys, and per row the probability of the last word given those before it.

    weights: per row of table n - 1, the share that the n-grams going on from it leave to shorter ones; NaN where none
    does. suffixes: row of the n-gram without its first word in table n - 1. opens: begins with START.
    """

    keys: np.ndarray
    suffixes: np.ndarray
    opens: np.ndarray
    probabilities: np.ndarray
    weights: np.ndarray

    def find(self, keys: np.ndarray) -> np.ndarray:
        """Row of each key, -1 where it was never seen."""
        if not len(self.keys):
            return np.full(len(keys), -1)
        rows = np.searchsorted(self.keys, keys).clip(max=len(self.keys) - 1)
        return np.where(self.keys[rows] == keys, rows, -1)


class KneserNey:
    """Interpolated modified Kneser-Ney n-gram model of sentences of ids, the end of the sentence included.

    Good for judging sentences with little text and no training: 50,000 sentences are counted in seconds, 10,000 scored
    in less. Not good for what a sentence means from end to end: it sees `order` words at a time.

    size: ids of the tokenizer; any word id may be predicted, and END, never PAD or START. order: longest n-gram, 5.
    discounts: None (from counts of counts, per length; (0.5, 1, 1.5) where these are degenerate), or your own, (order,
    3): what is taken from n-grams seen once, twice, more often. `fit` replaces what was fitted before and returns the
    model. Raises ValueError for impossible settings, ids out of range, and when asked before `fit`.
    """

    def __init__(self, size: int, order: int = 5, *, discounts: Sequence[Sequence[float]] | None = None):
        if size <= UNKNOWN:
            raise ValueError(f"size={size} must be above {UNKNOWN}, the ids that every tokenizer keeps for itself.")
        if order < 1:
            raise ValueError(f"order={order} must be at least 1.")
        self.size, self.order = size, order
        self._given = None if discounts is None else _checked_discounts(discounts, order)
        self._counted: list[tuple[np.ndarray, np.ndarray]] = []
        self._tables: list[_Table] = []
        self.discounts = np.zeros((0, 3))

    def fit(self, sentences: Sequence[Sequence[int]]) -> "KneserNey":
        """Count `sentences`, lists of word ids without START and END; an unknown word is a word like others."""
        if not len(sentences):
            raise ValueError("there is no sentence to count; pass at least one.")
        tokens, places = _stream(sentences, self.size)
        counted = [(np.arange(self.size), np.bincount(tokens, minlength=self.size))]
        rows = tokens
        for n in range(2, self.order + 1):
            here = np.flatnonzero(places >= n - 1)
            keys, inverse, counts = np.unique(
                rows[here - 1] * self.size + tokens[here], return_inverse=True, return_counts=True
            )
            rows = np.full(len(tokens), -1)
            rows[here] = inverse
            counted.append((keys, counts))
        self._assemble(counted)
        return self

    def log_probabilities(self, sentence: Sequence[int]) -> np.ndarray:
        """Log probability of each word and of END given all before it, (L + 1,), in nats."""
        return self.log_probabilities_of([sentence])[0]

    def log_probabilities_of(self, sentences: Sequence[Sequence[int]]) -> list[np.ndarray]:
        """`log_probabilities` of many sentences at once, which is much faster than one by one."""
        self._need_fit()
        if not len(sentences):
            return []
        tokens, places = _stream(sentences, self.size)
        scores = np.log(self._probabilities(tokens, places)[places > 0])
        return np.split(scores, np.cumsum([len(sentence) + 1 for sentence in sentences])[:-1])

    def distribution(self, prefix: Sequence[int]) -> np.ndarray:
        """Probability of every id to come next after the first words of a sentence, (size,); sums to 1."""
        self._need_fit()
        tokens, places = _stream([prefix], self.size)
        context = tokens[:-1]
        chance = self._tables[0].probabilities.copy()
        rows = context
        for n in range(2, min(self.order, len(context) + 1) + 1):
            row, table = rows[-1], self._tables[n - 1]
            if row < 0 or np.isnan(table.weights[row]):
                break
            chance *= table.weights[row]
            first, last = np.searchsorted(table.keys, [row * self.size, (row + 1) * self.size])
            chance[table.keys[first:last] - row * self.size] = table.probabilities[first:last]
            rows = self._rows_after(rows, context, places, n)
        return chance

    def next_word_probabilities(self, prefixes: Sequence[Sequence[int]]) -> np.ndarray:
        """`distribution` of several sentences' beginnings, (B, size)."""
        return np.stack([self.distribution(prefix) for prefix in prefixes])

    def sample(self, count: int, *, seed: int = 0, max_words: int = 40) -> list[list[int]]:
        """Draw `count` sentences of at most `max_words` word ids; longer ones are cut there."""
        generator = np.random.default_rng(seed)
        drawn = []
        for _ in range(count):
            sentence: list[int] = []
            while len(sentence) < max_words:
                heights = self.distribution(sentence).cumsum()
                word = int(np.searchsorted(heights, generator.random() * heights[-1], side="right"))
                if word == END:
                    break
                sentence.append(word)
            drawn.append(sentence)
        return drawn

    def save(self, file: str | Path) -> None:
        """Write the counts to `file` (.npz, plain arrays); `KneserNey.load` gives the same model again."""
        self._need_fit()
        arrays = {"size": np.asarray(self.size), "order": np.asarray(self.order), "discounts": self.discounts}
        for n, (keys, counts) in enumerate(self._counted, start=1):
            arrays[f"keys_{n}"], arrays[f"counts_{n}"] = keys, counts
        with open(file, "wb") as stream:  # a stream: given a name, numpy appends .npz to it
            np.savez_compressed(stream, allow_pickle=False, **arrays)

    @classmethod
    def load(cls, file: str | Path) -> "KneserNey":
        """Reopen what `save` wrote; nothing is unpickled."""
        with np.load(file, allow_pickle=False) as arrays:
            model = cls(int(arrays["size"]), int(arrays["order"]), discounts=arrays["discounts"])
            model._assemble([(arrays[f"keys_{n}"], arrays[f"counts_{n}"]) for n in range(1, model.order + 1)])
        return model

    def _need_fit(self) -> None:
        if not self._tables:
            raise ValueError("this model has counted nothing yet; call fit(sentences) first.")

    def _probabilities(self, tokens: np.ndarray, places: np.ndarray) -> np.ndarray:
        """Probability of each token of a stream; 0 for START."""
        chance = self._tables[0].probabilities[tokens]
        rows = tokens
        for n in range(2, self.order + 1):
            table = self._tables[n - 1]
            before = np.concatenate([[-1], rows[:-1]])
            before[places < n - 1] = -1
            rows = self._rows_after(rows, tokens, places, n)
            known = np.flatnonzero(before >= 0)
            weights = table.weights[before[known]]
            chance[known] *= np.where(np.isnan(weights), 1, weights)
            seen = np.flatnonzero(rows >= 0)
            chance[seen] = table.probabilities[rows[seen]]
        return chance

    def _rows_after(self, rows: np.ndarray, tokens: np.ndarray, places: np.ndarray, n: int) -> np.ndarray:
        """Row of the n-gram that ends at each token, from the rows of the (n - 1)-grams; -1 where there is none."""
        longer = np.full(len(tokens), -1)
        here = np.flatnonzero(places[: len(tokens)] >= n - 1)
        here = here[rows[here - 1] >= 0]
        longer[here] = self._tables[n - 1].find(rows[here - 1] * self.size + tokens[here])
        return longer

    def _assemble(self, counted: list[tuple[np.ndarray, np.ndarray]]) -> None:
        """From counts to probabilities, shortest n-grams first."""
        links = _links(counted, self.size)
        found: list[np.ndarray] = []
        tables: list[_Table] = []
        for n, (keys, counts) in enumerate(counted, start=1):
            suffixes, opens = links[n - 1]
            adjusted = counts.astype(np.float64)
            if n < self.order:
                # How many different words come before it; before a sentence's start there is none to vary.
                variety = np.bincount(links[n][0], minlength=len(keys))
                adjusted = np.where(opens, adjusted, variety)
            if n == 1:
                adjusted[[PAD, START]] = 0
            given = None if self._given is None else self._given[n - 1]
            found.append(estimated_discounts(adjusted) if given is None else given)
            taken = np.minimum(found[-1][np.clip(adjusted.astype(int), 1, 3) - 1], adjusted)
            if n == 1:
                total, left = adjusted.sum(), taken.sum()
                chance = (adjusted - taken + left / (self.size - 2)) / total
                chance[[PAD, START]] = 0
                weights = np.zeros(0)
            else:
                contexts = keys // self.size
                total = np.bincount(contexts, adjusted, minlength=len(counted[n - 2][0]))
                left = np.bincount(contexts, taken, minlength=len(total))
                weights = np.divide(left, total, out=np.full(len(total), np.nan), where=total > 0)
                chance = (adjusted - taken) / total[contexts] + weights[contexts] * tables[-1].probabilities[suffixes]
            tables.append(_Table(keys, suffixes, opens, chance, weights))
        self._counted, self._tables, self.discounts = counted, tables, np.stack(found)


def estimated_discounts(counts: np.ndarray) -> np.ndarray:
    """D1, D2, D3+ from the counts of counts (Chen and Goodman 1998, eq. 26); the fallback where these are degenerate.

    counts: of all n-grams of one length, as the model of that length uses them; zeros do not count.
    """
    once, twice, thrice, four = (int((counts == k).sum()) for k in (1, 2, 3, 4))
    if 0 in (once, twice, thrice, four):
        return np.array(FALLBACK_DISCOUNTS)
    share = once / (once + 2 * twice)
    found = np.array(
        [1 - 2 * share * twice / once, 2 - 3 * share * thrice / twice, 3 - 4 * share * four / thrice],
    )
    return found if (found > 0).all() and (np.diff(found) >= 0).all() else np.array(FALLBACK_DISCOUNTS)


def _links(counted: list[tuple[np.ndarray, np.ndarray]], size: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """For the n-grams of each length: the rows of their suffixes in the table below, and whether they open with START.

    Every suffix of an n-gram was counted, so it is found.
    """
    unigrams = counted[0][0]
    links = [(np.zeros(0, dtype=np.int64), unigrams == START)]
    for n in range(2, len(counted) + 1):
        keys = counted[n - 1][0]
        contexts, words = np.divmod(keys, size)
        if n == 2:
            suffixes = words
        else:
            suffixes = np.searchsorted(counted[n - 2][0], links[-1][0][contexts] * size + words)
        links.append((suffixes, links[-1][1][contexts]))
    return links


def _stream(sentences: Sequence[Sequence[int]], size: int) -> tuple[np.ndarray, np.ndarray]:
    """All sentences behind each other, each with START and END, and the place of every token in its sentence."""
    lengths = np.array([len(sentence) for sentence in sentences]) + 2
    ends = np.cumsum(lengths)
    places = np.arange(ends[-1]) - np.repeat(ends - lengths, lengths)
    tokens = np.full(ends[-1], END, dtype=np.int64)
    tokens[places == 0] = START
    inside = (places > 0) & (places < np.repeat(lengths - 1, lengths))
    words = np.array([word for sentence in sentences for word in sentence], dtype=np.int64)
    if len(words) and not UNKNOWN <= words.min() <= words.max() < size:
        raise ValueError(
            f"words must be ids from {UNKNOWN} (unknown) to {size - 1}, got {words.min()} to {words.max()}. "
            "Pass what the tokenizer's encode gives, without PAD, START and END."
        )
    tokens[inside] = words
    return tokens, places


def _checked_discounts(discounts: Sequence[Sequence[float]] | np.ndarray, order: int) -> np.ndarray:
    table = np.asarray(discounts, dtype=np.float64)
    if table.shape != (order, 3):
        raise ValueError(f"discounts must be ({order}, 3): one row an n-gram length; got shape {table.shape}.")
    if not (np.isfinite(table).all() and (table >= 0).all() and (table <= [1, 2, 3]).all()):
        raise ValueError(f"discounts must lie between 0 and the count they are taken from (1, 2, 3), got {table}.")
    return table


def perplexity(log_probabilities: Sequence[np.ndarray]) -> float:
    """exp of the mean surprisal over all tokens, ends of sentences included."""
    return math.exp(-float(np.concatenate(list(log_probabilities)).mean()))
