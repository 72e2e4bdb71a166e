"""A solve with events: one solve from jump to jump, each differentiated in its own way, and joined to one outcome.

The loop ends a lane at an event that stops it or makes it jump. Behind a jump the next solve begins at the event's
time, a t0 that carries its gradient, with the step size that the last one had come to.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch

from neurode.core.errors import Status
from neurode.gradients.event_times import with_event_times
from neurode.gradients.gradient import AbstractGradient
from neurode.gradients.outcome import Outcome
from neurode.integration.backward_stats import chained
from neurode.integration.clock import ROUNDING
from neurode.integration.controller import AdaptiveSteps
from neurode.integration.events import EventLog, EventRows, Watched, called_as_f
from neurode.integration.problem import Problem
from neurode.integration.solution import DenseTable
from neurode.integration.times import OutputTimes


def solve_with_events(problem: Problem, way: AbstractGradient) -> Outcome:
    """Solve up to t1 or a terminal event, over all jumps between."""
    books, part = _Books(problem), _Part.whole(problem)
    while part is not None:
        run, times = with_event_times(part.problem, way.run(part.problem))
        outcome = Outcome.of(part.problem, run)
        stops = books.add(part, outcome, run.trajectory.events, times)
        part = None if stops is None else _following(problem, part, books, stops, outcome, times)
    return books.finish()


@dataclass(frozen=True)
class _Part:
    """A solve between jumps. lanes: the original numbers of its lanes. rows: (rows, lanes) the row of ts that each of
    its times is, -1 for its beginning at an event."""

    problem: Problem
    lanes: np.ndarray
    rows: np.ndarray

    @classmethod
    def whole(cls, problem: Problem) -> "_Part":
        count, lanes = problem.times.host.shape[0], problem.lanes
        return cls(problem, np.arange(lanes), np.repeat(np.arange(count)[:, None], lanes, axis=1))


@dataclass(frozen=True)
class _Stops:
    """Lanes of a part that go on behind a jump. lane: (n,) places in the part. event: (n,) places in its list of
    events, of the first that stopped it. jumps: per event of the solve, which of these lanes (places in `lane`) it
    moves."""

    lane: np.ndarray
    event: np.ndarray
    jumps: list[np.ndarray]
    rows: EventRows


class _Books:
    """What the parts of a solve come to, by original lanes."""

    def __init__(self, problem: Problem):
        assert problem.events is not None
        lanes = problem.lanes
        self.problem, self.events = problem, problem.events.events
        self.parts: list[Outcome] = []
        self.fired = problem.events.fired.copy()
        self.stopped_by = np.full(lanes, -1)
        self.shown = np.zeros(lanes, dtype=int)  # rows of save="steps" so far
        self.status = np.full(lanes, int(Status.RUNNING))
        self.steps, self.accepted, self.evaluations, self.jacobians = (np.zeros(lanes, dtype=int) for _ in range(4))
        self.reached, self.last_size = np.zeros(lanes), np.zeros(lanes)
        self.happened: list[tuple[np.ndarray, np.ndarray, torch.Tensor, torch.Tensor]] = []

    def add(self, part: _Part, outcome: Outcome, rows: EventRows | None, times: torch.Tensor) -> _Stops | None:
        """Take a part in. Which of its lanes jump and go on?"""
        lanes = part.lanes
        self.status[lanes], self.reached[lanes] = outcome.status, outcome.reached
        self.last_size[lanes] = outcome.last_size
        for total, own in zip(
            (self.steps, self.accepted, self.evaluations, self.jacobians),
            (outcome.steps, outcome.accepted, outcome.evaluations, outcome.jacobians),
            strict=True,
        ):
            total[lanes] += own
        stops = None
        if rows is not None:
            place = torch.from_numpy(rows.row).to(outcome.values.device)
            self.happened.append((lanes[rows.lane], rows.which, times, outcome.values.index_select(0, place)))
            np.add.at(self.fired, (rows.which, lanes[rows.lane]), 1)
            stops = self._stops(part, rows)
        going = np.zeros(0, dtype=int) if stops is None else stops.lane
        self.parts.append(outcome.of_lanes(lanes, self._index(part, outcome, going)))
        return stops

    def _stops(self, part: _Part, rows: EventRows) -> _Stops | None:
        """Of the lanes that an event stopped: those that only jump. Terminal events, ends and time standing still are
        written down."""
        first: dict[int, int] = {}
        jumps: dict[int, list[int]] = {}
        for row in np.flatnonzero(rows.last):
            lane, number = int(rows.lane[row]), int(rows.which[row])
            first.setdefault(lane, int(row))
            whole = part.lanes[lane]
            if self.events[number].last_count == self.fired[number, whole] and self.stopped_by[whole] < 0:
                self.stopped_by[whole] = number
            jumps.setdefault(lane, []).append(number)
        begin, end = np.atleast_1d(part.problem.times.first), np.atleast_1d(part.problem.times.last)
        going = []
        for lane, row in first.items():
            whole, time = part.lanes[lane], rows.time[row]
            if self.stopped_by[whole] >= 0:
                continue
            if time == end[lane]:
                self.status[whole] = int(Status.SUCCESS)
            elif abs(time - begin[lane]) <= ROUNDING * max(abs(begin[lane]), abs(end[lane])):
                self.status[whole] = int(Status.EVENTS_PILE_UP)
            elif self.steps[whole] >= np.broadcast_to(self.problem.max_steps, self.status.shape)[whole]:
                self.status[whole] = int(Status.MAX_STEPS)
            else:
                going.append(lane)
        if not going:
            return None
        going.sort()
        moved = [np.flatnonzero([number in jumps[lane] for lane in going]) for number in range(len(self.events))]
        return _Stops(np.array(going), np.array([first[lane] for lane in going]), moved, rows)

    def _index(self, part: _Part, outcome: Outcome, going: np.ndarray) -> np.ndarray:
        """The rows of the solution that a part's values are."""
        what, index, lane = self.problem.save.what, outcome.index, outcome.lane
        if what == "end":
            return np.where(np.isin(lane, going), -1, index)
        if what in ("ts", "dense"):
            return np.where(index >= 0, part.rows[np.maximum(index, 0), lane], -1)
        moved = np.where(index >= 0, index + self.shown[part.lanes[lane]], -1)
        np.add.at(self.shown, part.lanes[lane[index >= 0]], 1)
        return moved

    def finish(self) -> Outcome:
        parts = self.parts
        status = self.status.copy()
        missing = np.zeros(len(status), dtype=bool)
        for number, event in enumerate(self.events):
            if event.required:
                missing |= self.fired[number] == 0
        status[missing & (status == Status.SUCCESS)] = int(Status.EVENT_MISSING)
        tables = [part.table for part in parts if part.table is not None]
        backward = [part.backward for part in parts if part.backward is not None]
        return Outcome(
            values=torch.cat([part.values for part in parts]),
            index=np.concatenate([part.index for part in parts]),
            lane=np.concatenate([part.lane for part in parts]),
            time=np.concatenate([part.time for part in parts]),
            table=DenseTable.chained(tables) if tables else None,
            dense_matrix=parts[0].dense_matrix,
            status=status,
            steps=self.steps,
            accepted=self.accepted,
            evaluations=self.evaluations,
            jacobians=self.jacobians,
            reached=self.reached,
            last_size=self.last_size,
            backward=chained(backward),
            events=self._log(),
        )

    def _log(self) -> EventLog:
        layout, lanes = self.problem.equation.layout, self.problem.lanes
        device, width = layout.device, layout.width
        lane = np.concatenate([np.zeros(0, dtype=int), *(own[0] for own in self.happened)])
        which = np.concatenate([np.zeros(0, dtype=int), *(own[1] for own in self.happened)])
        counts = np.bincount(lane, minlength=lanes)
        most, order = int(counts.max(initial=0)), np.argsort(lane, kind="stable")
        rank = np.empty(len(lane), dtype=int)
        rank[order] = np.arange(len(lane)) - np.repeat(np.cumsum(counts) - counts, counts)
        place = torch.from_numpy(rank * lanes + lane).to(device)
        times = torch.full((most * lanes,), float("nan"), dtype=torch.float64, device=device)
        states = self.problem.y0.new_full((most * lanes, width), float("nan"))
        numbers = torch.full((most * lanes,), -1, device=device)
        if len(lane):
            times = times.index_copy(0, place, torch.cat([own[2] for own in self.happened]))
            states = states.index_copy(0, place, torch.cat([own[3] for own in self.happened]))
            numbers = numbers.index_copy(0, place, torch.from_numpy(which).to(device))
        shape = (most, lanes) if layout.per_sample else (most,)
        of_lanes = (counts, self.stopped_by) if layout.per_sample else (counts[0], self.stopped_by[0])
        lengths, stopped_by = (torch.as_tensor(own) for own in of_lanes)
        return EventLog(
            times.view(shape), numbers.view(shape), layout.unpack_rows(states.view(most, lanes, width)), lengths,
            stopped_by,
        )  # fmt: skip


