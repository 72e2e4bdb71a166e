"""Labelled data made ready for training: split, scaled on the training part, cut into batches."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from neurode.core.errors import DataError
from neurode.data.labelled import LabelledBatch, LabelledData
from neurode.tasks.comparison.config import ComparisonConfig


@dataclass(frozen=True, eq=False)
class Samples:
    """One part of the data, scaled: inputs (N, ...) and targets (N,)."""

    inputs: torch.Tensor
    targets: torch.Tensor

    def __len__(self) -> int:
        return len(self.inputs)

    def batches(self, size: int) -> Iterator[LabelledBatch]:
        """In order."""
        for start in range(0, len(self), size):
            yield self._batch(torch.arange(start, min(start + size, len(self))))

    def shuffled(self, size: int, seed: int, epoch: int) -> Iterator[LabelledBatch]:
        """In an order that is a function of seed and epoch. A last batch of fewer than half the size joins none."""
        generator = torch.Generator().manual_seed(seed * 100_003 + epoch)
        order = torch.randperm(len(self), generator=generator)
        for start in range(0, max(1, len(self) - size // 2 + 1), size):
            yield self._batch(order[start : start + size])

    def num_batches(self, size: int) -> int:
        return len(range(0, max(1, len(self) - size // 2 + 1), size))

    def _batch(self, numbers: torch.Tensor) -> LabelledBatch:
        return LabelledBatch(self.inputs[numbers], self.targets[numbers], numbers)


@dataclass(frozen=True, eq=False)
class PreparedData:
    """train and test, scaled by the training part. shift, scale: of the inputs, that broadcast against a sample."""

    train: Samples
    test: Samples
    shift: np.ndarray
    scale: np.ndarray
    number: bool


def prepare(data: LabelledData, config: ComparisonConfig, seed: int) -> PreparedData:
    """Split and scale. Vectors are standardised number by number, images channel by channel, targets of numbers too.

    The data's own test part stays the test part; otherwise a share of each class is drawn with the seed.
    Raises DataError where a part has too few samples.
    """
    rng = np.random.default_rng(seed)
    in_test = data.in_test if data.in_test is not None else _drawn(data, config.test, rng)
    train = np.flatnonzero(~in_test)
    if config.samples is not None and config.samples < len(train):
        train = np.sort(rng.permutation(train)[: config.samples])
    test = np.flatnonzero(in_test)
    if len(train) < 4 or len(test) < 2:
        raise DataError(
            f"there are {len(train)} samples to train on and {len(test)} to test; at least 4 and 2 are needed.",
            file=data.name,
        )
    axes = (0, 2, 3) if data.is_images else (0,)
    known = data.inputs[train]
    shift, scale = (getattr(known, name)(axis=axes, keepdims=True)[0] for name in ("mean", "std"))
    scale = np.where(scale > 1e-8, scale, 1).astype(np.float32)
    targets = data.targets
    if data.kind == "number":
        spread = float(targets[train].std()) or 1.0
        targets = ((targets - targets[train].mean()) / spread).astype(np.float32)

    def part(numbers: np.ndarray) -> Samples:
        scaled = (data.inputs[numbers] - shift) / scale
        return Samples(torch.from_numpy(scaled.astype(np.float32)), torch.from_numpy(targets[numbers]))

    return PreparedData(part(train), part(test), shift, scale, data.kind == "number")


def _drawn(data: LabelledData, share: float, rng: np.random.Generator) -> np.ndarray:
    in_test = np.zeros(len(data), dtype=bool)
    groups = data.targets if data.kind == "classes" else np.zeros(len(data), dtype=int)
    for group in np.unique(groups):
        members = rng.permutation(np.flatnonzero(groups == group))
        in_test[members[: max(1, round(share * len(members)))]] = True
    return in_test
