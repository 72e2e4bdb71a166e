"""TrainingData: what `fit` asks of the data, and FitResult, what it gives back."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol, Self, runtime_checkable

import torch


class TrainingBatch(Protocol):
    """A batch: `fit` moves it to the device and hands it to the model's `loss`; it never looks inside."""

    def to(self, device: torch.device, dtype: torch.dtype | None = None) -> Self: ...


@runtime_checkable
class TrainingData(Protocol):
    """Batches for training and validation.

    `train_batches(epoch, rank, world)`: the batches of process `rank` of `world`, a function of these three numbers
    alone. The batches that all processes hold at one position are one step, and should be the same set of samples
    whatever `world`; a process without a share in a step yields None there (at the end it may also just stop
    earlier). `num_train_batches`: steps an epoch, from which the schedule is computed. `validation_batches(rank,
    world)`: a part of the held-out data, the parts of all ranks being the whole; no batch at all means no validation.
    """

    @property
    def num_train_batches(self) -> int: ...

    def train_batches(self, epoch: int, rank: int, world: int) -> Iterable[Any]: ...

    def validation_batches(self, rank: int, world: int) -> Iterable[Any]: ...


@dataclass(frozen=True)
class FitResult:
    """What training did: `history` (one row an epoch, as in metrics.csv), `best_epoch` (whose weights the model now
    has), `best_loss` (its validation loss; nan without validation data), `stopped_because` (a sentence), `seconds`
    (wall time of this call) and `roll_backs` (how often a non-finite loss sent training back)."""

    history: list[dict[str, float]] = field(repr=False)
    best_epoch: int
    best_loss: float
    stopped_because: str
    seconds: float
    roll_backs: int = 0
