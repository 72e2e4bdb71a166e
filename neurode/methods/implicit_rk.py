"""The implicit Runge-Kutta step of any implicit tableau, and its exact derivative by the implicit function theorem."""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch

from neurode.core.equation import AbstractEquation
from neurode.core.tape import Evaluation, TapeScope
from neurode.methods.implicit_tableau import ImplicitTableau, Stages
from neurode.methods.linearisation import Linearisation, Systems, recorded_point, system_of
from neurode.methods.method_table import AbstractTableStepper
from neurode.methods.newton import Newton
from neurode.methods.newton_iteration import solve_stages
from neurode.methods.stage_equations import StageEquations
from neurode.methods.stage_sums import along, time_bars
from neurode.methods.step_times import host_time, node_times, size_and_times, step_size
from neurode.methods.stepper import Replayed, StepGradient, StepResult, StepTime


@dataclass(frozen=True)
class ImplicitRungeKutta(AbstractTableStepper):
    """The method of an implicit tableau. Good for stiff problems; on others it costs more than an explicit one.

    newton: how its equations are solved. With constant steps they are solved to rounding, with steps by the error to a
    share of the tolerances. A step whose equations are not solved is made again shorter; with constant steps the solve
    ends with Status.NEWTON_FAILED. Gradients are those of the exact solution of the equations, by one linear system a
    group of stages, and never of the iteration; with gradient="direct" first and second derivatives are exact, those of
    higher order are not.
    """

    tableau: ImplicitTableau
    newton: Newton = field(default_factory=Newton)

    @property
    def linearises(self) -> bool:
        return True

    def within(self, rtol: float, atol: float) -> "ImplicitRungeKutta":
        return replace(self, newton=self.newton.within(rtol, atol))

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
        host = host_time(t), host_time(t_end)
        with torch.no_grad():
            known = None if carried is None else carried.detach()
            solved = _solve(self, equation, *host, y.detach(), known)
        if not traced:
            return self._result(y, solved, solved.stages, solved.size)
        return self._result(y, solved, *_traced(self, equation, t, t_end, y, carried, solved))

    def _result(self, y: torch.Tensor, solved: "_Solved", stages: torch.Tensor, size) -> StepResult:
        tableau = self.tableau
        y1 = y + along(stages, tableau.b_vector) * size
        error = None
        if tableau.b_error is not None:
            plain = solved.size
            error = along(solved.stages, tableau.b_error) * plain
            if tableau.filtered is not None:
                error = solved.linear.filtered(tableau.filtered, error)
        failed = solved.failed if solved.failed.any() else None
        return StepResult(y1, stages, error, stages[-1] if tableau.fsal else None, failed=failed)

    def replay(self, scope: TapeScope, t, t_end, y, carried, *, read: bool) -> Replayed:
        with torch.no_grad():
            solved = _solve(self, scope.equation, t, t_end, y, carried)
        places = range(self.tableau.num_stages)
        # Stage 0 is asked for by nobody where it has no weight and nothing inside the step was read.
        idle = not read and not self.tableau.a_matrix[1:, 0].any() and self.tableau.b[0] == 0
        arguments = solved.arguments(y)
        calls: list[Evaluation | None] = [
            None if i == 0 and (carried is not None or idle) else scope.record(solved.times[i], arguments[i])
            for i in places
        ]
        return Replayed(solved.stages, _Recorded(self, y, solved, calls, handed=carried is not None))

    def pull_back(self, scope: TapeScope, replayed: Replayed, y1_bar, stages_bar, next_bar) -> StepGradient:
        return replayed.recorded.pull_back(scope, y1_bar, stages_bar, next_bar)


@dataclass(frozen=True)
class _Solved:
    """A step's stages without graphs, and what they were solved with. size: a float, or a column a lane."""

    tableau: ImplicitTableau
    stages: torch.Tensor
    times: list[Any]
    size: float | torch.Tensor
    failed: np.ndarray
    linear: Linearisation

    def arguments(self, y: torch.Tensor) -> torch.Tensor:
        """What f was called with at each stage."""
        table = torch.from_numpy(self.tableau.a_matrix).to(y.device, y.dtype)
        return y + (table @ self.stages.reshape(len(self.stages), -1)).view(self.stages.shape) * self.size


def _solve(stepper: ImplicitRungeKutta, equation: AbstractEquation, t, t_end, y, first) -> _Solved:
    """The stages of a step, group by group."""
    tableau, newton, size = stepper.tableau, stepper.newton, step_size(t, t_end, y)
    times = equation.times(node_times(t, t_end, tableau.c))
    stages = y.new_empty(tableau.num_stages, *y.shape)
    stages[0] = equation(times[0], y) if first is None else first
    linear = Linearisation(newton, equation, times[0], y, size)
    failed = np.zeros(equation.layout.lanes(y), dtype=bool)
    scale = None if newton.share is None else newton.scale(y)
    for group in tableau.groups[1:]:
        places = list(group.places)
        base = _bases(tableau, group, stages, y, size)
        if group.explicit:
            stages[places[0]] = equation(times[places[0]], base[0])
            continue
        coefficients = tableau.a_matrix[np.ix_(places, places)]
        own = StageEquations(equation, [times[i] for i in places], base, coefficients, size)
        start = stages[places[0] - 1].expand(len(places), *y.shape).clone()
        found = solve_stages(newton, linear, own, start, scale)
        stages[places[0] : places[-1] + 1] = found.k
        failed |= found.failed
    return _Solved(tableau, stages, list(times), size, failed, linear)


