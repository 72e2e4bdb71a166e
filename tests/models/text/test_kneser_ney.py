from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nltk.lm import KneserNeyInterpolated, Vocabulary
from nltk.util import everygrams

from neurode.data.text.grammar import Grammar
from neurode.data.text.tokens import END, PAD, START, UNKNOWN
from neurode.models.text.kneser_ney import FALLBACK_DISCOUNTS, KneserNey, estimated_discounts, perplexity

SIZE = 9
SENTENCES = st.lists(st.lists(st.integers(UNKNOWN, SIZE - 1), max_size=6), min_size=1, max_size=12)


def made(count: int, seed: int = 0, size: int = SIZE, longest: int = 8) -> list[list[int]]:
    """Sentences in which a word tends to follow the one before it in number."""
    generator = np.random.default_rng(seed)
    sentences = []
    for length in generator.integers(1, longest, size=count):
        steps = generator.choice([1, 1, 1, 2, 3], size=length).cumsum() + generator.integers(size)
        sentences.append((UNKNOWN + steps % (size - UNKNOWN)).tolist())
    return sentences


def by_the_book(sentences, size: int, order: int, discounts: np.ndarray):
    """The definition with dictionaries, slowly: p(word | context) for contexts given as tuples."""
    raw = [defaultdict(int) for _ in range(order + 1)]
    before = [defaultdict(set) for _ in range(order + 1)]
    for sentence in sentences:
        tokens = (START, *sentence, END)
        for n in range(1, order + 1):
            for i in range(len(tokens) - n + 1):
                ngram = tokens[i : i + n]
                raw[n][ngram] += 1
                if i > 0:
                    before[n][ngram].add(tokens[i - 1])

    def count(ngram):
        n = len(ngram)
        return raw[n][ngram] if n == order or ngram[0] == START else len(before[n][ngram])

    def probability(word, context):
        n = len(context) + 1
        outcomes = [w for w in range(size) if w not in (PAD, START)]
        counts = {w: count((*context, w)) for w in outcomes}
        total = sum(counts.values())
        lower = 1 / len(outcomes) if n == 1 else probability(word, context[1:])
        if total == 0:
            return lower
        taken = {w: min(discounts[n - 1][min(c, 3) - 1], c) if c else 0 for w, c in counts.items()}
        return (counts[word] - taken[word] + sum(taken.values()) * lower) / total

    return probability


@pytest.mark.parametrize("order", [1, 2, 3, 5])
def test_probabilities_are_those_of_the_definition(order):
    sentences = made(40)
    model = KneserNey(SIZE, order).fit(sentences)
    expected = by_the_book(sentences, SIZE, order, model.discounts)
    for sentence in made(15, seed=1):
        tokens = [START, *sentence, END]
        wanted = [expected(tokens[i], tuple(tokens[max(i - order + 1, 0) : i])) for i in range(1, len(tokens))]
        assert np.exp(model.log_probabilities(sentence)) == pytest.approx(wanted, rel=1e-10)


@settings(max_examples=30)
@given(SENTENCES, SENTENCES, st.integers(1, 4))
def test_probabilities_sum_to_one_in_every_context(counted, asked, order):
    model = KneserNey(SIZE, order).fit(counted)
    for prefix in [[], *asked, *counted]:
        chance = model.distribution(prefix)
        assert chance.sum() == pytest.approx(1, abs=1e-12)
        assert (chance[[PAD, START]] == 0).all()
        assert (np.delete(chance, [PAD, START]) > 0).all()


@settings(max_examples=30)
@given(SENTENCES, SENTENCES, st.integers(1, 4))
def test_a_sentence_is_scored_by_the_distributions_along_it(counted, asked, order):
    model = KneserNey(SIZE, order).fit(counted)
    for sentence, scores in zip(asked, model.log_probabilities_of(asked), strict=True):
        steps = [model.distribution(sentence[:i])[word] for i, word in enumerate([*sentence, END])]
        assert np.exp(scores) == pytest.approx(steps, rel=1e-10)


def test_nltk_gives_the_same_where_the_definitions_agree():
    # nltk has one discount for all lengths, none for single words, and counts starts as words; so compare with such
    # discounts, and in contexts without a start.
    sentences, discount = made(120, size=12), 0.7
    model = KneserNey(12, 3, discounts=[[0, 0, 0], [discount] * 3, [discount] * 3]).fit(sentences)
    text = [[str(word) for word in (START, *sentence, END)] for sentence in sentences]
    oracle = KneserNeyInterpolated(3, discount=discount)
    names = [str(word) for word in range(12)]
    oracle.fit([everygrams(words, max_len=3) for words in text], Vocabulary(names, unk_cutoff=1))
    compared = 0
    for sentence in made(10, seed=5, size=12, longest=6):
        scores = np.exp(model.log_probabilities(sentence))
        for place in range(2, len(sentence) + 1):
            word = [*sentence, END][place]
            context = [str(w) for w in sentence[place - 2 : place]]
            assert scores[place] == pytest.approx(oracle.score(str(word), context), rel=1e-9)
            compared += 1
    assert compared > 15


