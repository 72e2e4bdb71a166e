"""What a survey looked at, held fast: while every part of it is the very same object, the field is what it was.

To see that takes a third of the time of another survey. What is compared is what things are, never whether they are
equal: an equal thing in the place of another one costs a new survey, and nothing else.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from operator import is_
from types import FunctionType, MethodType
from typing import Any
from weakref import ref

import torch

_NOTHING = object()
MOST = 32
"""So many fields are held at a time."""


class Snapshot:
    """The mutable parts of a field. Its owner (see `owner_of`) is not held: it is handed over again to be compared."""

    def __init__(self, owner: Any):
        self._owner = owner  # until the survey is over
        self.tensors: list[tuple[torch.Tensor, torch.Size, torch.dtype, torch.device]] = []
        self._owners: list[tuple[Any, type, Any]] = []
        self._tables: list[tuple[Mapping, tuple, tuple]] = []
        self._lists: list[tuple[list, tuple]] = []
        self._functions: list[tuple[Any, tuple, tuple]] = []
        self._names: list[tuple[dict[str, Any], str, Any]] = []
        self._empty: list[Any] = []
        self._forward: dict[type, Any] = {}

    def close(self) -> "Snapshot":
        """The survey is over."""
        self._owner = None
        return self

    def note_tensor(self, tensor: torch.Tensor) -> None:
        self.tensors.append((tensor, tensor.shape, tensor.dtype, tensor.device))

    def note_object(self, thing: Any) -> None:
        """Its class, and its attributes by name."""
        own = thing.__dict__
        if isinstance(thing, torch.nn.Module):
            self._forward[thing.__class__] = thing.__class__.forward
        self._owners.append((None if thing is self._owner else thing, thing.__class__, own))
        self.note_table(own)

    def note_table(self, table: Mapping) -> None:
        """Its entries; one without any may be given to `note_empty`."""
        self._tables.append((table, tuple(table), tuple(table.values())))

    def note_empty(self, things: Iterable[Any]) -> None:
        """Containers that have to stay without entries."""
        self._empty += things

    def note_list(self, items: list) -> None:
        self._lists.append((items, tuple(items)))

    def note_function(self, function: FunctionType, names: Iterable[str]) -> None:
        """What it is made of, closes over, and which globals it names."""
        cells = function.__closure__ or ()
        made_of = (function.__code__, function.__defaults__, function.__kwdefaults__)
        contents = tuple(cell.cell_contents for cell in cells)
        self._functions.append((None if function is self._owner else function, made_of, contents))
        table = function.__globals__
        self._names += [(table, name, table.get(name, _NOTHING)) for name in names]

    def holds(self, owner: Any) -> bool:
        """Is everything in its place still?"""
        if any(self._empty) or not all(kind.forward is known for kind, known in self._forward.items()):
            return False
        for thing, kind, table in self._owners:
            one = owner if thing is None else thing
            if one.__class__ is not kind or one.__dict__ is not table:
                return False
        for table, keys, values in self._tables:
            if len(table) != len(keys) or not (all(map(is_, table.values(), values)) and all(map(is_, table, keys))):
                return False
        for items, known in self._lists:
            if len(items) != len(known) or not all(map(is_, items, known)):
                return False
        return self._functions_hold(owner) and all(
            tensor.shape == shape and tensor.dtype is dtype and tensor.device == device
            for tensor, shape, dtype, device in self.tensors
        )

    def _functions_hold(self, owner: Any) -> bool:
        for function, made_of, contents in self._functions:
            one = owner if function is None else function
            now = (one.__code__, one.__defaults__, one.__kwdefaults__)
            if not all(map(is_, now, made_of)):
                return False
            cells = one.__closure__ or ()
            try:
                if not all(cell.cell_contents is known for cell, known in zip(cells, contents, strict=True)):
                    return False
            except ValueError:  # emptied, or of another number
                return False
        return all(table.get(name, _NOTHING) is value for table, name, value in self._names)


class Album:
    """Entries beside fields, for as long as a field lives; the oldest goes when there are too many."""

    def __init__(self):
        self._entries: dict[Any, tuple[Any, Any]] = {}

    def get(self, field: Callable) -> Any:
        """None where there is none."""
        owner, key = owner_of(field), _key(field)
        found = self._entries.get(key)
        return None if found is None or found[0]() is not owner else found[1]

    def put(self, field: Callable, entry: Any) -> None:
        owner, key = owner_of(field), _key(field)
        if len(self._entries) >= MOST:
            self._entries.pop(next(iter(list(self._entries))), None)  # another thread may be at it, too
        try:
            # Called as pop(key, the reference), without a frame of Python's: a profiler could be at work where it dies.
            self._entries[key] = ref(owner, partial(self._entries.pop, key)), entry
        except TypeError:  # nothing says when it is gone
            return


def owner_of(field: Callable) -> Any:
    """What lives as long as the field: of a bound method, which is made anew at each look, its object."""
    return field.__self__ if type(field) is MethodType else field


def _key(field: Callable) -> Any:
    return (id(field.__self__), id(field.__func__)) if type(field) is MethodType else id(field)
