"""How many different sentences a grammar has, exactly, though one sentence may have several derivations."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from math import inf

from neurode.data.text.grammar_rules import Rule

_Stack = tuple[str, ...]


def count_sentences(
    rules: Sequence[Rule], lexicon: Mapping[str, Mapping[str, float]], start: str, longest: int
) -> list[int]:
    """Numbers of different sentences of 0, 1, ..., `longest` words.

    Reads all sentences at once from left to right: a state is the set of all stacks of symbols that a prefix may still
    be waiting for (the subset construction, on stacks no longer than the words that are left), so each sentence is
    counted once, however many derivations it has; words that stand in the same places are counted together. Raises
    ValueError for a symbol that may begin with itself, which would never end.
    """
    reader = _Reader(rules, lexicon)
    reader.open_all(start)
    kinds: dict[frozenset[str], int] = defaultdict(int)
    places: dict[str, set[str]] = defaultdict(set)
    for symbol, words in lexicon.items():
        for word in words:
            places[word].add(symbol)
    for symbols in places.values():
        kinds[frozenset(symbols)] += 1
    counts = [0] * (longest + 1)
    states: dict[frozenset[_Stack], int] = {frozenset([(start,)]): 1}
    for length in range(1, longest + 1):
        following: dict[frozenset[_Stack], int] = defaultdict(int)
        for state, number in states.items():
            for symbols, size in kinds.items():
                after = reader.after(state, symbols, longest - length)
                if after:
                    following[after] += number * size
                    counts[length] += number * size * (() in after)
        states = following
    return counts


class _Reader:
    """Stacks after one more word."""

    def __init__(self, rules: Sequence[Rule], lexicon: Mapping[str, Mapping[str, float]]):
        self._rights: dict[str, list[_Stack]] = defaultdict(list)
        for rule in rules:
            self._rights[rule.left].append(rule.right)
        self._last = {symbol for symbol, words in lexicon.items() if words}
        self._least = self._shortest()
        self._known: dict[str, dict[str, set[_Stack]]] = {}

    def open_all(self, start: str) -> None:
        """Open every symbol that sentences use, so that one that begins with itself is found at any length."""
        used, waiting = set(), [start]
        while waiting:
            symbol = waiting.pop()
            if symbol not in used:
                used.add(symbol)
                self._first(symbol, frozenset())
                waiting += [one for right in self._rights.get(symbol, ()) for one in right]

    def _shortest(self) -> dict[str, float]:
        """The fewest words of each symbol."""
        least = dict.fromkeys(self._last, 1.0)
        changed = True
        while changed:
            changed = False
            for left, rights in self._rights.items():
                best = min(sum(least.get(one, inf) for one in right) for right in rights)
                if best < least.get(left, inf):
                    least[left], changed = best, True
        return least

    def _fewest(self, stack: _Stack) -> float:
        return sum(self._least.get(symbol, inf) for symbol in stack)

    def after(self, state: frozenset[_Stack], symbols: frozenset[str], left: int) -> frozenset[_Stack]:
        """The stacks that wait behind a word of all these last symbols, if `left` more words can end them."""
        found = set()
        for stack in state:
            if stack:
                waiting = self._first(stack[0], frozenset())
                for symbol in symbols:
                    found.update(rest + stack[1:] for rest in waiting.get(symbol, ()))
        return frozenset(one for one in found if self._fewest(one) <= left)

    def _first(self, symbol: str, above: frozenset[str]) -> dict[str, set[_Stack]]:
        """By the last symbol that comes first: what is still to come of `symbol` behind it."""
        if symbol in self._known:
            return self._known[symbol]
        if symbol in above:
            raise ValueError(f"{symbol} may begin with itself, so its sentences cannot be counted from left to right.")
        found: dict[str, set[_Stack]] = defaultdict(set)
        if symbol in self._last:
            found[symbol].add(())
        for first, *rest in self._rights.get(symbol, ()):
            for word, stacks in self._first(first, above | {symbol}).items():
                found[word].update((*one, *rest) for one in stacks)
        self._known[symbol] = found
        return found
