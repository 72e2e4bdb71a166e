"""rtol and atol as the loop wants them: a number, or a tensor like the packed state."""

from typing import Any

import torch

from neurode.core.nest import describe
from neurode.core.state import StateLayout


def read_tolerance(
    name: str, given: Any, default: float, layout: StateLayout, state: torch.Tensor
) -> float | torch.Tensor:
    """given: None for the default, a number, a tensor that broadcasts against the state, or for a tuple or dict state
    such a nest of numbers and tensors. Raises TypeError or ValueError with what came and what is allowed."""
    if given is None:
        return default
    if isinstance(given, (tuple, list, dict)):
        packed = _packed(name, _parts(name, given, layout), layout, state)
    elif isinstance(given, torch.Tensor) and given.numel() > 1:
        if layout.kind != "tensor":
            raise ValueError(
                f"{name} as a tensor needs a tensor state, but y0 is a {layout.kind}. Pass a number, or a "
                f"{layout.kind} with one entry for each part."
            )
        packed = _packed(name, [given], layout, state)
    else:
        packed = float(given)
    smallest = packed if isinstance(packed, float) else float(packed.min())
    if not smallest >= 0:
        raise ValueError(f"{name} must not be negative or NaN, but is {smallest}.")
    return packed


def _parts(name: str, given: Any, layout: StateLayout) -> list:
    if layout.kind == "tensor":
        raise TypeError(f"{name} is {describe(given)}, but y0 is a tensor. Pass a number or a tensor.")
    if layout.kind == "dict":
        if not isinstance(given, dict) or set(given) != set(layout.keys):
            raise ValueError(f"{name} is {describe(given)}, but y0 is a dict with the keys {list(layout.keys)}.")
        return [given[key] for key in layout.keys]
    if isinstance(given, dict) or len(given) != len(layout.keys):
        raise ValueError(f"{name} is {describe(given)}, but y0 is a tuple of {len(layout.keys)} tensors.")
    return list(given)


def _packed(name: str, parts: list, layout: StateLayout, state: torch.Tensor) -> torch.Tensor:
    wholes = []
    for part, inner in zip(parts, layout.part_shapes, strict=True):
        shape = (state.shape[0], *inner) if layout.per_sample else inner
        own = torch.as_tensor(part).detach().to(layout.device, layout.dtype)
        try:
            wholes.append(own.broadcast_to(shape))
        except RuntimeError:
            raise ValueError(
                f"{name} of shape {tuple(own.shape)} does not broadcast against y0 of shape {tuple(shape)}."
            ) from None
    return layout.pack_sizes(wholes)
