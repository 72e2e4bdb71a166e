"""Series in model units as the batches that training asks for."""

from collections.abc import Iterable, Sequence

import numpy as np
import torch

from neurode.data.batch import Batch, batches, num_batches
from neurode.data.series import Series
from neurode.tasks.series.predictor import series_number

_VALIDATION_DRAWS = 256
"""Validation series are shown several times, each with other cells hidden, until about so many tasks judge an epoch."""


class SeriesBatches:
    """Training and validation batches, the protocol of `training.TrainingData`.

    train, validation: series in model units. Every series is numbered by its key, so that what is hidden of it and
    its noise do not depend on its place. All processes together see the same set of series at each step, whatever
    their number.
    """

    def __init__(self, train: Sequence[Series], validation: Sequence[Series], *, batch_size: int, seed: int):
        self.train, self.batch_size, self.seed = list(train), batch_size, seed
        self.train_index = np.array([series_number(one.key) for one in train], dtype=np.int64)
        repeats = max(1, min(8, _VALIDATION_DRAWS // max(1, len(validation))))
        self.validation = [one for one in validation for _ in range(repeats)]
        self.validation_index = np.array(
            [series_number((*one.key, "draw", draw)) for one in validation for draw in range(repeats)], dtype=np.int64
        )

    @property
    def num_train_batches(self) -> int:
        return num_batches(len(self.train), self.batch_size)

    def train_batches(self, epoch: int, rank: int = 0, world: int = 1) -> Iterable[Batch]:
        return batches(
            self.train,
            self.batch_size,
            seed=self.seed,
            epoch=epoch,
            rank=rank,
            world=world,
            index=self.train_index,
        )

    def validation_batches(self, rank: int = 0, world: int = 1) -> Iterable[Batch]:
        mine = slice(rank, None, world)
        return batches(
            self.validation[mine],
            max(64, self.batch_size),
            shuffle=False,
            dtype=torch.float32,
            index=self.validation_index[mine],
        )
