"""The step of an additive Runge-Kutta method, explicit for one part of the field and implicit for the other, and its
exact derivative by the implicit function theorem."""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch

from neurode.core.equation import AbstractEquation
from neurode.core.tape import Evaluation, TapeScope
from neurode.methods.additive_tableau import AdditiveTableau
from neurode.methods.implicit_rk import corrected, traced_along
from neurode.methods.linearisation import Linearisation, recorded_point, system_of
from neurode.methods.method_table import AbstractTableStepper
from neurode.methods.newton import Newton
from neurode.methods.newton_iteration import solve_stages
from neurode.methods.stage_equations import StageEquations
from neurode.methods.stage_sums import along, time_bars
from neurode.methods.step_times import host_time, node_times, size_and_times, step_size
from neurode.methods.stepper import Replayed, StepGradient, StepResult, StepTime

CORRECTIONS = 2
"""As of an implicit step: each gives one more order of derivatives."""


@dataclass(frozen=True)
class AdditiveRungeKutta(AbstractTableStepper):
    """The method of an additive table, for a SplitField: Newton's iteration sees its implicit part alone.

    Good where the stiff part is the cheap or the simple one. A field that is not split is taken to be all implicit. Not
    good where both parts are stiff: the explicit one limits the step.

    newton: how the equations are solved, as of an ImplicitRungeKutta; a Jacobian of one's own is that of the implicit
    part. A step's stages are the slopes of both parts together. A call of either part counts as one.
    """

    tableau: AdditiveTableau
    newton: Newton = field(default_factory=Newton)

    @property
    def linearises(self) -> bool:
        return True

    def within(self, rtol: float, atol: float) -> "AdditiveRungeKutta":
        return replace(self, newton=self.newton.within(rtol, atol))

    def retry(self, carried: torch.Tensor | None, rejected: StepResult) -> torch.Tensor | None:
        del rejected  # its first slope is not told apart into parts
        return carried

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
        del carried
        with torch.no_grad():
            solved = _solve(self, equation, host_time(t), host_time(t_end), y.detach())
        stages, size = (solved.slopes, solved.size) if not traced else _traced(self, equation, t, t_end, y, solved)
        y1 = y + along(stages, self.tableau.b) * size
        error = along(solved.slopes, self.tableau.b_error) * solved.size
        return StepResult(y1, stages, error, None, failed=solved.failed if solved.failed.any() else None)

    def replay(self, scope: TapeScope, t, t_end, y, carried, *, read: bool) -> Replayed:
        del carried, read
        with torch.no_grad():
            solved = _solve(self, scope.equation, t, t_end, y)
        explicit, implicit = scope.equation.parts()
        scopes = (None if explicit is None else replace(scope, equation=explicit), replace(scope, equation=implicit))
        calls = [
            tuple(None if part is None else part.record(time, argument) for part in scopes)
            for time, argument in zip(solved.times, solved.arguments(y), strict=True)
        ]
        return Replayed(solved.slopes, _Recorded(self, y, solved, calls, implicit))

    def pull_back(self, scope: TapeScope, replayed: Replayed, y1_bar, stages_bar, next_bar) -> StepGradient:
        del next_bar
        return replayed.recorded.pull_back(scope, y1_bar, stages_bar)


@dataclass(frozen=True)
class _Solved:
    """The slopes of both parts at each stage, without graphs, and what they were made with. parts: (2, stages, *state),
    explicit and implicit; the first is zero where there is no such part."""

    tableau: AdditiveTableau
    parts: torch.Tensor
    times: list[Any]
    size: float | torch.Tensor
    failed: np.ndarray
    linear: Linearisation

    @property
    def slopes(self) -> torch.Tensor:
        return self.parts.sum(0)

    def made(self, stage: int, count: int) -> torch.Tensor:
        """(Y - y) / h of a stage, of the slopes of the first `count` stages."""
        explicit, implicit = (
            along(own[:count], table[stage, :count])
            for own, table in zip(self.parts, self.tableau.matrices, strict=True)
        )
        return explicit + implicit

    def arguments(self, y: torch.Tensor) -> list[torch.Tensor]:
        """What the field was called with at each stage."""
        return [y if i == 0 else y + self.made(i, i + 1) * self.size for i in range(self.tableau.num_stages)]


def _solve(stepper: AdditiveRungeKutta, equation: AbstractEquation, t, t_end, y: torch.Tensor) -> _Solved:
    """The stages, one after the other."""
    tableau, newton, size = stepper.tableau, stepper.newton, step_size(t, t_end, y)
    explicit, implicit = equation.parts()
    times = list(equation.times(node_times(t, t_end, tableau.c)))
    parts = y.new_zeros(2, tableau.num_stages, *y.shape)
    failed = np.zeros(equation.layout.lanes(y), dtype=bool)
    scale = None if newton.share is None else newton.scale(y)
    linear = Linearisation(newton, implicit, times[0], y, size)
    solved = _Solved(tableau, parts, times, size, failed, linear)
    for i, time in enumerate(times):
        argument = y if i == 0 else y + solved.made(i, i) * size
        own = tableau.implicit_matrix[i : i + 1, i : i + 1]
        if own[0, 0] == 0:
            parts[1, i] = implicit(time, argument)
        else:
            equations = StageEquations(implicit, [time], argument.unsqueeze(0), own, size)
            found = solve_stages(newton, linear, equations, parts[1, i - 1 : i].clone(), scale)
            parts[1, i] = found.k[0]
            failed |= found.failed
            argument = argument + equations.moved(found.k)[0]
        if explicit is not None:
            parts[0, i] = explicit(time, argument)
    return solved


