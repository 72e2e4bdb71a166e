import pytest
import torch

from neurode.data.text.sentence_batch import SentenceBatch
from neurode.models.text.sentence_encoder import SentenceEncoder
from tests.models.text.made_sentences import made_batch, padded


def an_encoder(**options) -> SentenceEncoder:
    torch.manual_seed(0)
    return SentenceEncoder(20, 5, 7, 4, **options).double()


KINDS = [{"cell": cell, "pooling": pooling} for cell in ("gru", "lstm") for pooling in ("max", "mean")]


@pytest.mark.parametrize("options", KINDS)
def test_a_code_is_the_same_alone_in_any_batch_and_with_any_padding(options):
    batch, encoder = made_batch(3, 7, 1, 5), an_encoder(**options)
    whole = encoder(batch.tokens, batch.lengths)
    assert whole.shape == (4, 4)
    longer = padded(batch, 3)
    torch.testing.assert_close(encoder(longer.tokens, longer.lengths), whole)
    for row in range(4):
        alone = batch.rows([row])
        torch.testing.assert_close(encoder(alone.tokens, alone.lengths)[0], whole[row])


@pytest.mark.parametrize("options", KINDS)
def test_both_walks_and_the_pooling_agree_with_a_loop_over_words(options):
    batch, encoder = made_batch(4), an_encoder(**options)
    vectors = encoder.words(batch.tokens[0])
    walks = (encoder.forward_walk, [0, 1, 2, 3]), (encoder.backward_walk, [3, 2, 1, 0])
    states = [walk(vectors[order])[0] for walk, order in walks]
    both = torch.cat(states, dim=1)
    pooled = both.amax(0) if options["pooling"] == "max" else both.mean(0)
    torch.testing.assert_close(encoder(batch.tokens, batch.lengths)[0], encoder.head(pooled))


def test_a_sentence_without_words_has_a_finite_code():
    code = an_encoder()(*(getattr(SentenceBatch.of([[], [5]]), name) for name in ("tokens", "lengths")))
    assert torch.isfinite(code).all()


def test_dropped_components_of_word_vectors_do_not_matter():
    batch, encoder = made_batch(4), an_encoder()
    keep = torch.ones(1, 5, dtype=torch.float64)
    keep[0, 2] = 0
    before = encoder(batch.tokens, batch.lengths, keep)
    with torch.no_grad():
        encoder.words.weight[:, 2] += 1
    torch.testing.assert_close(encoder(batch.tokens, batch.lengths, keep), before)
    with torch.no_grad():
        encoder.words.weight[:, 1] += 1
    assert not torch.allclose(encoder(batch.tokens, batch.lengths, keep), before)
