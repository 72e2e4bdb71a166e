"""Backward differentiation formulas of variable order and step, and how they start where steps are constant.

C. F. Curtiss and J. O. Hirschfelder, Proc. Natl. Acad. Sci. 38 (1952) 235-243; C. W. Gear (1971). In the form over
backward differences, with the choice of orders, of L. F. Shampine and M. W. Reichelt (1997); see
`neurode.methods.backward_differences`.
"""

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch

from neurode.core.equation import AbstractEquation
from neurode.core.transforms import host_array
from neurode.methods.backward_differences import ALPHA, KEPT, MOST, correction, prediction, reading
from neurode.methods.history import History
from neurode.methods.implicit_rk import CORRECTIONS, ImplicitRungeKutta, corrected
from neurode.methods.jacobian import Jacobian
from neurode.methods.linearisation import Linearisation, Point
from neurode.methods.newton import Newton
from neurode.methods.newton_iteration import solve_stages
from neurode.methods.stage_equations import StageEquations
from neurode.methods.step_times import host_time, size_and_times, step_size
from neurode.methods.stepper import StepLaw, StepResult, StepTime
from neurode.methods.tableaus.radauIIA5 import RADAU_IIA5
from neurode.methods.traced_stepper import AbstractTracedStepper, with_lanes

EVEN = 1e-3
"""Among steps chosen by the error those that differ by less count as equal: they were meant to be."""
SAME = 1e-6
"""The same of constant steps, whose first differences are taken without regard to it."""
LONGER = 1.05
"""A constant step that is longer than the one before by more than this factor has no past to go by: the polynomial
would be read far outside of the values it was made from."""
ONE = np.ones((1, 1))


