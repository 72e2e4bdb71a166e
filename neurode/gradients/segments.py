"""A solve that jumps: one solve from jump to jump, each differentiated in its own way, and joined to one outcome.

The state jumps at events, the field at times that are known beforehand (jump_t). The loop ends a lane at an event that
stops it or makes it jump. Behind a jump the next solve begins at the event's time, a t0 that carries its gradient, with
the step size that the last one had come to.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch

from neurode.core.errors import Status
from neurode.core.transforms import host_array
from neurode.gradients.event_times import with_event_times
from neurode.gradients.gradient import AbstractGradient
from neurode.gradients.outcome import Outcome
from neurode.gradients.parts import Part, following_times, until_breaks
from neurode.integration.backward_stats import chained
from neurode.integration.clock import ROUNDING
from neurode.integration.controller import AdaptiveSteps
from neurode.integration.events import EventLog, EventRows, Watched, called_as_f
from neurode.integration.problem import Problem
from neurode.integration.solution import DenseTable
from neurode.integration.stops import forced_stops
from neurode.integration.watch import condition_of

SUCCESS = int(Status.SUCCESS)


def solve_in_parts(problem: Problem, way: AbstractGradient) -> Outcome:
    """Solve up to t1 or a terminal event, over all jumps between."""
    books, part = _Books(problem), Part.whole(problem)
    while part is not None:
        run, times = with_event_times(part.problem, way.run(part.problem))
        outcome = Outcome.of(part.problem, run)
        stops = books.add(part, outcome, run.trajectory.events, times)
        part = None if stops is None else _following(books, part, stops, outcome)
    return books.finish()


@dataclass(frozen=True)
class _Stops:
    """Lanes of a part that go on behind a jump, sorted. lane: (n,) places in the part. row: (n,) the saved rows that
    they go on from. begin, t: (n,) from when, on the host and with its gradient. jumps: per event of the solve, which
    of these lanes (places in `lane`) it moves."""

    lane: np.ndarray
    row: np.ndarray
    begin: np.ndarray
    t: torch.Tensor
    jumps: list[np.ndarray]


class _Books:
    """What the parts of a solve come to, by original lanes."""

    def __init__(self, problem: Problem):
        lanes = problem.lanes
        self.problem = problem
        self.events = () if problem.events is None else problem.events.events
        self.parts: list[Outcome] = []
        self.fired = np.zeros((0, lanes), dtype=int) if problem.events is None else problem.events.fired.copy()
        self.stopped_by = np.full(lanes, -1)
        self.shown = np.zeros(lanes, dtype=int)  # rows of save="steps" so far
        self.status = np.full(lanes, int(Status.RUNNING))
        self.steps, self.accepted, self.evaluations, self.jacobians = (np.zeros(lanes, dtype=int) for _ in range(4))
        self.reached, self.last_size = np.zeros(lanes), np.zeros(lanes)
        self.happened: list[tuple[np.ndarray, np.ndarray, torch.Tensor, torch.Tensor]] = []

    def add(self, part: Part, outcome: Outcome, rows: EventRows | None, times: torch.Tensor) -> _Stops | None:
        """Take a part in. Which of its lanes go on?"""
        lanes = part.lanes
        self.status[lanes], self.reached[lanes] = outcome.status, outcome.reached
        # A part of no length, from an event at its end to that end, makes no step.
        self.last_size[lanes] = np.where(outcome.last_size > 0, outcome.last_size, self.last_size[lanes])
        for total, own in zip(
            (self.steps, self.accepted, self.evaluations, self.jacobians),
            (outcome.steps, outcome.accepted, outcome.evaluations, outcome.jacobians),
            strict=True,
        ):
            total[lanes] += own
        from_events: dict[int, tuple[int, list[int]]] = {}
        if rows is not None:
            place = torch.from_numpy(rows.row).to(outcome.values.device)
            self.happened.append((lanes[rows.lane], rows.which, times, outcome.values.index_select(0, place)))
            np.add.at(self.fired, (rows.which, lanes[rows.lane]), 1)
            from_events = self._jumping(part, rows)
        stops = self._stops(part, outcome, rows, times, from_events)
        going = np.zeros(0, dtype=int) if stops is None else stops.lane
        self.parts.append(outcome.of_lanes(lanes, self._index(part, outcome, going)))
        return stops

    def _jumping(self, part: Part, rows: EventRows) -> dict[int, tuple[int, list[int]]]:
        """Lanes that only jump at an event, with the place of the first event that stopped each, and the numbers of
        all. Terminal events, ends, and time standing still are written down."""
        stopped: dict[int, tuple[int, list[int]]] = {}
        for row in np.flatnonzero(rows.last):
            lane, number = int(rows.lane[row]), int(rows.which[row])
            whole = part.lanes[lane]
            if self.events[number].last_count == self.fired[number, whole] and self.stopped_by[whole] < 0:
                self.stopped_by[whole] = number
            stopped.setdefault(lane, (int(row), []))[1].append(number)
        begin, end = np.atleast_1d(part.problem.times.first), part.ends
        going = {}
        for lane, (row, numbers) in stopped.items():
            whole, time = part.lanes[lane], rows.time[row]
            if self.stopped_by[whole] >= 0:
                continue
            if time == end[lane]:
                self.status[whole] = int(Status.SUCCESS)
            elif not part.is_continued[lane] and abs(time - begin[lane]) <= ROUNDING * np.fmax(
                abs(begin[lane]), abs(end[lane])
            ):
                self.status[whole] = int(Status.EVENTS_PILE_UP)
            else:
                going[lane] = row, numbers
        return going

    def _stops(self, part: Part, outcome: Outcome, rows, times: torch.Tensor, from_events: dict) -> _Stops | None:
        """Of the lanes that jump, or have come to a jump of the field: those that have steps and calls left."""
        behind = {lane: at for lane, at in part.behind_breaks(outcome) if self.status[part.lanes[lane]] == SUCCESS}
        going = [lane for lane in sorted({*from_events, *behind}) if self._has_left(part.lanes[lane])]
        if not going:
            return None
        row, begin, own = np.zeros(len(going), dtype=int), np.zeros(len(going)), []
        for place, lane in enumerate(going):
            if lane in from_events:
                event = from_events[lane][0]
                row[place], begin[place] = rows.row[event], rows.time[event]
                own.append(times[event])
            else:
                begin[place] = behind[lane]
                row[place] = np.flatnonzero((outcome.lane == lane) & (outcome.index >= 0))[-1]
                own.append(times.new_tensor(begin[place]))
        jumps = [
            np.flatnonzero([lane in from_events and number in from_events[lane][1] for lane in going])
            for number in range(len(self.events))
        ]
        return _Stops(np.array(going), row, begin, torch.stack(own), jumps)

    def _has_left(self, lane: int) -> bool:
        """May it go on? Else it is written down why not."""
        problem = self.problem
        if self.steps[lane] >= problem.max_steps:
            self.status[lane] = int(Status.MAX_STEPS)
        elif problem.max_evaluations is not None and self.evaluations[lane] >= problem.max_evaluations:
            self.status[lane] = int(Status.MAX_EVALUATIONS)
        else:
            return True
        return False

    def _index(self, part: Part, outcome: Outcome, going: np.ndarray) -> np.ndarray:
        """The rows of the solution that a part's values are."""
        what, index, lane = self.problem.save.what, outcome.index, outcome.lane
        if what == "end":
            return np.where(np.isin(lane, going), -1, index)
        if what in ("ts", "dense"):
            return np.where(index >= 0, part.rows[np.maximum(index, 0), lane], -1)
        # Behind a jump of the field alone the state is the one that is shown already.
        index = np.where(part.is_continued[lane] & (index == 0), -1, index)
        moved = np.where(index >= 0, index - part.is_continued[lane] + self.shown[part.lanes[lane]], -1)
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
            events=self._log() if self.events else None,
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


