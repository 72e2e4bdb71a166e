"""The grammar against a naive enumeration of its derivations, and the language against a reader's judgement."""

import math
from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from neurode.data.text.grammar import Grammar
from neurode.data.text.grammar_rules import WORDS, Rule, agreement_rules

GRAMMAR = Grammar()


def enumerated(grammar: Grammar, longest: int) -> dict[str, float]:
    """All sentences of at most `longest` words, and the sum over their derivations, one by one, leftmost first."""
    rights = defaultdict(list)
    for rule in grammar.rules:
        rights[rule.left].append(rule)
    found: dict[str, float] = defaultdict(float)
    waiting = [((), (grammar.start,), 1.0)]
    while waiting:
        done, form, probability = waiting.pop()
        if not form:
            found[" ".join(done)] += probability
            continue
        first, *rest = form
        for word, share in grammar.lexicon.get(first, {}).items():
            waiting.append(((*done, word), tuple(rest), probability * share))
        for rule in rights[first]:
            if len(done) + len(rule.right) + len(rest) <= longest:
                waiting.append((done, (*rule.right, *rest), probability * rule.weight))
    return dict(found)


def all_strings(words, longest):
    strings = [()]
    for _ in range(longest):
        strings = [(*one, word) for one in strings for word in words]
        yield from strings


SYMBOLS = ["S", "A", "B"]
LAST = {"X": {"a": 2.0, "b": 1.0}, "Y": "b c"}


@st.composite
def small_grammars(draw):
    """Rules of one to three symbols; one-symbol rules lead downwards only, so that no derivation goes in circles."""
    rules = []
    for place, left in enumerate(SYMBOLS):
        below = SYMBOLS[place + 1 :] + list(LAST)
        rights = draw(
            st.lists(
                st.one_of(
                    st.tuples(st.sampled_from(below)),
                    st.lists(st.sampled_from(SYMBOLS + list(LAST)), min_size=2, max_size=3).map(tuple),
                ),
                min_size=1,
                max_size=3,
            )
        )
        rules += [Rule(left, right, draw(st.sampled_from([0.5, 1.0, 2.0]))) for right in rights]
    return Grammar(rules, LAST)


@settings(max_examples=60)
@given(small_grammars())
def test_small_grammars_agree_with_an_enumeration_of_all_derivations(grammar):
    truth = enumerated(grammar, 4)
    for words in all_strings("abc", 4):
        sentence = " ".join(words)
        assert grammar.recognises(words) == (sentence in truth), sentence
        assert math.exp(grammar.log_probability(sentence)) == pytest.approx(truth.get(sentence, 0.0), rel=1e-9)
    by_length = np.zeros(5)
    for sentence, probability in truth.items():
        by_length[len(sentence.split())] += probability
    assert grammar.length_probabilities(4) == pytest.approx(by_length, rel=1e-9, abs=1e-15)
    if begins_with_itself(grammar):
        with pytest.raises(ValueError, match="may begin with itself"):
            grammar.count(4)
    else:
        assert grammar.count(4) == len(truth)


def begins_with_itself(grammar: Grammar) -> bool:
    """Whether a symbol that a sentence may begin with can stand at its own beginning."""
    firsts = {symbol: {rule.right[0] for rule in grammar.rules if rule.left == symbol} for symbol in SYMBOLS}

    def reached(symbol: str) -> set[str]:
        found: set[str] = set()
        waiting = set(firsts.get(symbol, ()))
        while waiting:
            one = waiting.pop()
            if one not in found:
                found.add(one)
                waiting |= firsts.get(one, set())
        return found

    used, waiting = set(), {"S"}
    while waiting:
        one = waiting.pop()
        used.add(one)
        waiting |= {symbol for rule in grammar.rules if rule.left == one for symbol in rule.right} - used
    return any(symbol in reached(symbol) for symbol in used)


@settings(max_examples=40)
@given(small_grammars(), st.integers(0, 1000))
def test_samples_of_small_grammars_are_in_their_language_and_limits(grammar, seed):
    truth = enumerated(grammar, 4)
    assume(truth)
    assert set(grammar.sample(20, seed, max_words=4)) <= truth.keys()
    length = len(next(iter(truth)).split())
    assert all(one in truth and len(one.split()) == length for one in grammar.sample(10, seed, length=length))


def test_samples_have_the_probabilities_of_the_grammar_given_their_length():
    grammar = Grammar(
        [Rule("S", ("A", "S"), 0.4), Rule("S", ("A",), 0.6), Rule("A", ("X",)), Rule("A", ("X", "X"), 0.5)], LAST
    )
    truth = enumerated(grammar, 3)
    total = sum(truth.values())
    counts = Counter(grammar.sample(20_000, seed=1, max_words=3))
    for sentence, probability in truth.items():
        expected = 20_000 * probability / total
        assert abs(counts[sentence] - expected) < 5 * math.sqrt(expected), sentence


