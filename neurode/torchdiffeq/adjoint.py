"""odeint_adjoint: gradients by a second solve backwards in time, which a user of torchdiffeq can see and change."""

import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import nn

from neurode.torchdiffeq import events
from neurode.torchdiffeq.backwards import AdjointSettings, BackwardSolve
from neurode.torchdiffeq.methods import ADJOINT_CALLBACKS
from neurode.torchdiffeq.odeint import values_of
from neurode.torchdiffeq.request import Field, Request, largest_part, read, root_mean_square, split


def odeint_adjoint(
    func: Field,
    y0: Any,
    t: torch.Tensor,
    *,
    rtol: Any = 1e-7,
    atol: Any = 1e-9,
    method: str | None = None,
    options: dict[str, Any] | None = None,
    event_fn: Field | None = None,
    adjoint_rtol: Any = None,
    adjoint_atol: Any = None,
    adjoint_method: str | None = None,
    adjoint_options: dict[str, Any] | None = None,
    adjoint_params: Iterable[torch.Tensor] | None = None,
) -> Any:
    """As `odeint`, with gradients by the adjoint equation, whose memory does not grow with the number of steps.

    Good for a program written for torchdiffeq, and for watching or steering its backward solve. Not for new code:
    `solve(..., gradient="checkpointed")` is exact, and `Adjoint` says when the state solved back has drifted.

    adjoint_rtol, adjoint_atol, adjoint_method, adjoint_options: of the backward solve; None: those of the forward one,
    its norm left out. adjoint_options["norm"]: "seminorm" leaves the parameters out of the error; or a function of
    (adj_t, y, adj_y, *adj_params), of (adj_t, *y, *adj_y, *adj_params) for a tuple state. adjoint_params: what is
    differentiated beside y0 and t; None: func.parameters().

    Returns what `odeint` returns. Raises ValueError where func is no nn.Module and adjoint_params is not given, or
    where adjoint_options cannot be told from options; beyond that what `odeint` raises.
    """
    if adjoint_params is not None:
        every = list(adjoint_params)
    elif isinstance(func, nn.Module):
        every = parameters_of(func)
    else:
        raise ValueError(
            "func must be an nn.Module, so that its parameters are known; otherwise name them with adjoint_params=..., "
            "which may be ()."
        )
    if adjoint_method is not None and adjoint_method != method and options is not None and adjoint_options is None:
        raise ValueError(
            f"adjoint_method={adjoint_method!r} differs from method={method!r}, so options cannot hold for both. Pass "
            "adjoint_options."
        )
    if adjoint_options is None:
        adjoint_options = {name: value for name, value in (options or {}).items() if name != "norm"}
    wanted = tuple(parameter for parameter in every if parameter.requires_grad)
    if len(wanted) < len(every) and callable(adjoint_options.get("norm")):
        warnings.warn(
            "An adjoint parameter was passed without requiring gradient: it takes no part in the backward solve, and "
            "is not seen by its norm.",
            stacklevel=2,
        )
    request = read(func, y0, t, rtol, atol, method, options, event_fn)
    settings = AdjointSettings(
        rtol=rtol if adjoint_rtol is None else adjoint_rtol,
        atol=atol if adjoint_atol is None else adjoint_atol,
        method=method if adjoint_method is None else adjoint_method,
        options={**adjoint_options, "norm": norm_of(request, adjoint_options.get("norm"))},
        callbacks={name: getattr(func, name) for name in ADJOINT_CALLBACKS if hasattr(func, name)},
    )
    outputs = _Adjoint.apply(request, settings.spread(request, len(wanted)), request.y0, request.t, *wanted)
    if request.event_fn is None:
        return request.rows(outputs)
    time, ys = outputs
    return time, request.rows(ys)


def parameters_of(func: nn.Module) -> list[torch.Tensor]:
    """The parameters of a module; of a replica that DataParallel made, its tensors that want a gradient."""
    if not getattr(func, "_is_replica", False):
        return list(func.parameters())
    tensors = (value for module in func.modules() for value in vars(module).values())
    return [value for value in tensors if isinstance(value, torch.Tensor) and value.requires_grad]


def norm_of(request: Request, given: Any) -> Callable:
    """The norm of the backward solve's state (adj_t, y, adj_y, *adj_params), each part as it is there."""
    of_state = request.norm or root_mean_square
    if given is None:
        return lambda parts: _largest(parts[0].abs(), of_state(parts[1]), of_state(parts[2]), largest_part(parts[3:]))
    if given == "seminorm":
        return lambda parts: _largest(parts[0].abs(), of_state(parts[1]), of_state(parts[2]))
    shapes = request.parts
    if shapes is None:
        return given

    def of_tuple(parts: Sequence[torch.Tensor]) -> Any:
        t, y, adj_y, *others = parts
        return given((t, *split(y, shapes), *split(adj_y, shapes), *others))

    return of_tuple


def _largest(first: torch.Tensor, *others: Any) -> torch.Tensor:
    for other in others:
        first = torch.maximum(first, torch.as_tensor(other).to(first))
    return first


class _Adjoint(torch.autograd.Function):
    """The solve as a node of the graph: `grad_fn.adjoint_options` may be changed before the backward pass."""

    @staticmethod
    def forward(ctx, request: Request, settings: AdjointSettings, y0, t, *parameters):
        with torch.no_grad():
            time = None
            if request.event_fn is None:
                times, ys = t, values_of(request)
            else:
                time, ys = events.until(request)
                times = torch.stack([t[0], time])
        ctx.request, ctx.settings, ctx.adjoint_options = request, settings, settings.options
        ctx.save_for_backward(times, ys, *parameters)
        ctx.set_materialize_grads(True)
        return ys if time is None else (time, ys)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> Any:
        if torch.is_grad_enabled():
            raise RuntimeError(
                "odeint_adjoint gives first derivatives only, and a derivative of its derivative was asked for "
                "(create_graph=True). Use odeint, which is differentiable to any order."
            )
        times, ys, *parameters = ctx.saved_tensors
        settings = ctx.settings.with_options(ctx.adjoint_options)
        back = BackwardSolve(ctx.request.func, settings, tuple(parameters), time=ctx.needs_input_grad[3])
        with torch.no_grad():
            y0_bar, t_bar, bars = back.run(times, ys, grad_outputs[-1])
        if ctx.request.event_fn is not None and t_bar is not None:
            # The time of the event is no input, and the second time of t has no part in it.
            t_bar = torch.cat([t_bar[:1], torch.zeros_like(t_bar[1:])])
        return None, None, y0_bar, t_bar, *bars