def _following(
    problem: Problem, part: _Part, books: _Books, stops: _Stops, outcome: Outcome, times: torch.Tensor
) -> _Part:
    """The solve that goes on behind the jumps."""
    layout, device = problem.equation.layout, outcome.values.device
    places = torch.from_numpy(stops.lane).to(device)
    equation, lanes = part.problem.equation.select(places) if layout.per_sample else part.problem.equation, stops.lane
    event = torch.from_numpy(stops.event).to(device)
    y = outcome.values.index_select(0, torch.from_numpy(stops.rows.row[stops.event]).to(device))
    t = times.index_select(0, event)
    y = _jumped(books, stops, equation, t, y)
    whole = part.lanes[lanes]
    output, rows = _remaining(part, stops.rows.time[stops.event], t, lanes)
    left = np.broadcast_to(problem.max_steps, books.steps.shape)[whole] - books.steps[whole]
    adaptive = isinstance(problem.controller, AdaptiveSteps)
    size = books.last_size[whole] if layout.per_sample else float(books.last_size[0])
    rtol, atol = (
        x.index_select(0, places) if isinstance(x, torch.Tensor) and layout.per_sample else x
        for x in (part.problem.rtol, part.problem.atol)
    )
    following = replace(
        part.problem,
        equation=equation,
        y0=y if layout.per_sample else y.reshape(problem.y0.shape),
        times=output,
        rtol=rtol,
        atol=atol,
        max_steps=left if layout.per_sample else int(left[0]),
        events=Watched(books.events, books.fired[:, whole]),
        first_size=size if adaptive else None,
    )
    return _Part(following, whole, rows)


