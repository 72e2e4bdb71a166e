"""ResNet: a residual network, h[i + 1] = h[i] + step * block[i](i * step, h[i]), the discrete twin of ODENet.

He, Zhang, Ren and Sun, Deep residual learning for image recognition (2016), section 3.
"""

from typing import cast

import torch
from torch import nn

from neurode.core.protocols import StepContext
from neurode.models.twin import AbstractTwin, Passed
from neurode.models.twin_shape import TwinShape


class ResNet(AbstractTwin):
    """A residual network of `depth` blocks, each with weights of its own, or all with the same.

    Good as the measure of a neural ODE of the same stem, block and head: tied, with n blocks, it is Euler's method with
    n steps, number for number. Not a network for records on images: one width, no pooling between the blocks.

    depth: number of blocks. tied: one block, applied `depth` times, that knows the time. step_size: factor of each
    correction; None: 1, and for a tied network 1 / depth. shape, number, seed: of AbstractTwin.
    """

    def __init__(
        self,
        shape: TwinShape,
        depth: int,
        *,
        tied: bool = False,
        step_size: float | None = None,
        number: bool = False,
        seed: int = 0,
    ):
        if depth < 1:
            raise ValueError(f"depth must be at least 1, but is {depth}.")
        self.depth, self.tied = depth, tied
        self.step_size = step_size if step_size is not None else 1 / depth if tied else 1.0
        super().__init__(shape, number=number, seed=seed)

    def make_body(self) -> nn.Module:
        if self.tied:
            return self.shape.make_block()
        # A block of its own needs no time: its place is known.
        return nn.ModuleList(self.shape.make_block(time_input=False) for _ in range(self.depth))

    def passed(self, state: torch.Tensor, context: StepContext | None = None) -> Passed:
        del context
        for number in range(self.depth):
            state = self._next(state, number)
        return Passed(state, self.depth)

    @torch.no_grad()
    def states(self, x: torch.Tensor) -> torch.Tensor:
        found = [self.stem(x)]
        for number in range(self.depth):
            found.append(self._next(found[-1], number))
        return torch.stack(found)

    def _next(self, state: torch.Tensor, number: int) -> torch.Tensor:
        block = self.body if self.tied else cast(nn.ModuleList, self.body)[number]
        change = block(number * self.step_size, state)
        return state + change if self.step_size == 1 else state + self.step_size * change
