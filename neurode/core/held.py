"""The tensors that a callable holds: in modules, closures, partials, bound methods and the objects behind them."""

from collections.abc import Callable, Iterable, Iterator, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from types import ModuleType
from typing import Any

import torch
from torch import nn

from neurode.core.split_field import SplitField

LONGEST = 1000
"""A list with more entries is taken for data and not searched."""

Slot = tuple[MutableMapping[str, Any], str, torch.Tensor]
"""Where a module keeps a tensor: its table of parameters or buffers, the name there, and the tensor."""


@dataclass(frozen=True)
class Held:
    """named: tensors that the callable's code names, and parameters and buffers of modules. attributes: others that lie
    about in modules and objects. slots: the parameters and buffers with their places. Each once, in the order found."""

    named: list[torch.Tensor] = field(default_factory=list)
    attributes: list[torch.Tensor] = field(default_factory=list)
    slots: list[Slot] = field(default_factory=list)

    @property
    def tensors(self) -> list[torch.Tensor]:
        return self.named + self.attributes

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
    search.into([f], search.held.named)
    return search.held


class _Search:
    def __init__(self):
        self.held = Held()
        self.seen: set[int] = set()

    def into(self, things: Iterable[Any], kind: list[torch.Tensor]) -> None:
        """Tensors, modules and callables among these, and in lists, tuples and dicts among them. kind: where a tensor
        is noted."""
        for thing in things:
            for item in _items(thing) or (thing,):
                if id(item) in self.seen or isinstance(item, (type, ModuleType)):
                    continue
                self.seen.add(id(item))
                if isinstance(item, torch.Tensor):
                    kind.append(item)
                elif isinstance(item, nn.Module):
                    self._modules(item)
                elif callable(item):
                    self._callable(item)

    def _modules(self, root: nn.Module) -> None:
        for module in root.modules():
            self.seen.add(id(module))
            for table in (module._parameters, module._buffers):
                tensors = {name: tensor for name, tensor in table.items() if tensor is not None}
                self.into(tensors.values(), self.held.named)
                # A buffer that counts or marks is the module's own affair.
                kept = (name for name, tensor in tensors.items() if tensor.is_floating_point() or tensor.is_complex())
                self.held.slots.extend((table, name, tensors[name]) for name in kept)
            if isinstance(module, SplitField):
                self.into(module.parts, self.held.named)
            others = (value for name, value in vars(module).items() if name not in _own_names())
            found = (item for value in others for item in _items(value) or (value,))
            self.into((x for x in found if isinstance(x, (torch.Tensor, nn.Module))), self.held.attributes)

    def _callable(self, thing: Any) -> None:
        self.into(
            (cell.cell_contents for cell in getattr(thing, "__closure__", None) or () if _filled(cell)), self.held.named
        )
        for name in ("args", "keywords", "__defaults__", "__kwdefaults__"):
            self.into(_items(getattr(thing, name, None)), self.held.named)
        self.into((getattr(thing, name, None) for name in ("__func__", "__wrapped__", "func")), self.held.named)
        owner = getattr(thing, "__self__", None)
        self.into([owner], self.held.attributes)
        if not isinstance(owner, (nn.Module, type, ModuleType)):
            self.into(_own_attributes(owner), self.held.attributes)
        if not hasattr(thing, "__closure__"):
            self.into(_own_attributes(thing), self.held.attributes)


def _items(value: Any) -> list[Any]:
    if not isinstance(value, (dict, list, tuple)) or len(value) > LONGEST:
        return []
    return list(value.values()) if isinstance(value, dict) else list(value)


def _own_attributes(thing: Any) -> list[Any]:
    return list(vars(thing).values()) if hasattr(thing, "__dict__") else []


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
