"""Labelled samples: inputs with one target each, as read, as split and scaled, and as a batch.

Shape legend: N samples, F features, C channels, H x W pixels, B samples of a batch.
"""

from dataclasses import dataclass, field
from typing import Literal, Self

import numpy as np
import torch

from neurode.core.errors import DataError

TargetKind = Literal["classes", "number"]


@dataclass(frozen=True, eq=False)
class LabelledData:
    """Samples as they were read, in their own units.

    inputs: (N, F) or images (N, C, H, W), float32. targets: (N,) int64 numbers of classes, or float32 for kind
    "number". classes: names, () for "number". in_test: (N,) bool, the data's own test part, None without one. notes:
    what was seen while reading.
    """

    inputs: np.ndarray
    targets: np.ndarray
    kind: TargetKind = "classes"
    classes: tuple[str, ...] = ()
    features: tuple[str, ...] = ()
    target: str = "target"
    name: str = "data"
    in_test: np.ndarray | None = None
    notes: tuple[str, ...] = field(default=())

    def __len__(self) -> int:
        return len(self.inputs)

    @property
    def is_images(self) -> bool:
        return self.inputs.ndim == 4

    @property
    def is_plane(self) -> bool:
        """Two numbers a sample: they can be drawn."""
        return self.inputs.ndim == 2 and self.inputs.shape[1] == 2

    @property
    def num_outputs(self) -> int:
        """Numbers that a model gives for a sample."""
        return len(self.classes) if self.kind == "classes" else 1


@dataclass(frozen=True, eq=False)
class LabelledBatch:
    """inputs: (B, F) or (B, C, H, W), scaled. targets: (B,) int64 or float. numbers: (B,) int64, of the samples."""

    inputs: torch.Tensor
    targets: torch.Tensor
    numbers: torch.Tensor

    def __len__(self) -> int:
        return self.inputs.shape[0]

    def to(self, device: torch.device, dtype: torch.dtype | None = None) -> Self:
        targets = self.targets.to(device, dtype if self.targets.is_floating_point() else None)
        return type(self)(self.inputs.to(device, dtype), targets, self.numbers.to(device))


def classes_of(labels: np.ndarray, *, where: object) -> tuple[np.ndarray, tuple[str, ...]]:
    """Numbers of classes (N,) int64 and their names, sorted as numbers where all are numbers.

    Raises DataError where there are fewer than two, or a class has a single sample.
    """
    names, numbers, counts = np.unique(np.asarray(labels), return_inverse=True, return_counts=True)
    if len(names) < 2:
        raise DataError(
            f"all {len(labels)} samples are of the class {str(names[0])!r}, and there is nothing to tell apart. Give "
            "data of two classes or more.",
            file=where,  # type: ignore[arg-type]
        )
    if counts.min() < 2:
        alone = str(names[counts.argmin()])
        raise DataError(
            f"the class {alone!r} has one sample only, and at least two are needed, to train and to test. Add "
            "samples, or leave the class out.",
            file=where,  # type: ignore[arg-type]
        )
    if all(_is_number(str(name)) for name in names):
        order = np.argsort([float(str(name)) for name in names])
        place = np.empty(len(order), dtype=np.int64)
        place[order] = np.arange(len(order))
        return place[numbers.reshape(-1)], tuple(_short(str(names[i])) for i in order)
    return numbers.reshape(-1).astype(np.int64), tuple(str(name) for name in names)


def _is_number(text: str) -> bool:
    try:
        return np.isfinite(float(text)).item()
    except ValueError:
        return False


def _short(text: str) -> str:
    value = float(text)
    return str(int(value)) if value.is_integer() else text