def _traced(
    stepper: AdditiveRungeKutta, equation: AbstractEquation, t, t_end, y: torch.Tensor, solved: _Solved
) -> tuple[torch.Tensor, Any]:
    """The solved stages with the derivative that the implicit function theorem gives them; and the step size."""
    tableau, times, size = stepper.tableau, solved.times, solved.size
    explicit, implicit = equation.parts()
    if isinstance(t, torch.Tensor):
        size, times = size_and_times(equation, t, t_end, y, tableau.c)
    mild: list[torch.Tensor] = []
    stiff: list[torch.Tensor] = []
    arguments = solved.arguments(y.detach())
    for i, time in enumerate(times):
        argument = traced_along(y, stiff, tableau.implicit_matrix[i, :i], size)
        if explicit is not None:
            argument = traced_along(argument, mild, tableau.explicit_matrix[i, :i], size)
        own = tableau.implicit_matrix[i : i + 1, i : i + 1]
        if own[0, 0] == 0:
            stiff.append(implicit(time, argument))
        else:
            with torch.no_grad():
                system = solved.linear.system([solved.linear.at(solved.times[i], arguments[i])], own)
            k = [solved.parts[1, i]]
            for _ in range(CORRECTIONS):
                k = corrected(system, k, [implicit(time, traced_along(argument, k, own[0], size))])
            stiff.extend(k)
            argument = traced_along(argument, k, own[0], size)
        if explicit is not None:
            mild.append(explicit(time, argument))
    total = torch.stack(stiff)
    return total if explicit is None else total + torch.stack(mild), size


@dataclass(frozen=True)
class _Recorded:
    """A step made again. calls: of both parts at each stage on a tape, None where there is no explicit part. implicit:
    the equation of that part."""

    stepper: AdditiveRungeKutta
    y: torch.Tensor
    solved: _Solved
    calls: list[tuple[Evaluation | None, ...]]
    implicit: AbstractEquation

    def pull_back(self, scope: TapeScope, y1_bar: torch.Tensor, stages_bar: torch.Tensor | None) -> StepGradient:
        tableau, solved, size = self.stepper.tableau, self.solved, self.solved.size
        weights = torch.from_numpy(tableau.b_vector).to(self.y.device, self.y.dtype)
        bars = weights.view(-1, *[1] * self.y.ndim) * (y1_bar * size)
        if stages_bar is not None:
            bars = bars + stages_bar
        both = torch.stack((bars, bars))
        y_bar, t_bars = y1_bar, []
        size_bar = along(solved.slopes, tableau.b) * y1_bar if scope.tape.time else None
        for i in reversed(range(tableau.num_stages)):
            mild, stiff = self.calls[i]
            diagonal = float(tableau.implicit_matrix[i, i])
            argument_bar, t_bar = torch.zeros_like(self.y), None
            if mild is not None:
                argument_bar, t_bar = scope.pull(mild, both[0, i])
                both[1, i] += argument_bar * (size * diagonal)
            assert stiff is not None
            own_bar, own_t_bar = scope.pull(stiff, self._through(i, both[1, i], stiff))
            argument_bar = argument_bar + own_bar
            y_bar = y_bar + argument_bar
            for part, table in zip(both, tableau.matrices, strict=True):
                for j in np.flatnonzero(table[i, :i]):
                    part[j] += argument_bar * (size * table[i, j])
            if size_bar is not None:
                t_bars += [(tableau.c[i], bar) for bar in (t_bar, own_t_bar) if bar is not None]
                size_bar = size_bar + solved.made(i, i + 1) * argument_bar
        if size_bar is None:
            return StepGradient(y_bar, None, None, None)
        return StepGradient(y_bar, None, *time_bars(scope, size_bar, t_bars))

    def _through(self, stage: int, bar: torch.Tensor, call: Evaluation) -> torch.Tensor:
        """The gradient by the value of the implicit part from that of the stage: through its transposed equation."""
        own = self.stepper.tableau.implicit_matrix[stage : stage + 1, stage : stage + 1]
        if own[0, 0] == 0:
            return bar
        newton = self.stepper.newton
        point = recorded_point(newton, self.implicit, call)
        system = system_of([point], own, self.solved.size, self.implicit, newton)
        return system.solve(bar.unsqueeze(0), transposed=True)[0]