def test_discounts_come_from_counts_of_counts():
    # 40 once, 20 twice, 10 three times, 5 four times: share 1/2; D1 = 1 - 2/2 * 1/2, and so on.
    counts = np.repeat([1, 2, 3, 4, 9], [40, 20, 10, 5, 3])
    share = 40 / 80
    expected = [1 - 2 * share * 20 / 40, 2 - 3 * share * 10 / 20, 3 - 4 * share * 5 / 10]
    assert estimated_discounts(counts).tolist() == pytest.approx(expected)


@pytest.mark.parametrize("counts", [[], [1, 1, 1], [1, 2, 3], [1, 1, 1, 2, 3, 3, 3, 3, 3, 4]])
def test_where_counts_of_counts_give_nothing_usable_the_fallback_stands(counts):
    assert estimated_discounts(np.array(counts)).tolist() == list(FALLBACK_DISCOUNTS)


def test_one_sentence_is_enough():
    model = KneserNey(SIZE).fit([[4, 5]])
    assert model.log_probabilities([4, 5]).sum() > model.log_probabilities([5, 4]).sum()
    assert np.isfinite(model.log_probabilities([6, 7, 8])).all()


def test_an_unknown_word_has_a_probability_whether_or_not_it_was_counted():
    seen, unseen = KneserNey(SIZE).fit([[4, UNKNOWN], [5]]), KneserNey(SIZE).fit([[4, 5], [5]])
    assert 0 < np.exp(unseen.log_probabilities([UNKNOWN])[0]) < np.exp(seen.log_probabilities([UNKNOWN])[0]) < 1


def test_an_empty_sentence_is_its_end():
    model = KneserNey(SIZE).fit([[4], []])
    assert model.log_probabilities([]).shape == (1,)
    assert model.log_probabilities_of([[], [4], []])[1] == pytest.approx(model.log_probabilities([4]))
    assert model.log_probabilities_of([]) == []


def test_longer_contexts_predict_a_grammar_better():
    grammar = Grammar()
    numbers = {word: i + 4 for i, word in enumerate(grammar.words)}
    train, held = (
        [[numbers[word] for word in one.split()] for one in grammar.sample(2000, seed, max_words=12)] for seed in (1, 2)
    )
    found = [
        perplexity(KneserNey(len(numbers) + 4, order).fit(train).log_probabilities_of(held)) for order in (1, 2, 3)
    ]
    assert found[0] > 1.5 * found[1] > 1.5 * found[2]


def test_samples_are_sentences_of_the_model():
    model = KneserNey(SIZE, 2, discounts=[[0, 0, 0]] * 2).fit([[4, 5, 6], [4, 5]])
    drawn = model.sample(300, seed=1)
    assert {tuple(sentence) for sentence in drawn} == {(4, 5), (4, 5, 6)}
    assert 110 < drawn.count([4, 5]) < 190
    assert drawn == model.sample(300, seed=1) != model.sample(300, seed=2)
    assert all(len(sentence) <= 2 for sentence in model.sample(20, max_words=2))


def test_a_saved_model_is_the_same_again(tmp_path):
    model = KneserNey(SIZE, 4).fit(made(60))
    model.save(tmp_path / "judge")
    again = KneserNey.load(tmp_path / "judge")
    held = made(30, seed=2)
    for ours, theirs in zip(model.log_probabilities_of(held), again.log_probabilities_of(held), strict=True):
        assert np.array_equal(ours, theirs)
    assert (again.order, again.size) == (4, SIZE)
    assert np.array_equal(again.discounts, model.discounts)


def test_a_saved_model_holds_plain_arrays_only(tmp_path):
    KneserNey(SIZE, 2).fit(made(5)).save(tmp_path / "judge.npz")
    with np.load(tmp_path / "judge.npz", allow_pickle=False) as arrays:
        assert all(arrays[name].dtype.kind in "if" for name in arrays)


def test_fitting_again_forgets_what_was_fitted():
    model = KneserNey(SIZE).fit(made(20)).fit(made(20, seed=1))
    assert np.array_equal(
        model.log_probabilities([4, 5]), KneserNey(SIZE).fit(made(20, seed=1)).log_probabilities([4, 5])
    )


@pytest.mark.parametrize("word", [PAD, START, END, SIZE, -1])
def test_ids_that_are_no_words_are_an_error(word):
    with pytest.raises(ValueError, match="words must be ids from 3"):
        KneserNey(SIZE).fit([[4, word]])


def test_what_cannot_be_is_an_error():
    with pytest.raises(ValueError, match="order=0 must be at least 1"):
        KneserNey(SIZE, 0)
    with pytest.raises(ValueError, match="size=3 must be above 3"):
        KneserNey(3)
    with pytest.raises(ValueError, match=r"discounts must be \(2, 3\)"):
        KneserNey(SIZE, 2, discounts=[[0.5] * 3])
    with pytest.raises(ValueError, match="between 0 and the count"):
        KneserNey(SIZE, 1, discounts=[[1.5, 1, 1]])
    with pytest.raises(ValueError, match="no sentence to count"):
        KneserNey(SIZE).fit([])
    for ask in (lambda m: m.log_probabilities([4]), lambda m: m.distribution([]), lambda m: m.save("x")):
        with pytest.raises(ValueError, match="counted nothing yet"):
            ask(KneserNey(SIZE))
