"""A regression small enough to train in milliseconds, with dropout so that random numbers matter."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import nn

from neurode.core.protocols import LossParts, StepContext


@dataclass(frozen=True)
class Points:
    """x (n, 3) and y (n, 1)."""

    x: torch.Tensor
    y: torch.Tensor

    def to(self, device=None, dtype=None) -> "Points":
        return Points(self.x.to(device, dtype), self.y.to(device, dtype))


class TinyData:
    """`size` points in batches of `batch_size`, each process taking every world-th point of a batch.

    before_batch(epoch, batch, rank): called before a training batch is handed out, to make trouble there.
    """

    def __init__(
        self,
        size: int = 60,
        batch_size: int = 16,
        validation: bool = True,
        before_batch: Callable[[int, int, int], None] = lambda epoch, batch, rank: None,
    ):
        generator = torch.Generator().manual_seed(7)
        self.x = torch.randn(size, 3, generator=generator)
        self.y = torch.sin(self.x.sum(dim=1, keepdim=True))
        self.batch_size, self.validation, self.before_batch = batch_size, validation, before_batch

    @property
    def num_train_batches(self) -> int:
        return -(-len(self.x) // self.batch_size)

    def train_batches(self, epoch: int, rank: int, world: int) -> Iterator[Points | None]:
        order = torch.randperm(len(self.x), generator=torch.Generator().manual_seed(epoch))
        for number, members in enumerate(order.split(self.batch_size)):
            self.before_batch(epoch, number, rank)
            mine = members[rank::world]
            yield Points(self.x[mine], self.y[mine]) if len(mine) else None

    def validation_batches(self, rank: int, world: int) -> Iterator[Points]:
        if self.validation:
            yield Points(self.x[rank::world] + 0.1, self.y[rank::world])


class TinyModel(nn.Module):
    """Two layers, and one that is never used, as models have them. on_loss(batch, context): may replace the loss."""

    def __init__(
        self,
        dropout: float = 0.0,
        on_loss: Callable[[nn.Module, StepContext, torch.Tensor], torch.Tensor] = lambda model, context, loss: loss,
    ):
        super().__init__()
        generator = torch.Generator().manual_seed(3)
        self.net = nn.Sequential(nn.Linear(3, 16), nn.Tanh(), nn.Dropout(dropout), nn.Linear(16, 1))
        self.unused = nn.Linear(2, 2)
        self.on_loss = on_loss
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.3)

    @property
    def first_weight(self) -> nn.Parameter:
        return next(self.net.parameters())

    def loss(self, batch: Points, context: StepContext) -> LossParts:
        errors = (self.net(batch.x) - batch.y).square().sum()
        loss = self.on_loss(self, context, errors)
        return LossParts(loss, float(batch.y.numel()), {"reconstruction": errors.detach()}, 3)


NOT_COMPARED = {"seconds", "memory_mb"}


def compared(history: list[dict]) -> list[dict]:
    """The rows without what differs from run to run."""
    return [{name: value for name, value in row.items() if name not in NOT_COMPARED} for row in history]
