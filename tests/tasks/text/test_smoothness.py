import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import rankdata, spearmanr

from neurode.tasks.text.measures.smoothness import (
    directness,
    jump_against_ends,
    largest_jump,
    length_departure,
    monotony,
    ranks,
    spearman,
)

PATH = st.lists(st.lists(st.sampled_from("abcd"), max_size=5), min_size=2, max_size=8)
VALUES = st.lists(st.integers(0, 5), min_size=3, max_size=20)


def path(*texts):
    return [text.split() for text in texts]


EVEN = path("a b c d", "e b c d", "e f c d", "e f g d", "e f g h")
SWITCH = path("a b c d", "a b c d", "a b c d", "e f g h", "e f g h")
STILL = path("a b", "a b", "a b")
DETOUR = path("a b", "x y", "a c")


def test_an_even_path_spreads_its_steps_and_a_switch_makes_one():
    assert largest_jump([EVEN, SWITCH]).tolist() == [0.25, 1]
    assert jump_against_ends([EVEN, SWITCH]).tolist() == [0.25, 1]


def test_a_detour_hides_a_jump_from_the_one_measure_and_not_from_the_other():
    assert largest_jump([DETOUR]).tolist() == [0.5]
    assert jump_against_ends([DETOUR]).tolist() == [2]


def test_a_path_that_cannot_move_has_no_jump():
    assert largest_jump([STILL]).tolist() == [0]
    assert directness([STILL]).tolist() == [1]
    assert monotony([STILL]).tolist() == [0]


def test_directness_is_lost_on_detours():
    assert directness([EVEN, SWITCH]).tolist() == [1, 1]
    assert directness([DETOUR]).tolist() == [0.25]


def test_monotony_is_one_on_the_way_and_minus_one_on_the_way_back():
    there_and_back = path("a b c", "d e f", "a b c")
    assert monotony([EVEN]).tolist() == pytest.approx([1])
    assert monotony([there_and_back]).tolist() == [0]
    wrong = path("a b c d", "e f g d", "a b c h", "e f g h")  # the two middle ones in the wrong order
    assert monotony([wrong])[0] == pytest.approx(0.8)


def test_monotony_follows_the_times_that_are_given():
    assert monotony([EVEN], times=[0, 0.4, 0.3, 0.2, 1])[0] == pytest.approx(0.6)


def test_the_length_is_compared_with_the_straight_line():
    grows = path("a", "a b", "a b c")
    stays = path("a", "a", "a", "a", "a b c d e")
    assert length_departure([grows]).tolist() == [0]
    assert length_departure([stays]).tolist() == [2]
    assert length_departure([stays], times=[0, 0, 0, 0, 1]).tolist() == [0]


@given(st.lists(PATH, min_size=1, max_size=4))
def test_measures_stay_within_their_bounds(paths):
    for values, low, high in (
        (largest_jump(paths), 0, 1),
        (directness(paths), 0, 1),
        (monotony(paths), -1, 1),
    ):
        assert values.shape == (len(paths),)
        assert ((values >= low) & (values <= high)).all()


@given(PATH)
def test_a_path_walked_backwards_measures_the_same(one):
    back = one[::-1]
    for measure in (largest_jump, directness, monotony, jump_against_ends):
        assert measure([one])[0] == pytest.approx(measure([back])[0])


@given(VALUES, st.randoms(use_true_random=False))
def test_spearman_is_scipys(x, random):
    y = [random.randint(0, 4) for _ in x]
    if len(set(x)) > 1 and len(set(y)) > 1:
        assert spearman(x, y) == pytest.approx(spearmanr(x, y).statistic)
    else:
        assert spearman(x, y) == 0


@given(VALUES)
def test_ranks_are_scipys(values):
    assert np.array_equal(ranks(values), rankdata(values))


def test_lists_of_different_length_cannot_be_correlated():
    with pytest.raises(ValueError, match="got 3 and 2 values"):
        spearman([1, 2, 3], [1, 2])
