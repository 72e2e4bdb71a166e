"""Where each lane stands in time: proposes the next interval, hears the error ratio, decides, and knows when it is
done.

JointClock decides with Python floats for one lane; LaneClock with arrays for many, of which those that are done leave.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from neurode.core.equation import HostTime
from neurode.core.errors import Status
from neurode.integration.controller import AdaptiveSteps, ConstantSteps, ErrorHistory
from neurode.integration.stops import with_stops
from neurode.integration.times import OutputTimes
from neurode.methods.stepper import StepLaw

NO_ANCHOR = -1
CUT = 1 - 1e-9
"""A step shorter than this share of what was meant was cut."""
MaxSteps = Any
"""A whole number; for many lanes also an array (lanes,) of them."""
UNSOLVED = 2.0
"""A step whose equations were not solved is made again about half as long: as if its error were this much too large to
the power of the error's order."""
ROUNDING = 4 * np.finfo(np.float64).eps


@dataclass(frozen=True)
class Interval:
    """The next step of the active lanes: from t to t_end. Anchors name the row of ts a time is taken from, -1 for
    none."""

    t: HostTime
    t_end: HostTime
    anchor: Any
    anchor_end: Any

    def part(self, lanes: np.ndarray) -> "Interval":
        """That of some of the lanes (bool mask, or places)."""
        return Interval(self.t[lanes], self.t_end[lanes], self.anchor[lanes], self.anchor_end[lanes])

    @property
    def inner_end(self) -> HostTime:
        """Times before it lie inside the step. That is t_end where a row of ts made the step end there; a row that lies
        at t_end by chance is read inside, since only so does it carry the gradient of its time."""
        if isinstance(self.t_end, np.ndarray):
            beyond = np.nextafter(self.t_end, np.where(self.t_end >= self.t, np.inf, -np.inf))
            return np.where(self.anchor_end >= 0, self.t_end, beyond)
        if self.anchor_end >= 0:
            return self.t_end
        return math.nextafter(self.t_end, math.inf if self.t_end >= self.t else -math.inf)


def constant_mesh(times: np.ndarray, step_size: float | None) -> tuple[np.ndarray, np.ndarray]:
    """Step boundaries of constant steps over one lane's output times, with the anchor of each."""
    last = len(times) - 1
    if step_size is None:
        keep = np.concatenate([[True], np.diff(times) != 0])
        return times[keep], np.flatnonzero(keep)
    span = times[-1] - times[0]
    # A step count that is whole up to rounding is meant to be whole: 1.0 / 0.1 takes ten steps.
    count = int(np.ceil(abs(span) / step_size * (1 - 1e-9)))
    mesh = times[0] + np.sign(span) * step_size * np.arange(count + 1)
    mesh[-1] = times[-1]
    anchors = np.full(count + 1, NO_ANCHOR)
    anchors[0], anchors[-1] = 0, last
    return (mesh, anchors) if count else (mesh[:1], anchors[:1] * 0)


