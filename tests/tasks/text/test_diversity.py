import pytest

from neurode.tasks.text.measures.diversity import (
    copied_among,
    copied_share,
    distinct_ngrams,
    distinct_share,
    end_share,
)


def path(*texts):
    return [text.split() for text in texts]


def test_a_path_that_stands_still_and_then_jumps_has_few_distinct_sentences():
    still, moving = path("a b", "a b", "a b", "c d", "c d"), path("a b", "a c", "a d", "c e", "c d")
    assert distinct_share([still, moving]).tolist() == pytest.approx([2 / 3, 1])
    assert distinct_share([still, moving], interior=False).tolist() == pytest.approx([2 / 5, 1])


def test_interior_sentences_equal_to_an_end_are_counted():
    assert end_share([path("a", "a", "b", "c", "d", "d")]).tolist() == [0.5]


def test_copies_of_the_training_text_are_counted_in_the_interior_only():
    training = path("a b", "x y")
    assert copied_share([path("a b", "x y", "x z", "a b")], training).tolist() == [0.5]
    assert copied_among(path("a b", "b a"), training).tolist() == [True, False]


def test_distinct_pairs_over_all_sentences():
    assert distinct_ngrams(path("a b c", "a b")) == pytest.approx(2 / 3)
    assert distinct_ngrams(path("a", "b")) == 0
    assert distinct_ngrams(path("a", "a"), 1) == 0.5


def test_a_path_of_two_ends_alone_is_an_error():
    with pytest.raises(ValueError, match="between its two ends"):
        distinct_share([path("a", "b")])
