import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neurode.tasks.text.measures.fidelity import bleu, bleu_counts, bleu_from_counts, exact_match, token_f1

SENTENCES = st.lists(st.lists(st.sampled_from("abcd"), max_size=6), min_size=1, max_size=5)


def words(*texts):
    return [text.split() for text in texts]


def test_exact_match_minds_every_word_and_the_order():
    decoded = words("a b c", "a c b", "a b", "", "a b c d")
    assert exact_match(decoded, words("a b c", "a b c", "a b c", "", "a b c")).tolist() == [
        True,
        False,
        False,
        True,
        False,
    ]


def test_token_f1_counts_repeated_words_as_often_as_both_hold_them():
    assert token_f1(words("a a b"), words("a b b")).tolist() == pytest.approx([2 * 2 / 6])
    assert token_f1(words("a b", "", "", "a"), words("c d", "", "a", "")).tolist() == [0, 1, 0, 0]


def test_token_f1_does_not_mind_the_order():
    assert token_f1(words("c a b"), words("a b c")).tolist() == [1]


def test_bleu_of_the_papers_definition_on_a_case_done_by_hand():
    decoded, wanted = words("the cat sat on the mat"), words("the cat is on the mat")
    # Unigrams 5 of 6 (two "the"), pairs 3 of 5, triples 1 of 4, fours 0 of 3.
    assert bleu(decoded, wanted, longest=2) == pytest.approx((5 / 6 * 3 / 5) ** 0.5)
    assert bleu(decoded, wanted, longest=3) == pytest.approx((5 / 6 * 3 / 5 * 1 / 4) ** (1 / 3))
    assert bleu(decoded, wanted) == 0


def test_bleu_punishes_short_output():
    assert bleu(words("a b"), words("a b c d"), longest=1) == pytest.approx(np.exp(1 - 2))
    assert bleu(words("a b a b"), words("a b"), longest=1) == pytest.approx(0.5)


def test_bleu_is_of_the_corpus_and_no_mean_of_sentences():
    decoded, wanted = words("a", "a b c d e"), words("b", "a b c d e")
    assert bleu(decoded, wanted, longest=1) == pytest.approx(5 / 6)


def test_bleu_of_sentences_too_short_for_any_four_words_uses_what_there_is():
    assert bleu(words("a b"), words("a b")) == 1


@given(SENTENCES)
def test_bleu_of_the_truth_is_one(sentences):
    assert bleu(sentences, sentences) == pytest.approx(1)


@given(SENTENCES, SENTENCES)
def test_bleu_of_a_resample_is_bleu_of_the_resampled_sentences(decoded, wanted):
    n = min(len(decoded), len(wanted))
    rows = np.random.default_rng(n).integers(n, size=n)
    counts = bleu_counts(decoded[:n], wanted[:n])
    again = bleu([decoded[i] for i in rows], [wanted[i] for i in rows])
    assert bleu_from_counts(counts[rows]) == pytest.approx(again)
    assert 0 <= again <= 1


def test_nothing_decoded_where_something_was_wanted_scores_zero():
    assert bleu(words(""), words("a b")) == 0
    assert bleu(words(""), words("")) == 1


def test_a_missing_sentence_is_an_error():
    with pytest.raises(ValueError, match="1 sentences on one side and 2 on the other"):
        exact_match(words("a"), words("a", "b"))
