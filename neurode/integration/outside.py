"""A solver from outside as a reference: SciPy's `solve_ivp` on a torch field."""

from typing import Any

import numpy as np
import torch

from neurode.core.equation import Equation
from neurode.core.errors import SolveError, Status
from neurode.core.extras import require
from neurode.core.protocols import VectorField
from neurode.core.state import State, layout_of
from neurode.integration.solution import Solution, Stats
from neurode.integration.times import TimesLike, read_times

SCIPY_METHODS = ("RK23", "RK45", "DOP853", "Radau", "BDF", "LSODA")


@torch.no_grad()
def scipy_reference(
    f: VectorField,
    y0: State,
    ts: TimesLike,
    *,
    args: Any = None,
    method: str = "DOP853",
    rtol: float = 1e-9,
    atol: float = 1e-12,
    **options: Any,
) -> Solution:
    """The solution of dy/dt = f(t, y) by `scipy.integrate.solve_ivp`.

    Good for holding a result against another implementation, and for a method that neurode has not (LSODA). Not good
    for training: it runs on the CPU, in NumPy, jointly, and gives no gradient.

    f, y0, ts, args: as in `solve`, with batching="joint". method: one of SciPy's, "DOP853" by default. rtol, atol:
    numbers. options: whatever else `solve_ivp` takes for that method (max_step, first_step, jac, ...).

    Returns a Solution like that of `solve`; its statistics hold the evaluations, and no steps, which SciPy does not
    tell. Raises MissingExtraError where SciPy is not installed, ValueError for an unknown method, SolveError with
    SciPy's own words where it fails.
    """
    integrate = require("scipy.integrate", extra="scipy")
    if method not in SCIPY_METHODS:
        raise ValueError(f"unknown method {method!r} of SciPy. It has: {', '.join(SCIPY_METHODS)}.")
    layout = layout_of(y0, per_sample=False)
    start = layout.pack(y0).detach()
    times = read_times(ts, lanes=1, per_sample=False, device=layout.device)
    equation, host = Equation(f, args, layout=layout), times.host

    def right(t: float, y: np.ndarray) -> np.ndarray:
        state = torch.from_numpy(y).to(start.device, start.dtype).view(start.shape)
        return equation(equation.times([t])[0], state).reshape(-1).double().cpu().numpy()

    flat = start.reshape(-1).double().cpu().numpy()
    found = integrate.solve_ivp(
        right, (host[0], host[-1]), flat, method=method, t_eval=host, rtol=rtol, atol=atol, **options
    )
    count = torch.tensor(equation.count.calls)
    none = torch.zeros((), dtype=torch.int64)
    rows = torch.full((len(host), len(flat)), float("nan"), dtype=torch.float64)
    rows[: found.y.shape[1]] = torch.from_numpy(found.y.T)
    values = rows.to(start.device, start.dtype).unsqueeze(1)
    status = Status.SUCCESS if found.success else Status.STEP_TOO_SMALL
    solution = Solution(
        ts=times.shown,
        ys=layout.unpack_rows(values),
        lengths=None,
        status=torch.tensor(int(status)),
        stats=Stats(count, none, none, none, engine="scipy"),
        reached=torch.tensor(float(found.t[-1]) if len(found.t) else float(host[0]), dtype=torch.float64),
        last_step=torch.tensor(float("nan"), dtype=torch.float64),
    )
    if not found.success:
        reached = float(solution.reached)
        raise SolveError(
            f"SciPy's {method} failed at t={reached:.6g} of [{host[0]:.6g}, {host[-1]:.6g}]: {found.message} "
            "Loosen rtol and atol, or take a method for stiff problems (Radau, BDF).",
            status=status,
            solution=solution,
        )
    return solution
