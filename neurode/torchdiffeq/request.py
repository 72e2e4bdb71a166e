"""A call of torchdiffeq's interface, checked and brought into one form: one tensor as the state, options by name."""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from neurode.torchdiffeq.methods import CALLBACKS, METHODS, Method

Field = Callable[[torch.Tensor, Any], Any]


@dataclass(frozen=True)
class Request:
    """What is to be solved. For a tuple state `func`, `event_fn`, `norm` and `callbacks` take the flat tensor `y0` is.

    parts: the shapes of a tuple state, None for a tensor. norm: None for the root mean square of a tensor.
    """

    func: Field
    y0: torch.Tensor
    t: torch.Tensor
    rtol: Any
    atol: Any
    method: Method
    options: dict[str, Any]
    norm: Callable[[Any], Any] | None
    callbacks: dict[str, Callable]
    event_fn: Field | None
    parts: tuple[torch.Size, ...] | None

    @property
    def forward(self) -> bool:
        """Does time grow?"""
        return len(self.t) < 2 or bool(self.t[0] < self.t[1])

    def rows(self, ys: torch.Tensor) -> Any:
        """Values of the state, one a row, as the user's own structure."""
        return ys if self.parts is None else split(ys, self.parts)


def demand(condition: bool, sentence: str) -> None:
    """AssertionError, as torchdiffeq raises it, and also where Python runs with -O."""
    if not condition:
        raise AssertionError(sentence)


def read(func, y0, t, rtol, atol, method, options, event_fn) -> Request:
    """Check a call; raises what torchdiffeq raises, at the same things."""
    if event_fn is not None and len(t) != 2:
        raise ValueError(
            f"with event_fn, t must hold two times, where to start and one that shows the direction, but has {len(t)}."
        )
    callbacks = {name: getattr(func, name) for name in CALLBACKS if hasattr(func, name)}
    options = dict(options or {})
    norm = options.get("norm")
    parts = None
    if not isinstance(y0, torch.Tensor):
        demand(isinstance(y0, tuple), f"y0 must be a tensor or a tuple of tensors, but is a {type(y0).__name__}.")
        parts = tuple(part.shape for part in y0)
        rtol, atol = flat_tolerance("rtol", rtol, parts), flat_tolerance("atol", atol, parts)
        y0 = torch.cat([part.reshape(-1) for part in y0])
        func = flat_field(func, parts)
        norm = flat_norm(largest_part if norm is None else norm, parts)
        event_fn = None if event_fn is None else _on_flat(event_fn, parts)
        callbacks = {name: _flat_callback(callback, parts) for name, callback in callbacks.items()}
    found = _method(method, options)
    check_times(t)
    for name, tolerance in (("rtol", rtol), ("atol", atol)):
        traced = isinstance(tolerance, torch.Tensor) and tolerance.requires_grad
        demand(not traced, f"{name} cannot require a gradient.")
    if t.device != y0.device:
        warnings.warn(f"t is on {t.device} and y0 on {y0.device}: t is moved to {y0.device}.", stacklevel=4)
        t = t.to(y0.device)
    unknown = set(callbacks) - set(found.callbacks)
    if unknown:
        warnings.warn(f"Solver '{method}' does not support callbacks {unknown}", stacklevel=4)
    return Request(func, y0, t, rtol, atol, found, options, norm, callbacks, event_fn, parts)


def _method(method: str | None, options: dict[str, Any]) -> Method:
    name = "dopri5" if method is None else method
    if name not in METHODS:
        known = '", "'.join(METHODS)
        raise ValueError(f'Invalid method "{name}". Must be one of {{"{known}"}}.')
    found = METHODS[name]
    unexpected = {key: value for key, value in options.items() if key not in found.options}
    if unexpected:
        warnings.warn(f"{found.label}: Unexpected arguments {unexpected}", stacklevel=5)
    return found


def check_times(t: Any) -> None:
    """AssertionError or TypeError where t is no strictly monotone list of times."""
    demand(isinstance(t, torch.Tensor), f"t must be a torch.Tensor, but is a {type(t).__name__}.")
    if not t.is_floating_point():
        raise TypeError(f"`t` must be a floating point tensor, but has dtype {t.dtype}. Convert it with t.float().")
    demand(t.ndim == 1, f"t must be one dimensional, but has shape {tuple(t.shape)}.")
    monotone = bool((t[1:] > t[:-1]).all() or (t[1:] < t[:-1]).all())
    demand(monotone, "t must be strictly increasing or decreasing.")


def flat_tolerance(name: str, tolerance: Any, parts: Sequence[torch.Size]) -> Any:
    """A tolerance for each part of a tuple, as one of each number of the flat state."""
    if (isinstance(tolerance, torch.Tensor) and tolerance.ndim == 0) or not hasattr(tolerance, "__iter__"):
        return tolerance
    given = tuple(tolerance)
    demand(
        len(given) == len(parts),
        f"{name} lists {len(given)} tolerances, but y0 has {len(parts)} parts. Pass one a part, or one for all.",
    )
    return torch.cat(
        [torch.as_tensor(one, dtype=torch.float64).expand(part.numel()) for one, part in zip(given, parts, strict=True)]
    )


def split(flat: torch.Tensor, parts: Sequence[torch.Size]) -> tuple[torch.Tensor, ...]:
    """The parts of a flat state (..., n), each (..., *shape)."""
    pieces, begin, lead = [], 0, flat.shape[:-1]
    for shape in parts:
        end = begin + shape.numel()
        pieces.append(flat[..., begin:end].view((*lead, *shape)))
        begin = end
    return tuple(pieces)


def flat_field(func: Field, parts: Sequence[torch.Size]) -> Field:
    """func of a tuple as one of a flat state."""

    def flat(t: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return torch.cat([part.reshape(-1) for part in func(t, split(y, parts))])

    return flat


def _on_flat(function: Field, parts: Sequence[torch.Size]) -> Field:
    return lambda t, y: function(t, split(y, parts))


def flat_norm(norm: Callable, parts: Sequence[torch.Size]) -> Callable:
    """A norm of a tuple as one of a flat state."""
    return lambda flat: norm(split(flat, parts))


def _flat_callback(callback: Callable, parts: Sequence[torch.Size]) -> Callable:
    return lambda t0, y0, dt: callback(t0, split(y0, parts), dt)


def root_mean_square(y: torch.Tensor) -> torch.Tensor:
    """The norm of a tensor."""
    return y.abs().pow(2).mean().sqrt()


def largest_part(parts: Sequence[torch.Tensor]) -> Any:
    """The norm of a tuple: the largest root mean square of a part; 0 for an empty one."""
    sizes = [root_mean_square(part) for part in parts if part.numel()]
    return max(sizes) if sizes else 0.0
