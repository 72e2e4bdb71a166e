"""A probabilistic context-free grammar: sentences by the thousand, and an exact answer to whether one is right."""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate

import numpy as np

from neurode.data.text.chart import Chart
from neurode.data.text.grammar_rules import WORDS, Rule, agreement_rules
from neurode.data.text.sentence_count import count_sentences

Sentence = str | Sequence[str]
"""Words with blanks between them, or a list of words."""


class Grammar:
    """Makes sentences, recognises them, and knows the probability of each: all exact.

    Good for judging models of sentences without a person or a judge that may err; not good as a model of any real
    language. The default is a small English of about 125 words (`agreement_rules`), small letters, no marks: a
    `WordVocabulary` of it needs case="keep", and `split_corpus` shared_letters=None.

    rules: their weights are divided by the sum of those with the same left side. words: the words of each last symbol,
    a text with blanks between them (equally likely) or a dict of weights. start: the symbol that a sentence is.
    Raises ValueError for a symbol without rules or words, or one with both, and for weights that are not positive.
    """

    def __init__(
        self,
        rules: Sequence[Rule] | None = None,
        words: Mapping[str, str | Mapping[str, float]] | None = None,
        start: str = "S",
    ):
        if (rules is None) != (words is None):
            raise ValueError("rules and words belong together: pass both, or neither for the grammar of agreement.")
        rules = agreement_rules() if rules is None else rules
        self.lexicon = {symbol: _shares(symbol, given) for symbol, given in (WORDS if words is None else words).items()}
        self.start = start
        _check(rules, self.lexicon, start)
        sums: dict[str, float] = {}
        for rule in rules:
            sums[rule.left] = sums.get(rule.left, 0.0) + rule.weight
        self.rules = tuple(Rule(rule.left, rule.right, rule.weight / sums[rule.left]) for rule in rules)
        self.words = tuple(sorted({word for found in self.lexicon.values() for word in found}))
        self._chart = Chart(self.rules, self.lexicon, start)
        self._counts: dict[int, int] = {}

    def recognises(self, sentence: Sentence) -> bool:
        """Whether the grammar derives this sentence; False for an empty one and for words that it lacks."""
        return self._chart.accepts(_words(sentence))

    def grammatical_share(self, sentences: Iterable[Sentence]) -> float:
        """Which part of `sentences` is recognised. Raises ValueError for none."""
        verdicts = [self.recognises(one) for one in sentences]
        if not verdicts:
            raise ValueError("there is no sentence to judge.")
        return sum(verdicts) / len(verdicts)

    def log_probability(self, sentence: Sentence) -> float:
        """Natural logarithm of the probability of the sentence, all its derivations together; -inf where it has none.

        Over all sentences of all lengths these probabilities sum to 1 where the grammar ends with certainty, as the
        default does.
        """
        return self._chart.log_probability(_words(sentence))

    def length_probabilities(self, max_words: int) -> np.ndarray:
        """(max_words + 1,) float64: the probabilities of sentences of 0 to `max_words` words."""
        return self._tables(max_words)[:, self._chart.start]

    def count(self, max_words: int) -> int:
        """How many different sentences of at most `max_words` words there are, exactly.

        Takes about 3 s for 12 words of the default grammar. Raises ValueError where a symbol may begin with itself.
        """
        if max_words not in self._counts:
            self._counts[max_words] = sum(count_sentences(self.rules, self.lexicon, self.start, max_words))
        return self._counts[max_words]

    def sample(self, n: int, seed: int = 0, *, max_words: int | None = None, length: int | None = None) -> list[str]:
        """Draw n sentences, independently, from the grammar's distribution given that they have at most `max_words`
        words (default 12) or exactly `length` words.

        The condition is met exactly, and without trial and error. A sentence may come twice. Raises ValueError where no
        sentence is as short, or has that length, and for both conditions at once.
        """
        if max_words is not None and length is not None:
            raise ValueError(f"pass max_words or length, not both; got {max_words} and {length}.")
        low, high = (1, 12 if max_words is None else max_words) if length is None else (length, length)
        if n < 0 or not 1 <= low <= high:
            raise ValueError(f"n must not be negative, and lengths at least 1; got n={n} and {low} to {high} words.")
        whole = self._tables(high)
        chances = whole[low:, self._chart.start]
        if not chances.sum() > 0:
            raise ValueError(f"no sentence of this grammar has {low} to {high} words. Allow other lengths.")
        rng = np.random.default_rng(seed)
        lengths = rng.choice(np.arange(low, high + 1), size=n, p=chances / chances.sum())
        draw = _Draw(self._chart, whole, rng)
        return [" ".join(draw.words(self._chart.start, int(one))) for one in lengths]

    def _tables(self, longest: int) -> np.ndarray:
        if longest < 1:
            raise ValueError(f"a sentence has at least one word; got {longest} at most.")
        return self._chart.by_length(longest)


