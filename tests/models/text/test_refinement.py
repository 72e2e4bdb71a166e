import pytest
import torch

from neurode.data.text.sentence_batch import SentenceBatch
from neurode.models.latent_density import LatentDensity
from neurode.models.text.refinement import Refinement, StandardNormal, refine_codes
from tests.models.text.stand_in import StandIn, sentences


def test_sentences_that_come_back_wrong_come_back_exact_after_refinement():
    model, batch = StandIn(), sentences(40)
    before = [a == b for a, b in zip(words(batch), model.decode(model.code(batch)), strict=True)]
    after = refine_codes(model, batch)
    assert sum(before) < 25
    assert after.exact.all()
    assert model.decode(after.codes) == words(batch) == after.written == after.wanted


def words(batch: SentenceBatch) -> list[list[int]]:
    return [row[:n] for row, n in zip(batch.tokens.tolist(), batch.lengths.tolist(), strict=True)]


def test_each_right_word_leads_by_the_margin_that_is_left():
    model, batch = StandIn(), sentences(30, seed=1)
    for margin in (0.2, 1.5):
        after = refine_codes(model, batch, Refinement(margin=margin))
        left = margin * (1 - 2 * after.steps / Refinement().steps)
        assert (after.lead >= left).all()
        logits = model.token_logits(after.codes, batch)
        for row, sentence in enumerate(words(batch)):
            for place, word in enumerate([*sentence, 2]):
                others = torch.cat([logits[row, place, :word], logits[row, place, word + 1 :]])
                assert logits[row, place, word] - others.max() >= left[row] - 1e-5


def test_a_sentence_that_holds_is_left_where_it_is():
    model, batch = StandIn(), sentences(30, seed=2)
    refined = refine_codes(model, batch)
    again = refine_codes(model, batch, Refinement(margin=0.05), start=refined.codes)
    assert torch.equal(again.codes, refined.codes)
    assert (again.steps == 0).all()
    assert (again.shift == 0).all()


def test_a_sentence_leaves_as_soon_as_it_holds():
    model, batch = StandIn(), sentences(30, seed=3)
    refined = refine_codes(model, batch)
    assert len(set(refined.steps.tolist())) > 5
    assert model.calls == int(refined.steps.max()) + 1


def test_a_sentence_is_refined_the_same_alone_and_in_a_batch():
    model, batch = StandIn(), sentences(12, seed=4)
    together = refine_codes(model, batch, prior=StandardNormal())
    for row, sentence in enumerate(words(batch)):
        alone = refine_codes(model, SentenceBatch.of([sentence]), prior=StandardNormal())
        torch.testing.assert_close(alone.codes[0], together.codes[row], atol=1e-4, rtol=1e-4)
        assert int(alone.steps[0]) == int(together.steps[row])


def test_what_cannot_be_held_is_said_with_what_is_written_instead():
    model = StandIn(dim=2)  # two numbers do not hold five words
    batch = sentences(20, seed=5)
    refined = refine_codes(model, batch, Refinement(steps=30))
    said = refined.missed(lambda ids: " ".join(map(str, ids)))
    assert 0 < len(said) == int((~refined.exact).sum())
    row = int((~refined.exact).nonzero()[0])
    assert said[0] == (
        f"'{' '.join(map(str, words(batch)[row]))}' could not be held: the nearest the model writes is "
        f"'{' '.join(map(str, refined.written[row]))}'."
    )
    assert (refined.lead[~refined.exact] < 0).all()


def test_the_best_code_is_kept_and_not_the_last():
    model, batch = StandIn(dim=2), sentences(20, seed=5)
    leads = [refine_codes(model, batch, Refinement(steps=steps, stride=0.5)).lead for steps in (0, 5, 40)]
    assert (leads[1] >= leads[0]).all()
    assert (leads[2] >= leads[1]).all()


def test_the_prior_keeps_codes_nearer_to_where_it_is_dense():
    model, batch = StandIn(), sentences(40, seed=6)
    start = model.code(batch)
    free = refine_codes(model, batch, Refinement(margin=2.0, surprisal=0.0))
    pulled = Refinement(margin=2.0, surprisal=0.0, prior_weight=0.5)
    held = refine_codes(model, batch, pulled, prior=StandardNormal())
    assert held.codes.norm(dim=1).mean() < free.codes.norm(dim=1).mean()
    density = LatentDensity(model.dim, 1).fit(start)
    near = refine_codes(model, batch, Refinement(margin=2.0, surprisal=0.0, prior_weight=0.3), prior=density)
    assert density.log_density(near.codes).mean() > density.log_density(free.codes).mean()


def test_no_steps_only_report_how_things_stand():
    model, batch = StandIn(), sentences(10, seed=7)
    report = refine_codes(model, batch, Refinement(steps=0))
    assert torch.equal(report.codes, model.code(batch))
    assert report.exact.tolist() == [a == b for a, b in zip(words(batch), model.decode(report.codes), strict=True)]


def test_impossible_settings_are_refused():
    with pytest.raises(ValueError, match=r"stride=0 must be above 0"):
        Refinement(stride=0)
    with pytest.raises(ValueError, match=r"margin=-1 must not be negative"):
        Refinement(margin=-1)
    with pytest.raises(ValueError, match=r"start must be \(2, D\), a code a sentence; got \(3, 40\)"):
        refine_codes(StandIn(), sentences(2), start=torch.zeros(3, 40))