def _following(books: _Books, part: Part, stops: _Stops, outcome: Outcome) -> Part:
    """The solve that goes on behind the jumps."""
    problem, layout, lanes = books.problem, books.problem.equation.layout, stops.lane
    device = outcome.values.device
    places = torch.from_numpy(lanes).to(device)
    equation = part.problem.equation.select(places) if layout.per_sample else part.problem.equation
    y = outcome.values.index_select(0, torch.from_numpy(stops.row).to(device))
    sides = _sides(books, stops, equation, np.atleast_1d(part.problem.times.last)[lanes], y.detach())
    y = _jumped(books, stops, equation, stops.t, y)
    whole = part.lanes[lanes]
    times, rows = following_times(problem, whole, stops.begin, stops.t)
    times, rows, breaks = until_breaks(problem, times, rows)

    def of_lanes(limit, used: np.ndarray):
        left = None if limit is None else limit - used[whole]
        return left if left is None or layout.per_sample else int(left[0])

    size = books.last_size[whole] if layout.per_sample else float(books.last_size[0])
    rtol, atol = (
        x.index_select(0, places) if isinstance(x, torch.Tensor) and layout.per_sample else x
        for x in (part.problem.rtol, part.problem.atol)
    )
    following = replace(
        part.problem,
        equation=equation,
        y0=y if layout.per_sample else y.reshape(problem.y0.shape),
        times=times,
        rtol=rtol,
        atol=atol,
        max_steps=of_lanes(problem.max_steps, books.steps),
        max_evaluations=of_lanes(problem.max_evaluations, books.evaluations),
        stops=forced_stops(problem.controller.step_t, times),
        events=Watched(books.events, books.fired[:, whole], sides) if books.events else None,
        callbacks=None if problem.callbacks is None else problem.callbacks.renumbered(whole),
        first_size=size if isinstance(problem.controller, AdaptiveSteps) else None,
    )
    jumped = np.zeros(len(lanes), dtype=bool)
    for moved in stops.jumps:
        jumped[moved] = True
    return Part(following, whole, rows, breaks, ~jumped)


@torch.no_grad()
def _sides(books: _Books, stops: _Stops, equation, t: np.ndarray, y: torch.Tensor) -> np.ndarray:
    """(events, lanes), the sign of each condition where lanes came to a jump of the field at t; 0 for the others. An
    event at the jump itself changes it between the last time before and the first one behind."""
    sides = np.zeros((len(books.events), len(stops.lane)))
    at_break = np.ones(len(stops.lane), dtype=bool)
    for moved in stops.jumps:
        at_break[moved] = False
    places = np.flatnonzero(at_break)
    if not len(places):
        return sides
    chosen = torch.from_numpy(places).to(y.device)
    own = equation.select(chosen) if equation.layout.per_sample else equation
    for number, event in enumerate(books.events):
        value, _ = condition_of(event, number, own, t[places], y.index_select(0, chosen))
        sides[number, places] = np.sign(host_array(value.double()))
    return np.nan_to_num(sides)


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
