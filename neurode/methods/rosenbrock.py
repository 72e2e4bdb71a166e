"""The step of a Rosenbrock method, which solves linear systems and iterates nothing, and its exact derivative."""

from dataclasses import dataclass, field
from typing import Any

import torch

from neurode.core.equation import AbstractEquation
from neurode.core.tape import Evaluation, TapeScope
from neurode.methods.jacobian import Linearised, linearised_at
from neurode.methods.linearisation import too_wide
from neurode.methods.method_table import AbstractTableStepper
from neurode.methods.newton import Newton
from neurode.methods.rosenbrock_tableau import RosenbrockTableau
from neurode.methods.stage_matrix import StageMatrix
from neurode.methods.stage_sums import along, time_bars
from neurode.methods.step_times import size_and_times
from neurode.methods.stepper import Replayed, StepGradient, StepResult, StepTime


@dataclass(frozen=True)
class Rosenbrock(AbstractTableStepper):
    """The method of a Rosenbrock table. Good for stiff problems of few components, to any tolerance; nothing iterates,
    so nothing can fail to converge. Not good where the Jacobian is dear: each step makes it anew, and its gradient is
    one of second order of the field.

    newton: of its settings `jacobian` (which has to be exact) and `largest` are used.
    A step's stages are its vectors v, which dense output and error estimate are combinations of.
    """

    tableau: RosenbrockTableau
    newton: Newton = field(default_factory=Newton)

    def __post_init__(self):
        if self.newton.matrix_free:
            raise ValueError(
                f"{self.name!r} needs the matrix of its linear systems, since nothing corrects what GMRES leaves of "
                "them. Take 'esdirk5' or 'radau5' with Newton(matrix_free=True)."
            )

    @property
    def linearises(self) -> bool:
        return True

    def retry(self, carried: torch.Tensor | None, rejected: StepResult) -> torch.Tensor | None:
        del rejected
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
        del carried  # f at the beginning comes with its Jacobian
        return self.step_and_jacobian(equation, t, t_end, y, traced=traced)[0]

    def step_and_jacobian(
        self, equation: AbstractEquation, t: StepTime, t_end: StepTime, y: torch.Tensor, *, traced: bool
    ) -> tuple[StepResult, torch.Tensor]:
        """The step, and the blocks of the Jacobian at its beginning."""
        size, times = size_and_times(equation, t, t_end, y, self.tableau.c)
        made = self._made(equation, times, y, size, graph=traced)
        return self._result(y, size, made.stages), made.point.jacobian.matrix

    def _result(self, y: torch.Tensor, size, stages: torch.Tensor) -> StepResult:
        y1 = y + along(stages, self.tableau.b) * size
        plain = size.detach() if isinstance(size, torch.Tensor) else size
        error = along(stages.detach(), self.tableau.b_error) * plain
        return StepResult(y1, stages, error, None)

    def _linearised(self, equation: AbstractEquation, t: Any, y: torch.Tensor, *, graph: bool) -> Linearised:
        largest, given = self.newton.largest, self.newton.jacobian
        found = linearised_at(
            equation, t if graph else t.detach(), y if graph else y.detach(), largest=largest, given=given
        )
        if found is None:
            raise ValueError(too_wide(equation, y, largest))
        return found if graph else found.detach()

    def _made(self, equation: AbstractEquation, times, y: torch.Tensor, size, *, graph: bool) -> "_Made":
        point = self._linearised(equation, times[0], y, graph=graph)
        matrix = self._matrix(point, size)
        tableau, stages = self.tableau, []
        for i in range(tableau.num_stages):
            value = point.value
            if i > 0:
                value = equation(times[i], y + _partly(stages, tableau.a[i]) * size)
            stages.append(matrix.solve(self._right(i, value, stages, point.by_time, size).unsqueeze(0))[0])
        return _Made(point, matrix, torch.stack(stages))

    def _right(self, i: int, value: torch.Tensor, stages: list[torch.Tensor], by_time: torch.Tensor, size):
        right = value if i == 0 else value + _partly(stages, self.tableau.m[i])
        return right + by_time * (size * self.tableau.d[i]) if self.tableau.d[i] else right

    def _matrix(self, point: Linearised, size) -> StageMatrix:
        jacobian = point.jacobian.matrix
        scaled = size.unsqueeze(-1) if isinstance(size, torch.Tensor) and size.ndim == 2 else size
        eye = torch.eye(jacobian.shape[-1], dtype=jacobian.dtype, device=jacobian.device)
        factors, pivots, _ = torch.linalg.lu_factor_ex(eye / self.tableau.gamma - scaled * jacobian)
        return StageMatrix(factors, pivots, jacobian.shape[-1])

    def replay(self, scope: TapeScope, t, t_end, y, carried, *, read: bool) -> Replayed:
        del carried, read
        tableau = self.tableau
        size, times = size_and_times(scope.equation, t, t_end, y, tableau.c)
        leaf, time = y.detach().requires_grad_(), times[0].detach().requires_grad_()
        with torch.enable_grad():
            graph = self._linearised(scope.equation, time, leaf, graph=True)
        point = graph.detach()
        with torch.enable_grad():
            parts = graph.value.reshape(-1), graph.jacobian.matrix.reshape(-1), graph.by_time.reshape(-1)
            calls = [Evaluation(torch.cat(parts), leaf, time)]
        with torch.no_grad():
            matrix, stages = self._matrix(point, size), []
            for i in range(tableau.num_stages):
                value = point.value
                if i > 0:
                    calls.append(scope.record(times[i], y + _partly(stages, tableau.a[i]) * size))
                    value = calls[i].value
                right = self._right(i, value, stages, point.by_time, size)
                stages.append(matrix.solve(right.unsqueeze(0))[0])
            made = _Made(point, matrix, torch.stack(stages))
        return Replayed(made.stages, _Recorded(self, y, size, made, calls))

    def pull_back(self, scope: TapeScope, replayed: Replayed, y1_bar, stages_bar, next_bar) -> StepGradient:
        del next_bar
        return replayed.recorded.pull_back(scope, y1_bar, stages_bar)


