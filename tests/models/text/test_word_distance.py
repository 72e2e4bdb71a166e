import itertools

import numpy as np
import pytest

from neurode.models.text.word_distance import distance_table, word_distances


def by_the_book(a, b) -> int:
    """The recursion of the definition, word by word."""
    if not a or not b:
        return len(a) + len(b)
    return min(by_the_book(a[1:], b) + 1, by_the_book(a, b[1:]) + 1, by_the_book(a[1:], b[1:]) + (a[0] != b[0]))


def test_known_distances():
    pairs = [
        ("kitten", "sitting", 3),
        ("flaw", "lawn", 2),
        ("", "abc", 3),
        ("abc", "", 3),
        ("", "", 0),
        ("ab", "ba", 2),
    ]
    assert word_distances([a for a, _, _ in pairs], [b for _, b, _ in pairs]).tolist() == [d for *_, d in pairs]


def test_all_short_sentences_agree_with_the_definition():
    sentences = [words for length in range(4) for words in itertools.product("ab", repeat=length)]
    pairs = list(itertools.product(sentences, sentences))
    found = word_distances([a for a, _ in pairs], [b for _, b in pairs])
    assert found.tolist() == [by_the_book(a, b) for a, b in pairs]


def test_words_may_be_texts_or_numbers():
    assert word_distances([["the", "dog"]], [["the", "cat", "dog"]]).tolist() == [1]
    assert word_distances([[4, 5, 6]], [[4, 6]]).tolist() == [1]


def test_the_table_is_symmetric_and_keeps_the_triangle():
    sentences = ["abc", "abd", "xyz", "", "ab"]
    table = distance_table(sentences)
    assert (table == table.T).all()
    assert (table.diagonal() == 0).all()
    assert (table[:, :, None] <= table[:, None, :] + table.T[None]).all()
    assert distance_table([]).shape == (0, 0)


def test_sentences_without_a_partner_are_refused():
    with pytest.raises(ValueError, match="sentences come in pairs; got 2 and 1"):
        word_distances(["a", "b"], ["a"])
    assert np.array_equal(word_distances([], []), np.zeros(0))