def test_probabilities_of_an_ambiguous_grammar_sum_over_all_trees():
    grammar = Grammar([Rule("S", ("S", "S"), 0.3), Rule("S", ("X",), 0.7)], {"X": "a"})
    for n in (1, 2, 3, 8, 60):
        trees = math.comb(2 * n - 2, n - 1) // n  # Catalan's numbers
        expected = math.log(trees) + (n - 1) * math.log(0.3) + n * math.log(0.7)
        assert grammar.log_probability(["a"] * n) == pytest.approx(expected, rel=1e-12)


def test_long_sentences_do_not_underflow():
    grammar = Grammar([Rule("S", ("X", "S"), 1e-3), Rule("S", ("X",), 1 - 1e-3)], {"X": " ".join(map(str, range(100)))})
    expected = 119 * math.log(1e-3) + math.log(1 - 1e-3) - 120 * math.log(100)  # far below the smallest float
    assert grammar.log_probability(["7"] * 120) == pytest.approx(expected, rel=1e-12)


def test_the_default_grammar_sums_to_one_and_mostly_makes_short_sentences():
    lengths = GRAMMAR.length_probabilities(80)
    assert lengths.sum() == pytest.approx(1.0, abs=1e-9)
    assert lengths[:13].sum() > 0.9
    assert len(GRAMMAR.words) == 126


@pytest.fixture(scope="module")
def short_sentences():
    return enumerated(GRAMMAR, 4)


def test_all_short_sentences_are_recognised_counted_and_sum_to_the_probability_of_their_length(short_sentences):
    assert GRAMMAR.count(4) == len(short_sentences) == 29_938
    assert GRAMMAR.grammatical_share(short_sentences) == 1.0
    by_length = np.zeros(5)
    for sentence in short_sentences:
        by_length[len(sentence.split())] += math.exp(GRAMMAR.log_probability(sentence))
    assert by_length == pytest.approx(GRAMMAR.length_probabilities(4), rel=1e-9)


def test_with_one_word_a_symbol_probabilities_agree_with_an_enumeration_up_to_six_words():
    grammar = Grammar(agreement_rules(), {symbol: words.split()[0] for symbol, words in WORDS.items()})
    truth = enumerated(grammar, 6)
    assert grammar.count(6) == len(truth)
    for sentence, probability in truth.items():
        assert math.exp(grammar.log_probability(sentence)) == pytest.approx(probability, rel=1e-9), sentence
    by_length = np.bincount([len(one.split()) for one in truth], weights=list(truth.values()), minlength=7)
    assert grammar.length_probabilities(6) == pytest.approx(by_length, rel=1e-9)


@settings(max_examples=50)
@given(st.integers(0, 10_000), st.integers(2, 14))
def test_every_sample_is_grammatical_has_its_length_and_a_probability(seed, length):
    for sentence in GRAMMAR.sample(3, seed, length=length):
        assert len(sentence.split()) == length
        assert GRAMMAR.recognises(sentence)
        assert -length * math.log(126) * 2 < GRAMMAR.log_probability(sentence) < 0
    assert all(
        len(one.split()) <= length and GRAMMAR.recognises(one) for one in GRAMMAR.sample(3, seed, max_words=length)
    )


def forms(*symbols: str) -> dict[str, str]:
    """Each word of the first symbol with the word at its place in the second, for several pairs."""
    pairs = [symbol.split("/") for symbol in symbols]
    return {a: b for first, second in pairs for a, b in zip(WORDS[first].split(), WORDS[second].split(), strict=True)}


OTHER_NUMBER = forms(
    *(f"{valence}.sg/{valence}.pl" for valence in ("Intr", "Trans", "Ditr", "Sent")),
    "do.sg/do.pl", "Be.sg.pres/Be.pl.pres", "Be.sg.past/Be.pl.past",
)  # fmt: skip
ALWAYS_WRONG = {
    **OTHER_NUMBER,
    **{plural: singular for singular, plural in OTHER_NUMBER.items()},
    "he": "him", "she": "him", "they": "them", "him": "he", "them": "they", "who": "which", "which": "who",
    "a": "many", "many": "a", "every": "these", "these": "every", "be": "is",
}  # fmt: skip


@given(st.integers(0, 100_000), st.data())
def test_one_word_in_the_wrong_form_makes_any_sentence_wrong(seed, data):
    words = GRAMMAR.sample(1, seed)[0].split()
    places = [place for place, word in enumerate(words) if word in ALWAYS_WRONG]
    assume(places)
    place = data.draw(st.sampled_from(places))
    words[place] = ALWAYS_WRONG[words[place]]
    assert not GRAMMAR.recognises(words), words


def test_every_form_that_can_be_wrong_occurs_in_samples():
    assert set(ALWAYS_WRONG) <= {word for sentence in GRAMMAR.sample(3000) for word in sentence.split()}