@dataclass(frozen=True)
class _Made:
    """A step's point of linearisation, its matrix 1/gamma I - h J, and its stages."""

    point: Linearised
    matrix: StageMatrix
    stages: torch.Tensor


@dataclass(frozen=True)
class _Recorded:
    """A step made again. calls: the first one's value is that of f, of the Jacobian and of df/dt, one after the other;
    the others are calls of f."""

    stepper: Rosenbrock
    y: torch.Tensor
    size: float | torch.Tensor
    made: _Made
    calls: list[Evaluation]

    def pull_back(self, scope: TapeScope, y1_bar: torch.Tensor, stages_bar: torch.Tensor | None) -> StepGradient:
        tableau, size, stages = self.stepper.tableau, self.size, self.made.stages
        scaled = y1_bar * size
        bars = [scaled * weight for weight in tableau.b]
        if stages_bar is not None:
            bars = [bar + own for bar, own in zip(bars, stages_bar, strict=True)]
        y_bar, t_bars = y1_bar, []
        size_bar = along(stages, tableau.b) * y1_bar if scope.tape.time else None
        rights: list[torch.Tensor] = [self.y] * len(bars)
        for i in reversed(range(len(bars))):
            # Of the right side; what it is made of comes before.
            right = self.made.matrix.solve(bars[i].unsqueeze(0), transposed=True)[0]
            rights[i] = right
            for j in range(i):
                bars[j] = bars[j] + right * tableau.m[i][j]
            if i == 0:
                continue
            argument_bar, t_bar = scope.pull(self.calls[i], right)
            y_bar = y_bar + argument_bar
            for j in range(i):
                bars[j] = bars[j] + argument_bar * (size * tableau.a[i][j])
            if size_bar is not None:
                t_bars.append((tableau.c[i], t_bar))
                size_bar = size_bar + _partly(list(stages), tableau.a[i]) * argument_bar
        argument_bar, t_bar = scope.pull(self.calls[0], self._first_bar(rights))
        y_bar = y_bar + argument_bar
        if size_bar is None:
            return StepGradient(y_bar, None, None, None)
        t_bars.append((0.0, t_bar))
        return StepGradient(y_bar, None, *time_bars(scope, size_bar + self._matrix_bar(rights), t_bars))

    def _first_bar(self, rights: list[torch.Tensor]) -> torch.Tensor:
        """Of value, Jacobian and df/dt: v = W^-1 r with W = 1/gamma I - h J gives J the gradients h r_bar v^T."""
        width, d = self.made.matrix.width, self.stepper.tableau.d
        lefts = torch.stack([right * self.size for right in rights])
        jacobian_bar = torch.einsum(
            "sbi,sbj->bij", lefts.reshape(len(lefts), -1, width), self.made.stages.reshape(len(lefts), -1, width)
        )
        by_time_bar = along(lefts, d)
        return torch.cat((rights[0].reshape(-1), jacobian_bar.reshape(-1), by_time_bar.reshape(-1)))

    def _matrix_bar(self, rights: list[torch.Tensor]) -> torch.Tensor:
        """Of the step size, through h J and h df/dt, component by component."""
        jacobian, stages = self.made.point.jacobian, self.made.stages
        pushed = torch.einsum("bij,sbj->sbi", jacobian.matrix, stages.reshape(len(stages), -1, jacobian.width))
        by_time = self.made.point.by_time
        total = torch.zeros_like(self.y)
        for right, own, d in zip(rights, pushed, self.stepper.tableau.d, strict=True):
            total = total + right * (own.reshape(self.y.shape) + d * by_time)
        return total


def _partly(stages: list[torch.Tensor], weights) -> torch.Tensor:
    """sum_j weights[j] stages[j] over as many stages as there are weights."""
    total = stages[0] * weights[0]
    for stage, weight in zip(stages[1:], weights[1:], strict=False):
        total = torch.add(total, stage, alpha=weight)
    return total
