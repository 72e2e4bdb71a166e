"""AbstractTwin: what a residual network and a neural ODE have in common, so that they can be compared.

Shape legend: B samples, S the state's own shape, O outputs, N + 1 places along the depth.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

from neurode.core.protocols import LossParts, StepContext
from neurode.data.labelled import LabelledBatch
from neurode.models.twin_shape import TwinShape


@dataclass(frozen=True)
class Passed:
    """A state that went through the depth. evaluations: calls of a block. penalty: (B,), what regularisers add."""

    state: torch.Tensor
    evaluations: int
    penalty: torch.Tensor | None = None


class AbstractTwin(nn.Module, ABC):
    """Stem, something deep in between, head; outputs are logits of classes, or one number a sample.

    shape: stem, block and head. number: targets are numbers, fitted by squares; else classes, by cross entropy. Weights
    are drawn from `seed`: twins of one seed begin with the same stem and head.
    """

    def __init__(self, shape: TwinShape, *, number: bool = False, seed: int = 0):
        super().__init__()
        if number and shape.outputs != 1:
            raise ValueError(f"a model of numbers has 1 output, but the shape has {shape.outputs}.")
        self.shape, self.number = shape, number
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.stem, self.head = shape.make_stem(), shape.make_head()
            self.body = self.make_body()

    @abstractmethod
    def make_body(self) -> nn.Module:
        """The part between stem and head; called while the seed holds."""

    @abstractmethod
    def passed(self, state: torch.Tensor, context: StepContext | None = None) -> Passed:
        """The state at the end of the depth; with a context as training sees it."""

    @abstractmethod
    def states(self, x: torch.Tensor) -> torch.Tensor:
        """Every state on the way, (N + 1, B, *S), without gradients."""

    @property
    def evaluations_backward(self) -> int:
        """Calls of a block on the last way back; 0 where nothing is made again."""
        return 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, O) from (B, features) or (B, channels, height, width)."""
        return self.head(self.passed(self.stem(x)).state)

    def loss(self, batch: LabelledBatch, context: StepContext) -> LossParts:
        """Cross entropy, or half the squared error, summed over the batch, and what regularisers add."""
        passed = self.passed(self.stem(batch.inputs), context)
        outputs = self.head(passed.state)
        error = self.error(outputs, batch.targets)
        parts = {"error": error.detach()}
        if passed.penalty is not None:
            penalty = passed.penalty.sum()
            parts["penalty"] = penalty.detach()
            error = error + penalty
        return LossParts(error, float(len(batch)), parts, passed.evaluations)

    def error(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """The sum over the batch that training makes small."""
        if self.number:
            return 0.5 * (outputs[:, 0] - targets).square().sum()
        return functional.cross_entropy(outputs, targets, reduction="sum")
