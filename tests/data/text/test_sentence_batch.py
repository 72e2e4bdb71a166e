"""Lists of ids side by side, and the order in which training sees them."""

import pytest
import torch

from neurode.data.text.sentence_batch import SentenceBatch, sentence_batches
from neurode.data.text.tokens import END, PAD, UNKNOWN

LISTS = [[5, 6, 7], [8], [], [UNKNOWN, 9]]


def test_a_batch_is_padded_on_the_right_and_knows_lengths_and_numbers():
    batch = SentenceBatch.of(LISTS)
    assert batch.tokens.tolist() == [[5, 6, 7], [8, 0, 0], [0, 0, 0], [3, 9, 0]]
    assert batch.lengths.tolist() == [3, 1, 0, 2]
    assert batch.numbers.tolist() == [0, 1, 2, 3]
    assert batch.tokens.dtype == batch.lengths.dtype == batch.numbers.dtype == torch.int64
    assert batch.mask.sum(1).tolist() == [3, 1, 0, 2]
    assert batch.lists() == LISTS
    assert len(batch) == 4
    assert SentenceBatch.of([[]]).tokens.shape == (1, 1)


def test_rows_are_picked_with_their_numbers_and_less_padding():
    batch = SentenceBatch.of(LISTS, numbers=[10, 11, 12, 13]).rows([3, 1])
    assert batch.tokens.tolist() == [[3, 9], [8, 0]]
    assert batch.numbers.tolist() == [13, 11]
    moved = batch.to("cpu")
    assert moved.lists() == [[3, 9], [8]]
    assert batch.rows(torch.tensor([False, False])).tokens.shape == (0, 1)


def test_a_batch_refuses_what_is_no_sentence():
    with pytest.raises(ValueError, match="at least one sentence; got none"):
        SentenceBatch.of([])
    for special in (PAD, END):
        with pytest.raises(ValueError, match=f"words only, ids from 3 on; got {special}"):
            SentenceBatch.of([[5, special]])
    with pytest.raises(ValueError, match=r"numbers must hold one per sentence \(4\); got shape \(1,\)"):
        SentenceBatch.of(LISTS, numbers=[1])


def many():
    return [[4 + n] * (1 + n % 7) for n in range(50)]


def test_an_epoch_holds_each_sentence_once_in_an_order_of_its_own():
    first = list(sentence_batches(many(), 8, seed=1, epoch=0))
    seen = torch.cat([batch.numbers for batch in first]).tolist()
    assert sorted(seen) == list(range(50))
    assert all(batch.lists()[0] == many()[int(batch.numbers[0])] for batch in first)
    again = torch.cat([batch.numbers for batch in sentence_batches(many(), 8, seed=1, epoch=0)]).tolist()
    other = torch.cat([batch.numbers for batch in sentence_batches(many(), 8, seed=1, epoch=1)]).tolist()
    assert again == seen
    assert other != seen
    assert {len(batch) for batch in first} <= {7, 8}


def test_processes_share_every_batch_and_numbers_can_be_given():
    whole = list(sentence_batches(many(), 8, numbers=range(100, 150)))
    parts = [list(sentence_batches(many(), 8, numbers=range(100, 150), rank=rank, world=2)) for rank in range(2)]
    for batch, left, right in zip(whole, *parts, strict=True):
        assert sorted(batch.numbers.tolist()) == sorted(left.numbers.tolist() + right.numbers.tolist())
    plain = list(sentence_batches(many(), 20, shuffle=False))
    assert torch.cat([batch.numbers for batch in plain]).tolist() == list(range(50))
    assert list(sentence_batches([], 4)) == []
    with pytest.raises(ValueError, match="a batch holds 1 sentences, too few for 2 processes"):
        list(sentence_batches(many()[:1], 4, world=2))
    with pytest.raises(ValueError, match="batch_size must be at least 1"):
        list(sentence_batches(many(), 0))
