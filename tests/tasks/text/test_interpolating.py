"""Paths between two sentences: their ends, their kinds, and the words that the model does not know."""

from itertools import pairwise

import numpy as np
import pytest

from neurode.core.errors import DataError
from tests.tasks.text.toy_text import is_grammatical

ENDS = ("the horse hears a bird", "a teacher smiles")


@pytest.mark.parametrize("path", ["linear", "spherical", "flow", "metric"])
@pytest.mark.parametrize("ends", ["refined", "fading"])
def test_a_path_begins_and_ends_at_the_users_sentences(toy, path, ends):
    found = toy.interpolate(*ENDS, 9, path, ends=ends)
    assert (found.sentences[0], found.sentences[-1]) == ENDS
    assert found.exact == (True, True)
    assert found.notes == ()
    assert len(found) == len(found.tokens) == len(found.codes) == 9
    assert (found.places[0], found.places[-1]) == (0, 1)
    assert (np.diff(found.places) > 0).all()
    assert np.mean([is_grammatical(one) for one in found.sentences]) >= 7 / 9


def test_the_ends_of_all_paths_have_the_same_codes_and_the_ways_differ(toy):
    paths = [toy.interpolate(*ENDS, 5, path, points="even") for path in ("linear", "spherical", "flow", "metric")]
    for one, other in pairwise(paths):
        np.testing.assert_allclose(one.codes[[0, -1]], other.codes[[0, -1]], atol=1e-5)
        assert np.abs(one.codes[2] - other.codes[2]).max() > 1e-4


def test_fading_ends_leave_the_middle_where_the_encoder_put_it(toy):
    plain, fading, refined = (
        toy.interpolate("the yeti likes the zebra", "a zebra runs", 5, "linear", ends=ends, points="even")
        for ends in ("encoded", "fading", "refined")
    )
    np.testing.assert_allclose(fading.codes[1:-1], plain.codes[1:-1], atol=1e-5)
    np.testing.assert_allclose(fading.codes[[0, -1]], refined.codes[[0, -1]], atol=1e-5)
    assert np.abs(refined.codes[2] - plain.codes[2]).max() > 1e-4


def test_points_placed_by_the_text_move_at_least_as_often_as_even_ones(toy):
    pairs = [ENDS, ("a cat likes the farmer", "the boy runs"), ("the girl finds a dog", "a bird sees the horse")]
    text, even = ([toy.interpolate(*pair, points=points).distinct for pair in pairs] for points in ("text", "even"))
    assert all(a >= b for a, b in zip(text, even, strict=True))
    assert sum(text) > sum(even)


def test_unknown_words_are_copied_from_the_users_sentences(toy):
    found = toy.interpolate("the zebra hears a bird", "a teacher finds the yeti", 9)
    assert found.sentences[0] == "the zebra hears a bird"
    assert found.notes[-1] == "'zebra', 'yeti' are unknown to the model, and are copied from what was given."
    assert not any("<unknown>" in one for one in found.sentences)
    assert np.mean([is_grammatical(one, ("zebra", "yeti")) for one in found.sentences]) >= 7 / 9


def test_words_that_no_code_makes_the_model_write_are_carried_over(toy):
    wrong = "cat the horse smiles"
    encoded, refined = (toy.interpolate(wrong, "the cat waits", 5, ends=ends) for ends in ("encoded", "refined"))
    assert (encoded.exact[0], refined.exact) == (False, (True, True))
    assert encoded.notes[0].startswith(f"{wrong!r} comes back as '")
    assert refined.sentences[0] == wrong
    assert refined.notes == ("'the' could not be written by the model, and is carried over.",)


def test_what_could_not_be_held_is_said(toy):
    wrong = "sees dog the sees waits"
    refined = toy.interpolate(wrong, "the cat waits", 5, ends="refined")
    assert refined.exact == (False, True)
    assert refined.notes == (
        f"{wrong!r} could not be held: the nearest that the model writes is {refined.sentences[0]!r}.",
    )


def test_two_sentences_more_than_once_give_the_same_path(toy):
    first, again = (toy.interpolate(*ENDS, 6) for _ in range(2))
    assert first.sentences == again.sentences
    np.testing.assert_array_equal(first.codes, again.codes)


def test_a_path_between_equal_sentences_stands_still(toy):
    assert set(toy.interpolate("the cat waits", "the cat waits", 4, ends="refined").sentences) == {"the cat waits"}


def test_a_path_is_a_table_too(toy):
    frame = toy.interpolate(*ENDS, 4).to_frame()
    assert list(frame.columns) == ["t", "sentence"]
    assert len(frame) == 4


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"steps": 1}, "steps=1 must be at least 2"),
        ({"path": "bent"}, "path='bent' is unknown. There are: linear, spherical, flow, metric"),
        ({"ends": "loose"}, "ends='loose' is unknown. There are: fading, refined, encoded"),
        ({"points": "odd"}, "points='odd' is unknown. There are: even, text"),
    ],
)
def test_impossible_wishes_are_refused(toy, arguments, says):
    with pytest.raises(ValueError, match=says):
        toy.interpolate(*ENDS, **arguments)


@pytest.mark.parametrize(
    ("sentence", "says"),
    [
        ("", "sentence 2 is empty. Give at least one word"),
        (" \t\n ", "sentence 2 is empty"),
        (
            "the dog " * 9,
            "sentence 2, 'the dog .*: this sentence has 18 words and marks, and the longest .* has 5. Shorten",
        ),
        ("кошка спит", "sentence 2, 'кошка спит': the model knows no word .* Cyrillic letters, .* in Latin"),
        ("der Hund schläft", "the model knows no word of this sentence. Check the language"),
        ("\ud800", "sentence 2, .*knows no word"),
    ],
)
def test_a_sentence_that_cannot_be_read_is_refused_with_the_reason(toy, sentence, says):
    with pytest.raises(DataError, match=says):
        toy.interpolate("the cat waits", sentence)
