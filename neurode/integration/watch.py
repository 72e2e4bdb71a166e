"""Watches the conditions of events while the loop runs: finds their changes of sign in each accepted step, and when."""

from dataclasses import dataclass

import numpy as np
import torch

from neurode.core.equation import AbstractEquation, HostTime
from neurode.core.nest import describe
from neurode.core.transforms import host_array
from neurode.integration.clock import Interval
from neurode.integration.events import Event, Marks, Watched, called_as_f
from neurode.integration.roots import passages
from neurode.methods.stepper import AbstractStepper, StepResult

NEAR = 10
"""So many tolerances: a passage so near behind the beginning of a solve is the one it begins at; and events so near to
one another happen together."""
HALVINGS = 60
DIFFERENCE = 2.0**-16
"""Share of a step over which a derivative is taken as a difference."""


@dataclass(frozen=True)
class _StepView:
    """One accepted step, read anywhere inside for some of its lanes."""

    equation: AbstractEquation
    stepper: AbstractStepper
    interval: Interval
    y: torch.Tensor
    result: StepResult

    @property
    def joint(self) -> bool:
        return not self.equation.layout.per_sample

    @property
    def size(self) -> np.ndarray:
        """(lanes,), signed."""
        return np.atleast_1d(self.interval.t_end - self.interval.t)

    def times(self, theta: np.ndarray, places: np.ndarray) -> np.ndarray:
        """When: theta and the places of lanes, (points,)."""
        t, t_end = np.atleast_1d(self.interval.t)[places], np.atleast_1d(self.interval.t_end)[places]
        return np.where(theta == 1, t_end, t + theta * (t_end - t))

    def states(self, theta: np.ndarray, places: np.ndarray) -> torch.Tensor:
        """(points, width) by the dense output."""
        weights = self.stepper.dense_weights(theta) * self.size[places, None]
        return self._summed(weights, places, self.equation.layout.flat(self.y.detach()))

    def slopes(self, theta: np.ndarray, places: np.ndarray) -> torch.Tensor:
        """(points, width), dy/dt of the dense output."""
        return self._summed(self.stepper.dense_slopes(theta), places, None)

    def _summed(self, weights: np.ndarray, places: np.ndarray, y: torch.Tensor | None) -> torch.Tensor:
        stages = self.result.stages.detach()
        stages = stages.reshape(stages.shape[0], -1, self.equation.layout.width)
        chosen = torch.from_numpy(places).to(stages.device)
        own = torch.from_numpy(weights.T.copy()).to(stages.device, stages.dtype).unsqueeze(2)
        total = (own * stages.index_select(1, chosen)).sum(0)
        return total if y is None else total + y.index_select(0, chosen)


