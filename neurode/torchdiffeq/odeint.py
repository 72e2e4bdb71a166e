"""odeint and its relatives: torchdiffeq's interface on top of `solve`."""

from collections.abc import Callable
from typing import Any

import torch

from neurode.torchdiffeq import adaptive, events, fixed, outside
from neurode.torchdiffeq.adaptive import AdaptiveWalk
from neurode.torchdiffeq.request import Field, Request, demand, read

_VALUES = {"adaptive": adaptive.values, "fixed": fixed.values, "outside": outside.values}


def odeint(
    func: Field,
    y0: Any,
    t: torch.Tensor,
    *,
    rtol: Any = 1e-7,
    atol: Any = 1e-9,
    method: str | None = None,
    options: dict[str, Any] | None = None,
    event_fn: Field | None = None,
) -> Any:
    """Solve dy/dt = func(t, y) from y0 at t[0], as `torchdiffeq.odeint` does; differentiable to any order.

    Good for a program written for torchdiffeq. Not for new code: `neurode.solve` says more of what happened.

    func: of a 0-d time and a state like y0. y0: a tensor or a tuple of tensors, real or complex. t: (n,) floating
    point, strictly rising or falling, t[0] the time of y0. rtol, atol: numbers, tensors, or one a part of a tuple.
    method: None is "dopri5"; see `neurode.torchdiffeq.METHODS`. options: those of the method. event_fn: solve from t[0]
    in the direction of t[1] until it crosses zero, however far that is.

    Returns (n, *y0.shape), a tuple of such for a tuple; with event_fn (time of the event, solution of two rows).
    Raises ValueError, TypeError and AssertionError where torchdiffeq does; warns of options that it does not know.
    """
    request = read(func, y0, t, rtol, atol, method, options, event_fn)
    if request.event_fn is None:
        return request.rows(values_of(request))
    time, ys = events.until(request)
    return time, request.rows(ys)


def values_of(request: Request) -> torch.Tensor:
    """The solution at the times of a request, (len(t), *y0.shape)."""
    return _VALUES[request.method.kind](request)


def odeint_dense(
    func: Field,
    y0: Any,
    t0: Any,
    t1: Any,
    *,
    rtol: Any = 1e-7,
    atol: Any = 1e-9,
    method: str | None = None,
    options: dict[str, Any] | None = None,
) -> Callable[[Any], Any]:
    """The solution between t0 and t1 as a function of time, by the dense output of an adaptive method.

    As `torchdiffeq.odeint_dense`, and also for tuples, backwards in time, for every adaptive method, and at many times:
    a 0-d time gives y0's shape, (n,) times (n, *y0.shape). Raises AssertionError for a method of fixed steps.
    """
    like = next((time for time in (t0, t1) if isinstance(time, torch.Tensor)), torch.zeros((), dtype=torch.float64))
    t = torch.stack([torch.as_tensor(time, dtype=like.dtype, device=like.device) for time in (t0, t1)])
    request = read(func, y0, t, rtol, atol, method, options, None)
    demand(request.method.kind == "adaptive", f"odeint_dense needs an adaptive method, but method is {method!r}.")
    walk = AdaptiveWalk(request)
    solution = walk.advance(request.t, "dense")

    def solution_at(t_eval: Any) -> Any:
        times = torch.as_tensor(t_eval, dtype=None if isinstance(t_eval, torch.Tensor) else torch.float64)
        return request.rows(walk.back(solution.evaluate(times)))

    return solution_at
