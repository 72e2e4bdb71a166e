"""Batches of sentences for training, and the memory of used ones."""

import numpy as np

from neurode.data.text.tokens import NUM_SPECIAL
from neurode.tasks.text.sentence_data import SentenceData, Used


def made(count: int) -> list[list[int]]:
    random = np.random.default_rng(0)
    return [random.integers(NUM_SPECIAL, 20, random.integers(1, 7)).tolist() for _ in range(count)]


def data() -> SentenceData:
    return SentenceData(
        made(50),
        made(21),
        train_numbers=np.arange(50) * 3,
        validation_numbers=np.arange(21) * 3 + 1,
        batch_size=8,
        seed=0,
    )


def test_an_epoch_holds_every_training_sentence_once_under_its_own_number():
    one = data()
    batches = list(one.train_batches(3))
    assert len(batches) == one.num_train_batches
    seen = {
        number: words for batch in batches for number, words in zip(batch.numbers.tolist(), batch.lists(), strict=True)
    }
    assert seen == dict(zip(range(0, 150, 3), made(50), strict=True))


def test_processes_share_training_and_validation_without_overlap():
    one = data()
    for batches in (lambda rank: one.train_batches(1, rank, 2), lambda rank: one.validation_batches(rank, 2)):
        numbers = [[n for batch in batches(rank) for n in batch.numbers.tolist()] for rank in (0, 1)]
        assert not set(numbers[0]) & set(numbers[1])
        assert len(numbers[0] + numbers[1]) in (50, 21)


def test_used_sentences_are_known_again_whatever_their_marks_and_capitals():
    used = Used.of(["The dog waits.", "A cat runs."])
    fresh = used.unused(["the dog waits!", "The dog runs.", "a cat, runs", "Cats run."])
    assert fresh.tolist() == [False, True, False, True]
    assert used.hashes.dtype == np.int64
