"""The slopes of an explicit Runge-Kutta method, k[i] = f(t + c[i] h, y + h sum_j a[i][j] k[j]): made, recorded, pulled
back."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch

from neurode.core.equation import AbstractEquation, HostTime
from neurode.core.tape import Evaluation, TapeScope
from neurode.core.transforms import outside
from neurode.methods.stepper import Replayed, StepTime
from neurode.methods.tableau import Tableau


@dataclass(frozen=True)
class SlopeTable:
    """The tableau as tensors. rows[i]: a[i][:i]; combine: b; error; columns[i]: what k[i] passes on, rows i+1 and up
    of `extended`."""

    rows: tuple[torch.Tensor, ...]
    combine: torch.Tensor
    error: torch.Tensor | None
    extended: torch.Tensor
    columns: tuple[torch.Tensor, ...]


@lru_cache(maxsize=256)
def _table(tableau: Tableau, count: int, ends_within: bool, dtype: torch.dtype, device: torch.device) -> SlopeTable:
    def tensor(array):
        return torch.tensor(np.asarray(array, dtype=np.float64), dtype=dtype, device=device)

    matrix, weights = tableau.a_matrix[:count, :count], tableau.b_vector[:count]
    # Where the end state is not the last slope's argument it is one more row, b, below a.
    extended = matrix if ends_within else np.vstack([matrix, weights])
    whole = count == tableau.num_stages and tableau.b_error is not None
    # Made once and used in every solve: it must not belong to the transform or the inference mode of the first one.
    with outside(), torch.inference_mode(False):
        return SlopeTable(
            rows=tuple(tensor(matrix[i, :i]) for i in range(count)),
            combine=tensor(weights),
            error=tensor([float(x) for x in tableau.b_error]) if whole and tableau.b_error is not None else None,
            extended=tensor(extended),
            columns=tuple(tensor(extended[i + 1 :, i]) for i in range(count)),
        )


@dataclass(frozen=True)
class PulledSlopes:
    """Gradients by what the slopes were made from.

    arguments: (rows, *y.shape), by the arguments of the slopes and, last, by the end state (a row of its own unless
    ends_within); each argument is y plus slopes, so their sum is the gradient of y. first: of a slope handed over. t,
    t_end: per lane, None unless asked.
    """

    arguments: torch.Tensor
    first: torch.Tensor | None
    t: torch.Tensor | None
    t_end: torch.Tensor | None


@dataclass(frozen=True)
class Slopes:
    """The first `count` slopes of a tableau.

    ends_within: the argument of the last slope is the step's end state (first same as last).
    """

    tableau: Tableau
    count: int
    ends_within: bool

    def table(self, like: torch.Tensor) -> SlopeTable:
        return _table(self.tableau, self.count, self.ends_within, like.dtype, like.device)

    def evaluate(
        self, equation: AbstractEquation, t: HostTime, t_end: HostTime, y: torch.Tensor, first: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """(count, *y.shape) slopes, and the argument of the last. first: the first slope where it is known."""
        table, times = self.table(y), equation.times(self._times(t, t_end))
        size = step_size(t, t_end, y)
        stages = y.new_empty(self.count, *y.shape)
        argument = y
        for i in range(self.count):
            if i == 0 and first is not None:
                stages[0] = first
                continue
            if i > 0:
                argument = advance(y, stages, i, table.rows[i], size)
            stages[i] = equation(times[i], argument)
        return stages, argument

    def evaluate_traced(
        self, equation: AbstractEquation, t: StepTime, t_end: StepTime, y: torch.Tensor, first: torch.Tensor | None
    ) -> tuple[list[torch.Tensor], torch.Tensor, float | torch.Tensor]:
        """The same without writing in place, so that autograd can follow (also t and t_end as tensors); and the step
        size."""
        size, times = self._traced_times(equation, t, t_end, y)
        stages: list[torch.Tensor] = []
        argument = y
        for i in range(self.count):
            if i > 0:
                argument = traced_advance(y, stages, self.tableau.a_matrix[i, :i], size)
            stages.append(first if i == 0 and first is not None else equation(times[i], argument))
        return stages, argument, size

    def _times(self, t: HostTime, t_end: HostTime) -> list[HostTime]:
        size = t_end - t
        return [t if c == 0 else t_end if c == 1 else t + c * size for c in self.tableau.nodes[: self.count]]

    def _traced_times(self, equation: AbstractEquation, t, t_end, y):
        if not isinstance(t, torch.Tensor):
            return step_size(t, t_end, y), equation.times(self._times(t, t_end))
        size, rounded = t_end - t, y.dtype
        column = size.to(rounded) if size.ndim == 0 else size.to(rounded).unsqueeze(1)
        return column, [equation.shaped_time(time.to(rounded)) for time in self._times(t, t_end)]

    def record(self, scope: TapeScope, t: HostTime, t_end: HostTime, y: torch.Tensor, first=None) -> Replayed:
        """Make the slopes with each call of f recorded on `scope`. first: the first slope, if it was handed over."""
        table, times = self.table(y), scope.equation.times(self._times(t, t_end))
        size = step_size(t, t_end, y)
        stages = y.new_zeros(self.count, *y.shape)
        calls: list[Evaluation | None] = []
        for i in range(self.count):
            if i == 0 and first is not None:
                stages[0] = first
                calls.append(None)
                continue
            argument = y if i == 0 else advance(y, stages, i, table.rows[i], size)
            call = scope.record(times[i], argument)
            stages[i] = call.value.detach()
            calls.append(call)
        return Replayed(t, t_end, stages, calls)

    def pull_back(
        self,
        scope: TapeScope,
        recorded: Replayed,
        end_bar: torch.Tensor,
        stages_bar: torch.Tensor | None,
        last_bar: torch.Tensor | None,
        *,
        time: bool,
    ) -> PulledSlopes:
        """The exact derivative of `record`: from gradients of the end state y + h sum_i b[i] k[i], of all slopes, and
        of the last one."""
        table, count = self.table(end_bar), self.count
        size = step_size(recorded.t, recorded.t_end, end_bar)
        rows = count if self.ends_within else count + 1
        arguments_bar = end_bar.new_zeros(rows, *end_bar.shape)
        arguments_bar[-1] = end_bar
        lanes = 1 if isinstance(size, float) else end_bar.shape[0]
        lanes_time = end_bar.new_zeros(2, lanes) if time else None
        first_bar = None
        for i in reversed(range(count)):
            value_bar = _slope_bar(i, arguments_bar, stages_bar, table, size)
            if last_bar is not None and i == count - 1:
                value_bar = last_bar if value_bar is None else value_bar + last_bar
            call = recorded.calls[i]
            if call is None:
                first_bar = value_bar if value_bar is not None else torch.zeros_like(end_bar)
                continue
            if value_bar is None:
                continue
            argument_bar, t_bar = scope.pull(call, value_bar)
            arguments_bar[i].add_(argument_bar)
            if lanes_time is not None and t_bar is not None:
                node = self.tableau.nodes[i]
                lanes_time += torch.outer(t_bar.new_tensor([1 - node, node]), t_bar.reshape(-1))
        t_bar = t_end_bar = None
        if lanes_time is not None:
            through = torch.tensordot(table.extended, recorded.stages, dims=1)
            size_bar = (through * arguments_bar).view(rows, lanes, -1).sum(dim=(0, 2))
            t_bar, t_end_bar = lanes_time[0] - size_bar, lanes_time[1] + size_bar
        return PulledSlopes(arguments_bar, first_bar, t_bar, t_end_bar)


def _slope_bar(i, arguments_bar, stages_bar, table: SlopeTable, size) -> torch.Tensor | None:
    """The gradient of slope i: what later arguments and the end state pass back, and what its own users add."""
    column = table.columns[i]
    total = None
    if len(column):
        total = combination(arguments_bar[i + 1 :], len(column), column).mul_(size)
    if stages_bar is not None:
        total = stages_bar[i] if total is None else total.add_(stages_bar[i])
    return total


def step_size(t: HostTime, t_end: HostTime, like: torch.Tensor) -> float | torch.Tensor:
    """The step size: a float, or a column (lanes, 1) in the state's dtype."""
    size = t_end - t
    if isinstance(size, float):
        return size
    return torch.from_numpy(size).to(like.device, like.dtype).unsqueeze(1)


