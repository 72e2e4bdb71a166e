"""Sentences as ids in the batches that training asks for, and the memory of which ones were used."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np

from neurode.data.batch import num_batches
from neurode.data.text.near_duplicates import normal_form
from neurode.data.text.sentence_batch import SentenceBatch, sentence_batches

_HELD = 512
"""Sentences in a batch that is only scored."""


class SentenceData:
    """Training and validation sentences, the protocol of `training.TrainingData`.

    train, validation: lists of ids. train_numbers, validation_numbers: the place of each in its corpus, which keys its
    noise; default their places in these lists. Which sentences form a batch depends on (seed, epoch) alone; each
    process takes its share.
    """

    def __init__(
        self,
        train: Sequence[Sequence[int]],
        validation: Sequence[Sequence[int]],
        *,
        batch_size: int,
        seed: int,
        train_numbers: np.ndarray | None = None,
        validation_numbers: np.ndarray | None = None,
    ):
        self.train, self.validation = list(train), list(validation)
        self.train_numbers = np.arange(len(train)) if train_numbers is None else train_numbers
        self.validation_numbers = np.arange(len(validation)) if validation_numbers is None else validation_numbers
        self.batch_size, self.seed = batch_size, seed

    @property
    def num_train_batches(self) -> int:
        return num_batches(len(self.train), self.batch_size)

    def train_batches(self, epoch: int, rank: int = 0, world: int = 1) -> Iterable[SentenceBatch]:
        return sentence_batches(
            self.train,
            self.batch_size,
            seed=self.seed,
            epoch=epoch,
            rank=rank,
            world=world,
            numbers=self.train_numbers.tolist(),
        )

    def validation_batches(self, rank: int = 0, world: int = 1) -> Iterable[SentenceBatch]:
        mine = slice(rank, None, world)
        # Of similar lengths together: nothing is drawn here, so the order is free.
        order = sorted(range(len(self.validation)), key=lambda row: len(self.validation[row]))[mine]
        return sentence_batches(
            [self.validation[row] for row in order],
            _HELD,
            shuffle=False,
            numbers=[int(self.validation_numbers[row]) for row in order],
        )


@dataclass(frozen=True, eq=False)
class Used:
    """The sentences that trained, stopped or judged a model, by 8-byte hashes, so that figures never come from them.

    hashes: (n,) int64, increasing; of the words alone, so that marks and capitals do not make a used sentence new.
    """

    hashes: np.ndarray

    @classmethod
    def of(cls, sentences: Iterable[str]) -> "Used":
        return cls(np.unique(_hashes(sentences)))

    def unused(self, sentences: Sequence[str]) -> np.ndarray:
        """Which of `sentences` were not used: (n,) bool."""
        return ~np.isin(_hashes(sentences), self.hashes)


def _hashes(sentences: Iterable[str]) -> np.ndarray:
    found = [
        int.from_bytes(blake2b(" ".join(normal_form(one)[0]).encode(), digest_size=8).digest(), "little", signed=True)
        for one in sentences
    ]
    return np.array(found, np.int64)
