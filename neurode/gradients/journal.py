"""The accepted steps of a solve as the way back needs them: with every state kept, or with k of them and the rest made
again."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch

from neurode.core.equation import AbstractEquation, CallCount
from neurode.gradients.schedule import OnlineSchedule, Slots, way_back
from neurode.gradients.step_log import StepLog
from neurode.integration.clock import Interval
from neurode.integration.problem import AcceptedStep, Attempt, Problem
from neurode.integration.recorder import StepRows


class AbstractJournal(ABC):
    """Hears of each accepted step of the loop, and tells them in reverse, as often as asked."""

    @abstractmethod
    def note(self, step: AcceptedStep, attempt: Attempt) -> None:
        """A step was accepted."""

    @abstractmethod
    def kept(self) -> Iterator[torch.Tensor]:
        """The tensors held at present."""

    @property
    def evaluations(self) -> int:
        """Calls of f so far by which states were made again."""
        return 0

    @abstractmethod
    def backwards(self) -> Iterator[AcceptedStep]:
        """The steps, last one first, each with its state."""


class EveryState(AbstractJournal):
    """Keeps each accepted state."""

    def __init__(self):
        self.steps: list[AcceptedStep] = []

    def note(self, step: AcceptedStep, attempt: Attempt) -> None:
        del attempt
        if step.carried is not None:
            # One of its step's stages: a view would keep them all, seven states with dopri5.
            step = AcceptedStep(step.interval, step.lanes, step.y, step.carried.clone(), step.rows, step.kept)
        self.steps.append(step)

    def kept(self) -> Iterator[torch.Tensor]:
        for step in self.steps:
            yield from _tensors(step.y, step.carried)

    def backwards(self) -> Iterator[AcceptedStep]:
        for place in reversed(range(len(self.steps))):
            step = self.steps[place]
            # Its graph is used up, and goes when the step has been pulled back.
            if step.kept is not None:
                self.steps[place] = AcceptedStep(step.interval, step.lanes, step.y, step.carried, step.rows)
            yield step


@dataclass(frozen=True, slots=True)
class State:
    """What a turn of the loop begins from: y of the lanes that take part, and what its step is handed, if anything."""

    y: torch.Tensor
    carried: torch.Tensor | None


@dataclass(frozen=True, slots=True)
class _Turn:
    """An Attempt without its tensors, and the rows that its accepted step wrote."""

    interval: Interval
    lanes: np.ndarray | None
    accepted: np.ndarray | None
    rows: StepRows


class _Turns:
    """The turns of a solve. Joint ones, which all lanes take and accept, are a float and a whole number each: of a long
    solve the objects would outweigh the states."""

    def __init__(self, problem: Problem):
        self.log = StepLog(problem.times)
        self.each: list[_Turn] = []

    def __len__(self) -> int:
        return len(self.log) if self.log.joint else len(self.each)

    def add(self, step: AcceptedStep, attempt: Attempt) -> None:
        if self.log.joint:
            self.log.add(step)
        else:
            self.each.append(_Turn(attempt.interval, attempt.lanes, attempt.accepted, step.rows))

    def __getitem__(self, place: int) -> _Turn:
        if self.log.joint:
            return _Turn(self.log.interval(place), None, None, self.log.rows_of(place))
        return self.each[place]


class SomeStates(AbstractJournal):
    """Keeps at most k states, the beginning among them; on the way back the others are made again from those.

    The recorded turns are repeated as they were: same intervals, same lanes together, no controller. So the states are
    those of the forward pass to the last bit, where f gives the same for the same. The way back uses the states up,
    except the beginning; asked once more, it starts from there.
    """

    def __init__(self, slots: Slots, problem: Problem):
        self.schedule = OnlineSchedule(slots)
        self.stepper, self.lanes, self.device = problem.stepper, problem.lanes, problem.y0.device
        # Steps made again are no part of the statistics of the solve.
        self.equation = replace(problem.equation, count=CallCount())
        self.turns = _Turns(problem)
        self.states: dict[int, State] = {}
        self.of_lanes: tuple[np.ndarray | None, AbstractEquation] = (None, self.equation)

    def note(self, step: AcceptedStep, attempt: Attempt) -> None:
        place = len(self.turns)
        offer = self.schedule.offer()
        self.turns.add(step, attempt)
        if offer.drop is not None:
            del self.states[offer.drop]
        if offer.keep:
            # At the beginning f(t0, y0) may have been given; made again with other lanes it would be rounded otherwise.
            handed_over = self.stepper.carries or place == 0
            self.states[place] = _apart(State(attempt.y, attempt.carried if handed_over else None))

    def kept(self) -> Iterator[torch.Tensor]:
        for state in self.states.values():
            yield from _tensors(state.y, state.carried)

    @property
    def evaluations(self) -> int:
        return self.equation.count.calls

    def backwards(self) -> Iterator[AcceptedStep]:
        for move in way_back(sorted(self.states), len(self.turns), self.schedule.limit):
            state = self._reach(move.start, move.stop)
            if move.keep:
                self.states[move.stop] = _apart(state)
                continue
            yield self._accepted(self.turns[move.stop], state)
            if move.last:
                del self.states[move.stop]

    @torch.no_grad()
    def _reach(self, start: int, stop: int) -> State:
        state = self.states[start]
        for place in range(start, stop):
            state = self._repeat(self.turns[place], self.turns[place + 1].lanes, state)
        return state

    def _repeat(self, turn: _Turn, following: np.ndarray | None, state: State) -> State:
        """The state that the next turn begins from, of the lanes `following`: the step, for those that took it, less
        those that left."""
        interval = turn.interval
        equation = self._equation_of(turn.lanes)
        result = self.stepper.step(equation, interval.t, interval.t_end, state.y, state.carried, traced=False)
        y, carried = result.y1, result.carried_next
        if turn.accepted is not None:
            places = torch.from_numpy(np.flatnonzero(turn.accepted)).to(self.device)
            y = state.y.index_copy(0, places, y.index_select(0, places))
            if carried is not None and state.carried is not None:
                carried = state.carried.index_copy(0, places, carried.index_select(0, places))
        if turn.lanes is not None and following is not None and len(following) < len(turn.lanes):
            staying = torch.from_numpy(np.searchsorted(turn.lanes, following)).to(self.device)
            y = y.index_select(0, staying)
            carried = None if carried is None else carried.index_select(0, staying)
        return State(y, carried)

    def _equation_of(self, lanes: np.ndarray | None) -> AbstractEquation:
        """The equation with the args of these lanes, as the loop had it."""
        if lanes is None or len(lanes) == self.lanes:
            return self.equation
        known, equation = self.of_lanes
        if known is None or not np.array_equal(known, lanes):
            equation = self.equation.select(torch.from_numpy(lanes).to(self.device))
            self.of_lanes = lanes, equation
        return equation

    def _accepted(self, turn: _Turn, state: State) -> AcceptedStep:
        """The step of those lanes that accepted it."""
        y, carried, interval, lanes = state.y, state.carried, turn.interval, turn.lanes
        if not self.stepper.carries:
            carried = None
        if turn.accepted is not None and lanes is not None:
            took = turn.accepted
            lanes, interval = lanes[took], interval.part(took)
            places = torch.from_numpy(np.flatnonzero(took)).to(self.device)
            y, carried = y.index_select(0, places), None if carried is None else carried.index_select(0, places)
        numbers = None if lanes is None else torch.from_numpy(lanes).to(self.device)
        return AcceptedStep(interval, numbers, y, carried, turn.rows)


def _tensors(*tensors: torch.Tensor | None) -> Iterator[torch.Tensor]:
    return (tensor for tensor in tensors if tensor is not None)


def _apart(state: State) -> State:
    """The state without the stages of its step, of which what is handed over may be one: a view would keep them all."""
    return state if state.carried is None else State(state.y, state.carried.clone())
