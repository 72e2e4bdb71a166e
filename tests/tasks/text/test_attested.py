import pytest

from neurode.tasks.text.measures.attested import AttestedNgrams


def words(*texts):
    return [text.split() for text in texts]


def test_trigrams_with_starts_and_ends_are_looked_up():
    known = AttestedNgrams(words("the cat sat", "a dog ran"))
    # Trigrams of "the cat ran": (start the cat) known, (the cat ran) not, (cat ran end) not.
    assert known.share(words("the cat sat", "the cat ran", "x y z")).tolist() == pytest.approx([1, 1 / 3, 0])


def test_a_text_attests_itself_for_every_length_of_ngram():
    text = words("a", "a b", "a b c d", "")
    for n in (1, 2, 3, 4, 5):
        assert AttestedNgrams(text, n).share(text[:3]).tolist() == [1, 1, 1]


def test_a_word_cannot_pose_as_the_start_of_a_sentence():
    known = AttestedNgrams(words("<s> a b"), 2)
    assert known.share(words("a b")).tolist() == pytest.approx([2 / 3])  # "a" opened no sentence


def test_short_sentences_are_one_ngram():
    known = AttestedNgrams(words("yes", "no no"), 4)
    assert known.share(words("yes", "no", "no no")).tolist() == [1, 0, 1]


def test_n_of_zero_is_an_error():
    with pytest.raises(ValueError, match="n=0 must be at least 1"):
        AttestedNgrams([], 0)
