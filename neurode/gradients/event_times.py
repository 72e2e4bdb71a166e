"""Gradients of when an event happens, and so of the state there, by the implicit function theorem.

The condition g(t, y(t)) stays zero when a parameter p moves: dt/dp = -(dg/dp + dg/dy dy/dp) / (dg/dt + dg/dy dy/dt).
Any gradient of a solve gives dy/dp at a time held fixed; what is here comes on top of it.
"""

from dataclasses import replace

import numpy as np
import torch

from neurode.gradients.gradient import Differentiated
from neurode.integration.events import EventRows
from neurode.integration.problem import Problem
from neurode.integration.watch import condition_of


def with_event_times(problem: Problem, run: Differentiated) -> tuple[Differentiated, torch.Tensor]:
    """The run with states at events that move with their time, and these times (rows,), float64, as the trajectory
    lists its events."""
    rows = run.trajectory.events
    if rows is None or problem.events is None:
        return run, torch.zeros(0, dtype=torch.float64, device=run.values.device)
    device = run.values.device
    times = torch.from_numpy(rows.time).to(device)
    if not torch.is_grad_enabled():
        return run, times
    place = torch.from_numpy(rows.row).to(device)
    states = run.values.index_select(0, place)
    followed = _followed_times(problem, rows, states, times)
    if not followed.requires_grad:
        return run, times
    moved = (followed - times).to(states.dtype).unsqueeze(1)
    return replace(run, values=run.values.index_copy(0, place, torch.addcmul(states, moved, rows.slope))), followed


def _followed_times(problem: Problem, rows: EventRows, states: torch.Tensor, times: torch.Tensor) -> torch.Tensor:
    """times with their gradients."""
    per_sample = problem.equation.layout.per_sample
    assert problem.events is not None
    groups = [np.flatnonzero(rows.which == number) for number in np.unique(rows.which)]
    if not per_sample:  # a condition takes one state there
        groups = [np.array([row]) for row in range(len(rows.row))]
    pieces = [times[torch.from_numpy(group).to(times.device)] for group in groups]
    for number, group in enumerate(groups):
        own = torch.from_numpy(group).to(times.device)
        which = int(rows.which[group[0]])
        equation = problem.equation
        if per_sample:
            equation = equation.select(torch.from_numpy(rows.lane[group]).to(times.device))
        event, at = problem.events.events[which], states.index_select(0, own)
        if not at.requires_grad:
            # What the condition itself depends on may still want a gradient.
            if not condition_of(event, which, equation, rows.time[group], at)[0].requires_grad:
                continue
            at.requires_grad_()
        value, t = condition_of(event, which, equation, rows.time[group], at, timed=True)
        if not value.requires_grad:
            continue
        by_t, by_y = torch.autograd.grad(value.sum(), (t, at), retain_graph=True, allow_unused=True)
        rate = torch.zeros_like(value)
        rate = rate if by_t is None else rate + by_t.reshape(-1)
        rate = rate if by_y is None else rate + (by_y * rows.slope.index_select(0, own)).sum(1)
        pieces[number] = _EventTime.apply(value, pieces[number], rate)
    order = torch.from_numpy(np.argsort(np.concatenate(groups), kind="stable")).to(times.device)
    return torch.cat(pieces).index_select(0, order)


class _EventTime(torch.autograd.Function):
    """The time at which a condition is zero, as a function of its value at that time held fixed."""

    @staticmethod
    def forward(ctx, value: torch.Tensor, time: torch.Tensor, rate: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(rate)
        ctx.dtype = value.dtype
        return time.clone()

    @staticmethod
    def backward(ctx, *bars):
        if torch.is_grad_enabled():
            raise RuntimeError(
                "event times have first derivatives only, and a derivative of a derivative was asked for "
                "(create_graph=True). Solve without the event up to its time, with gradient='direct', for derivatives "
                "of higher order at a time held fixed."
            )
        (rate,) = ctx.saved_tensors
        return -(bars[0].to(ctx.dtype) / rate), None, None