class Watch:
    """What is known of the events of one run of the loop.

    value: (events, lanes), of each condition at the last look. side: the sign it had on the way there, 0 while it has
    none. begun: (lanes,) did the lane take a step?
    """

    def __init__(self, watched: Watched, stepper: AbstractStepper, lanes: int):
        self.events, self.stepper = watched.events, stepper
        self.fired = watched.fired.copy()
        shape = len(self.events), lanes
        self.value, self.side = np.zeros(shape), watched.sides.copy()
        self.begun = np.zeros(lanes, dtype=bool)
        self.looks = max(event.looks for event in self.events)
        self.directions = np.array([event.direction for event in self.events])[:, None]

    @torch.no_grad()
    def look(
        self, equation: AbstractEquation, interval: Interval, lanes: np.ndarray, y: torch.Tensor, result: StepResult
    ) -> tuple[Marks | None, np.ndarray | None]:
        """The events of an accepted step of these lanes (original numbers), and which lanes (bool) have a condition
        that is NaN; None for none."""
        step = _StepView(equation, self.stepper, interval, y, result)
        fresh = np.flatnonzero(~self.begun[lanes])
        crossings = self._begin(step, lanes, fresh) if len(fresh) else []
        everyone = np.arange(len(lanes))
        value, side, before = self.value[:, lanes], self.side[:, lanes], 0.0
        for number in range(1, self.looks + 1):
            theta = number / self.looks
            new = self._values_everywhere(step, theta, everyone)
            sign = np.sign(new)
            passed = (side != 0) & (sign != side) & ~np.isnan(new) & (self.directions * side <= 0)
            for event, place in zip(*np.nonzero(passed), strict=True):
                crossings.append(
                    (event, place, before, theta, value[event, place], new[event, place], side[event, place])
                )
            value, side, before = new, np.where(np.isnan(sign), side, sign), theta
        self.value[:, lanes], self.side[:, lanes] = value, side
        lost = np.atleast_1d(np.isnan(value).any(axis=0))
        marks = self._marks(step, lanes, np.array(crossings)) if crossings else None
        return marks, (lost if lost.any() else None)

    def _begin(self, step: _StepView, lanes: np.ndarray, fresh: np.ndarray) -> list[tuple]:
        """Conditions where these lanes begin. One that is zero there, as far as its tolerance can tell, has the sign
        that it gets next: the event at the beginning does not happen again. Where it is known on which side the solve
        before ended, a condition that is on the other one now passes here: as a crossing with an empty bracket."""
        self.begun[lanes[fresh]] = True
        zero, crossings = np.zeros(len(fresh)), []
        for number, event in enumerate(self.events):
            value, rate = self._value_and_rate(step, event, number, zero, fresh)
            near = NEAR * self._tolerance(step, event, fresh)
            forward = np.where(step.size[fresh] >= 0, 1.0, -1.0)
            side, moving = np.sign(value), np.sign(rate) * forward
            at_zero = (side * moving <= 0) & (np.abs(value) <= near * np.abs(rate))
            known = self.side[number, lanes[fresh]]
            passed = (known != 0) & (side != known) & ~np.isnan(side) & (event.direction * known <= 0)
            crossings += [(number, place, 0.0, 0.0, 0.0, 0.0, 0.0) for place in fresh[passed]]
            self.value[number, lanes[fresh]] = value
            kept = (known != 0) & (side == known)
            self.side[number, lanes[fresh]] = np.where(at_zero & ~kept, moving, side)
        return crossings

    def _value_and_rate(self, step: _StepView, event: Event, number: int, theta: np.ndarray, places: np.ndarray):
        """A condition and its derivative along the solution; by a difference where autograd does not follow it."""
        if torch.is_inference_mode_enabled():
            return self._value_and_difference(step, event, number, theta, places)
        times, states, slopes = step.times(theta, places), step.states(theta, places), step.slopes(theta, places)
        with torch.enable_grad():
            states.requires_grad_()
            equation = step.equation if step.joint else step.equation.select(torch.from_numpy(places).to(states.device))
            value, t = condition_of(event, number, equation, times, states, timed=True)
            if not value.requires_grad:
                return self._value_and_difference(step, event, number, theta, places)
            by_t, by_y = torch.autograd.grad(value.sum(), (t, states), allow_unused=True)
        rate = torch.zeros_like(value)
        rate = rate if by_t is None else rate + by_t.reshape(-1)
        rate = rate if by_y is None else rate + (by_y * slopes).sum(1)
        return host_array(value).astype(np.float64), host_array(rate).astype(np.float64)

    def _value_and_difference(self, step: _StepView, event: Event, number: int, theta: np.ndarray, places: np.ndarray):
        value = self._values(step, event, number, theta, places)
        moved = self._values(step, event, number, theta + DIFFERENCE, places)
        return value, (moved - value) / (DIFFERENCE * step.size[places])

    def _tolerance(self, step: _StepView, event: Event, places: np.ndarray) -> np.ndarray:
        """(points,) in units of t."""
        t, t_end = np.atleast_1d(step.interval.t)[places], np.atleast_1d(step.interval.t_end)[places]
        rounding = 4 * torch.finfo(step.equation.layout.dtype).eps * np.maximum(np.abs(t), np.abs(t_end))
        return np.maximum(rounding, 0.0 if event.tolerance is None else event.tolerance)

    def _values_everywhere(self, step: _StepView, theta: float, everyone: np.ndarray) -> np.ndarray:
        """(events, lanes): all conditions of all lanes at the same place of their steps."""
        where = np.full(len(everyone), theta)
        if theta == 1:
            states = step.equation.layout.flat(step.result.y1.detach())
        else:
            states = step.states(where, everyone)
        times = step.times(where, everyone)
        values = [
            condition_of(event, number, step.equation, times, states)[0].double()
            for number, event in enumerate(self.events)
        ]
        return host_array(torch.stack(values))

    def _values(self, step: _StepView, event: Event, number: int, theta: np.ndarray, places: np.ndarray) -> np.ndarray:
        """(points,): one condition at points of their own."""
        times, states = step.times(theta, places), step.states(theta, places)
        if step.joint:
            rows = [
                condition_of(event, number, step.equation, times[k : k + 1], states[k : k + 1])[0].double()
                for k in range(len(theta))
            ]
            return host_array(torch.cat(rows))
        equation = step.equation.select(torch.from_numpy(places).to(states.device))
        return host_array(condition_of(event, number, equation, times, states)[0].double())

    def _marks(self, step: _StepView, lanes: np.ndarray, crossings: np.ndarray) -> Marks | None:
        """crossings: (n, 7): event, place, bracket, values at its ends, and the sign that was left."""
        roots = []
        for number, event in enumerate(self.events):
            own = crossings[crossings[:, 0] == number]
            if len(own):
                roots.append(self._roots(step, event, number, own))
        which, places, theta = (np.concatenate(part) for part in zip(*roots, strict=True))
        times = step.times(theta, places)
        forward = np.where(step.size[places] >= 0, 1.0, -1.0)
        order = np.lexsort((which, times * forward, places))
        return self._chosen(step, lanes, which[order], places[order], theta[order])

    def _roots(self, step: _StepView, event: Event, number: int, crossings: np.ndarray):
        """(event, place, theta) of those passages of one event that are inside their brackets."""
        places = crossings[:, 1].astype(int)
        low, high, at_low, at_high, side = crossings[:, 2:].T.copy()
        # Where the solve began at a zero, or on its wrong side by a rounding, the bracket has to begin behind it.
        unsure = np.flatnonzero(np.sign(at_low) != side)
        for _ in range(HALVINGS):
            if not len(unsure):
                break
            middle = 0.5 * (low[unsure] + high[unsure])
            value = self._values(step, event, number, middle, places[unsure])
            good = np.sign(value) == side[unsure]
            low[unsure[good]], at_low[unsure[good]] = middle[good], value[good]
            high[unsure[~good]], at_high[unsure[~good]] = middle[~good], value[~good]
            unsure = unsure[~good]
        sure = np.setdiff1d(np.arange(len(places)), unsure)
        places = places[sure]
        tolerance = self._tolerance(step, event, places) / np.abs(step.size[places])
        theta = passages(
            lambda x, chosen: self._values(step, event, number, x, places[chosen]),
            low[sure], high[sure], at_low[sure], at_high[sure], tolerance,
        )  # fmt: skip
        return np.full(len(places), number), places, theta

    def _chosen(self, step: _StepView, lanes: np.ndarray, which, places, theta) -> Marks | None:
        """Of passages in order: those before their lane stops, counted."""
        end, taken, last = np.full(len(lanes), np.nan), [], []
        times = step.times(theta, places)
        for row, (number, place, time) in enumerate(zip(which, places, times, strict=True)):
            event = self.events[number]
            if not np.isnan(end[place]):
                near = NEAR * self._tolerance(step, event, places[row : row + 1])[0]
                if abs(time - end[place]) > near:
                    continue
            self.fired[number, lanes[place]] += 1
            stops = event.jump is not None or self.fired[number, lanes[place]] == event.last_count
            taken.append(row)
            last.append(stops)
            if stops and np.isnan(end[place]):
                end[place] = time
        if not taken:
            return None
        rows = np.array(taken)
        slope = step.slopes(theta[rows], places[rows])
        return Marks(places[rows], times[rows], which[rows], np.array(last), slope, end)


