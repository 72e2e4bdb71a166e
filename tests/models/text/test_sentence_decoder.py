import pytest
import torch

from neurode.data.text.sentence_batch import SentenceBatch
from neurode.data.text.tokens import END, START
from neurode.models.text.sentence_decoder import SentenceDecoder, targets_of
from tests.models.text.made_sentences import made_batch

KINDS = [{"cell": cell, "tied": tied} for cell in ("gru", "lstm") for tied in (True, False)]


def a_decoder(**options) -> SentenceDecoder:
    torch.manual_seed(0)
    return SentenceDecoder(20, 5, 7, 4, **options).double()


@pytest.mark.parametrize("options", KINDS)
@pytest.mark.parametrize("places", [1, 6])
def test_writing_step_by_step_gives_the_logits_of_reading_the_whole_sentence(options, places):
    batch, decoder = made_batch(5, 5, 5), a_decoder(**options)
    codes, plan = torch.randn(3, 4).double(), torch.randn(3, places, 4).double()
    whole = decoder.logits(decoder.features(batch.tokens, codes, plan))
    steps = decoder.begin(codes, plan)
    before = torch.full((3,), START)
    for place in range(6):
        torch.testing.assert_close(steps.advance(before, place), whole[place])
        before = batch.tokens[:, min(place, 4)]


@pytest.mark.parametrize("options", KINDS)
def test_rows_can_be_left_out_and_put_in_another_order(options):
    batch, decoder = made_batch(3, 3, 3), a_decoder(**options)
    codes, plan = torch.randn(3, 4).double(), torch.randn(3, 4, 4).double()
    whole = decoder.logits(decoder.features(batch.tokens, codes, plan))
    steps = decoder.begin(codes, plan)
    steps.advance(torch.full((3,), START), 0)
    steps.keep(torch.tensor([2, 0]))
    torch.testing.assert_close(steps.advance(batch.tokens[[2, 0], 0], 1), whole[1, [2, 0]])
    # Of two beams of one sentence only the state moves: the plan is the sentence's.
    steps = decoder.begin(codes[[1, 1]], plan[[1, 1]])
    steps.advance(torch.tensor([START, 9]), 0)
    steps.reorder(torch.tensor([0, 0]))
    torch.testing.assert_close(steps.advance(batch.tokens[[1, 1], 0], 1), whole[1, [1, 1]])


def test_a_word_is_told_nothing_of_the_words_behind_it():
    decoder = a_decoder()
    codes, plan = torch.randn(1, 4).double(), torch.randn(1, 1, 4).double()
    one = decoder.features(torch.tensor([[4, 5, 6, 7]]), codes, plan)
    other = decoder.features(torch.tensor([[4, 5, 9, 8]]), codes, plan)
    assert torch.equal(one[:3], other[:3])
    assert not torch.allclose(one[3], other[3])


def test_the_plan_is_read_at_each_place():
    decoder = a_decoder()
    codes, plan = torch.randn(1, 4).double(), torch.randn(1, 5, 4).double()
    one = decoder.features(torch.tensor([[4, 5, 6, 7]]), codes, plan)
    changed = plan.clone()
    changed[0, 3] += 1
    other = decoder.features(torch.tensor([[4, 5, 6, 7]]), codes, changed)
    assert torch.equal(one[:3], other[:3])
    assert not torch.allclose(one[3], other[3])


def test_targets_end_with_end_and_padding_does_not_count():
    targets, counted = targets_of(SentenceBatch.of([[7, 8, 9], [5], []]))
    assert targets.T[0].tolist() == [7, 8, 9, END]
    assert targets.T[1, :2].tolist() == [5, END]
    assert counted.T.tolist() == [[True] * 4, [True, True, False, False], [True, False, False, False]]
    assert targets.T[2, 0] == END


def test_tied_words_are_one_tensor():
    tied, untied = a_decoder(tied=True), a_decoder(tied=False)
    assert tied.out_weight is tied.words.weight
    assert untied.out_weight is not untied.words.weight
    assert untied.out_weight.shape == (20, 7)
