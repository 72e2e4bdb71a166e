import numpy as np
import pytest

from neurode.tasks.text.measures.perplexity import barriers, perplexity, perplexity_ratio


def test_perplexity_of_equal_choices_is_their_number():
    assert perplexity([np.full(4, np.log(7)), np.full(2, np.log(7))]) == pytest.approx(7)


def test_perplexity_weighs_tokens_and_not_sentences():
    assert perplexity([np.array([1.0, 1.0, 1.0]), np.array([5.0])]) == pytest.approx(np.exp(2))


def test_the_ratio_of_a_text_to_itself_is_one():
    text = [np.array([0.5, 2.0]), np.array([3.0])]
    assert perplexity_ratio(text, text) == pytest.approx(1)
    assert perplexity_ratio([one + np.log(2) for one in text], text) == pytest.approx(2)


def test_no_sentence_is_an_error():
    with pytest.raises(ValueError, match="no sentence"):
        perplexity([])


def test_the_barrier_is_the_highest_interior_point_above_the_mean_of_the_ends():
    height = np.array([[1.0, 5.0, 2.0, 3.0], [4.0, 1.0, 1.0, 4.0], [2.0, 2.0, 2.0, 2.0]])
    assert barriers(height).tolist() == [5 - 2, 1 - 4, 0]


@pytest.mark.parametrize("shape", [(3,), (2, 2)])
def test_a_path_without_an_interior_is_an_error(shape):
    with pytest.raises(ValueError, match="at least 3 sentences"):
        barriers(np.zeros(shape))