@dataclass(frozen=True)
class Bdf(AbstractTracedStepper):
    """Backward differentiation formulas of orders one to `order`, at most five.

    Good for stiff problems whose Jacobian is dear, or whose field is: a step is one system of the state's size, solved
    with a Jacobian that is kept from step to step for as long as it serves, at two calls of the field. Not good where
    eigenvalues lie near the imaginary axis (oscillations that hardly decay): from order three on the formulas are
    stable only so far from it. Nor where the solve is short or jumps often: each begins at order one with tiny steps.

    With steps by the error the order goes up and down by one as the estimates of three orders say. Constant steps are
    of the highest order; the first `order` of them, and as many from one on that is a twentieth longer than the one
    before, are made by radauIIA5.

    newton: how its equations are solved. Gradients are those of their exact solution, as of an implicit Runge-Kutta
    method: never of the iteration. With a gradient each accepted step keeps a Jacobian.
    Raises ValueError for an order that is none of these.
    """

    order: int = MOST
    newton: Newton = field(default_factory=lambda: Newton(iterations=4))

    def __post_init__(self):
        if not (isinstance(self.order, int) and 1 <= self.order <= MOST):
            raise ValueError(f"order of bdf must be 1, 2, 3, 4 or 5, but is {self.order!r}.")

    @property
    def name(self) -> str:
        return "bdf"

    @property
    def linearises(self) -> bool:
        return True

    @property
    def has_error(self) -> bool:
        return True

    @property
    def sizes_steps(self) -> bool:
        return True

    @property
    def starting_power(self) -> int:
        return 2

    @property
    def carries_first(self) -> bool:
        return True

    def within(self, rtol: float, atol: float) -> "Bdf":
        return replace(self, newton=self.newton.within(rtol, atol))

    def begin(self, y0: torch.Tensor, first: torch.Tensor | None) -> torch.Tensor:
        assert first is not None
        return History.beginning(first, self.newton.largest)

    def begin_bar(self, carried_bar: torch.Tensor) -> tuple[None, torch.Tensor]:
        return None, History.first_of(carried_bar)

    def carried_zeros(self, y0: torch.Tensor) -> torch.Tensor:
        return y0.new_zeros(*y0.shape[:-1], History.smooth_columns(y0))

    def smooth_columns(self, y: torch.Tensor) -> int:
        return History.smooth_columns(y)

    @property
    def dense_matrix(self) -> np.ndarray:
        return reading()

    @cached_property
    def _starter(self) -> ImplicitRungeKutta:
        return ImplicitRungeKutta(RADAU_IIA5, replace(self.newton, iterations=8))

    @cached_property
    def _start_stages(self) -> np.ndarray:
        """(MOST, stages): the starter's dense output by differences."""
        own = np.zeros((RADAU_IIA5.num_stages, MOST))
        own[:, : RADAU_IIA5.dense_matrix.shape[1]] = RADAU_IIA5.dense_matrix
        return np.linalg.solve(reading().T, own.T)

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
        assert carried is not None
        if not y.numel():
            idle = np.ones(equation.layout.lanes(y))
            law = StepLaw(idle, idle, idle, idle < 0)
            return StepResult(y, y.new_zeros(MOST, *y.shape), torch.zeros_like(y), carried, law=law)
        past = History.of(equation.layout, y, carried)
        if self.newton.share is not None:
            return self._go_on(equation, t, t_end, y, past, traced=traced)
        past = past.of_order(self.order)
        starts = self._starts(t, t_end, past)
        if starts.all():
            return self._start(equation, t, t_end, y, past, traced=traced)
        if not starts.any():
            return self._go_on(equation, t, t_end, y, past, traced=traced)
        whole = StepResult(y, y.new_zeros(MOST, *y.shape), None, carried, failed=np.zeros(len(starts), dtype=bool))
        for make, rows in ((self._start, np.flatnonzero(starts)), (self._go_on, np.flatnonzero(~starts))):
            places = torch.from_numpy(rows).to(y.device)
            own, own_end = (x.index_select(0, places) if isinstance(x, torch.Tensor) else x[rows] for x in (t, t_end))
            some, known = y.index_select(0, places), carried.index_select(0, places)
            part = equation.select(places)
            own_past = History.of(part.layout, some, known).of_order(self.order)
            whole = with_lanes(whole, places, make(part, own, own_end, some, own_past, traced=traced))
        return whole

    def _starts(self, t: StepTime, t_end: StepTime, past: History) -> np.ndarray:
        """(lanes,): whose constant steps have no past of their order yet, or none for a step of this size."""
        ratio = _ratio(t, t_end, past)
        return (past.equal < self.order) | ~((ratio > 0) & (ratio <= LONGER))

    def _start(self, equation: AbstractEquation, t, t_end, y: torch.Tensor, past: History, *, traced) -> StepResult:
        """By the starter; the differences of what it comes to are the past that is wanted."""
        made = self._starter.step(equation, t, t_end, y, None, traced=traced)
        rows = past.rows(made.y1 - y)
        risen = [rows]
        for place in range(KEPT - 1):
            risen.append(risen[-1] - past.differences[..., place, :])
        table = torch.from_numpy(self._start_stages).to(y.device, y.dtype)
        stages = torch.tensordot(table, made.stages, dims=1)
        size = size_and_times(equation, t, t_end, y, ())[0]
        equal = np.where(np.abs(_ratio(t, t_end, past) - 1) <= SAME, past.equal + 1, 1)
        following = past.following(torch.stack(risen, dim=-2), size, past.order, equal, None)
        return StepResult(made.y1, stages, None, following, failed=made.failed)

    def _go_on(self, equation: AbstractEquation, t, t_end, y: torch.Tensor, past: History, *, traced) -> StepResult:
        size, (time,) = size_and_times(equation, t, t_end, y, (1,))
        differences = past.at_distance(size)
        made = past.tables(prediction()) @ differences
        predicted = y + made[..., 0, :].reshape(y.shape)
        psi = made[..., 1, :].reshape(y.shape)
        alpha = past.per_lane(ALPHA)
        solved = self._solved(equation, (host_time(t), host_time(t_end)), y, past, predicted, psi)
        k, reach = solved.k, size / alpha
        if traced:
            k = solved.traced(equation, time, predicted - psi, reach)
        change = k * reach - psi
        y1 = predicted + change
        sources = torch.cat((differences, past.rows(change).unsqueeze(-2)), dim=-2)
        found = past.tables(correction()) @ sources
        differences, errors = found[..., :KEPT, :], found[..., KEPT:, :].detach()
        stages = (differences * past.degrees()).movedim(-2, 0)[:MOST].reshape(MOST, *y.shape) / size
        order, equal, law = past.order, past.equal, None
        if self.newton.share is not None:
            order, equal, law = self._choice(equation, _ratio(t, t_end, past), past, errors, (y, y1))
        following = past.following(differences, size, order, equal, solved.jacobian)
        error = errors[..., 1, :].clone().reshape(y.shape)
        return StepResult(y1, stages, error, following, failed=solved.failed if solved.failed.any() else None, law=law)

    @torch.no_grad()
    def _solved(self, equation: AbstractEquation, ends, y: torch.Tensor, past: History, predicted, psi) -> "_Solved":
        predicted, psi, y = predicted.detach(), psi.detach(), y.detach()
        reach = step_size(ends[0], ends[1], y) / past.per_lane(ALPHA)
        start, time = equation.times(ends)
        linear = Linearisation(self.newton, equation, start, y, reach, past.jacobian if past.known.all() else None)
        if past.known.any() and not past.known.all():
            fresh = linear.first
            assert isinstance(fresh, Jacobian)
            linear = Linearisation(self.newton, equation, start, y, reach, past.completed(fresh))
        first = (psi / reach).unsqueeze(0)
        own = StageEquations(equation, [time], (predicted - psi).unsqueeze(0), ONE, reach, anew=first)
        scale = None if self.newton.share is None else self.newton.scale(torch.maximum(y.abs(), predicted.abs()))
        found = solve_stages(self.newton, linear, own, first, scale)
        return _Solved(found.k[0], found.failed, found.jacobians[0], linear, own)

    @torch.no_grad()
    def _choice(self, equation: AbstractEquation, ratio: np.ndarray, past: History, errors: torch.Tensor, ends):
        """The next step's order, how many steps will have been equal, and how the next one is sized.

        errors: (..., 3, m), the local errors of the order below, this one, and the one above, which are right once so
        many steps were equal that the differences behind them are.
        """
        order = past.order
        equal = np.where(np.abs(ratio - 1) <= EVEN, past.equal + 1, 1)
        scale = self.newton.scale(torch.maximum(*(end.detach().abs() for end in ends)))
        parts = (errors / past.rows(scale).unsqueeze(-2)).movedim(-2, 0).reshape(3, *ends[0].shape)
        flat = [equation.layout.flat(part).double() for part in parts]
        norms = np.stack([host_array(torch.linalg.vector_norm(x, dim=1)) / max(1, x.shape[1]) ** 0.5 for x in flat])
        norms[0, order == 1] = norms[2, order == self.order] = np.inf
        powers = order + np.arange(3)[:, None]
        with np.errstate(divide="ignore", invalid="ignore"):
            lengths = np.nan_to_num(norms, nan=np.inf) ** (-1 / powers)
            choice = np.where(equal > order, np.argmax(lengths, axis=0), 1)
            lanes = np.arange(len(order))
            relation = norms[choice, lanes] / norms[1]
        relation = np.where(np.isfinite(relation), relation, 1.0)
        law = StepLaw(powers[1].astype(float), powers[choice, lanes].astype(float), relation, equal <= order)
        return order + choice - 1, np.where(equal > order, 0, equal), law


@dataclass(frozen=True)
class _Solved:
    """A step's equation, solved: k is f at the end. jacobian: the one it was solved with."""

    k: torch.Tensor
    failed: np.ndarray
    jacobian: Point
    linear: Linearisation
    own: StageEquations

    def traced(self, equation: AbstractEquation, time: Any, base: torch.Tensor, reach: Any) -> torch.Tensor:
        """k with the derivative that the implicit function theorem gives it, by Newton corrections whose matrix is
        exact and constant."""
        with torch.no_grad():
            exact = self.linear.at(self.own.times[0], self.own.base[0] + self.k * self.own.size)
            system = self.linear.system([exact], ONE)
        k = self.k
        for _ in range(CORRECTIONS):
            (k,) = corrected(system, [k], [equation(time, base + k * reach)])
        return k


def _ratio(t: StepTime, t_end: StepTime, past: History) -> np.ndarray:
    """(lanes,): the size of this step in terms of the last one's."""
    return np.atleast_1d(np.asarray(host_time(t_end) - host_time(t), dtype=np.float64)) / past.host_size