def condition_of(
    event: Event, number: int, equation: AbstractEquation, times: HostTime, states: torch.Tensor, *, timed: bool = False
) -> tuple[torch.Tensor, torch.Tensor]:
    """The condition (points,) at times (points,) and flat states (points, width), and the time it was called with.
    timed: is a gradient by that wanted?"""
    layout = equation.layout
    t = equation.times([times if layout.per_sample else float(times[0])])[0]
    if timed:
        t = t.detach().requires_grad_()
    packed = states if layout.per_sample else states.reshape(layout.shapes[0] if layout.kind == "tensor" else (1, -1))
    value = called_as_f(event.condition, t, layout.unpack(packed), equation.plain_args)
    if not isinstance(value, torch.Tensor) or not value.is_floating_point():
        raise TypeError(
            f"the condition of {event.called(number)} returned {describe(value)}, but it must return a signed number "
            "as a floating-point tensor, negative on one side of the event and positive on the other."
        )
    if layout.per_sample and value.shape[:1] == states.shape[:1] and value.numel() == states.shape[0]:
        return value.reshape(-1), t
    if not layout.per_sample and value.numel() == 1:
        return value.reshape(1), t
    allowed = f"one number a sample, ({states.shape[0]},)" if layout.per_sample else "one number"
    raise ValueError(
        f"the condition of {event.called(number)} returned shape {tuple(value.shape)}, but {allowed} is expected. "
        "Give each number an Event of its own, or combine them (for example by min)."
    )
