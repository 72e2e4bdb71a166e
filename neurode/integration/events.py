"""Events: what may happen on the way of a solve, and what is known of it afterwards."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from neurode.core.nest import describe
from neurode.core.state import State

Condition = Callable[..., torch.Tensor]
"""condition(t, y) or, where the solve has args, condition(t, y, args): called as f is. A number that changes its sign
where the event is: 0-d jointly, (batch,) per sample."""


@dataclass(frozen=True)
class Event:
    """Something that happens where a condition changes its sign: the solve stops there, jumps, or takes note.

    Good for hitting times, switches and impacts, per sample too, with gradients of when and where. Not good for
    conditions
    that touch zero without passing it, and for two passages between neighbouring looks: neither shows as a change of
    sign.

    condition: called as f is, with the same t, y and args; returns a signed number, 0-d jointly, (batch,) per sample.
    terminal: True: the solve stops at the first one; a whole number n: at the n-th; False: never. None (default): True,
        or False beside a jump.
    direction: +1 counts only passages from below zero to above, in the order in which the solve goes; -1 from above to
        below; 0 (default) both.
    jump: jump(t, y) or jump(t, y, args): the state behind the event, of y's structure; the solve goes on from there
        with its step size. Per sample it gets the rows of the samples that jump.
    tolerance: the event's time is known to so much, in units of t. None: to the rounding of the state's dtype.
    looks: at how many places of each step the condition is looked at: 1 (default) at its end only.
    required: must it happen? A solve that reaches its end without it has Status.EVENT_MISSING, which throw=True raises.
    name: for messages.

    An event that holds at t0 exactly does not count there. Raises ValueError or TypeError for settings that do not fit
    together.
    """

    condition: Condition
    terminal: bool | int | None = None
    direction: int = 0
    jump: Callable[..., State] | None = None
    tolerance: float | None = None
    looks: int = 1
    required: bool = False
    name: str | None = None

    def __post_init__(self):
        if not callable(self.condition):
            raise TypeError(f"condition of an event must be a function of (t, y), but is {describe(self.condition)}.")
        if self.jump is not None and not callable(self.jump):
            raise TypeError(f"jump of an event must be a function of (t, y), but is {describe(self.jump)}.")
        whole = isinstance(self.terminal, int) and self.terminal >= 0
        if self.terminal is not None and not whole:
            raise ValueError(f"terminal must be True, False or a whole number, but is {describe(self.terminal)}.")
        if self.jump is not None and self.terminal == 1:
            raise ValueError(
                "a terminal event stops the solve before its jump, so that the jump has no effect. Pass "
                "terminal=False, terminal=n to stop at the n-th, or apply the jump to the state at the end."
            )
        if self.direction not in (-1, 0, 1):
            raise ValueError(f"direction must be -1, 0 or +1, but is {self.direction!r}.")
        if self.tolerance is not None and not self.tolerance > 0:
            raise ValueError(f"tolerance of an event must be positive, but is {self.tolerance!r}.")
        if not isinstance(self.looks, int) or self.looks < 1:
            raise ValueError(f"looks must be a whole number of at least 1, but is {describe(self.looks)}.")

    @property
    def last_count(self) -> int | None:
        """The solve stops when it has happened so often; None for never."""
        if self.terminal is None:
            return 1 if self.jump is None else None
        return int(self.terminal) or None

    def called(self, number: int) -> str:
        """What a message says."""
        return f"event {number}" if self.name is None else f"event {self.name!r}"


def events_of(given: "Event | Condition | Sequence[Event | Condition] | None") -> tuple[Event, ...]:
    """What `solve(events=...)` was given as a tuple; a bare condition is a terminal event."""
    if given is None:
        return ()
    if isinstance(given, Event):
        return (given,)
    if callable(given):
        return (Event(given),)
    if not isinstance(given, (tuple, list)):
        raise TypeError(f"events must be an Event, a condition, or a list of them, but is {describe(given)}.")
    return tuple(event for one in given for event in events_of(one))


@dataclass(frozen=True)
class Watched:
    """The events of a solve. fired: (events, lanes), how often each has happened before this solve begins. sides:
    (events, lanes), the sign of each condition where the solve before ended that this one goes on from, 0 where there
    was none or the state has jumped."""

    events: tuple[Event, ...]
    fired: np.ndarray
    sides: np.ndarray

    @classmethod
    def of(cls, events: tuple[Event, ...], lanes: int) -> "Watched | None":
        shape = len(events), lanes
        return cls(events, np.zeros(shape, dtype=int), np.zeros(shape)) if events else None


@dataclass(frozen=True)
class Marks:
    """Events inside one step, sorted by lane and time.

    local: (events,) places among the step's lanes. time: when. which: number of the event. last: does its lane stop
    there? slope: (events, width), dy/dt of the dense output there. end: (lanes,) where each lane of the step stops, NaN
    where it does not.
    """

    local: np.ndarray
    time: np.ndarray
    which: np.ndarray
    last: np.ndarray
    slope: torch.Tensor
    end: np.ndarray


@dataclass(frozen=True)
class EventRows:
    """Saved rows that are states at events: arrays (rows,). slope: (rows, width). See Marks."""

    row: np.ndarray
    lane: np.ndarray
    time: np.ndarray
    which: np.ndarray
    last: np.ndarray
    slope: torch.Tensor


@dataclass(frozen=True)
class EventLog:
    """What happened on the way of a solve, in the order in which it happened; n is the most events of any sample.

    times: (n,) jointly, (n, batch) per sample, float64, NaN behind a sample's last event; they carry gradients.
    which: like times, int64: the number of the event in `solve(events=...)`; -1 behind the last.
    states: the state there (n, *y0.shape), before any jump; NaN behind the last; carries gradients, also by the moving
    time. lengths: how many there were, 0-d or (batch,). stopped_by: the number of the event that ended the solve, 0-d
    or (batch,); -1 where none did.

    Gradients of a time are those of the solution's passage through zero of the condition, by the implicit function
    theorem; where the solution only touches zero there is none (it comes out infinite).
    """

    times: torch.Tensor
    which: torch.Tensor
    states: State
    lengths: torch.Tensor
    stopped_by: torch.Tensor

    def count(self, number: int) -> torch.Tensor:
        """How often event `number` happened: 0-d jointly, (batch,) per sample."""
        return (self.which == number).sum(0)


def called_as_f(function: Callable[..., Any], t: torch.Tensor, state: State, args: Any) -> Any:
    """function(t, y), or with args function(t, y, args)."""
    return function(t, state) if args is None else function(t, state, args)