class JointClock:
    """One lane, in Python floats."""

    def __init__(
        self, times: OutputTimes, controller, max_steps: int, error_order: int, stops: np.ndarray | None = None
    ):
        self.times, self.controller, self.max_steps, self.error_order = times, controller, max_steps, error_order
        self.t: float = times.first
        self.t1: float = times.last
        self.direction = 1.0 if self.t1 >= self.t else -1.0
        self.anchor, self.last_anchor = 0, len(times.host) - 1
        # A step shorter than the rounding of its time no longer moves it; from zero it still has to come to an end.
        self.least = ROUNDING**2 * abs(self.t1 - self.t)
        self.steps = self.accepted = 0
        self.size = 0.0
        self.history = ErrorHistory(1.0, 1.0, False)
        self.status = Status.RUNNING if self.t != self.t1 else Status.SUCCESS
        if isinstance(controller, ConstantSteps):
            mesh, anchors = constant_mesh(times.host, controller.step_size)
            if stops is not None:
                mesh, anchors = with_stops(mesh, anchors, stops, NO_ANCHOR)
            self.mesh, self.anchors = mesh.tolist(), anchors.tolist()
        # The end is the last stop, so that one line finds the next.
        self.stops: list[float] = [] if stops is None else [*stops.tolist(), self.t1]
        self.passed = 0

    def fail(self, status: Status) -> None:
        """End the solve here."""
        self.status = status

    def limit(self, used: np.ndarray, most: MaxSteps) -> None:
        """End the solve where it has used up its calls of f."""
        if self.running and used[0] >= most:
            self.status = Status.MAX_EVALUATIONS

    def stop(self, lanes: np.ndarray, times: np.ndarray, status: Status) -> None:
        """End the solve within the step just made. lanes: the one, or none."""
        if len(lanes):
            self.t, self.status = float(times[0]), status

    def set_first_size(self, size: float) -> None:
        self.size = min(size, self.controller.max_step)

    @property
    def running(self) -> bool:
        return self.status is Status.RUNNING

    @property
    def now(self) -> float:
        return self.t

    @property
    def end(self) -> float:
        return self.t1

    def propose(self) -> Interval:
        if isinstance(self.controller, ConstantSteps):
            return Interval(self.t, self.mesh[self.accepted + 1], self.anchor, self.anchors[self.accepted + 1])
        t_end = self.t + self.direction * self.size
        limit = self.stops[self.passed] if self.stops else self.t1
        # A rest too short to be a step of its own is taken along.
        if (limit - t_end) * self.direction <= 1e-3 * self.size:
            return Interval(self.t, limit, self.anchor, self.last_anchor if limit == self.t1 else NO_ANCHOR)
        return Interval(self.t, t_end, self.anchor, NO_ANCHOR)

    def stop_reached(self) -> int | None:
        """The number of the stop that the lane has just come to."""
        if self.passed >= len(self.stops) - 1 or self.t != self.stops[self.passed]:
            return None
        self.passed += 1
        return self.passed - 1

    def judge(
        self, interval: Interval, ratio: float | None, *, failed: bool = False, law: StepLaw | None = None
    ) -> bool:
        """Take note of an attempted step; ratio None for constant steps. failed: its equations were not solved. law: of
        a method that sizes its steps. True when it counts."""
        self.steps += 1
        law = None if law is None else law.single()
        order = self.error_order if law is None else law.power
        accept = True
        if ratio is None and failed:
            accept, self.status = False, Status.NEWTON_FAILED
        if ratio is not None:
            if failed:
                ratio = float(UNSOLVED**order)
            size = abs(interval.t_end - interval.t)
            decision = self.controller.judge(ratio, size, self.history, error_order=order, law=law)
            accept, following, self.history = bool(decision.accept), float(decision.size), decision.history
            # A step cut short by a stop says nothing against the size that was meant.
            cut = accept and bool(self.stops) and law is None and size < self.size * CUT
            self.size = max(following, self.size) if cut else following
            smallest = max(ROUNDING * abs(interval.t), self.least)
            if self.size < smallest or (not accept and size <= self.controller.min_step * (1 + 1e-9)):
                self.status = Status.STEP_TOO_SMALL if ratio == ratio and ratio != np.inf else Status.NON_FINITE
                if failed:
                    self.status = Status.NEWTON_FAILED
            self.size = max(self.size, self.controller.min_step)
        if accept:
            self.accepted += 1
            self.t, self.anchor = interval.t_end, interval.anchor_end
            if self.t == self.t1:
                self.status = Status.SUCCESS
        if self.status is Status.RUNNING and self.steps >= self.max_steps:
            self.status = Status.MAX_STEPS
        return accept


