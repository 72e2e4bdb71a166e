import pytest

from neurode.tasks.text.measures.fidelity import exact_match, token_f1


def words(*texts):
    return [text.split() for text in texts]


def test_exact_match_minds_every_word_and_the_order():
    decoded = words("a b c", "a c b", "a b", "", "a b c d")
    wanted = words("a b c", "a b c", "a b c", "", "a b c")
    assert exact_match(decoded, wanted).tolist() == [True, False, False, True, False]


def test_token_f1_counts_repeated_words_as_often_as_both_hold_them():
    assert token_f1(words("a a b"), words("a b b")).tolist() == pytest.approx([2 * 2 / 6])
    assert token_f1(words("a b", "", "", "a"), words("c d", "", "a", "")).tolist() == [0, 1, 0, 0]


def test_token_f1_does_not_mind_the_order():
    assert token_f1(words("c a b"), words("a b c")).tolist() == [1]


def test_a_missing_sentence_is_an_error():
    with pytest.raises(ValueError, match="1 sentences on one side and 2 on the other"):
        exact_match(words("a"), words("a", "b"))
