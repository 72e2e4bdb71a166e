"""SciPy's solvers for torchdiffeq's interface: an outside reference, in NumPy and without gradients."""

import warnings
from typing import Any

import numpy as np
import torch

from neurode.core.extras import require
from neurode.torchdiffeq.numbers import host, real_view
from neurode.torchdiffeq.request import Request


def values(request: Request) -> torch.Tensor:
    """The solution at the times of t, (len(t), *y0.shape), detached."""
    y0, t, options = request.y0, request.t, request.options
    if len(t) == 1:
        return y0.detach().clone().unsqueeze(0)
    times = t.detach().double().cpu().numpy()
    start = y0.detach().cpu().numpy().reshape(-1)
    start = start.astype(np.complex128 if np.iscomplexobj(start) else np.float64)
    limits: dict[str, Any] = {name: host(options[name]) for name in ("min_step", "max_step") if options.get(name)}
    found = require("scipy.integrate", extra="scipy").solve_ivp(
        _in_numpy(request), (times[0], times[-1]), start, method=options.get("solver", "LSODA"), t_eval=times,
        rtol=_plain(request.rtol), atol=_plain(request.atol), **limits,
    )  # fmt: skip
    solved = torch.from_numpy(found.y.T.copy()).to(y0.device, y0.dtype).reshape(-1, *y0.shape)
    if len(solved) == len(t):
        return solved
    warnings.warn(
        f"SciPy's solver gave {len(solved)} of {len(t)} times, the others are NaN: {found.message}", stacklevel=4
    )
    return torch.cat([solved, solved.new_full((len(t) - len(solved), *y0.shape), float("nan"))])


def _in_numpy(request: Request):
    y0, dtype = request.y0, real_view(request.y0).dtype

    def right_side(t: float, y: np.ndarray) -> np.ndarray:
        state = torch.from_numpy(y).to(y0.device, y0.dtype).reshape(y0.shape)
        with torch.no_grad():
            slope = request.func(torch.tensor(t, dtype=dtype, device=y0.device), state)
        return slope.detach().cpu().numpy().reshape(-1)

    return right_side


def _plain(tolerance: Any) -> Any:
    return tolerance.detach().cpu().numpy().reshape(-1) if isinstance(tolerance, torch.Tensor) else tolerance
