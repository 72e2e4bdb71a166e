"""What a training left to tell: its learning curves and its cost. Nothing here imports torch before it is asked."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from torch import nn

    from neurode.training.training_data import FitResult


@dataclass(frozen=True)
class History:
    """Learning curves: one array a column of metrics.csv, all of the same length (epochs), NaN where nothing was
    measured.

    Columns always include "epoch" and, where measured, "loss", "validation_loss", "reconstruction", "kl",
    "evaluations", "seconds" and "memory_mb".
    best_epoch: the epoch whose weights the model keeps. stopped_because: a sentence.
    """

    columns: Mapping[str, np.ndarray]
    best_epoch: int
    stopped_because: str
    seconds: float

    @property
    def num_epochs(self) -> int:
        return max((len(column) for column in self.columns.values()), default=0)

    @classmethod
    def of(cls, result: "FitResult") -> "History":
        """The history of a `fit`."""
        names = list(dict.fromkeys(name for row in result.history for name in row))
        columns = {
            name: np.array([row.get(name, np.nan) for row in result.history], dtype=np.float64) for name in names
        }
        return cls(columns, result.best_epoch, result.stopped_because, result.seconds)

    def to_json(self) -> dict[str, Any]:
        """Plain types; the seconds are the cost's."""
        return {
            "history": {
                name: [float(x) if np.isfinite(x) else None for x in column] for name, column in self.columns.items()
            },
            "best_epoch": self.best_epoch,
            "stopped_because": self.stopped_because,
        }

    @classmethod
    def from_json(cls, saved: Mapping[str, Any], seconds: float) -> "History":
        columns = {
            name: np.array([np.nan if x is None else x for x in column], dtype=np.float64)
            for name, column in saved["history"].items()
        }
        return cls(columns, saved["best_epoch"], saved["stopped_because"], seconds)


@dataclass(frozen=True)
class TrainingCost:
    """What training took: wall seconds, observations trained on (values of series, words of sentences), peak memory in
    MB, device, and CPU threads."""

    seconds: float
    observations: int
    peak_memory_mb: float
    device: str
    threads: int

    @classmethod
    def of(cls, network: "nn.Module", observations: int, result: "FitResult") -> "TrainingCost":
        """The cost of a `fit`, of all its epochs, also of those before a resume."""
        import torch

        device = next(network.parameters()).device
        return cls(
            seconds=float(sum(row["seconds"] for row in result.history)),
            observations=observations,
            peak_memory_mb=float(np.nanmax([row.get("memory_mb", np.nan) for row in result.history])),
            device=torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
            threads=torch.get_num_threads(),
        )
