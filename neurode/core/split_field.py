"""A field in two parts: one that a method may step explicitly, and a stiff one that it solves for."""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from neurode.core.nest import describe
from neurode.core.protocols import VectorField
from neurode.core.state import State


class SplitField(nn.Module):
    """f(t, y) = explicit(t, y) + implicit(t, y), with the stiff part marked for a method that treats them differently.

    Good for a cheap stiff part beside one that is dear, nonlinear, or whose Jacobian nobody wants: diffusion and
    reaction, friction and a network. `method="kencarp4"` calls Newton's iteration and the Jacobian on the implicit part
    alone; every other method steps the sum. Not good where what makes the field stiff is in the explicit part.

    explicit, implicit: each f(t, y), or with args f(t, y, args), and returns a derivative of the whole state in its
    shape and dtype; modules among them are registered, so that their parameters train.
    Raises TypeError for a part that cannot be called, and for parts that return states of different structure.
    """

    def __init__(self, *, explicit: VectorField, implicit: VectorField):
        super().__init__()
        for name, part in (("explicit", explicit), ("implicit", implicit)):
            if not callable(part):
                raise TypeError(f"{name} must be a function f(t, y) or a module, but is {describe(part)}.")
        self.explicit, self.implicit = explicit, implicit

    def forward(self, t: torch.Tensor, y: State, *args: Any) -> State:
        """The sum of both."""
        return _sum(self.explicit(t, y, *args), self.implicit(t, y, *args))

    @property
    def parts(self) -> tuple[Callable, Callable]:
        """explicit, implicit."""
        return self.explicit, self.implicit


def _sum(one: State, other: State) -> State:
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        return {key: part + other[key] for key, part in one.items()}
    if isinstance(one, (tuple, list)) and isinstance(other, (tuple, list)) and len(one) == len(other):
        return tuple(part + second for part, second in zip(one, other, strict=True))
    if isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor):
        return one + other
    raise TypeError(
        "the parts of a SplitField must return derivatives of one structure, but the explicit one returned "
        f"{describe(one)} and the implicit one {describe(other)}."
    )
