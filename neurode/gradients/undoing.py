"""The way back without states: each step is undone, and made again from kept states where that does not go well."""

from dataclasses import dataclass

import numpy as np
import torch

from neurode.core.tape import TapeScope
from neurode.gradients.anchors import KeptState, with_rows
from neurode.gradients.drift import DriftMonitor, Trouble
from neurode.gradients.schedule import reverse_cost, way_back
from neurode.gradients.step_log import StepLog
from neurode.gradients.sweep import Sweep
from neurode.integration.clock import Interval
from neurode.methods.stepper import Replayed
from neurode.methods.undoable import AbstractUndoable

SLOTS = 8
"""States kept while the steps of a stretch are made again, the one it begins at included. A fixed number, so that
memory does not grow with the steps where steps cannot be undone, either."""


class Undoing:
    """One way back through the steps of a log, stretch by stretch between kept states.

    The steps of a stretch are undone from its end on, and their gradients summed. At its beginning the re-created state
    is compared with the kept one. If it is too far off, or a step could not be undone before that, the sums are set
    back, and the stretch is gone through again with its steps made from the kept state on, in the binomial order of
    `schedule`. So are all stretches before it: what hindered one hinders the others. And so is a stretch where that
    costs less than the turns that undoing took in the one behind it.

    kept: states by the number of steps that led to them, the first one at 0. allowed: the largest difference, relative.
    """

    def __init__(
        self, sweep: Sweep, stepper: AbstractUndoable, log: StepLog, kept: dict[int, KeptState], allowed: float
    ):
        self.sweep, self.stepper, self.log, self.kept, self.allowed = sweep, stepper, log, kept, allowed
        problem = sweep.problem
        self.monitor = DriftMonitor(problem.equation.layout, problem.y0.detach())
        self.trouble: Trouble | None = None
        self.undoes = True
        # How often each step had to be made in the last stretch that was undone.
        self.passes = 0.0
        # f at the present state of each lane, as far as it is known.
        self.slope = torch.zeros_like(problem.y0)
        self.known = np.zeros(problem.lanes, dtype=bool)

    def walk(self, last: KeptState) -> None:
        """From the state after the last step to the first one; says so if not all of it could be undone."""
        stop, state = len(self.log), last
        for start in sorted((number for number in self.kept if number < len(self.log)), reverse=True):
            self._stretch(start, stop, state)
            stop, state = start, self.kept[start]
        if self.trouble is not None:
            self.trouble.warn(self.sweep.problem.equation.layout, self.allowed)

    def _stretch(self, start: int, stop: int, state: KeptState) -> None:
        if self.undoes and self.passes <= _passes_from_kept(stop - start):
            sums = self.sweep.sums() if stop - start > 1 else []
            if self._undo(start, stop, state):
                return
            self.sweep.set_back(sums)
            self.undoes = False
        self._make_again(start, stop)

    def _undo(self, start: int, stop: int, state: KeptState) -> bool:
        """Undo the steps of a stretch, the first one excepted: it begins at a kept state. Did it go well?"""
        passes = 0
        for number in reversed(range(start + 1, stop)):
            at = self._at(number)
            undone = self.stepper.undo(
                at.scope, at.interval.t, at.interval.t_end, *self._rows(state, at.lanes),
                slope=self._slope_of(at.lanes), read=at.read,
            )  # fmt: skip
            if not undone.sound:
                if not undone.finite:
                    lane = undone.worst if at.lanes is None else int(at.lanes[undone.worst])
                    self.trouble = Trouble(float(np.atleast_1d(at.interval.t)[undone.worst]), lane)
                return False
            self._pull_back(at, undone.y, undone.carried, undone.replayed)
            state, passes = with_rows(state, at.lanes, (undone.y, undone.carried)), passes + undone.passes
        if passes:
            self.passes = passes / (stop - start - 1)
        return self._arrive(self._at(start), state, checked=stop - start > 1)

    def _arrive(self, at: "_Place", state: KeptState, *, checked: bool) -> bool:
        """The first step of a stretch, from the kept state: does it end where the undone steps have led?"""
        kept = self.kept[at.number]
        y, carried = self._rows(kept, at.lanes)
        replayed = self.stepper.replay(at.scope, at.interval.t, at.interval.t_end, y, carried, read=at.read)
        if checked:
            difference, lane = self.monitor.largest(state, with_rows(kept, at.lanes, self.stepper.end_of(replayed)))
            if not difference <= self.allowed:
                self.trouble = Trouble(self._time_of(lane, at.number), lane, difference)
                return False
        self._pull_back(at, y, carried, replayed)
        return True

    def _make_again(self, start: int, stop: int) -> None:
        """Go through a stretch with its steps made from its kept state on."""
        states = {0: self.kept[start]}
        for move in way_back([0], stop - start, SLOTS):
            state = states[move.start]
            for number in range(start + move.start, start + move.stop):
                state = self._step(self._at(number), state)
            if move.keep:
                states[move.stop] = state
                continue
            at = self._at(start + move.stop)
            y, carried = self._rows(state, at.lanes)
            replayed = self.stepper.replay(at.scope, at.interval.t, at.interval.t_end, y, carried, read=at.read)
            self._pull_back(at, y, carried, replayed)
            if move.last:
                del states[move.stop]

    def _step(self, at: "_Place", state: KeptState) -> KeptState:
        rows, interval = self._rows(state, at.lanes), at.interval
        return with_rows(state, at.lanes, self.stepper.again(at.scope.equation, interval.t, interval.t_end, *rows))

    def _pull_back(self, at: "_Place", y: torch.Tensor, carried: torch.Tensor | None, replayed: Replayed) -> None:
        self.sweep.step_back(self.log.step(at.number, y, carried), at.scope, replayed)
        slope = self.stepper.slope_of(replayed)
        if slope is not None:
            (self.slope,) = with_rows((self.slope,), at.lanes, (slope,))
            self.known[... if at.lanes is None else at.lanes.cpu().numpy()] = True

    def _slope_of(self, lanes: torch.Tensor | None) -> torch.Tensor | None:
        known = self.known if lanes is None else self.known[lanes.cpu().numpy()]
        return self.sweep.lane_rows(self.slope, lanes) if known.all() else None

    def _at(self, number: int) -> "_Place":
        lanes = self.log.lanes_of(number)
        read = self.log.rows_of(number).read_inside
        return _Place(number, lanes, self.log.interval(number), self.sweep.scope(lanes), read)

    def _rows(self, state: KeptState, lanes: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor | None]:
        y, *carried = (self.sweep.lane_rows(whole, lanes) for whole in state)
        return y, carried[0] if carried else None

    def _time_of(self, lane: int, start: int) -> float:
        """Where a lane stands after step `start`: at the beginning of its next step, or at the end of its last."""
        for number in range(start, len(self.log)):
            lanes, interval = self.log.lanes_of(number), self.log.interval(number)
            if lanes is None:
                return float(interval.t_end)
            places = np.flatnonzero(lanes.cpu().numpy() == lane)
            if len(places):
                return float(interval.t_end[places[0]] if number == start else interval.t[places[0]])
        return float(np.atleast_1d(self.sweep.problem.times.last)[lane])


def _passes_from_kept(length: int) -> float:
    """How often each step of a stretch is made, on average, where its steps are made from the kept state on."""
    return 1 + reverse_cost(length, SLOTS) / length


@dataclass(frozen=True)
class _Place:
    """A step of the log, with the tape for its lanes (the args of some lanes are leaves of their own, made here)."""

    number: int
    lanes: torch.Tensor | None
    interval: Interval
    scope: TapeScope
    read: bool
