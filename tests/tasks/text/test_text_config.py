"""Settings of a sentence model, checked; and what is chosen where they are left open."""

import pytest

from neurode.core.errors import DataError
from neurode.tasks.text.choices import choose, vocabulary_size
from neurode.tasks.text.config import TextConfig


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"hiden_dim": 3}, "unknown setting 'hiden_dim'. Settings: epochs"),
        ({"kind": "gan"}, "kind: .*Got 'gan'"),
        ({"epochs": 0}, "epochs: .*Got 0"),
        ({"validation": 0.3, "judge": 0.4, "pairs": 0.2}, r"= 0.9 leaves less than a fifth .* Lower them"),
        ({"min_words": 9, "max_words": 4}, "max_words=4 is below min_words=9"),
        ({"tokenizer": "subwords", "case": "lower"}, "case='lower' has no effect with subwords"),
        ({"flow_steps": 0, "flow": {"hidden": [3]}}, "flow_steps=0 trains no flow prior, so settings in flow"),
    ],
)
def test_a_setting_that_cannot_be_or_has_no_effect_is_refused_in_a_sentence(settings, says):
    with pytest.raises(DataError, match=says):
        TextConfig.checked(settings)


def test_what_is_left_open_is_chosen_by_the_size_of_the_text():
    small, large = (choose(TextConfig(), size) for size in (1_000, 75_000))
    assert (small.batch_size, small.epochs) == (16, 96)
    assert (large.batch_size, large.epochs) == (128, 11)
    assert "batches of 128 sentences, at most 11 epochs" in large.sentences[0]


def test_what_is_set_is_kept_and_not_told_again():
    chosen = choose(TextConfig(epochs=3, batch_size=7), 1000)
    assert (chosen.epochs, chosen.batch_size, chosen.sentences) == (3, 7, ())


def test_words_and_subwords_have_sizes_of_their_own():
    assert vocabulary_size(TextConfig()) == 20_000
    assert vocabulary_size(TextConfig(tokenizer="subwords")) == 8_000
    assert vocabulary_size(TextConfig(vocabulary=50)) == 50
