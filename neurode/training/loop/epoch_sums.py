"""Sums over an epoch, of which the log's means are made."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from math import inf, nan
from typing import Self

import torch

from neurode.core.protocols import LossParts


@dataclass
class EpochSums:
    """Loss, parts, weight and evaluations summed over batches, in double precision."""

    loss: float = 0.0
    weight: float = 0.0
    evaluations: int = 0
    parts: dict[str, float | torch.Tensor] = field(default_factory=dict)

    def add(self, loss: float, batch: LossParts) -> None:
        """Add a batch whose loss is `loss` as a Python number."""
        self.loss += loss
        self.weight += float(batch.weight)
        self.evaluations += int(batch.evaluations)
        for name, value in batch.parts.items():
            value = value.detach()
            # On a CUDA device the parts stay there until the end of the epoch: reading each would wait for the device.
            self.parts[name] = self.parts.get(name, 0.0) + (value.double() if value.is_cuda else value.item())

    def add_failure(self) -> None:
        """A batch could not be computed: the mean, of all processes, becomes infinite."""
        self.loss, self.weight = inf, self.weight or 1.0

    def means(self) -> dict[str, float]:
        """{"loss": ..., part: ...}, each divided by the weight; nan where nothing was added."""
        divisor = self.weight or nan
        return {"loss": self.loss / divisor, **{name: float(value) / divisor for name, value in self.parts.items()}}

    def plain(self) -> dict:
        """Plain types only, for a checkpoint or another process."""
        return {
            "loss": self.loss,
            "weight": self.weight,
            "evaluations": self.evaluations,
            "parts": {name: float(value) for name, value in self.parts.items()},
        }

    @classmethod
    def of(cls, plain: dict) -> Self:
        return cls(plain["loss"], plain["weight"], plain["evaluations"], dict(plain["parts"]))

    @classmethod
    def over_processes(cls, sums: Iterable[dict]) -> Self:
        """Add up the processes' sums; evaluations are those of the process that made most (they work side by side)."""
        total = cls()
        for one in sums:
            total.loss += one["loss"]
            total.weight += one["weight"]
            total.evaluations = max(total.evaluations, one["evaluations"])
            for name, value in one["parts"].items():
                total.parts[name] = total.parts.get(name, 0.0) + value
        return total