class _Draw:
    """Random derivations of given length: what a symbol becomes, and where its words are cut, by exact chances."""

    def __init__(self, chart: Chart, whole: np.ndarray, rng: np.random.Generator):
        self._chart, self._whole, self._rng = chart, whole, rng
        self._choices: dict[tuple[int, int], tuple[list[float], list]] = {}
        self._numbers = iter(())

    def words(self, symbol: int, length: int) -> list[str]:
        found: list[str] = []
        waiting = [(symbol, length)]
        while waiting:
            place = waiting.pop()
            if place not in self._choices:
                self._choices[place] = self._weighed(*place)
            sums, choices = self._choices[place]
            chosen = choices[min(bisect_right(sums, self._uniform() * sums[-1]), len(choices) - 1)]
            if isinstance(chosen, str):
                found.append(chosen)
            else:
                waiting += reversed(chosen)
        return found

    def _uniform(self) -> float:
        number = next(self._numbers, None)
        if number is None:
            self._numbers = iter(self._rng.random(4096).tolist())
            number = next(self._numbers)
        return number

    def _weighed(self, symbol: int, length: int) -> tuple[list[float], list]:
        """The ways in which `symbol` becomes `length` words, each a word or two places, with running sums of chances.

        Chains of one-symbol rules are one step, by the closure: the words are the same.
        """
        chart, ways = self._chart, []
        below = {b: float(share) for b, share in enumerate(chart.closure[symbol]) if share > 0}
        if length == 1:
            for word, found in chart.lexical.items():
                ways += [(below[last] * chance, word) for last, chance in found if last in below]
        for left, first, second, chance in chart.binary:
            if left in below:
                for cut in range(1, length):
                    both = self._whole[cut, first] * self._whole[length - cut, second]
                    if both > 0:
                        ways.append((below[left] * chance * float(both), ((first, cut), (second, length - cut))))
        return list(accumulate(weight for weight, _ in ways)), [way for _, way in ways]


def _words(sentence: Sentence) -> list[str]:
    return sentence.split() if isinstance(sentence, str) else list(sentence)


def _shares(symbol: str, given: str | Mapping[str, float]) -> dict[str, float]:
    weights = dict.fromkeys(given.split(), 1.0) if isinstance(given, str) else dict(given)
    if not weights or min(weights.values()) <= 0:
        raise ValueError(f"the symbol {symbol} needs words with weights above 0; got {given!r}.")
    total = sum(weights.values())
    return {word: weight / total for word, weight in weights.items()}


def _check(rules: Sequence[Rule], lexicon: Mapping[str, Mapping[str, float]], start: str) -> None:
    lefts = {rule.left for rule in rules}
    if both := sorted(lefts & lexicon.keys()):
        raise ValueError(f"{both[0]} has rules and words; give the words a symbol of their own.")
    used = {start, *(symbol for rule in rules for symbol in rule.right)}
    if missing := sorted(used - lefts - lexicon.keys()):
        raise ValueError(f"{missing[0]} has neither rules nor words.")
    if spaced := sorted(symbol for symbol in lefts | lexicon.keys() if " " in symbol):
        raise ValueError(f"a symbol holds no blanks; got {spaced[0]!r}.")
