"""What rooms promise each other: the loss a model hands to training, and the context training hands to a model."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import torch

VectorField = Callable[..., Any]
"""f(t, y) or f(t, y, args): the time derivative of the state, of the state's shape and dtype."""


@dataclass(frozen=True)
class StepContext:
    """Where training stands. Random numbers of a model are a function of (seed, epoch, series index) and of nothing
    else.

    So a series sees the same noise in any batch, in any process, and after a resume.
    """

    seed: int = 0
    epoch: int = 0
    step: int = 0


@dataclass(frozen=True)
class LossParts:
    """A loss as a sum over observations, with the number it is to be divided by.

    loss: 0-d tensor, the sum over the batch, with its graph. weight: number of observations in the batch (float);
    training divides the sum over all processes by the weight over all processes. parts: named sums for the log,
    detached, divided by the same weight. evaluations: calls of the vector field.
    """

    loss: torch.Tensor
    weight: float
    parts: Mapping[str, torch.Tensor] = field(default_factory=dict)
    evaluations: int = 0


@runtime_checkable
class Trainable(Protocol):
    """A model that `training.fit` can train: an nn.Module with a `loss`."""

    def loss(self, batch: Any, context: StepContext) -> LossParts: ...
