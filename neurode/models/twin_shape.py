"""TwinShape: the stem, block and head that a residual network and its neural ODE share.

Shape legend: B samples, F features, C channels, H x W pixels, W width of the state.
"""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn
from torch.nn import functional

from neurode.layers.conv_field import ConvField, num_groups
from neurode.layers.fields import MLPField, make_activation
from neurode.layers.second_order import SecondOrderField

Stem = Literal["learned", "none"]


@dataclass(frozen=True)
class TwinShape:
    """What both twins are made of; each part is made anew by a method, so that twins share a shape and no weight.

    inputs: shape of a sample, (F,) or (C, H, W). outputs: numbers a sample. width: numbers (vectors) or channels
    (images) of the state before augmentation. hidden: widths of the block's hidden layers (vectors). augment: so many
    zeros (channels of zeros) join the state. order: 2 makes the block an acceleration; as many zeros as the state is
    wide join it as velocity. stem: "learned", or "none": the state begins as the input itself (vectors, with
    width == F). halvings: convolutions of stride 2 in the stem (images); None: until at most 7 pixels are left.
    activation: of block, stem and head. time_input: the block knows the time.

    Raises ValueError for settings that do not fit together.
    """

    inputs: tuple[int, ...]
    outputs: int
    width: int = 64
    hidden: tuple[int, ...] = (64,)
    augment: int = 0
    order: int = 1
    stem: Stem = "learned"
    halvings: int | None = None
    activation: str = "silu"
    time_input: bool = True

    def __post_init__(self):
        if len(self.inputs) not in (1, 3) or min(self.inputs) < 1:
            raise ValueError(f"inputs must be (features,) or (channels, height, width), but is {self.inputs}.")
        if self.outputs < 1 or self.width < 1 or self.augment < 0:
            raise ValueError(
                f"outputs={self.outputs}, width={self.width}, augment={self.augment}: outputs and width must be at "
                "least 1, augment at least 0."
            )
        if self.order not in (1, 2):
            raise ValueError(f"order must be 1 or 2, but is {self.order}.")
        if self.stem not in ("learned", "none"):
            raise ValueError(f"stem must be 'learned' or 'none', but is {self.stem!r}.")
        if self.stem == "none" and (self.is_images or self.width != self.inputs[0]):
            raise ValueError(
                f"stem='none' needs vectors, and a width equal to their length; inputs={self.inputs}, "
                f"width={self.width}. Pass stem='learned'."
            )
        if self.is_images and self.hidden != type(self).hidden:
            raise ValueError("hidden has no effect for images, whose block is made of convolutions of the same width.")
        if not self.is_images and self.halvings is not None:
            raise ValueError("halvings has no effect for vectors.")

    @property
    def is_images(self) -> bool:
        return len(self.inputs) == 3

    @property
    def state_width(self) -> int:
        """Numbers or channels of the state, zeros that join it included."""
        return (self.width + self.augment) * self.order

    @property
    def num_halvings(self) -> int:
        if self.halvings is not None:
            return self.halvings
        return max(0, math.ceil(math.log2(max(self.inputs[1:]) / 7)))

    def make_stem(self) -> nn.Module:
        """Input -> first state (B, state_width, ...)."""
        inner: nn.Module
        if self.stem == "none":
            inner = nn.Identity()
        elif not self.is_images:
            inner = nn.Linear(self.inputs[0], self.width)
        else:
            layers: list[nn.Module] = [nn.Conv2d(self.inputs[0], self.width, 3, padding=1)]
            for _ in range(self.num_halvings):
                layers += [
                    nn.GroupNorm(num_groups(self.width), self.width),
                    make_activation(self.activation),
                    nn.Conv2d(self.width, self.width, 4, stride=2, padding=1),
                ]
            inner = nn.Sequential(*layers)
        return WithZeros(inner, self.state_width - self.width)

    def make_block(self, *, time_input: bool | None = None) -> nn.Module:
        """f(t, state): a block of the residual network, and the field of the neural ODE."""
        timed = self.time_input if time_input is None else time_input
        block: nn.Module
        if self.is_images:
            block = ConvField(self.state_width, activation=self.activation, time_input=timed)
        else:
            block = MLPField(self.state_width, self.hidden, activation=self.activation, time_input=timed)
        return SecondOrderField(block, axis=1) if self.order == 2 else block

    def make_head(self) -> nn.Module:
        """Last state -> outputs (B, outputs)."""
        if not self.is_images:
            return nn.Linear(self.state_width, self.outputs)
        return nn.Sequential(
            nn.GroupNorm(num_groups(self.state_width), self.state_width),
            make_activation(self.activation),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(self.state_width, self.outputs),
        )


class WithZeros(nn.Module):
    """A stem whose result is joined by `count` zeros (vectors) or channels of zeros (images).

    The zeros of an augmented neural ODE: Dupont, Doucet and Teh, Augmented neural ODEs (2019), section 4.
    """

    def __init__(self, inner: nn.Module, count: int):
        super().__init__()
        self.inner, self.count = inner, count

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        state = self.inner(x)
        if not self.count:
            return state
        return functional.pad(state, (0, 0) * (state.ndim - 2) + (0, self.count))