def _bases(tableau: ImplicitTableau, group: Stages, stages: torch.Tensor, y: torch.Tensor, size) -> torch.Tensor:
    """y + h times what the stages solved before bring in, for each stage of the group."""
    places, done = list(group.places), group.places[0]
    weights = tableau.a_matrix[places, :done]
    if not weights.any():
        return y.expand(len(places), *y.shape)
    table = torch.from_numpy(weights).to(y.device, y.dtype)
    return y + (table @ stages[:done].reshape(done, -1)).view(len(places), *y.shape) * size


CORRECTIONS = 2
"""Each gives one more order of derivatives, since the matrix is exact at the solved stages."""


def _traced(
    stepper: ImplicitRungeKutta, equation: AbstractEquation, t, t_end, y: torch.Tensor, first, solved: _Solved
) -> tuple[torch.Tensor, Any]:
    """The solved stages with the derivative that the implicit function theorem gives them, by Newton corrections whose
    matrix is exact and constant; and the step size."""
    tableau, times, size = stepper.tableau, solved.times, solved.size
    if isinstance(t, torch.Tensor):
        size, times = size_and_times(equation, t, t_end, y, tableau.c)
    stages = [equation(times[0], y) if first is None else first]
    arguments = solved.arguments(y.detach())
    for group in tableau.groups[1:]:
        places, done = list(group.places), group.places[0]
        base = [traced_along(y, stages, tableau.a_matrix[i, :done], size) for i in places]
        if group.explicit:
            stages.append(equation(times[done], base[0]))
            continue
        coefficients = tableau.a_matrix[np.ix_(places, places)]
        with torch.no_grad():
            exact = [solved.linear.at(solved.times[i], arguments[i]) for i in places]
            system = solved.linear.system(exact, coefficients)
        k = list(solved.stages[places[0] : places[-1] + 1].unbind(0))
        for _ in range(CORRECTIONS):
            values = [
                equation(times[i], traced_along(start, k, row, size))
                for i, start, row in zip(places, base, coefficients, strict=True)
            ]
            k = corrected(system, k, values)
        stages.extend(k)
    return torch.stack(stages), size


def traced_along(y: torch.Tensor, stages: list[torch.Tensor], weights: np.ndarray, size) -> torch.Tensor:
    """y + size sum_j weights[j] stages[j], in operations that autograd follows."""
    total = y
    for stage, weight in zip(stages, weights, strict=True):
        if weight != 0:
            total = total + stage * (size * float(weight))
    return total


def corrected(system: Systems, k: list[torch.Tensor], values: list[torch.Tensor]) -> list[torch.Tensor]:
    """k with the derivative of k + (I - h A x J)^-1 (values - k), and the values that it has: whatever the stages were
    solved to, all ways to differentiate are of the same solution."""
    moved = system.solve(torch.stack(values) - torch.stack(k))
    return list((torch.stack(k) + (moved - moved.detach())).unbind(0))


@dataclass(frozen=True)
class _Recorded:
    """A step made again, with a call of f at each solved stage on a tape; None for one handed over, or asked for by
    nobody."""

    stepper: ImplicitRungeKutta
    y: torch.Tensor
    solved: _Solved
    calls: list[Evaluation | None]
    handed: bool

    def pull_back(self, scope: TapeScope, y1_bar, stages_bar, next_bar) -> StepGradient:
        tableau, solved, stages = self.stepper.tableau, self.solved, self.solved.stages
        size, timed = solved.size, scope.tape.time
        weights = torch.from_numpy(tableau.b_vector).to(self.y.device, self.y.dtype)
        bars = weights.view(-1, *[1] * self.y.ndim) * (y1_bar * size)
        if stages_bar is not None:
            bars = bars + stages_bar
        if next_bar is not None:
            bars[-1] += next_bar
        y_bar, t_bars = y1_bar, []
        size_bar = along(stages, tableau.b_vector) * y1_bar if timed else None
        for group in reversed(tableau.groups):
            places = list(group.places)
            for i, own in zip(places, self._through(group, bars[places], scope), strict=True):
                call = self.calls[i]
                if call is None:
                    bars[i] = own
                    continue
                argument_bar, t_bar = scope.pull(call, own)
                y_bar = y_bar + argument_bar
                for j in np.flatnonzero(tableau.a_matrix[i, : places[0]]):
                    bars[j] += argument_bar * (size * tableau.a_matrix[i, j])
                if size_bar is not None:
                    t_bars.append((tableau.c[i], t_bar))
                    size_bar = size_bar + along(stages, tableau.a_matrix[i]) * argument_bar
        first_bar = bars[0] if self.handed else None
        if size_bar is None:
            return StepGradient(y_bar, first_bar, None, None)
        return StepGradient(y_bar, first_bar, *time_bars(scope, size_bar, t_bars))

    def _through(self, group: Stages, bars: torch.Tensor, scope: TapeScope) -> torch.Tensor:
        """Gradients by the values of f from those of the stages: through the transposed equations of the group."""
        if group.explicit:
            return bars
        places, newton, exact = list(group.places), self.stepper.newton, []
        for i in places:
            call = self.calls[i]
            assert call is not None
            exact.append(recorded_point(newton, scope.equation, call))
        coefficients = self.stepper.tableau.a_matrix[np.ix_(places, places)]
        return system_of(exact, coefficients, self.solved.size, scope.equation, newton).solve(bars, transposed=True)
