"""Series in model units as the batches that training asks for."""

from collections.abc import Iterable, Sequence

import numpy as np
import torch

from neurode.data.batch import Batch, batches, num_batches
from neurode.data.scaling import Scaling
from neurode.data.series import Series
from neurode.tasks.series.levels import random_level, without
from neurode.tasks.series.predictor import series_number

_VALIDATION_DRAWS = 256
"""Validation series are shown several times, each with other cells hidden, until about so many tasks judge an epoch."""


class SeriesBatches:
    """Training and validation batches, the protocol of `training.TrainingData`.

    train, validation: series in model units; with `scaling`, in the user's units. levels: None, or the typical levels
    (needs `scaling`), where series are read relative to their own; the level of each training series is then drawn anew
    in every epoch. Every series is numbered by its key, so that what is hidden of it and its noise do not depend on its
    place. All processes together see the same set of series at each step, whatever their number.
    """

    def __init__(
        self,
        train: Sequence[Series],
        validation: Sequence[Series],
        *,
        batch_size: int,
        seed: int,
        scaling: Scaling | None = None,
        levels: np.ndarray | None = None,
    ):
        if levels is not None and scaling is None:
            raise ValueError("levels are in the user's units: pass scaling, and series in the user's units, with them.")
        self.source, self.scaling, self.levels = list(train), scaling, levels
        self.batch_size, self.seed = batch_size, seed
        self.train = self._in_model_units(train)
        self.train_index = np.array([series_number(one.key) for one in train], dtype=np.int64)
        repeats = max(1, min(8, _VALIDATION_DRAWS // max(1, len(validation))))
        repeated = [(one, series_number((*one.key, "draw", draw))) for one in validation for draw in range(repeats)]
        self.validation_index = np.array([number for _, number in repeated], dtype=np.int64)
        shown = [one for one, _ in repeated]
        self.validation = self._in_model_units(shown)

    def _in_model_units(self, series: Sequence[Series], epoch: int = 0) -> list[Series]:
        """The series in model units, less a level drawn from (seed, epoch) where levels are relative."""
        if self.scaling is None:
            return list(series)
        if self.levels is not None:
            random = np.random.default_rng([self.seed, epoch, 3])
            series = [without(one, random_level(one, random), self.levels) for one in series]
        return [self.scaling.to_model(one) for one in series]

    @property
    def num_train_batches(self) -> int:
        return num_batches(len(self.train), self.batch_size)

    def train_batches(self, epoch: int, rank: int = 0, world: int = 1) -> Iterable[Batch]:
        return batches(
            self.train if self.levels is None else self._in_model_units(self.source, epoch),
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
