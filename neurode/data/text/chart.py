"""A context-free grammar compiled into tables over spans of words: who can be where, and how probable it is.

Rules are binarised (long right sides share their tails), rules with one symbol on the right are closed over at once,
and each span of a sentence is then filled from its two parts: the algorithm of Cocke, Younger and Kasami, and the
inside algorithm of Baker, "Trainable grammars for speech recognition" (1979).
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import exp, log
from typing import NamedTuple

import numpy as np

from neurode.data.text.grammar_rules import Rule


class _Cell(NamedTuple):
    """Inside probabilities of one span by symbol, exp(log_scale) times `shares`: products of many would vanish."""

    shares: dict[int, float]
    log_scale: float

    @classmethod
    def of(cls, shares: dict[int, float], log_scale: float) -> "_Cell":
        top = max(shares.values(), default=0.0)
        if top <= 0:
            return _NOTHING
        return cls({symbol: share / top for symbol, share in shares.items()}, log_scale + log(top))


_NOTHING = _Cell({}, 0.0)


class Chart:
    """Tables of one grammar.

    symbols: names, those of shared tails included. lexical: word -> (symbol, probability) pairs. binary: (left, first,
    second, probability), symbols by number. closure: (S, S) float64; entry [a, b] sums the probabilities of all chains
    of one-symbol rules from a to b, the empty chain included.
    """

    def __init__(self, rules: Sequence[Rule], lexicon: Mapping[str, Mapping[str, float]], start: str):
        self._numbers: dict[str, int] = {}
        for name in [start, *(rule.left for rule in rules), *lexicon]:
            self.number(name)
        self.binary: list[tuple[int, int, int, float]] = []
        self.lexical: dict[str, list[tuple[int, float]]] = defaultdict(list)
        unary: list[tuple[int, int, float]] = []
        tails: set[tuple[str, ...]] = set()
        for rule in rules:
            left, (first, *rest) = self.number(rule.left), rule.right
            if not rest:
                unary.append((left, self.number(first), rule.weight))
            else:
                self.binary.append((left, self.number(first), self._tail(tuple(rest), tails), rule.weight))
        for name, words in lexicon.items():
            for word, probability in words.items():
                self.lexical[word].append((self.number(name), probability))
        self.start, self.size = self.number(start), len(self._numbers)
        self.closure = self._closed(unary)
        self._masks: dict[tuple[int, int], int] = {}
        self._prepare()

    def number(self, name: str) -> int:
        return self._numbers.setdefault(name, len(self._numbers))

    def _tail(self, rest: tuple[str, ...], known: set[tuple[str, ...]]) -> int:
        """The symbol that stands for the second and all further symbols of a right side."""
        if len(rest) == 1:
            return self.number(rest[0])
        name = self.number(" ".join(rest))
        if rest not in known:
            known.add(rest)
            self.binary.append((name, self.number(rest[0]), self._tail(rest[1:], known), 1.0))
        return name

    def _closed(self, unary: list[tuple[int, int, float]]) -> np.ndarray:
        step = np.zeros((self.size, self.size))
        for left, right, probability in unary:
            step[left, right] += probability
        if np.abs(np.linalg.eigvals(step)).max(initial=0.0) > 1 - 1e-9:
            raise ValueError("the one-symbol rules go round in a circle that is never left; give one a way out.")
        closure = np.linalg.inv(np.eye(self.size) - step)
        return np.where(closure > 1e-15, closure, 0.0)

    def _prepare(self) -> None:
        above = [
            [(int(a), float(self.closure[a, b])) for a in np.flatnonzero(self.closure[:, b])] for b in range(self.size)
        ]
        self._above = above
        self._above_mask = [sum(1 << a for a, _ in one) for one in above]
        self._by_first: dict[int, list[tuple[int, int, float]]] = defaultdict(list)
        for left, first, second, probability in self.binary:
            self._by_first[first].append((second, left, probability))
        self._word_masks = {
            word: _union(self._above_mask[symbol] for symbol, _ in found) for word, found in self.lexical.items()
        }
        self._word_cells = {word: _Cell.of(self._raised(found), 0.0) for word, found in self.lexical.items()}

    def _raised(self, cell: Iterable[tuple[int, float]]) -> dict[int, float]:
        """A cell with everything that one-symbol rules make of its symbols."""
        full: dict[int, float] = defaultdict(float)
        for symbol, probability in cell:
            for above, chain in self._above[symbol]:
                full[above] += chain * probability
        return dict(full)

    def accepts(self, words: Sequence[str]) -> bool:
        """Whether the start symbol derives `words`; False for no words and for words that the grammar lacks."""
        masks = [self._word_masks.get(word, 0) for word in words]
        if not masks or not all(masks):
            return False
        # spans[i][k]: the span that ends with word i and has k + 1 words, shortest first
        table = self._masks
        spans: list[list[int]] = []
        for end, mask in enumerate(masks):
            row = [mask]
            for begin in range(end - 1, -1, -1):
                found = 0
                for cut in range(begin, end):
                    left = spans[cut][cut - begin]
                    if left:
                        right = row[end - cut - 1]
                        if right:
                            both = table.get((left, right))
                            found |= self._meet(left, right) if both is None else both
                row.append(found)
            spans.append(row)
        return bool(spans[-1][-1] >> self.start & 1)

    def _meet(self, left: int, right: int) -> int:
        """The symbols that two neighbouring sets of symbols make together; kept, since few pairs of sets occur."""
        found = _union(
            self._above_mask[made]
            for first in _bits(left)
            for second, made, _ in self._by_first.get(first, ())
            if right >> second & 1
        )
        self._masks[left, right] = found
        return found

    def log_probability(self, words: Sequence[str]) -> float:
        """Natural logarithm of the probability that the start symbol derives `words`, all derivations together."""
        cells = [self._word_cells.get(word, _NOTHING) for word in words]
        if not cells or not all(cell.shares for cell in cells):
            return -np.inf
        spans: list[list[_Cell]] = []
        for end, cell in enumerate(cells):
            row = [cell]
            for begin in range(end - 1, -1, -1):
                row.append(self._inside([(spans[cut][cut - begin], row[end - cut - 1]) for cut in range(begin, end)]))
            spans.append(row)
        whole = spans[-1][-1]
        share = whole.shares.get(self.start, 0.0)
        return log(share) + whole.log_scale if share > 0 else -np.inf

    def _inside(self, parts: list[tuple[_Cell, _Cell]]) -> _Cell:
        """The cell of a span from the cells of its two parts, for every place where it can be cut."""
        parts = [(left, right) for left, right in parts if left.shares and right.shares]
        if not parts:
            return _NOTHING
        log_scale = max(left.log_scale + right.log_scale for left, right in parts)
        made: dict[int, float] = defaultdict(float)
        for left, right in parts:
            scale = exp(left.log_scale + right.log_scale - log_scale)
            for first, share in left.shares.items():
                for second, symbol, probability in self._by_first.get(first, ()):
                    other = right.shares.get(second)
                    if other is not None:
                        made[symbol] += scale * probability * share * other
        return _Cell.of(self._raised(made.items()), log_scale)

    def by_length(self, longest: int) -> np.ndarray:
        """(longest + 1, S) float64: the probability that a symbol derives some sentence of n words; row 0 is 0."""
        whole = np.zeros((longest + 1, self.size))
        core = np.zeros(self.size)
        for found in self.lexical.values():
            for symbol, probability in found:
                core[symbol] += probability
        whole[1] = self.closure @ core
        left, first, second = (np.array([rule[k] for rule in self.binary], np.int64) for k in range(3))
        weight = np.array([rule[3] for rule in self.binary])
        for length in range(2, longest + 1):
            both = (whole[1:length][:, first] * whole[length - 1 : 0 : -1][:, second]).sum(0)
            whole[length] = self.closure @ np.bincount(left, weights=weight * both, minlength=self.size)
        return whole


def _bits(mask: int) -> Iterator[int]:
    while mask:
        lowest = mask & -mask
        yield lowest.bit_length() - 1
        mask ^= lowest


def _union(masks: Iterable[int]) -> int:
    found = 0
    for mask in masks:
        found |= mask
    return found
