"""odeint_event: the time of an event and the state there, with the gradients of both."""

from typing import Any

import torch

from neurode.torchdiffeq.numbers import real_view
from neurode.torchdiffeq.odeint import odeint
from neurode.torchdiffeq.request import Field, flat_field, split


def odeint_event(
    func: Field,
    y0: Any,
    t0: torch.Tensor,
    *,
    event_fn: Field,
    reverse_time: bool = False,
    odeint_interface: Any = odeint,
    **kwargs: Any,
) -> tuple[torch.Tensor, Any]:
    """Solve until event_fn(t, y) crosses zero, with gradients through the time of the event.

    As `torchdiffeq.odeint_event`, and also differentiable by what event_fn itself holds. t0: 0-d tensor.
    odeint_interface: `odeint`, or `odeint_adjoint`; takes the other arguments. Returns (time of the event, 0-d;
    solution of two rows, y0 and the state at the event, a tuple of such for a tuple).
    """
    start = t0.reshape(-1)
    t = torch.cat([start, start.detach() + (-1.0 if reverse_time else 1.0)])
    found, solution = odeint_interface(func, y0, t, event_fn=event_fn, **kwargs)
    parts = None if isinstance(y0, torch.Tensor) else tuple(part.shape for part in y0)
    if parts is None:
        time, state = _moved(func, event_fn, found, solution[-1])
        return time, torch.cat([solution[:-1], state.unsqueeze(0)])
    flat = torch.cat([part[-1].reshape(-1) for part in solution])
    time, state = _moved(flat_field(func, parts), lambda t, y: event_fn(t, split(y, parts)), found, flat)
    rows = zip(solution, split(state, parts), strict=True)
    return time, tuple(torch.cat([part[:-1], end.unsqueeze(0)]) for part, end in rows)


def _moved(func: Field, event_fn: Field, found: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The same time and state with the gradients they owe to the event.

    g(t, y(t)) = 0 holds it in place: it moves by -dg / g', where g' is the derivative of g along the solution, and the
    state moves along the solution with it.
    """
    time = found.detach().to(real_view(y).dtype)
    fixed_y = y.detach().requires_grad_()
    moving = time.clone().requires_grad_()
    with torch.enable_grad():
        values = event_fn(moving, fixed_y)
        # Of several functions the one that fired is the one that is nearest to zero.
        place = values.detach().abs().reshape(-1).argmin()
        by_t, by_y = torch.autograd.grad(values.reshape(-1)[place], (moving, fixed_y), allow_unused=True)
    slope = func(time, y)
    speed = torch.zeros_like(time)
    if by_t is not None:
        speed = speed + by_t
    if by_y is not None:
        speed = speed + (by_y.conj() * slope.detach()).sum().real
    value = event_fn(time, y).reshape(-1)[place]
    shift = -(value - value.detach()) / speed
    return found + shift.to(found.dtype), y + slope * shift
