"""Adams methods of constant steps: the history of f as a polynomial, started by Runge-Kutta steps.

J. C. Adams (1855, in F. Bashforth, 1883); F. R. Moulton (1926). The polynomial is kept as its scaled derivatives: A.
Nordsieck, Math. Comp. 16 (1962) 22-49. E. Hairer, S. P. Norsett and G. Wanner, Solving Ordinary Differential Equations
I (1993), III.1 and III.6.
"""

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from math import comb

import numpy as np
import torch

from neurode.core.equation import AbstractEquation
from neurode.core.transforms import host_array
from neurode.methods.slopes import Slopes, traced_advance
from neurode.methods.step_times import size_and_times
from neurode.methods.stepper import StepResult, StepTime
from neurode.methods.tableaus.rk4 import RK4
from neurode.methods.traced_stepper import AbstractTracedStepper, with_lanes

START = Slopes(RK4, RK4.num_stages)
HIGHEST = 7
"""The history that a first step leaves is that of places (order - 1) times as dense as those to come: seen from these
its rounding is (order - 1)^(order - 1) times as large, 5e4 at order seven and 4e8 at order ten, where it is all."""
CHANGES = (1.25, 1.15, 1.1)
FORGETTING = 0.85


@dataclass(frozen=True)
class Adams(AbstractTracedStepper):
    """An Adams-Bashforth method (corrections 0), or an Adams-Moulton method whose equation is iterated `corrections`
    times from that.

    Good where a call of f is dear and steps are constant: one call a step (one more a correction) at order four, where
    rk4 takes four. Not good for stiff problems, nor for steps of many sizes (output times at all distances without a
    step_size): a step that differs from the one before by more than a quarter (less beyond order five), and the first
    one behind a jump, is made of `order - 1` steps of rk4, as at the beginning.

    order: from 2 to 7. rk4 alone starts it up to order five; beyond, each further order costs one more sweep of
    `order - 1` calls of f over the first step. The higher the order, the smaller the steps that are stable: on the
    negative real axis without corrections up to 0.3 / |lambda| at order four, 0.16 at five, 0.09 at six, 0.05 at seven;
    with two corrections 1.06, 0.86, 0.68 and 0.52. Beyond order five it wants float64. A step is handed the derivatives
    y^(j) / j!, j = 1 ... order, of the polynomial through the last values of f, and the size of the step before; NaN
    where there was none. Its stages are h^(j-1) y^(j) / j!, and the last correction.
    """

    name: str = "adams"
    order: int = 4
    corrections: int = 0

    def __post_init__(self):
        if not (isinstance(self.order, int) and 2 <= self.order <= HIGHEST):
            raise ValueError(
                f"order of an Adams method must be a whole number from 2 to {HIGHEST}, but is {self.order!r}."
            )
        if not (isinstance(self.corrections, int) and self.corrections >= 0):
            raise ValueError(f"corrections must be a whole number, 0 or more, but is {self.corrections!r}.")

    @property
    def carries_first(self) -> bool:
        return True

    def begin(self, y0: torch.Tensor, first: torch.Tensor | None) -> torch.Tensor:
        assert first is not None
        return self._joined([first, *[torch.full_like(first, float("nan"))] * self.order])

    def begin_bar(self, carried_bar: torch.Tensor) -> tuple[None, torch.Tensor]:
        return None, self._parts(carried_bar)[0]

    def carried_zeros(self, y0: torch.Tensor) -> torch.Tensor:
        return self._joined([torch.zeros_like(y0)] * (self.order + 1))

    def _joined(self, parts: list[torch.Tensor]) -> torch.Tensor:
        """Side by side along the last axis, so that the first one counts samples still; (order + 1, 1) for a single
        number."""
        return torch.cat(parts, dim=-1) if parts[0].ndim else torch.stack(parts).unsqueeze(1)

    def _parts(self, carried: torch.Tensor) -> list[torch.Tensor]:
        single = carried.shape[-1] == 1
        return list(carried[:, 0].unbind(0) if single else carried.chunk(self.order + 1, dim=-1))

    @cached_property
    def _update(self) -> np.ndarray:
        """l[1] ... l[order]: how a correction of f at the step's end changes the scaled derivatives there. The
        polynomial of the slopes gains L'(x) = prod_m (1 + x / m), which vanishes at the earlier ends."""
        slope = np.poly1d([1.0])
        for m in range(1, self.order):
            slope = slope * np.poly1d([1 / m, 1.0])
        coefficients = slope.coeffs[::-1]
        return coefficients / np.arange(1, self.order + 1)

    @cached_property
    def largest_change(self) -> float:
        """A step longer or shorter than the one before by more than this factor starts anew: one of CHANGES.

        The polynomial is scaled to steps of other sizes as if its past had been equal ones. Where steps grow, or
        shrink, without end by this factor, what is left of the history falls by FORGETTING or faster in each.
        """
        counts = range(1, self.order + 1)
        shift = np.array([[comb(j, i) for j in counts] for i in counts], dtype=float)
        history = shift - np.outer(self._update, shift[0])
        powers = np.arange(self.order)

        def kept(change: float) -> float:
            return float(np.abs(np.linalg.eigvals(history * change**powers)).max())

        return next(change for change in CHANGES if max(kept(change), kept(1 / change)) < FORGETTING)

    @cached_property
    def _gain(self) -> np.ndarray:
        """L as powers of theta = 1 + x, from theta^1 on: L(0) = 0 where the step begins."""
        integral = np.poly1d([*self._update[::-1], 0.0])
        shifted = integral(np.poly1d([1.0, -1.0]))
        shifted = shifted - shifted(0.0)
        return np.pad(shifted.coeffs[::-1][1:], (0, self.order - len(shifted.coeffs) + 1))

    @property
    def dense_matrix(self) -> np.ndarray:
        return np.vstack((np.eye(self.order), self._gain))

    def step(
        self,
        equation: AbstractEquation,
        t: StepTime,
        t_end: StepTime,
        y: torch.Tensor,
        carried: torch.Tensor | None,
        *,
        traced: bool,
    ) -> StepResult:
        del traced  # it writes nothing in place
        assert carried is not None
        starts = self._starts(equation, t, t_end, carried)
        if starts.all():
            return self._start(equation, t, t_end, y, carried)
        if not starts.any():
            return self._go_on(equation, t, t_end, y, carried)
        whole = StepResult(y, y.new_zeros(self.order + 1, *y.shape), None, carried)
        for make, rows in ((self._start, np.flatnonzero(starts)), (self._go_on, np.flatnonzero(~starts))):
            places = torch.from_numpy(rows).to(y.device)
            own, own_end = (x.index_select(0, places) if isinstance(x, torch.Tensor) else x[rows] for x in (t, t_end))
            some, known = y.index_select(0, places), carried.index_select(0, places)
            part = make(equation.select(places), own, own_end, some, known)
            whole = with_lanes(whole, places, part)
        return whole

    def _starts(self, equation: AbstractEquation, t: StepTime, t_end: StepTime, carried: torch.Tensor) -> np.ndarray:
        """(lanes,): which have no history, or none for a step of this size."""
        last = equation.layout.flat(self._parts(carried.detach())[-1])
        if not last.numel():
            return np.zeros(1, dtype=bool)
        size = t_end - t
        meant = host_array(size.detach()) if isinstance(size, torch.Tensor) else size
        change = np.atleast_1d(meant) / host_array(last[:, 0]).astype(np.float64)
        return ~((change * self.largest_change >= 1) & (change <= self.largest_change))

    def _go_on(self, equation: AbstractEquation, t, t_end, y: torch.Tensor, carried: torch.Tensor) -> StepResult:
        size, (_, time) = size_and_times(equation, t, t_end, y, (0, 1))
        derivatives = self._parts(carried)[:-1]
        stages = [derivative * size**power for power, derivative in enumerate(derivatives)]
        # The polynomial seen from the step's end, by Taylor's shift.
        moved = [sum(comb(j, i) * stages[j - 1] for j in range(i, self.order + 1)) for i in range(1, self.order + 1)]
        predicted = y + sum(stages) * size
        y1, correction = predicted, torch.zeros_like(y)
        for _ in range(self.corrections):
            correction = equation(time, y1) - moved[0]
            y1 = predicted + correction * (size * float(self._gain.sum()))
        change = equation(time, y1) - moved[0]
        following = [
            (own + change * float(weight)) / size**power
            for power, (own, weight) in enumerate(zip(moved, self._update, strict=True))
        ]
        return StepResult(y1, torch.stack([*stages, correction]), None, self._handed_over(following, size))

    def _start(self, equation: AbstractEquation, t, t_end, y: torch.Tensor, carried: torch.Tensor) -> StepResult:
        """The first step, as several of rk4, whose slopes are the history; beyond order five made better by sweeps."""
        count, y1, size = self.order - 1, y, None
        slopes = [self._parts(carried)[0]]
        edges = [t, *(t + number / count * (t_end - t) for number in range(1, count)), t_end]
        for start, end in pairwise(edges):
            stages, _, small = START.evaluate_traced(equation, start, end, y1, slopes[-1])
            y1 = traced_advance(y1, stages, RK4.b_vector, small)
            slopes.append(equation(size_and_times(equation, start, end, y1, (1,))[1][0], y1))
        places = np.linspace(0, 1, self.order)
        size, times = size_and_times(equation, t, t_end, y, tuple(places))
        for _ in range(self.order - 1 - RK4.order):
            # Picard's iteration of the collocation at the places of the slopes: one more order each time.
            states = [y + _weighted(row, slopes) * size for row in _integrals(places)]
            slopes = [slopes[0], *(equation(time, state) for time, state in zip(times[1:], states, strict=True))]
            y1 = states[-1]
        from_end = _derivatives(slopes, np.linspace(-1, 0, self.order))
        following = [derivative / size**power for power, derivative in enumerate(from_end)]
        from_start = _derivatives(slopes, places)
        # Dense output has to end where the step does: the last power takes what is left.
        from_start[-1] = from_start[-1] + ((y1 - y) / size - sum(from_start))
        stages = torch.stack([*from_start, torch.zeros_like(y)])
        return StepResult(y1, stages, None, self._handed_over(following, size))

    def _handed_over(self, derivatives: list[torch.Tensor], size: float | torch.Tensor) -> torch.Tensor:
        plain = size.detach() if isinstance(size, torch.Tensor) else size
        return self._joined([*derivatives, torch.zeros_like(derivatives[0]).detach() + plain])


def _derivatives(slopes: list[torch.Tensor], places: np.ndarray) -> list[torch.Tensor]:
    """y^(j) / j! at 0, j = 1 ... n, of the integral of the polynomial with these slopes at n places."""
    inverse = np.linalg.inv(np.vander(places, increasing=True))
    return [_weighted(row / (power + 1), slopes) for power, row in enumerate(inverse)]


def _integrals(places: np.ndarray) -> np.ndarray:
    """(n - 1, n): weights of n slopes in their polynomial's integral from the first place, 0, to each of the others."""
    powers = np.arange(1, len(places) + 1)
    return (places[1:, None] ** powers / powers) @ np.linalg.inv(np.vander(places, increasing=True))


def _weighted(weights: np.ndarray, slopes: list[torch.Tensor]) -> torch.Tensor:
    stacked = torch.stack(slopes)
    return torch.tensordot(torch.from_numpy(weights).to(stacked.device, stacked.dtype), stacked, dims=1)
