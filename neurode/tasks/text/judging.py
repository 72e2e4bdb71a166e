"""What the trained judge learns from, in batches: real and corrupted sentences to tell apart."""

from collections.abc import Iterable, Sequence

import numpy as np

from neurode.data.batch import batch_members, num_batches
from neurode.models.text.corruptions import Corruptor
from neurode.models.text.discriminator import JudgedBatch

_VALIDATION_ROWS = 512
# Corruptions for validation are drawn once; no epoch has this number.
_VALIDATION_DRAW = 10**6


class JudgedData:
    """Real sentences and corruptions of them, drawn anew in every epoch; the protocol of `training.TrainingData`.

    A batch holds `batch_size` real sentences and one corruption of each. kinds: as `Corruptor.corrupt` takes them.
    Validation sentences are corrupted once.
    """

    def __init__(
        self,
        train: Sequence[Sequence[int]],
        validation: Sequence[Sequence[int]],
        corruptor: Corruptor,
        *,
        kinds: Sequence[str],
        batch_size: int,
        seed: int,
    ):
        self.train, self.validation = train, sorted(validation, key=len)
        self.corruptor, self.kinds = corruptor, tuple(kinds)
        self.batch_size, self.seed = batch_size, seed
        self._lengths = np.array([len(one) for one in train])

    @property
    def num_train_batches(self) -> int:
        return num_batches(len(self.train), self.batch_size)

    def train_batches(self, epoch: int, rank: int = 0, world: int = 1) -> Iterable[JudgedBatch]:
        members = batch_members(self._lengths, self.batch_size, self.seed, epoch, shuffle=True)
        return self._batches(self.train, [rows[rank::world] for rows in members], epoch)

    def validation_batches(self, rank: int = 0, world: int = 1) -> Iterable[JudgedBatch]:
        rows = np.arange(len(self.validation))[rank::world]
        count = max(num_batches(len(rows), _VALIDATION_ROWS), 1)
        return self._batches(self.validation, np.array_split(rows, count) if len(rows) else [], _VALIDATION_DRAW)

    def _batches(
        self, sentences: Sequence[Sequence[int]], members: Sequence[np.ndarray], draw: int
    ) -> Iterable[JudgedBatch]:
        drawn = self.corruptor.corrupt(sentences, seed=[self.seed, draw], kinds=self.kinds)
        found = {one.source: one for one in drawn}
        for rows in members:
            corrupted = [found[row] for row in rows.tolist() if row in found]
            yield JudgedBatch.of([sentences[row] for row in rows], corrupted, rows.tolist())
