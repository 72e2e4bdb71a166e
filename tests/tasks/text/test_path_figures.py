import numpy as np
import pytest

from neurode.tasks.text.measures.acceptability import Acceptance
from neurode.tasks.text.measures.attested import AttestedNgrams
from neurode.tasks.text.measures.path_figures import MEASURES, measure_paths
from neurode.tasks.text.measures.references import splice_path


class WordJudge:
    """Every word costs 1 nat, "bad" 5 and the end 1; a sentence is right without "bad"."""

    def surprisals(self, sentences):
        return [np.array([5.0 if word == "bad" else 1.0 for word in [*sentence, None]]) for sentence in sentences]

    def acceptable(self, sentences):
        right = np.array(["bad" not in sentence for sentence in sentences])
        return Acceptance(right, right & np.array([len(sentence) > 1 for sentence in sentences]))

    def accepts(self, sentences):
        return np.array(["bad" not in sentence for sentence in sentences])


TEXT = [f"{who} {does} the {what}".split() for who in "ABCDE" for does in ("sees", "likes") for what in ("cat", "dog")]


def measured(paths, wanted=None, **settings):
    wanted = wanted or [(path[0], path[-1]) for path in paths]
    return measure_paths(
        paths, wanted, WordJudge(), training=TEXT, attested=AttestedNgrams(TEXT), real=TEXT, **settings
    )


def path(*texts):
    return [text.split() for text in texts]


GOOD = path("A sees the cat", "A sees the dog", "B sees the dog", "B likes the dog")
BAD = path("A sees the cat", "A sees bad cat", "A sees bad cat", "B likes the dog")


def test_a_row_holds_every_measure_and_the_figures_of_all():
    found = measured([GOOD, BAD])
    assert set(found.of_paths) == {one.key for one in MEASURES}
    assert all(values.shape == (2,) for values in found.of_paths.values())
    assert set(found.row()) == {*found.of_paths, "perplexity", "ratio", "adversarial", "distinct_2", "bleu"}


def test_figures_of_a_good_and_a_bad_path():
    found = measured([GOOD, BAD])
    expected = {
        "exact": [1, 1],
        "f1": [1, 1],
        "acceptable": [1, 0],
        "strict": [1, 0],
        "accepted": [1, 0],
        "barrier": [0, 0.8],  # 9 nats over 5 tokens against 1 a token
        "distinct": [1, 0.5],
        "at_ends": [0, 0],
        "copied": [1, 0],
        "jump": [1 / 3, 4 / 5],
        "jump_words": [1 / 3, 4 / 3],
        "directness": [1, 3 / 5],
        "length_departure": [0, 0],
    }
    for key, values in expected.items():
        assert found.of_paths[key] == pytest.approx(values), key
    assert found.of_paths["attested"] == pytest.approx([1, 0.25])  # of 4 trigrams, "start A sees" alone
    assert found.of_all["perplexity"] == pytest.approx(np.exp((5 + 5 + 9 + 9) / 20))
    assert found.of_all["ratio"] == pytest.approx(np.exp(8 / 20))


def test_ends_are_compared_with_what_was_wanted():
    found = measured([GOOD], wanted=[(GOOD[0], ["B", "likes", "the", "cat"])])
    assert found.of_paths["exact"].tolist() == [0.5]
    assert found.of_paths["f1"].tolist() == [0.875]
    assert found.of_all["bleu"] < 1


def test_medians_stand_where_the_table_says_so():
    paths = [GOOD, GOOD, path("A x", "A x", "A x", "C y")]
    assert measured(paths).row()["jump"] == pytest.approx(1 / 3)


def test_splices_are_faithful_and_smooth():
    paths = [splice_path(TEXT[i], TEXT[-1 - i], 5) for i in range(5)]
    row = measured(paths).row()
    assert row["exact"] == 1
    assert row["monotony"] > 0.9


def test_too_few_paths_give_no_adversarial_error_and_enough_do():
    assert np.isnan(measured([GOOD]).of_all["adversarial"])
    many = [splice_path(TEXT[i], TEXT[-1 - i], 5) for i in range(10)]
    assert 0 <= measured(many).of_all["adversarial"] <= 0.5


def test_uneven_paths_are_an_error():
    with pytest.raises(ValueError, match=r"same number of sentences, at least 3; got \[3, 4\]"):
        measured([GOOD, GOOD[:3]])
    with pytest.raises(ValueError, match="1 pairs were wanted for 2 paths"):
        measured([GOOD, GOOD], wanted=[(GOOD[0], GOOD[-1])])