def _jumped(books: _Books, stops: _Stops, equation, t: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """The states (lanes, width) behind the jumps of all events that happened together, in the order of the list."""
    layout = equation.layout
    for number, moved in enumerate(stops.jumps):
        event = books.events[number]
        if not len(moved) or event.jump is None:
            continue
        chosen = torch.from_numpy(moved).to(y.device)
        if layout.per_sample:
            own, rows, own_t = equation.select(chosen), y.index_select(0, chosen), t.index_select(0, chosen)
        else:
            own, rows, own_t = equation, y.reshape(books.problem.y0.shape), t[0]
        own_t = own.shaped_time(own_t.to(layout.dtype))
        state = called_as_f(event.jump, own_t, layout.unpack(rows), own.plain_args)
        layout.check_state(state, len(moved), source=f"the jump of {event.called(number)}")
        packed = layout.flat(layout.pack(state))
        y = y.index_copy(0, chosen, packed) if layout.per_sample else packed
    return y


def _remaining(part: _Part, begin: np.ndarray, t: torch.Tensor, lanes: np.ndarray) -> tuple[OutputTimes, np.ndarray]:
    """Output times from the events on, and which rows of ts they are. begin, t: of the events, on the host and with
    their gradient. lanes: places in the part."""
    times = part.problem.times
    joint = times.host.ndim == 1
    host = times.host[:, None] if joint else times.host
    sign = np.where(np.atleast_1d(times.last) >= np.atleast_1d(times.first), 1.0, -1.0)
    behind = [np.flatnonzero((host[:, lane] - at) * sign[lane] > 0) for lane, at in zip(lanes, begin, strict=True)]
    counts = np.array([len(own) for own in behind])
    row = np.full((counts.max() + 1, len(lanes)), -1)
    for column, own in enumerate(behind):
        row[1 : 1 + len(own), column] = own
    known = row >= 0
    following = np.where(known, host[np.maximum(row, 0), lanes], np.nan)
    following[0] = begin
    rows = np.where(known, part.rows[np.maximum(row, 0), lanes], -1)
    tensor = None
    if t.requires_grad or times.tensor is not None:
        fixed = torch.from_numpy(following).to(t.device)
        if times.tensor is not None:
            own = times.tensor.double().reshape(host.shape)[
                torch.from_numpy(np.maximum(row, 0)).to(t.device), torch.from_numpy(lanes).to(t.device)
            ]
            fixed = torch.where(torch.from_numpy(known).to(t.device), own, fixed)
        tensor = torch.cat([t.unsqueeze(0), fixed[1:]])
    shown = torch.from_numpy(following)
    if joint:
        return OutputTimes(following[:, 0], None if tensor is None else tensor[:, 0], None, shown[:, 0]), rows
    lengths = None if (counts + 1 == len(row)).all() else counts + 1
    return OutputTimes(following, tensor, lengths, shown), rows
