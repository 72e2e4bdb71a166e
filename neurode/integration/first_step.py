"""The first step size, from two evaluations of f (Hairer, Norsett and Wanner 1993, II.4, algorithm 4.14)."""

import math
from collections.abc import Callable

import numpy as np
import torch

from neurode.core.equation import AbstractEquation, HostTime
from neurode.core.transforms import host_array, host_number
from neurode.integration.controller import rounded_down

Norm = Callable[[torch.Tensor], HostTime]
"""Of packed ratios of error to tolerance: a float, or (lanes,)."""


def first_step_size(
    equation: AbstractEquation,
    t0: HostTime,
    span: HostTime,
    y0: torch.Tensor,
    f0: torch.Tensor,
    *,
    order: int,
    scale: torch.Tensor,
    norm: Norm | None = None,
) -> HostTime:
    """A positive step size, never beyond |span|; a float or (lanes,) as t0 is.

    span: t1 - t0, signed. scale: atol + rtol |y0|, like y0. norm: in the place of the root mean square. Calls f
    once, inside the interval.
    """
    lanes = isinstance(span, np.ndarray)
    if not lanes:
        return _joint_size(equation, t0, span, y0, f0, order, scale, norm)

    def size_of(x: torch.Tensor) -> np.ndarray:
        if norm is not None:
            return norm(x / scale)
        ratio = equation.layout.flat(x / scale).double()
        ratio = torch.linalg.vector_norm(ratio, dim=1) / max(1, ratio.shape[1] // equation.layout.reals) ** 0.5
        return host_array(ratio)

    length = np.abs(span)
    d0, d1 = size_of(y0), size_of(f0)
    with np.errstate(divide="ignore", invalid="ignore"):
        h0 = np.where((d0 < 1e-5) | (d1 < 1e-5), 1e-6, 0.01 * d0 / d1)
        h0 = np.minimum(np.where(np.isfinite(h0) & (h0 > 0), h0, 1e-6), length)
        signed = np.sign(span) * h0
        step = torch.from_numpy(signed).to(y0.device, y0.dtype).unsqueeze(1)
        f1 = equation(equation.times([t0 + signed])[0], y0 + step * f0)
        d2 = size_of(f1 - f0) / np.where(h0 > 0, h0, 1.0)
        largest = np.fmax(d1, d2)
        h1 = np.where(largest <= 1e-15, np.maximum(1e-6, h0 * 1e-3), (0.01 / largest) ** (1.0 / (order + 1)))
    size = np.minimum(np.minimum(100 * h0, np.where(np.isfinite(h1) & (h1 > 0), h1, h0)), length)
    return rounded_down(size)


def _joint_size(equation, t0: float, span: float, y0, f0, order: int, scale: torch.Tensor, norm) -> float:
    """The same for one lane, in Python floats."""

    def size_of(x: torch.Tensor) -> float:
        if norm is not None:
            return norm(x / scale)
        return host_number(torch.linalg.vector_norm(x / scale)) / max(1, x.numel() // equation.layout.reals) ** 0.5

    length, d0, d1 = abs(span), size_of(y0), size_of(f0)
    h0 = 1e-6 if not (d0 >= 1e-5 and d1 >= 1e-5) else 0.01 * d0 / d1
    h0 = min(h0 if 0 < h0 < math.inf else 1e-6, length)
    step = math.copysign(h0, span)
    f1 = equation(equation.times([t0 + step])[0], torch.add(y0, f0, alpha=step))
    d2 = size_of(f1 - f0) / (h0 if h0 > 0 else 1.0)
    largest = d2 if d1 != d1 else d1 if d2 != d2 else max(d1, d2)
    if largest <= 1e-15:
        h1 = max(1e-6, h0 * 1e-3)
    else:
        h1 = (0.01 / largest) ** (1.0 / (order + 1))
    return rounded_down(min(100 * h0, h1 if 0 < h1 < math.inf else h0, length))
