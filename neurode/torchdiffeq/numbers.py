"""Numbers between torchdiffeq's interface and the solver: complex states as pairs, times next to times, floats."""

from collections.abc import Callable
from typing import Any

import torch

from neurode.core.transforms import host_number


def host(value: Any) -> float:
    """A number or a 0-d tensor as a float."""
    return float(host_number(value)) if isinstance(value, torch.Tensor) else float(value)


def next_to(time: torch.Tensor, towards: torch.Tensor) -> torch.Tensor:
    """The number next to `time` on the way to another, with the gradient of `time` itself."""
    plain = time.detach()
    return time + (torch.nextafter(plain, towards.to(plain)) - plain)


def real_view(y: torch.Tensor) -> torch.Tensor:
    """A state as the solver takes it: complex numbers as pairs along a last axis."""
    return torch.view_as_real(y) if y.is_complex() else y


def complex_view(y: torch.Tensor) -> torch.Tensor:
    """Back from `real_view` of a complex state."""
    return torch.view_as_complex(y.contiguous())


def as_it_is(y: torch.Tensor) -> torch.Tensor:
    """Back from `real_view` of a real state."""
    return y


def back_of(y0: torch.Tensor) -> Callable[[torch.Tensor], torch.Tensor]:
    """Back from `real_view` of states like y0."""
    return complex_view if y0.is_complex() else as_it_is


def real_field(func: Callable, y0: torch.Tensor) -> Callable:
    """func for states as the solver takes them; func itself where they are real."""
    if not y0.is_complex():
        return func
    return lambda t, y: real_view(func(t, complex_view(y)))


def tolerance(given: Any, y0: torch.Tensor) -> float | torch.Tensor:
    """A tolerance as `solve` takes it: a float, or a tensor that broadcasts against `real_view(y0)`."""
    if not isinstance(given, torch.Tensor) and not hasattr(given, "__iter__"):
        return float(given)
    whole = torch.as_tensor(given, device=y0.device)
    if whole.numel() == 1:
        return host(whole.reshape(()))
    whole = whole.to(torch.empty(0, dtype=y0.dtype).abs().dtype)
    return whole.unsqueeze(-1) if y0.is_complex() else whole
