import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neurode.tasks.text.measures.references import retrieval_path, shuffled, splice_path

SENTENCE = st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=9)


def test_a_splice_exchanges_words_from_behind():
    path = splice_path(list("abcd"), list("wxyz"), 5)
    assert [" ".join(words) for words in path] == ["a b c d", "a b c z", "a b y z", "a x y z", "w x y z"]


@given(SENTENCE, SENTENCE, st.integers(2, 13))
def test_a_splice_holds_its_ends_and_is_made_of_a_head_and_a_tail(first, second, points):
    path = splice_path(first, second, points)
    assert (path[0], path[-1], len(path)) == (first, second, points)
    for words in path:
        assert words
        assert any(first[:k] == words[:k] and second[len(second) - len(words) + k :] == words[k:] for k in range(10))


@given(SENTENCE, SENTENCE)
def test_a_splice_changes_its_length_evenly(first, second):
    lengths = np.array([len(words) for words in splice_path(first, second, 11)])
    line = np.linspace(len(first), len(second), 11)
    assert (np.abs(lengths - line) <= 1).all()


def test_shuffling_keeps_the_words_and_loses_the_order():
    sentences = [list("abcdefgh")] * 20
    found = shuffled(sentences, seed=1)
    assert all(sorted(words) == list("abcdefgh") for words in found)
    assert sum(words == list("abcdefgh") for words in found) == 0
    assert found == shuffled(sentences, seed=1) != shuffled(sentences, seed=2)


def test_retrieval_goes_by_the_nearest_codes_and_keeps_the_ends():
    codes, sentences = np.array([[0.0], [1.0], [2.0]]), [["zero"], ["one"], ["two"]]
    path = retrieval_path(["a"], ["b"], np.array([[9.0], [0.2], [1.9], [9.0]]), codes, sentences)
    assert path == [["a"], ["zero"], ["two"], ["b"]]


def test_a_splice_of_one_point_is_an_error():
    with pytest.raises(ValueError, match="points=1 must be at least 2"):
        splice_path(["a"], ["b"], 1)


def test_codes_without_sentences_are_an_error():
    with pytest.raises(ValueError, match="2 codes for 1 sentences"):
        retrieval_path(["a"], ["b"], np.zeros((3, 1)), np.zeros((2, 1)), [["a"]])