class LaneClock:
    """Many lanes, each with its own interval, size and status. `active` lists the lanes still running, in order."""

    def __init__(
        self, times: OutputTimes, controller, max_steps: MaxSteps, error_order: int, stops: np.ndarray | None = None
    ):
        self.times, self.controller, self.max_steps, self.error_order = times, controller, max_steps, error_order
        lanes = times.host.shape[1]
        self.t, self.t1 = times.first.copy(), times.last
        self.direction = np.where(self.t1 >= self.t, 1.0, -1.0)
        self.anchor, self.last_anchor = np.zeros(lanes, dtype=int), times.last_index
        self.least = ROUNDING**2 * np.abs(self.t1 - self.t)
        # Every active lane attempts every step, so that one number counts for all; a lane gets it when it leaves.
        self.turns = 0
        self.steps, self.accepted = np.zeros(lanes, dtype=int), np.zeros(lanes, dtype=int)
        self.size = np.zeros(lanes)
        self.history = ErrorHistory(np.ones(lanes), np.ones(lanes), np.zeros(lanes, dtype=bool))
        self.status = np.where(self.t == self.t1, int(Status.SUCCESS), int(Status.RUNNING))
        self.active = np.flatnonzero(self.status == Status.RUNNING)
        # Behind the last stop of a lane there is none: NaN, and one row more so that there always is a next one.
        self.stops = None if stops is None else np.concatenate([stops, np.full((1, lanes), np.nan)])
        self.passed = np.zeros(lanes, dtype=int)
        if isinstance(controller, ConstantSteps):
            self.mesh, self.anchors = self._meshes(controller.step_size)

    def _meshes(self, step_size: float | None) -> tuple[np.ndarray, np.ndarray]:
        columns = []
        for lane, last in enumerate(self.times.last_index):
            mesh, anchors = constant_mesh(self.times.host[: last + 1, lane], step_size)
            if self.stops is not None:
                mesh, anchors = with_stops(mesh, anchors, self.stops[:, lane], NO_ANCHOR)
            columns.append((mesh, anchors))
        longest = max(len(mesh) for mesh, _ in columns)
        mesh, anchors = np.full((longest, len(columns)), np.nan), np.full((longest, len(columns)), NO_ANCHOR)
        for lane, (own, own_anchors) in enumerate(columns):
            mesh[: len(own), lane], anchors[: len(own), lane] = own, own_anchors
        return mesh, anchors

    def set_first_size(self, size: np.ndarray) -> None:
        """size: for the active lanes."""
        self.size[self.active] = np.minimum(size, self.controller.max_step)

    @property
    def running(self) -> bool:
        return len(self.active) > 0

    @property
    def now(self) -> np.ndarray:
        """Times of the active lanes."""
        return self.t[self.active]

    @property
    def end(self) -> np.ndarray:
        """Ends of the active lanes."""
        return self.t1[self.active]

    def propose(self) -> Interval:
        lanes = self.active
        t, anchor = self.t[lanes], self.anchor[lanes]
        if isinstance(self.controller, ConstantSteps):
            row = self.accepted[lanes] + 1
            return Interval(t, self.mesh[row, lanes], anchor, self.anchors[row, lanes])
        direction, size, t1 = self.direction[lanes], self.size[lanes], self.t1[lanes]
        t_end, limit = t + direction * size, self._next_stop(lanes)
        limit = t1 if limit is None else np.where(np.isnan(limit), t1, limit)
        ends = (limit - t_end) * direction <= 1e-3 * size
        last = np.where(limit == t1, self.last_anchor[lanes], NO_ANCHOR)
        return Interval(t, np.where(ends, limit, t_end), anchor, np.where(ends, last, NO_ANCHOR))

    def _next_stop(self, lanes: np.ndarray) -> np.ndarray | None:
        return None if self.stops is None else self.stops[self.passed[lanes], lanes]

    def stops_reached(self) -> tuple[np.ndarray, np.ndarray]:
        """(places within the active lanes, numbers of their stops) of those that have just come to a stop."""
        stop = self._next_stop(self.active)
        if stop is None:
            return np.zeros(0, dtype=int), np.zeros(0, dtype=int)
        places = np.flatnonzero(self.t[self.active] == stop)
        lanes = self.active[places]
        numbers = self.passed[lanes].copy()
        self.passed[lanes] += 1
        return places, numbers

    def judge(
        self,
        interval: Interval,
        ratio: np.ndarray,
        *,
        failed: np.ndarray | None = None,
        law: StepLaw | None = None,
    ) -> np.ndarray:
        """As JointClock.judge, for the active lanes; returns which of them accept. Call `drop_done` afterwards.

        With constant steps the ratio only tells whether the step ended finite: a lane that did not is done.
        """
        lanes = self.active
        self.turns += 1
        if isinstance(self.controller, ConstantSteps):
            accept = np.isfinite(ratio)
            self.fail(~accept, Status.NON_FINITE)
            if failed is not None:
                accept = accept & ~failed
                self.fail(failed, Status.NEWTON_FAILED)
        else:
            accept = self._choose_sizes(interval, ratio, lanes, failed, law)
        good, end = lanes[accept], interval.t_end[accept]
        self.accepted[good] += 1
        self.t[good], self.anchor[good] = end, interval.anchor_end[accept]
        arrived = good[end == self.t1[good]]
        self.status[arrived[self.status[arrived] == Status.RUNNING]] = Status.SUCCESS
        spent = self.turns >= self.max_steps
        if np.any(spent):
            self.status[lanes[(self.status[lanes] == Status.RUNNING) & np.broadcast_to(spent, self.t.shape)[lanes]]] = (
                Status.MAX_STEPS
            )
        return accept

    def _choose_sizes(
        self, interval: Interval, ratio: np.ndarray, lanes: np.ndarray, unsolved: np.ndarray | None, law: StepLaw | None
    ) -> np.ndarray:
        """The next step size of each lane, or its failure. Which lanes accept?"""
        order = self.error_order if law is None else law.power
        if unsolved is not None:
            ratio = np.where(unsolved, UNSOLVED**order, ratio)
        size = np.abs(interval.t_end - interval.t)
        history = ErrorHistory(*(part[lanes] for part in self.history))
        decision = self.controller.judge(ratio, size, history, error_order=order, law=law)
        accept, following = decision.accept, decision.size
        failed = following < np.maximum(ROUNDING * np.abs(interval.t), self.least[lanes])
        if self.controller.min_step > 0:
            failed |= ~accept & (size <= self.controller.min_step * (1 + 1e-9))
            following = np.maximum(following, self.controller.min_step)
        if failed.any():
            why = np.where(np.isfinite(ratio), int(Status.STEP_TOO_SMALL), int(Status.NON_FINITE))
            if unsolved is not None:
                why = np.where(unsolved, int(Status.NEWTON_FAILED), why)
            self.status[lanes[failed]] = why[failed]
        if self.stops is not None and law is None:
            # A step cut short by a stop says nothing against the size that was meant.
            meant = self.size[lanes]
            following = np.where(accept & (size < meant * CUT), np.maximum(following, meant), following)
        self.size[lanes] = following
        for part, new in zip(self.history, decision.history, strict=True):
            part[lanes] = new
        return accept

    def fail(self, lost: np.ndarray, status: Status) -> None:
        """End those of the active lanes that `lost` (bool) marks."""
        self.status[self.active[lost]] = status

    def limit(self, used: np.ndarray, most: MaxSteps) -> None:
        """End those active lanes that have used up their calls of f (used: (lanes,), of all)."""
        lanes = self.active
        spent = used[lanes] >= np.broadcast_to(most, used.shape)[lanes]
        self.fail(spent & (self.status[lanes] == Status.RUNNING), Status.MAX_EVALUATIONS)

    def stop(self, lanes: np.ndarray, times: np.ndarray, status: Status) -> None:
        """End these lanes (original numbers) within the step just made."""
        self.t[lanes], self.status[lanes] = times, int(status)

    def drop_done(self) -> np.ndarray | None:
        """Places (within the active lanes) of those that go on; None when all do."""
        going = self.status[self.active] == Status.RUNNING
        if going.all():
            return None
        keep = np.flatnonzero(going)
        self.steps[self.active[~going]] = self.turns
        self.active = self.active[keep]
        return keep


def clock_for(
    times: OutputTimes,
    controller: AdaptiveSteps | ConstantSteps,
    max_steps: MaxSteps,
    error_order: int,
    stops: np.ndarray | None = None,
):
    """The clock for the kind of times: one list for all, or one a lane. stops: see Stops.times."""
    kind = JointClock if times.host.ndim == 1 else LaneClock
    return kind(times, controller, max_steps, error_order, stops)
