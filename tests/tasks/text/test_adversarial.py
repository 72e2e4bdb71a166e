import numpy as np
import pytest

from neurode.tasks.text.measures.adversarial import adversarial_error


def text(seed: int, count: int = 200, letters: str = "abcdef") -> list[list[str]]:
    generator = np.random.default_rng(seed)
    return [[letters[i] for i in generator.integers(len(letters), size=5)] for _ in range(count)]


def test_text_of_one_kind_cannot_be_told_apart():
    assert adversarial_error(text(0), text(1)) < 0.08


def test_a_word_that_only_one_side_uses_gives_it_away():
    assert adversarial_error([[*words, "z"] for words in text(0)], text(1)) > 0.48


def test_the_order_of_words_alone_gives_it_away():
    sentence = list("abcdef")
    made = [sentence[k:] + sentence[:k] for k in np.random.default_rng(0).integers(6, size=200)]
    real = [one[::-1] for one in made]
    assert adversarial_error(made, real) > 0.48


def test_a_paths_own_words_are_no_clue_when_its_sentences_stay_together():
    made = [[f"w{i // 10}", *words] for i, words in enumerate(text(0, 400))]
    real = [[f"r{i}", *words] for i, words in enumerate(text(1, 400))]
    paths = [i // 10 for i in range(400)]
    assert adversarial_error(made, real, groups=paths) < 0.1 < 0.4 < adversarial_error(made, real)


def test_sides_of_different_size_count_equally():
    assert adversarial_error(text(0, 400), text(1, 60)) < 0.15
    assert adversarial_error([["z"]] * 30, text(1, 400)) > 0.45


def test_the_result_is_a_function_of_the_seed():
    assert adversarial_error(text(0), text(1), seed=3) == adversarial_error(text(0), text(1), seed=3)


def test_too_little_text_is_an_error():
    with pytest.raises(ValueError, match="5 folds need at least 10 sentences on each side, got 9 and 50"):
        adversarial_error(text(0, 9), text(1, 50))


def test_groups_of_another_number_are_an_error():
    with pytest.raises(ValueError, match="one number for each of the 20 sentences, got 3"):
        adversarial_error(text(0, 20), text(1, 20), groups=[1, 2, 3])