def combination(stages: torch.Tensor, count: int, weights: torch.Tensor) -> torch.Tensor:
    """sum_j weights[j] stages[j] over the first `count` stages, as one matrix-vector product on the stage-major
    buffer."""
    return torch.mv(stages[:count].reshape(count, -1).T, weights).view(stages.shape[1:])


def advance(y: torch.Tensor, stages: torch.Tensor, count: int, weights: torch.Tensor, size) -> torch.Tensor:
    """y + size sum_j weights[j] stages[j] over the first `count` stages."""
    if isinstance(size, float):
        flat = stages[:count].view(count, -1).T
        return torch.addmv(y.reshape(-1), flat, weights, alpha=size).view(y.shape)
    return torch.addcmul(y, size, combination(stages, count, weights))


def traced_advance(y: torch.Tensor, stages, weights, size) -> torch.Tensor:
    """The same for a list of stages, in operations that autograd follows."""
    pairs = [(stage, float(weight)) for stage, weight in zip(stages, weights, strict=True) if weight != 0]
    if isinstance(size, float):
        for stage, weight in pairs:
            y = torch.add(y, stage, alpha=size * weight)
        return y
    total = pairs[0][0] * pairs[0][1]
    for stage, weight in pairs[1:]:
        total = torch.add(total, stage, alpha=weight)
    return y + size * total
