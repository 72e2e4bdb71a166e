import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neurode.models.text.edit_distance import distance_table, edit_distances, normalised_distances

SENTENCE = st.lists(st.sampled_from("abcd"), max_size=7)
PAIRS = st.lists(st.tuples(SENTENCE, SENTENCE), min_size=1, max_size=12)


def by_the_book(a, b) -> int:
    """The recursion itself."""
    if not a or not b:
        return len(a) + len(b)
    if a[-1] == b[-1]:
        return by_the_book(a[:-1], b[:-1])
    return 1 + min(by_the_book(a[:-1], b), by_the_book(a, b[:-1]), by_the_book(a[:-1], b[:-1]))


@pytest.mark.parametrize(
    ("first", "second", "distance"),
    [
        ("the cat sat", "the cat sat", 0),
        ("the cat sat", "the dog sat", 1),
        ("the cat sat", "the cat sat down", 1),
        ("the cat sat", "cat sat", 1),
        ("a b c d", "b c d a", 2),
        ("", "a b c", 3),
        ("a b c", "", 3),
        ("", "", 0),
    ],
)
def test_known_distances(first, second, distance):
    assert edit_distances([first.split()], [second.split()]).tolist() == [distance]


@given(PAIRS)
def test_a_batch_gives_what_the_recursion_gives_for_each_pair(pairs):
    first, second = zip(*pairs, strict=True)
    assert edit_distances(first, second).tolist() == [by_the_book(a, b) for a, b in pairs]


@given(SENTENCE, SENTENCE, SENTENCE)
def test_the_distance_is_a_metric(a, b, c):
    ab, ba, bc, ac, aa = edit_distances([a, b, b, a, a], [b, a, c, c, a])
    assert ab == ba
    assert aa == 0
    assert (ab == 0) == (a == b)
    assert ac <= ab + bc


@given(SENTENCE, SENTENCE)
def test_a_normalised_distance_lies_between_zero_and_one(a, b):
    (share,) = normalised_distances([a], [b])
    assert 0 <= share <= 1
    assert (share == 1) == (bool(a or b) and not _aligned(a, b))


def _aligned(a, b) -> bool:
    """Whether an alignment of least cost keeps a word."""
    return by_the_book(a, b) < max(len(a), len(b))


def test_many_pairs_are_cut_into_blocks_without_a_change(monkeypatch):
    generator = np.random.default_rng(0)
    first, second = ([generator.integers(3, size=n).tolist() for n in generator.integers(9, size=50)] for _ in range(2))
    whole = edit_distances(first, second)
    monkeypatch.setattr("neurode.models.text.edit_distance._CELLS_AT_ONCE", 20)
    assert (edit_distances(first, second) == whole).all()


def test_words_of_any_kind_are_compared_by_equality():
    assert edit_distances([[1, "1"]], [[1, 1]]).tolist() == [1]


def test_no_pair_gives_no_distance():
    assert edit_distances([], []).shape == (0,)


def test_a_string_in_place_of_words_is_an_error():
    with pytest.raises(TypeError, match=r"must be its words, got the string 'a cat'"):
        edit_distances(["a cat"], [["a", "cat"]])


def test_sides_of_different_size_are_an_error():
    with pytest.raises(ValueError, match="2 sentences on one side and 1 on the other"):
        edit_distances([["a"], ["b"]], [["a"]])


def test_the_table_is_symmetric_and_keeps_the_triangle():
    table = distance_table([list(word) for word in ("abc", "abd", "xyz", "", "ab")])
    assert (table == table.T).all()
    assert (table.diagonal() == 0).all()
    assert (table[:, :, None] <= table[:, None, :] + table.T[None]).all()
    assert distance_table([]).shape == (0, 0)
