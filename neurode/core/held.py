"""The tensors that a callable holds: in modules, closures, partials, bound methods and the objects behind them."""

from collections.abc import Callable, Iterable, Iterator, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from types import ModuleType
from typing import Any

import torch
from torch import nn

Slot = tuple[MutableMapping[str, Any], str, torch.Tensor]
"""Where a module keeps a tensor: its table of parameters or buffers, the name there, and the tensor."""


@dataclass(frozen=True)
class Held:
    """tensors: each once, in the order found. slots: those of modules, with their places."""

    tensors: list[torch.Tensor] = field(default_factory=list)
    slots: list[Slot] = field(default_factory=list)

    @contextmanager
    def as_found(self) -> Iterator[None]:
        """With the very tensors that modules held when they were looked at.

        functional_call puts tensors into a module for the time of one call; a way back that runs later has to find them
        there again.
        """
        changed = [
            (table, name, table[name], tensor)
            for table, name, tensor in self.slots
            if name in table and table[name] is not tensor
        ]
        try:
            for table, name, _, tensor in changed:
                table[name] = tensor
            yield
        finally:
            for table, name, present, _ in changed:
                table[name] = present


def held_by(f: Callable) -> Held:
    """What `f` holds. Of other objects the attributes are searched, and lists, tuples and dicts of such, one deep."""
    search = _Search()
    search.into(f)
    return search.held


class _Search:
    def __init__(self):
        self.held = Held()
        self.seen: set[int] = set()

    def into(self, thing: Any) -> None:
        if id(thing) in self.seen:
            return
        self.seen.add(id(thing))
        if isinstance(thing, torch.Tensor):
            self.held.tensors.append(thing)
        elif isinstance(thing, nn.Module):
            for module in thing.modules():
                self._module(module)
        else:
            self._callable(thing)

    def _module(self, module: nn.Module) -> None:
        self.seen.add(id(module))
        for table in (module._parameters, module._buffers):
            for name, tensor in table.items():
                if tensor is None:
                    continue
                # A buffer that counts or marks is the module's own affair.
                if tensor.is_floating_point() or tensor.is_complex():
                    self.held.slots.append((table, name, tensor))
                self.into(tensor)
        others = [value for name, value in vars(module).items() if name not in _own_names()]
        for item in (item for value in others for item in (_items(value) or (value,))):
            if isinstance(item, (torch.Tensor, nn.Module)):
                self.into(item)

    def _callable(self, thing: Any) -> None:
        inner = [cell.cell_contents for cell in getattr(thing, "__closure__", None) or () if _filled(cell)]
        for name in ("__func__", "__wrapped__", "func"):
            inner.append(getattr(thing, name, None))
        for name in ("args", "keywords", "__defaults__", "__kwdefaults__"):
            inner.extend(_items(getattr(thing, name, None)))
        for item in (*inner, getattr(thing, "__self__", None)):
            if _is_searched(item):
                self.into(item)
            elif not isinstance(item, (type, ModuleType)):
                self._attributes(_items(item) or _own_attributes(item))
        if not hasattr(thing, "__closure__"):
            self._attributes(_own_attributes(thing))

    def _attributes(self, values: Iterable[Any]) -> None:
        """Tensors, modules and callables among these, and in lists, tuples and dicts among them."""
        for value in values:
            for item in _items(value) or (value,):
                if _is_searched(item):
                    self.into(item)


def _is_searched(thing: Any) -> bool:
    if isinstance(thing, (torch.Tensor, nn.Module)):
        return True
    return callable(thing) and not isinstance(thing, (type, ModuleType))


def _own_attributes(thing: Any) -> list[Any]:
    return list(vars(thing).values()) if hasattr(thing, "__dict__") else []


def _items(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return list(value) if isinstance(value, (list, tuple)) else []


@cache
def _own_names() -> frozenset[str]:
    """What every module has beside its own attributes: tables of hooks and of children."""
    return frozenset(vars(nn.Module()))


def _filled(cell) -> bool:
    try:
        cell.cell_contents  # noqa: B018 - reading an empty cell raises
    except ValueError:
        return False
    return True
