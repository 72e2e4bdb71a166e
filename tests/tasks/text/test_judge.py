import shutil
from dataclasses import replace

import numpy as np
import pytest

from neurode.core.errors import DataError
from neurode.data.text.grammar import Grammar
from neurode.models.text.corruptions import KINDS
from neurode.models.text.kneser_ney import KneserNey
from neurode.tasks.text.judge import JudgeSettings, TextJudge
from neurode.tasks.text.measures.references import shuffled

TINY = JudgeSettings(
    embedding_dim=16,
    hidden_dim=24,
    dropout=0.1,
    order=3,
    language_epochs=5,
    language_rate=1e-2,
    judge_epochs=5,
    judge_rate=5e-3,
    batch_size=50,
    shared_letters=None,
)
TEXT = Grammar().sample(900, seed=1, max_words=10)
STRANGERS = sorted(set(Grammar().sample(300, seed=2, max_words=10)) - set(TEXT))


@pytest.fixture(scope="module")
def judge() -> TextJudge:
    return TextJudge.train(TEXT, TINY, progress=False)


@pytest.fixture(scope="module")
def real(judge):
    return [judge.words(one) for one in STRANGERS]


def test_real_sentences_pass_and_shuffled_ones_do_not(judge, real):
    wrong = shuffled(real, seed=1)
    for passes in (
        lambda words: judge.acceptable(words).mean,
        lambda words: judge.acceptable(words, by="ngrams").mean,
        judge.accepts,
    ):
        assert passes(real).mean() > 0.8
        assert passes(wrong).mean() < 0.4


def test_held_out_sentences_of_its_own_pass_at_the_rate_asked_for(judge):
    assert judge.accepts(judge.held_out).mean() == pytest.approx(0.95, abs=0.03)
    assert judge.acceptable(judge.held_out).mean.mean() == pytest.approx(0.95, abs=0.03)


def test_the_check_says_how_well_each_kind_of_mistake_is_told(judge, real):
    found = judge.check(real)
    assert list(found.auroc) == list(found.accepted) == list(KINDS)
    assert found.auroc["shuffled"] > 0.9
    assert found.auroc["swapped"] > 0.6
    assert found.real > 0.8
    for kind in KINDS:
        assert found.accepted[kind] < found.real
    lines = found.table().splitlines()
    assert len(lines) == 2 + len(KINDS)
    assert f"{found.auroc['spliced']:.3f}" in next(line for line in lines if line.startswith("spliced"))


def test_the_check_may_draw_replaced_words_from_a_stranger(judge, real):
    asked = []

    class Spy(KneserNey):
        def next_word_probabilities(self, prefixes):
            asked.extend(prefixes)
            return super().next_word_probabilities(prefixes)

    stranger = Spy(judge.vocabulary.size, 2).fit(judge.ids(real))
    judge.check(real[:40], generator=stranger)
    assert len(asked) >= 40


def test_surprisals_are_one_a_word_and_one_for_the_end(judge, real):
    for by in ("network", "ngrams"):
        for words, found in zip(real, judge.surprisals(real, by=by), strict=True):
            assert found.shape == (len(words) + 1,)
            assert (found > 0).all()
    with pytest.raises(ValueError, match="by='letters' must be 'network' or 'ngrams'"):
        judge.surprisals(real, by="letters")


def test_words_it_never_learned_are_surprising_and_no_error(judge, real):
    strange = [("zyzzyva", *words[1:]) for words in real]
    assert judge.accepts(strange).mean() < judge.accepts(real).mean()
    assert np.mean([one[0] for one in judge.surprisals(strange)]) > np.mean([one[0] for one in judge.surprisals(real)])


def test_a_judge_reopened_judges_the_same(judge, real, tmp_path):
    again = TextJudge.load(judge.save(tmp_path / "judge"))
    assert np.array_equal(again.scores(real), judge.scores(real))
    assert np.array_equal(again.accepts(real), judge.accepts(real))
    for by in ("network", "ngrams"):
        ours, theirs = judge.acceptable(real, by=by), again.acceptable(real, by=by)
        assert np.array_equal(ours.strict, theirs.strict)
    assert again.settings == judge.settings


def test_the_saved_folder_holds_no_pickle(judge, tmp_path):
    folder = judge.save(tmp_path / "judge")
    assert sorted(path.name for path in folder.iterdir()) == [
        "discriminator.safetensors",
        "judge.json",
        "network.safetensors",
        "ngrams.npz",
    ]


@pytest.mark.parametrize("name", ["judge.json", "network.safetensors", "ngrams.npz"])
def test_a_damaged_folder_is_said_to_be_one(judge, tmp_path, name):
    folder = judge.save(tmp_path / "judge")
    (folder / name).write_bytes(b"no")
    with pytest.raises(DataError, match="no folder of a judge, or it is damaged"):
        TextJudge.load(folder)
    shutil.rmtree(folder)
    with pytest.raises(DataError, match="no folder of a judge"):
        TextJudge.load(folder)


def test_the_seed_decides():
    short = replace(TINY, language_epochs=1, judge_epochs=1)
    first, again, other = (TextJudge.train(TEXT[:200], replace(short, seed=seed), progress=False) for seed in (0, 0, 1))
    words = [first.words(one) for one in STRANGERS[:20]]
    assert np.array_equal(first.scores(words), again.scores(words))
    assert not np.array_equal(first.scores(words), other.scores(words))


def test_too_little_text_is_an_error():
    with pytest.raises(DataError, match="Give more sentences"):
        TextJudge.train(["a b", "a c"], TINY, progress=False)