JUDGED = {
    "the dogs which the boy sees sleep": "the dogs which the boy sees sleeps",
    "the boy who the girls follow smiles": "the boy who the girls follow smile",
    "the boy who sees the dogs runs": "the boy who sees the dogs run",
    "the house behind the trees is big": "the house behind the trees are big",
    "tom and the girl wait": "tom and the girl waits",
    "two birds slept yesterday": "two bird slept yesterday",
    "she slept yesterday": "she sleeps yesterday",
    "he will wait tomorrow": "he will waits tomorrow",
    "mary does not love him": "mary does not loves him",
    "the farmer gives her a horse": "the farmer gives she a horse",
    "the farmer gave a horse to her": "the farmer gave a horse her",
    "the teacher knows that they did not run": "the dog knows that they did not run",
    "the garden was very old": "the garden slept",
    "the girl chased the cat near the house": "the girl chased near the house the cat",
    "the boys can be in a boat": "the boys can are in a boat",
    "this car is not red now": "these car is not red now",
}


@pytest.mark.parametrize(("right", "wrong"), JUDGED.items())
def test_agreement_is_required_at_any_distance(right, wrong):
    assert GRAMMAR.recognises(right)
    assert not GRAMMAR.recognises(wrong)
    assert GRAMMAR.log_probability(right) > -math.inf
    assert GRAMMAR.log_probability(wrong) == -math.inf


def test_both_derivations_of_an_ambiguous_sentence_count():
    # Yesterday belongs to either verb: each way costs 0.2 for 0.8, and one of two adverbs; so 2 x 1/4 x 1/2.
    without = GRAMMAR.log_probability("mary thought that tom slept")
    both = GRAMMAR.log_probability("mary thought that tom slept yesterday")
    assert both - without == pytest.approx(math.log(1 / 4), rel=1e-12)
    one = GRAMMAR.log_probability("mary thinks that tom slept yesterday")  # here it belongs to slept only
    assert one - GRAMMAR.log_probability("mary thinks that tom slept") == pytest.approx(math.log(1 / 8), rel=1e-12)


def test_no_words_unknown_words_and_capitals_are_not_recognised():
    for sentence in ("", [], "the zebra sleeps", "The dog sleeps", "the dog sleeps ."):
        assert not GRAMMAR.recognises(sentence)
        assert GRAMMAR.log_probability(sentence) == -math.inf


def test_a_random_word_in_place_of_another_nearly_always_breaks_a_sentence():
    rng = np.random.default_rng(0)
    sentences = [one.split() for one in GRAMMAR.sample(3000, seed=5)]
    for words in sentences:
        place = rng.integers(len(words))
        words[place] = rng.choice([word for word in GRAMMAR.words if word != words[place]])
    assert 0.01 < GRAMMAR.grammatical_share(sentences) < 0.08


def test_there_are_millions_of_millions_of_sentences_counted_exactly():
    assert GRAMMAR.count(6) == 4_039_720
    assert GRAMMAR.count(8) == 467_726_352


@pytest.mark.slow
def test_there_are_nearly_five_trillion_sentences_of_at_most_twelve_words():
    assert GRAMMAR.count(12) == 4_937_691_885_104


def test_samples_are_repeatable_and_differ_by_seed():
    assert GRAMMAR.sample(5, seed=1) == GRAMMAR.sample(5, seed=1)
    assert GRAMMAR.sample(5, seed=1) != GRAMMAR.sample(5, seed=2)
    assert GRAMMAR.sample(0) == []


def test_what_cannot_be_sampled_or_built_is_refused():
    with pytest.raises(ValueError, match="pass max_words or length, not both; got 5 and 4"):
        GRAMMAR.sample(1, max_words=5, length=4)
    with pytest.raises(ValueError, match="no sentence of this grammar has 1 to 1 words"):
        GRAMMAR.sample(1, max_words=1)
    with pytest.raises(ValueError, match="lengths at least 1; got n=1 and 0 to 0 words"):
        GRAMMAR.sample(1, length=0)
    with pytest.raises(ValueError, match="there is no sentence to judge"):
        GRAMMAR.grammatical_share([])
    with pytest.raises(ValueError, match="at least one word; got 0 at most"):
        GRAMMAR.length_probabilities(0)
    with pytest.raises(ValueError, match="rules and words belong together"):
        Grammar(agreement_rules())
    with pytest.raises(ValueError, match="B has neither rules nor words"):
        Grammar([Rule("S", ("A", "B"))], {"A": "a"})
    with pytest.raises(ValueError, match="S has rules and words"):
        Grammar([Rule("S", ("A",))], {"A": "a", "S": "s"})
    with pytest.raises(ValueError, match="the symbol A needs words with weights above 0"):
        Grammar([Rule("S", ("A",))], {"A": {"a": 0.0}})
    with pytest.raises(ValueError, match="a symbol holds no blanks; got 'A B'"):
        Grammar([Rule("S", ("A B",))], {"A B": "a"})
    with pytest.raises(ValueError, match="go round in a circle that is never left"):
        Grammar([Rule("S", ("S",)), Rule("T", ("A",))], {"A": "a"})
    with pytest.raises(ValueError, match="a right side and a weight above 0; got S ->"):
        Rule("S", ())
