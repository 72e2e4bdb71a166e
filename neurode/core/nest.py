"""`args`: any nest of tuples, lists and dicts with tensors at its leaves; `PerSample` marks the leaves with a row a
sample."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch


@dataclass(frozen=True)
class PerSample:
    """Marks a tensor of `args` whose first axis is the batch, so that its rows follow their samples.

    Good for conditions, masses, input signals that differ from sample to sample in a per-sample solve, where samples
    that are done leave the computation. The field receives the plain tensor with the rows of the samples it is
    called for. Not needed in a joint solve (there the whole tensor is passed on).
    value: tensor of shape (batch, ...).
    """

    value: torch.Tensor

    def __post_init__(self):
        if not isinstance(self.value, torch.Tensor) or self.value.ndim == 0:
            raise TypeError(
                f"PerSample takes a tensor of shape (batch, ...), but got {describe(self.value)}. "
                "Pass what is the same for all samples without PerSample."
            )


def describe(value: Any) -> str:
    """What a message says about a value: type and, for a tensor, shape and dtype."""
    if isinstance(value, torch.Tensor):
        return f"a tensor of shape {tuple(value.shape)} and dtype {value.dtype}"
    if isinstance(value, (tuple, list, dict)):
        return f"{type(value).__name__} of length {len(value)}"
    text = repr(value)
    return f"{type(value).__name__} {text}" if len(text) <= 80 else type(value).__name__


def map_leaves(function: Callable[[Any], Any], nest: Any) -> Any:
    """Rebuild `nest` with `function` applied to every leaf (tensor, PerSample, or any other value)."""
    if isinstance(nest, tuple) and hasattr(nest, "_fields"):
        return type(nest)(*(map_leaves(function, item) for item in nest))
    if isinstance(nest, (tuple, list)):
        return type(nest)(map_leaves(function, item) for item in nest)
    if isinstance(nest, dict):
        return {key: map_leaves(function, item) for key, item in nest.items()}
    return function(nest)


def leaf_tensors(nest: Any) -> list[torch.Tensor]:
    """The tensors of a nest, PerSample unwrapped, in a fixed order."""
    found: list[torch.Tensor] = []

    def note(leaf):
        if isinstance(leaf, PerSample):
            found.append(leaf.value)
        elif isinstance(leaf, torch.Tensor):
            found.append(leaf)
        return leaf

    map_leaves(note, nest)
    return found


def with_tensors(nest: Any, tensors: list[torch.Tensor]) -> Any:
    """`nest` with its tensors replaced, in the order of `leaf_tensors`."""
    supply = iter(tensors)

    def put(leaf):
        if isinstance(leaf, PerSample):
            return PerSample(next(supply))
        return next(supply) if isinstance(leaf, torch.Tensor) else leaf

    return map_leaves(put, nest)


def per_sample_flags(nest: Any) -> list[bool]:
    """For each tensor of `leaf_tensors(nest)`: does it have a row a sample?"""
    flags: list[bool] = []

    def note(leaf):
        if isinstance(leaf, (PerSample, torch.Tensor)):
            flags.append(isinstance(leaf, PerSample))
        return leaf

    map_leaves(note, nest)
    return flags


def unwrapped(nest: Any) -> Any:
    """The nest as the field sees it: PerSample leaves become their tensors."""
    return map_leaves(lambda leaf: leaf.value if isinstance(leaf, PerSample) else leaf, nest)
