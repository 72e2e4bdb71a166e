"""What a field does with its own tensors, written down so that it can be done again with their present values."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch


@dataclass(frozen=True, eq=False)
class Ref:
    """A tensor of a program: its place, and its value when the program was written."""

    place: int
    value: torch.Tensor

    @property
    def shape(self) -> torch.Size:
        return self.value.shape


@dataclass(frozen=True)
class _Leaf:
    number: int


@dataclass(frozen=True)
class _Fixed:
    value: torch.Tensor


@dataclass(frozen=True)
class _Step:
    """A call whose arguments hold `_Place` for the program's tensors. grad: was it made with a graph?"""

    function: Callable
    args: tuple
    kwargs: dict[str, Any]
    grad: bool


@dataclass(frozen=True)
class _Place:
    number: int


@dataclass
class Program:
    """Tensors that do not change during a solve: leaves (found outside), fixed ones, and what is made of them.

    repeatable: does it give the same as the field would, when only the leaves' values have changed?
    """

    entries: list[_Leaf | _Fixed | _Step] = field(default_factory=list)
    repeatable: bool = True

    def leaf(self, number: int, value: torch.Tensor) -> Ref:
        """The tensor that stands at `number` among those found outside."""
        return self._add(_Leaf(number), value)

    def fixed(self, value: torch.Tensor) -> Ref:
        """A tensor made of plain numbers."""
        return self._add(_Fixed(value), value)

    def is_fixed(self, ref: Ref) -> bool:
        return isinstance(self.entries[ref.place], _Fixed)

    @property
    def is_plain(self) -> bool:
        """Does nothing have to be computed?"""
        return not any(isinstance(entry, _Step) for entry in self.entries)

    def call(self, function: Callable, *args: Any, **kwargs: Any) -> Ref:
        """function(*args, **kwargs), some of which are Refs; fixed where all of them are."""
        with torch.enable_grad():
            return self.note(function, args, kwargs, function(*values_of(args), **values_of(kwargs)))

    def note(self, function: Callable, args: tuple, kwargs: dict[str, Any], value: torch.Tensor) -> Ref:
        """Write down a call that was made already, with what it gave."""
        if all(self.is_fixed(ref) for ref in _refs((args, kwargs))):
            return self.fixed(value.detach())
        return self._add(_Step(function, _placed(args), _placed(kwargs), torch.is_grad_enabled()), value)

    def _add(self, entry: _Leaf | _Fixed | _Step, value: torch.Tensor) -> Ref:
        self.entries.append(entry)
        return Ref(len(self.entries) - 1, value)

    def part(self, places: Iterable[int]) -> "Program":
        """The same with only those entries that these places need (others become None and are never run)."""
        needed, open_places = set(), list(places)
        while open_places:
            place = open_places.pop()
            if place not in needed:
                needed.add(place)
                entry = self.entries[place]
                if isinstance(entry, _Step):
                    open_places += _places((entry.args, entry.kwargs))
        entries: list[Any] = [entry if place in needed else None for place, entry in enumerate(self.entries)]
        return Program(entries, self.repeatable)

    def run(self, leaves: Sequence[torch.Tensor]) -> list[Any]:
        """All values, from the leaves' present ones."""
        values: list[Any] = []
        for entry in self.entries:
            if isinstance(entry, _Leaf):
                values.append(leaves[entry.number])
            elif isinstance(entry, _Fixed):
                values.append(entry.value)
            elif entry is None:
                values.append(None)
            else:
                with nullcontext() if entry.grad else torch.no_grad():
                    values.append(entry.function(*_filled(entry.args, values), **_filled(entry.kwargs, values)))
        return values


def _mapped(change: Callable[[Any], Any], value: Any) -> Any:
    if type(value) in (tuple, list):
        return type(value)(_mapped(change, item) for item in value)
    if type(value) is dict:
        return {key: _mapped(change, item) for key, item in value.items()}
    if type(value) is torch.Size:
        return tuple(value)
    return change(value)


def values_of(nest: Any) -> Any:
    """The nest with the value of each Ref in its place."""
    return _mapped(lambda item: item.value if isinstance(item, Ref) else item, nest)


def _placed(nest: Any) -> Any:
    return _mapped(lambda item: _Place(item.place) if isinstance(item, Ref) else item, nest)


def _filled(nest: Any, values: list[Any]) -> Any:
    return _mapped(lambda item: values[item.number] if isinstance(item, _Place) else item, nest)


def _refs(nest: Any) -> list[Ref]:
    found: list[Ref] = []
    _mapped(lambda item: found.append(item) if isinstance(item, Ref) else None, nest)
    return found


def _places(nest: Any) -> list[int]:
    found: list[int] = []
    _mapped(lambda item: found.append(item.number) if isinstance(item, _Place) else None, nest)
    return found
