"""The equation dy/dt = f(t, y[, args]) as steppers see it: packed states in and out, every call counted."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch

from neurode.core.closure import AbstractOpenField
from neurode.core.nest import PerSample, leaf_tensors, map_leaves, per_sample_flags, unwrapped, with_tensors
from neurode.core.precision import Autocast
from neurode.core.protocols import VectorField
from neurode.core.split_field import SplitField
from neurode.core.state import StateLayout

HostTime = Any
"""Time kept on the host in float64: a float in a joint solve, an array (lanes,) in a per-sample solve.

The arithmetic is written once for both; a union type would ask for a cast at every line of it."""


@dataclass
class CallCount:
    """How often f was called in a solve, and how often its Jacobian was made beside that."""

    calls: int = 0
    jacobians: int = 0


@dataclass(frozen=True, kw_only=True)
class AbstractEquation(ABC):
    """What steppers and the loop ask of a right-hand side: packed states in and out, calls counted.

    What `times` gives goes to `__call__` as it is; only an equation itself looks at it.
    """

    layout: StateLayout
    count: CallCount = field(default_factory=CallCount)

    @abstractmethod
    def times(self, times: Sequence[HostTime]) -> Sequence[Any]:
        """The times of several calls, each as `__call__` wants it."""

    @abstractmethod
    def __call__(self, t: Any, y: torch.Tensor) -> torch.Tensor:
        """dy/dt packed; t as `times` gives it, y packed."""

    @abstractmethod
    def select(self, rows: torch.Tensor) -> "AbstractEquation":
        """The equation for a part of the present lanes."""

    def parts(self) -> "tuple[AbstractEquation | None, AbstractEquation]":
        """What may be stepped explicitly, and what has to be solved for: None and all of it where nothing is said."""
        return None, self

    def shaped_time(self, time: torch.Tensor) -> torch.Tensor:
        """Per sample: (..., lanes) gets the trailing axes that let it broadcast against a tensor state."""
        if self.layout.per_sample and self.layout.kind == "tensor":
            return time.reshape(*time.shape, *(1,) * len(self.layout.part_shapes[0]))
        return time

    def uncached(self) -> "AbstractEquation":
        """The same equation, whose calls share nothing that autocast has cast."""
        return self

    def with_args_tensors(self, tensors: list[torch.Tensor]) -> "AbstractEquation":
        """The same equation with its differentiable arguments replaced (order of `args_tensors`)."""
        del tensors
        return self

    @property
    def args_tensors(self) -> list[torch.Tensor]:
        """The tensors among its arguments; none here."""
        return []

    @property
    def args_follow(self) -> list[bool]:
        """For each of `args_tensors`: does it have a row a sample?"""
        return []

    @property
    def plain_args(self) -> Any:
        """The arguments as f sees them; None for none."""
        return None

    def states_in(self, packed: torch.Tensor) -> list[Any]:
        """What a norm of the user measures, each in the structure of the user's state."""
        return [self.layout.unpack(packed)]


@dataclass(frozen=True)
class Equation(AbstractEquation):
    """f with its arguments, over the state layout. `args` still holds its PerSample marks; `rows` lists the active
    lanes.

    rows: index tensor of the samples whose rows of PerSample args are passed, None for all. checked: what f returns is
    looked at in the first so many calls of the solve. autocast: that of the user, which is in force while f is called;
    None for none.
    """

    f: VectorField
    args: Any
    autocast: Autocast | None = None
    checked: int = 1

    @cached_property
    def _plain_args(self) -> Any:
        return unwrapped(self.args)

    @property
    def plain_args(self) -> Any:
        return self._plain_args

    def times(self, times: Sequence[HostTime]) -> Sequence[torch.Tensor]:
        """The times of several calls as tensors of the state's dtype: 0-d each (joint) or (lanes, 1, ..., 1) each."""
        layout = self.layout
        if not layout.per_sample:
            return torch.tensor(times, dtype=layout.dtype, device=layout.device).unbind(0)
        table = torch.from_numpy(np.asarray(times)).to(layout.device, layout.dtype)
        return self.shaped_time(table).unbind(0)

    def __call__(self, t: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """dy/dt packed; t as `times` gives it, y packed."""
        self.count.calls += 1
        dy = self.given(self.f, t, y)
        if self.count.calls <= self.checked:
            self.layout.check_derivative(dy, self.layout.lanes(y))
        return self.layout.pack(dy)

    def parts(self) -> tuple[AbstractEquation | None, AbstractEquation]:
        return (None, self) if self._split is None else self._split

    @cached_property
    def _split(self) -> tuple[AbstractEquation, AbstractEquation] | None:
        """The equations of the two parts of f, which count with it; each may be called first after others."""
        parts = self.f.parts if isinstance(self.f, (SplitField, AbstractOpenField)) else None
        if parts is None:
            return None
        explicit, implicit = (replace(self, f=part, checked=8) for part in parts)
        return explicit, implicit

    def given(self, function: Callable, t: torch.Tensor, y: torch.Tensor) -> Any:
        """What a function of the field's arguments returns; not counted."""
        state = self.layout.unpack(y)
        with nullcontext() if self.autocast is None else self.autocast():
            return function(t, state) if self.args is None else function(t, state, self._plain_args)

    def uncached(self) -> "Equation":
        return self if self.autocast is None else replace(self, autocast=self.autocast.uncached())

    def select(self, rows: torch.Tensor) -> "Equation":
        """The equation for a part of the present lanes: PerSample args keep those rows only."""
        if self.args is None:
            return self
        return replace(
            self,
            args=map_leaves(
                lambda leaf: PerSample(leaf.value.index_select(0, rows)) if isinstance(leaf, PerSample) else leaf,
                self.args,
            ),
        )

    def with_args_tensors(self, tensors: list[torch.Tensor]) -> "Equation":
        """The same equation with the tensors of `args` replaced (order of `nest.leaf_tensors`)."""
        return replace(self, args=with_tensors(self.args, tensors)) if tensors else self

    @property
    def args_tensors(self) -> list[torch.Tensor]:
        return leaf_tensors(self.args) if self.args is not None else []

    @property
    def args_follow(self) -> list[bool]:
        return per_sample_flags(self.args) if self.args is not None else []
