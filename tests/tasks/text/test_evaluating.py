"""Scores of a sentence model: pairs, rows beside references, samples, verdicts."""

import json
from dataclasses import replace

import numpy as np
import pytest

from neurode.core.errors import DataError
from neurode.tasks.text.evaluating.kinds import DOCUMENTED, TEXTBOOK, path_kinds
from neurode.tasks.text.evaluating.pairs import draw_pairs
from neurode.tasks.text.evaluating.samples import reverse_perplexity
from neurode.tasks.text.evaluating.verdicts import verdicts
from neurode.tasks.text.evaluation_results import TEXT, PathRow
from neurode.tasks.text.grammar_judge import GrammarJudge
from neurode.tasks.text.measures.path_figures import MEASURES, PathFigures
from neurode.tasks.text.phrases import Phrase
from tests.tasks.text.toy_text import grammar, toy_sentences, trained


@pytest.fixture(scope="module")
def judge():
    return GrammarJudge(grammar(), max_words=5)


@pytest.fixture(scope="module")
def evaluation(toy, judge):
    return toy.evaluate(judge=judge, pairs=12, steps=7)


def test_every_kind_of_path_stands_beside_the_references(toy, evaluation):
    names = [row.name for row in evaluation.rows]
    assert names[:5] == [TEXTBOOK.name, "linear", "spherical", "flow", "metric"]
    assert names[-4:] == ["real sentences", "their words shuffled", "splice", "retrieval"]
    assert evaluation.num_pairs == 12
    assert [one.name for one in path_kinds(toy.fitted)] == list(evaluation.kinds) == names[:7]


def test_refined_ends_are_exact_and_the_references_score_as_they_must(evaluation):
    row = {one.name: one.values for one in evaluation.rows}
    assert row["flow"]["exact"] == 1 > row[TEXTBOOK.name]["exact"]
    assert row["flow"]["accepted"] > 0.85
    assert row["their words shuffled"]["accepted"] < 0.1
    assert row["splice"]["accepted"] < row["linear"]["accepted"]
    assert row["retrieval"]["copied"] == 1
    assert np.isnan(row["real sentences"]["jump"])


def test_points_by_the_text_are_more_distinct_on_the_same_paths(evaluation):
    row = {one.name: one.figures.of_paths["distinct"] for one in evaluation.rows}
    assert (row["linear, points by the text"] >= row["linear"]).all()
    assert row["linear, points by the text"].mean() > row["linear"].mean()


def test_the_latent_check_belongs_to_paths_with_codes(evaluation):
    for row in evaluation.rows[:7]:
        assert row.radius.shape == row.density.shape == (12,)
        assert (row.radius > 0).all()
    assert all(row.radius is None for row in evaluation.rows[7:])


def test_even_paths_have_a_curve_of_surprisal(evaluation):
    curves = {row.name: row.curve for row in evaluation.rows}
    assert curves["flow"].shape == (7,)
    assert curves["flow, points by the text"] is None
    assert (curves["flow"] > 0).all()


def test_made_sentences_are_scored_by_prior_beside_real_ones(evaluation):
    real, normal, flow = evaluation.samples
    assert [one.name for one in evaluation.samples] == ["real sentences", "normal", "flow"]
    assert flow.accepted > normal.accepted
    assert flow.forward < normal.forward
    assert (real.copied, len(flow.examples)) == (0, 12)


def test_an_evaluation_is_json_and_a_table(evaluation):
    plain = json.loads(json.dumps(evaluation.to_dict(), allow_nan=False))
    assert plain["rows"][0]["name"] == TEXTBOOK.name
    assert {"exact", "accepted", "radius"} <= set(plain["rows"][0])
    assert evaluation.to_frame()["group"].tolist().count("path") == 7
    assert evaluation.information["exact"] == pytest.approx(evaluation.rows[0].values["exact"], abs=0.35)


def test_scores_come_from_sentences_that_nothing_has_used(toy, evaluation):
    used = toy.fitted.used
    shown = [one for paths in evaluation.examples for one in (paths[0].start, paths[0].end)]
    assert used.unused(shown).all()
    assert evaluation.notes[0].startswith("Scored on ")


