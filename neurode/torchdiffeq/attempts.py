"""The attempted steps of a solve as they happen: callbacks, and an end at the step in which an event fires."""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from neurode.methods.stepper import StepResult


@dataclass(frozen=True)
class MadeStep:
    """A step from (t, y) to t_end, with what it gave. complete: the same with all that its dense output needs."""

    t: float
    t_end: float
    y: torch.Tensor
    result: StepResult
    complete: Callable[[], StepResult]


class EventFired(Exception):
    """The solve is over: an event fired in `step`. Caught where the solve was called."""

    def __init__(self, step: MadeStep):
        super().__init__(f"an event fired between t={step.t} and t={step.t_end}")
        self.step = step


class Attempts:
    """Told of each attempted step; whether the one before it was accepted shows in where the next one begins.

    callbacks: of the user, by name, called with (t0, y0, dt). back: makes his state of the solver's. like: a tensor of
    the dtype of their times. fired: did an event fire in this accepted step? It is asked before the following step is
    made, so that func is not called beyond the event.
    """

    def __init__(
        self,
        callbacks: dict[str, Callable],
        back: Callable[[torch.Tensor], torch.Tensor],
        like: torch.Tensor,
        fired: Callable[[MadeStep], bool] | None = None,
    ):
        self.callbacks, self.back, self.like, self.fired = callbacks, back, like, fired
        self.pending: tuple[float, float, torch.Tensor] | None = None
        self.last: MadeStep | None = None

    def begin(self, t: float, t_end: float, y: torch.Tensor) -> None:
        """A step is about to be made."""
        self._settle(t)
        self.pending = (t, t_end, y)
        self._call("callback_step", *self.pending)

    def made(self, complete: Callable[[], StepResult], result: StepResult) -> None:
        """It has been made."""
        assert self.pending is not None
        self.last = MadeStep(*self.pending, result, complete)

    def end(self, reached: float) -> None:
        """The solve is over, and got to `reached`."""
        self._settle(reached)

    def _settle(self, now: float) -> None:
        """Was the last attempt accepted?"""
        if self.pending is None:
            return
        pending, self.pending = self.pending, None
        if now != pending[1]:
            self._call("callback_reject_step", *pending)
            return
        self._call("callback_accept_step", *pending)
        if self.fired is not None and self.last is not None and self.fired(self.last):
            raise EventFired(self.last)

    def _call(self, name: str, t: float, t_end: float, y: torch.Tensor) -> None:
        callback = self.callbacks.get(name)
        if callback is not None:
            callback(self.like.new_tensor(t), self.back(y), self.like.new_tensor(abs(t_end - t)))
