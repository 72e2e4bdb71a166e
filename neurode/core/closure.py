"""A field opened up: what it captures becomes an argument, so that a transform of torch.func can be taken off it."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch.overrides import TorchFunctionMode, _get_current_function_mode_stack

from neurode.core.split_field import SplitField
from neurode.core.transforms import (
    MappedAxes,
    above,
    forward_mode,
    has_tangent,
    level_of,
    out_of_sight,
    tangents_are_followed,
)


class AbstractOpenField(ABC):
    """A field whose captured tensors are among its arguments."""

    @abstractmethod
    def __call__(self, t: torch.Tensor, y: Any, packed: Any) -> Any:
        """packed: args, and the tensors in the place of those captured."""

    @abstractmethod
    def taken_off(self) -> "AbstractOpenField":
        """The same for plain tensors, where none of the transforms around the solve is in force."""

    @property
    @abstractmethod
    def parts(self) -> "tuple[AbstractOpenField, AbstractOpenField] | None":
        """Of a SplitField, the explicit part and the implicit one, each opened up as it is; None of another field."""


@dataclass(frozen=True)
class OpenField(AbstractOpenField):
    """f(t, y, args) with the tensors it captures exchanged, at each call, for others.

    f: the field, called f(t, y) where args is None. captured: the tensors to be exchanged. axes: those of vmap that
    have been made rows. level: how many transforms there are around the solve. is_taken_off: none of them is in force.
    A tensor of torch.func that f uses and that is neither among the captured nor made by f is refused with a sentence:
    it would get a wrong gradient, or none.
    """

    f: Callable
    captured: tuple[torch.Tensor, ...]
    axes: MappedAxes | None
    level: int
    is_taken_off: bool = False

    def taken_off(self) -> "OpenField":
        return replace(self, is_taken_off=True)

    @property
    def parts(self) -> "tuple[OpenField, OpenField] | None":
        if not isinstance(self.f, SplitField):
            return None
        return replace(self, f=self.f.explicit), replace(self, f=self.f.implicit)

    def call(self, t: torch.Tensor, y: Any, args: Any, values: Sequence[torch.Tensor]) -> Any:
        """values: in the place of those captured. To be called above `level`."""
        with _Exchange(self, values):
            return self.f(t, y) if args is None else self.f(t, y, args)

    def __call__(self, t: torch.Tensor, y: Any, packed: Any) -> Any:
        with above(self.level):
            return self.call(t, y, *packed)


def refuse_inside_a_field() -> None:
    """Raise where a field that has been opened up is being called."""
    if any(isinstance(mode, _Exchange) for mode in _get_current_function_mode_stack()):
        raise NotImplementedError(
            "a solve inside the field of another one is not followed by torch.func through vmap, nor with another "
            "gradient than 'direct' for both. Put the inner state into the outer one, or use plain autograd."
        )


class _Exchange(TorchFunctionMode):
    """Hands every operation other tensors for the captured ones."""

    def __init__(self, field: OpenField, values: Sequence[torch.Tensor]):
        super().__init__()
        self.field = field
        self.table = {id(tensor): value for tensor, value in zip(field.captured, values, strict=True)}

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = {key: self._put(value) for key, value in (kwargs or {}).items()}
        return func(*self._put(args), **kwargs)

    def _put(self, value: Any) -> Any:
        if isinstance(value, torch.Tensor):
            known = self.table.get(id(value))
            if known is None and self._is_foreign(value):
                raise out_of_sight(value)
            return value if known is None else known
        if type(value) in (tuple, list):
            return type(value)(self._put(item) for item in value)
        return value

    def _is_foreign(self, tensor: torch.Tensor) -> bool:
        """Was it made before this call, at a level that is taken off, or that is rows by now?"""
        level, field = level_of(tensor), self.field
        if level == 0:
            return forward_mode() and not tangents_are_followed() and has_tangent(tensor, 0)
        if level > field.level:
            return False
        return field.is_taken_off or (field.axes is not None and field.axes.is_foreign(tensor, field.level))
