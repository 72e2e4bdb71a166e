"""The first step size, from two evaluations of f (Hairer, Norsett and Wanner 1993, II.4, algorithm 4.14)."""

from collections.abc import Callable

import numpy as np
import torch

from neurode.core.equation import AbstractEquation, HostTime
from neurode.core.transforms import host_array
from neurode.integration.controller import rounded_down

RatioNorm = Callable[[torch.Tensor], torch.Tensor]


def first_step_size(
    equation: AbstractEquation,
    t0: HostTime,
    span: HostTime,
    y0: torch.Tensor,
    f0: torch.Tensor,
    *,
    order: int,
    scale: torch.Tensor,
) -> HostTime:
    """A positive step size, never beyond |span|; a float or (lanes,) as t0 is.

    span: t1 - t0, signed. scale: atol + rtol |y0|, like y0. Calls f once, inside the interval.
    """
    lanes = isinstance(span, np.ndarray)

    def norm(x: torch.Tensor) -> np.ndarray:
        ratio = equation.layout.flat(x / scale).double()
        ratio = torch.linalg.vector_norm(ratio, dim=1) / max(1, ratio.shape[1]) ** 0.5
        return host_array(ratio)

    length = np.abs(np.atleast_1d(span))
    d0, d1 = norm(y0), norm(f0)
    with np.errstate(divide="ignore", invalid="ignore"):
        h0 = np.where((d0 < 1e-5) | (d1 < 1e-5), 1e-6, 0.01 * d0 / d1)
        h0 = np.minimum(np.where(np.isfinite(h0) & (h0 > 0), h0, 1e-6), length)
        signed = np.sign(np.atleast_1d(span)) * h0
        step = torch.from_numpy(signed).to(y0.device, y0.dtype).unsqueeze(1) if lanes else float(signed[0])
        t_probe = t0 + (signed if lanes else float(signed[0]))
        f1 = equation(equation.times([t_probe])[0], y0 + step * f0)
        d2 = norm(f1 - f0) / np.where(h0 > 0, h0, 1.0)
        largest = np.fmax(d1, d2)
        h1 = np.where(largest <= 1e-15, np.maximum(1e-6, h0 * 1e-3), (0.01 / largest) ** (1.0 / (order + 1)))
    size = np.minimum(np.minimum(100 * h0, np.where(np.isfinite(h1) & (h1 > 0), h1, h0)), length)
    size = rounded_down(size)
    return size if lanes else float(size[0])