def test_another_text_is_scored_and_said_to_be_another(toy, judge):
    found = toy.evaluate(toy_sentences(120, seed=5), judge=judge, pairs=4, steps=4)
    assert "of another text than the one it was trained on" in found.notes[0]


def test_another_model_is_walked_between_the_same_sentences(toy, judge):
    poor = trained(epochs=1, flow_steps=0, flow={})
    found = toy.evaluate(judge=judge, pairs=6, steps=5, beside={"poor": poor})
    row = {one.name: one for one in found.rows}
    assert row[f"poor, {TEXTBOOK.name}"].values["exact"] < row[TEXTBOOK.name].values["exact"]
    assert row["poor, linear, points by the text"].group == "beside"


def test_a_text_without_unseen_sentences_is_refused(toy, judge):
    seen = toy.fitted.used
    old = [one for one in toy_sentences() if not seen.unused([one])[0]]
    with pytest.raises(DataError, match="0 sentences of this text are new .* at least 8 are needed"):
        toy.evaluate(old, judge=judge)


def test_a_model_without_judges_says_so(toy):
    with pytest.raises(DataError, match="trained without judges, so nothing scores it"):
        toy.evaluate()
    with pytest.raises(DataError, match="trained without judges"):
        toy.score("the dog waits")


def phrases(sentences):
    return [Phrase(" ".join(map(str, one)), tuple(one)) for one in sentences]


def test_pairs_use_each_sentence_once_and_hold_thirds_of_equal_length_and_shared_words():
    random = np.random.default_rng(0)
    made = phrases([tuple(random.integers(4, 900, random.integers(2, 9))) for _ in range(600)])
    pairs = draw_pairs(made, 90)
    assert len(pairs) == 90
    assert len({one.text for pair in pairs for one in pair}) == 180
    equal = [len(a.ids) == len(b.ids) for a, b in pairs]
    shared = [bool(set(a.ids) & set(b.ids)) for a, b in pairs]
    assert all(equal[30:60])
    assert sum(equal[:30]) < 15
    assert sum(shared[60:]) > 20 > sum(shared[:60])
    assert draw_pairs(made, 90) == pairs
    assert draw_pairs(made, 90, seed=1) != pairs


def test_no_pair_joins_a_sentence_to_itself_and_few_sentences_give_few_pairs():
    assert draw_pairs(phrases([(4, 5), (4, 5), (4, 5)]), 10) == []
    assert len(draw_pairs(phrases([(4,), (5,), (6,)]), 10)) == 1


def test_text_that_lacks_variety_has_a_high_reverse_perplexity():
    random = np.random.default_rng(0)
    real = [tuple(f"w{k}" for k in random.integers(0, 12, 5)) for _ in range(400)]
    assert reverse_perplexity([real[0]] * 400, real) > 2 * reverse_perplexity(real, real)


def made_row(name, **values):
    paths = {one.key: np.full(20, values.get(one.key, 0.5)) for one in MEASURES}
    return PathRow(name, "path", PathFigures(paths, {}))


def test_verdicts_say_where_the_straight_line_or_a_reference_wins():
    rows = [made_row(name) for name in (TEXTBOOK.name, "linear", "spherical", "metric", "real sentences")]
    rows += [made_row("flow", accepted=0.4, distinct=0.9), made_row(DOCUMENTED.name, accepted=0.6)]
    rows += [made_row("splice", accepted=0.7), made_row("retrieval", jump=0.9, monotony=0.1)]
    said = " ".join(verdicts(rows))
    assert "ahead in distinct sentences, behind in what the trained judge passes" in said
    assert "The splice does as well or better in what the trained judge passes" in said
    assert "retrieval" not in said


def test_sentences_that_are_no_path_have_no_way_to_be_scored():
    assert np.isnan(replace(made_row("x"), group=TEXT).values["jump"])
    assert made_row("x").values["jump"] == 0.5


def test_the_grammar_judges_exactly_and_its_surprisals_are_finite(judge):
    words = [("the", "dog", "waits"), ("dog", "the", "waits"), ("the", "yeti", "waits"), ()]
    assert judge.accepts(words).tolist() == [True, False, False, False]
    assert judge.acceptable(words).mean.tolist() == [True, False, False, False]
    means = [one.mean() for one in judge.surprisals(words)]
    assert means[0] < means[1]
    assert np.isfinite(means).all()
