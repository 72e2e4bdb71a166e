"""The explicit Runge-Kutta step of any tableau, and its exact derivative."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch

from neurode.core.equation import Equation, HostTime
from neurode.core.tape import Evaluation, TapeScope
from neurode.methods.stepper import AbstractStepper, Replayed, StepGradient, StepResult, StepTime
from neurode.methods.tableau import Tableau


@dataclass(frozen=True)
class _Coefficients:
    """The tableau as tensors. rows[i]: a[i][:i]; combine: b; error; columns[i]: what k[i] passes on, rows i+1 and up
    of `extended`."""

    rows: tuple[torch.Tensor, ...]
    combine: torch.Tensor
    error: torch.Tensor | None
    extended: torch.Tensor
    columns: tuple[torch.Tensor, ...]


@lru_cache(maxsize=256)
def _coefficients(tableau: Tableau, dtype: torch.dtype, device: torch.device) -> _Coefficients:
    def tensor(array):
        return torch.tensor(np.asarray(array, dtype=np.float64), dtype=dtype, device=device)

    matrix, stages = tableau.a_matrix, tableau.num_stages
    # With first-same-as-last the end state is the last stage's argument; else it is one more row, b, below a.
    extended = matrix if tableau.fsal else np.vstack([matrix, tableau.b_vector])
    return _Coefficients(
        rows=tuple(tensor(matrix[i, :i]) for i in range(stages)),
        combine=tensor(tableau.b_vector),
        error=None if tableau.b_error is None else tensor([float(x) for x in tableau.b_error]),
        extended=tensor(extended),
        columns=tuple(tensor(extended[i + 1 :, i]) for i in range(stages)),
    )


@dataclass(frozen=True)
class ExplicitRungeKutta(AbstractStepper):
    """The method of a tableau. Good for non-stiff problems; stiff ones force it to tiny steps."""

    tableau: Tableau

    @property
    def name(self) -> str:
        return self.tableau.name

    @property
    def order(self) -> int:
        return self.tableau.order

    @property
    def has_error(self) -> bool:
        return self.tableau.has_error

    @property
    def carries_first(self) -> bool:
        return self.tableau.fsal

    @property
    def error_order(self) -> int:
        return 1 + (self.tableau.order if self.tableau.embedded_order is None else self.tableau.embedded_order)

    def step(
        self,
        equation: Equation,
        t: StepTime,
        t_end: StepTime,
        y: torch.Tensor,
        first: torch.Tensor | None,
        *,
        traced: bool,
    ) -> StepResult:
        if traced:
            return self._traced_step(equation, t, t_end, y, first)
        tableau, table = self.tableau, _coefficients(self.tableau, y.dtype, y.device)
        times = equation.times(self._stage_times(t, t_end))
        size = _size(t, t_end, y)
        stages = y.new_empty(tableau.num_stages, *y.shape)
        argument = y
        for i in range(tableau.num_stages):
            if i == 0 and first is not None:
                stages[0] = first
                continue
            if i > 0:
                argument = _advance(y, stages, i, table.rows[i], size)
            stages[i] = equation(times[i], argument)
        y1 = argument if tableau.fsal else _advance(y, stages, tableau.num_stages, table.combine, size)
        error = None
        if table.error is not None:
            error = _combination(stages, tableau.num_stages, table.error).mul_(size)
        return StepResult(y1, stages, error, stages[-1] if tableau.fsal else None)

    def _traced_step(self, equation, t, t_end, y, first) -> StepResult:
        """The same step without writing in place, so that autograd can follow it (also through t and t_end as
        tensors)."""
        tableau, (size, times) = self.tableau, self._traced_times(equation, t, t_end, y)
        stages: list[torch.Tensor] = []
        argument = y
        for i in range(tableau.num_stages):
            if i > 0:
                argument = _traced_advance(y, stages, tableau.a_matrix[i, :i], size)
            stages.append(first if i == 0 and first is not None else equation(times[i], argument))
        y1 = argument if tableau.fsal else _traced_advance(y, stages, tableau.b_vector, size)
        stacked = torch.stack(stages)
        error = None
        if tableau.has_error:
            # Steps are chosen by values: the error estimate takes no part in the gradient.
            table = _coefficients(tableau, y.dtype, y.device)
            plain = size if isinstance(size, float) else size.detach()
            assert table.error is not None
            error = _combination(stacked.detach(), tableau.num_stages, table.error).mul_(plain)
        return StepResult(y1, stacked, error, stages[-1] if tableau.fsal else None)

    def _stage_times(self, t: HostTime, t_end: HostTime) -> list[HostTime]:
        size = t_end - t
        return [t if c == 0 else t_end if c == 1 else t + c * size for c in self.tableau.nodes]

    def _traced_times(self, equation, t, t_end, y):
        if not isinstance(t, torch.Tensor):
            return _size(t, t_end, y), equation.times(self._stage_times(t, t_end))
        size, rounded = t_end - t, y.dtype
        times = [t if c == 0 else t_end if c == 1 else t + c * size for c in self.tableau.nodes]
        column = size.to(rounded) if size.ndim == 0 else size.to(rounded).unsqueeze(1)
        return column, [equation.shaped_time(time.to(rounded)) for time in times]

    def dense_weights(self, theta: np.ndarray) -> np.ndarray:
        matrix = self.tableau.dense_matrix
        return _powers(theta, matrix.shape[1]) @ matrix.T

    def dense_slopes(self, theta: np.ndarray) -> np.ndarray:
        matrix = self.tableau.dense_matrix
        degrees = np.arange(1, matrix.shape[1] + 1)
        return (np.asarray(theta)[:, None] ** (degrees - 1) * degrees) @ matrix.T

    @property
    def dense_matrix(self) -> np.ndarray:
        return self.tableau.dense_matrix

    def replay(self, scope: TapeScope, t, t_end, y, first) -> Replayed:
        tableau, table = self.tableau, _coefficients(self.tableau, y.dtype, y.device)
        times = scope.equation.times(self._stage_times(t, t_end))
        size = _size(t, t_end, y)
        stages = y.new_zeros(tableau.num_stages, *y.shape)
        calls: list[Evaluation | None] = []
        for i in range(tableau.num_stages):
            if i == 0 and tableau.fsal:
                stages[0] = first
                calls.append(None)
                continue
            argument = y if i == 0 else _advance(y, stages, i, table.rows[i], size)
            call = scope.record(times[i], argument)
            stages[i] = call.value.detach()
            calls.append(call)
        return Replayed(t, t_end, stages, calls)

    def pull_back(
        self, scope: TapeScope, replayed: Replayed, y1_bar, stages_bar, next_bar, *, time: bool
    ) -> StepGradient:
        tableau = self.tableau
        table, count = _coefficients(tableau, y1_bar.dtype, y1_bar.device), tableau.num_stages
        size = _size(replayed.t, replayed.t_end, y1_bar)
        rows = count if tableau.fsal else count + 1
        # arguments_bar[j]: gradient of the argument of stage j; its last row is that of the end state.
        arguments_bar = y1_bar.new_zeros(rows, *y1_bar.shape)
        arguments_bar[-1] = y1_bar
        lanes = 1 if isinstance(size, float) else y1_bar.shape[0]
        lanes_time = y1_bar.new_zeros(2, lanes) if time else None
        first_bar = None
        for i in reversed(range(count)):
            value_bar = self._stage_bar(i, arguments_bar, stages_bar, next_bar, table, size)
            if i == 0 and tableau.fsal:
                first_bar = value_bar if value_bar is not None else torch.zeros_like(y1_bar)
                continue
            call = replayed.calls[i]
            if value_bar is None or call is None:
                continue
            argument_bar, t_bar = scope.pull(call, value_bar)
            arguments_bar[i].add_(argument_bar)
            if lanes_time is not None and t_bar is not None:
                node = tableau.nodes[i]
                lanes_time += torch.outer(t_bar.new_tensor([1 - node, node]), t_bar.reshape(-1))
        t_bar = t_end_bar = None
        if lanes_time is not None:
            through = torch.tensordot(table.extended, replayed.stages, dims=1)
            size_bar = (through * arguments_bar).view(rows, lanes, -1).sum(dim=(0, 2))
            t_bar, t_end_bar = lanes_time[0] - size_bar, lanes_time[1] + size_bar
        return StepGradient(arguments_bar.sum(0), first_bar, t_bar, t_end_bar)

    def _stage_bar(self, i, arguments_bar, stages_bar, next_bar, table, size) -> torch.Tensor | None:
        """The gradient of stage i: what later arguments and the end state pass back, and what its own users add."""
        column = table.columns[i]
        total = None
        if len(column):
            total = _combination(arguments_bar[i + 1 :], len(column), column).mul_(size)
        if stages_bar is not None:
            total = stages_bar[i] if total is None else total.add_(stages_bar[i])
        if next_bar is not None and i == self.tableau.num_stages - 1:
            total = next_bar if total is None else total + next_bar
        return total


def _size(t: HostTime, t_end: HostTime, like: torch.Tensor) -> float | torch.Tensor:
    """The step size: a float, or a column (lanes, 1) in the state's dtype."""
    size = t_end - t
    if isinstance(size, float):
        return size
    return torch.from_numpy(size).to(like.device, like.dtype).unsqueeze(1)


def _combination(stages: torch.Tensor, count: int, weights: torch.Tensor) -> torch.Tensor:
    """sum_j weights[j] stages[j] over the first `count` stages, as one matrix-vector product on the stage-major
    buffer."""
    return torch.mv(stages[:count].reshape(count, -1).T, weights).view(stages.shape[1:])


def _advance(y, stages, count, weights, size) -> torch.Tensor:
    if isinstance(size, float):
        flat = stages[:count].view(count, -1).T
        return torch.addmv(y.reshape(-1), flat, weights, alpha=size).view(y.shape)
    return torch.addcmul(y, size, _combination(stages, count, weights))


def _traced_advance(y, stages, weights, size) -> torch.Tensor:
    pairs = [(stage, float(weight)) for stage, weight in zip(stages, weights, strict=True) if weight != 0]
    if isinstance(size, float):
        for stage, weight in pairs:
            y = torch.add(y, stage, alpha=size * weight)
        return y
    total = pairs[0][0] * pairs[0][1]
    for stage, weight in pairs[1:]:
        total = torch.add(total, stage, alpha=weight)
    return y + size * total


def _powers(theta: np.ndarray, degree: int) -> np.ndarray:
    return np.asarray(theta)[:, None] ** np.arange(1, degree + 1)
