"""The slopes of an explicit Runge-Kutta method, k[i] = f(t + c[i] h, y + h sum_j a[i][j] k[j]): made, recorded, pulled
back."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch

from neurode.core.equation import AbstractEquation, HostTime
from neurode.core.tape import TapeScope
from neurode.core.transforms import outside
from neurode.methods.stepper import StepTime
from neurode.methods.tableau import Tableau


@dataclass(frozen=True)
class SlopeTable:
    """The tableau as tensors. rows[i]: a[i][:i]; combine: b; error. few[i]: the pairs (j, a[i][j]) that are not zero,
    where they are at most two."""

    rows: tuple[torch.Tensor, ...]
    few: tuple[tuple[tuple[int, float], ...] | None, ...]
    combine: torch.Tensor
    error: torch.Tensor | None


@lru_cache(maxsize=256)
def _table(tableau: Tableau, count: int, dtype: torch.dtype, device: torch.device) -> SlopeTable:
    def tensor(array):
        return torch.tensor(np.asarray(array, dtype=np.float64), dtype=dtype, device=device)

    matrix = tableau.a_matrix[:count, :count]
    pairs = [tuple((j, row[j]) for j in np.flatnonzero(row).tolist()) for row in matrix]
    whole = count == tableau.num_stages and tableau.b_error is not None
    # Made once and used in every solve: it must not belong to the transform or the inference mode of the first one.
    with outside(), torch.inference_mode(False):
        return SlopeTable(
            rows=tuple(tensor(matrix[i, :i]) for i in range(count)),
            few=tuple(row if len(row) <= 2 else None for row in pairs),
            combine=tensor(tableau.b_vector[:count]),
            error=tensor([float(x) for x in tableau.b_error]) if whole and tableau.b_error is not None else None,
        )


@dataclass(frozen=True)
class PulledSlopes:
    """Gradients by what the slopes were made from: y, a slope handed over, and per lane the two times, if wanted."""

    y: torch.Tensor
    first: torch.Tensor | None
    t: torch.Tensor | None
    t_end: torch.Tensor | None


@dataclass(frozen=True)
class RecordedSlopes:
    """Slopes in one graph on a tape, from its leaves on: y, a slope handed over, and where gradients of times are
    wanted the time of each call and the step size.

    argument: of the last slope. size: a leaf, or a number. times: leaves, in the order of the nodes; empty if unwanted.
    """

    y: torch.Tensor
    first: torch.Tensor | None
    times: tuple[torch.Tensor, ...]
    nodes: tuple[float, ...]
    size: float | torch.Tensor
    stages: list[torch.Tensor]
    argument: torch.Tensor

    def pull_back(
        self,
        scope: TapeScope,
        outputs: list[torch.Tensor],
        bars: list[torch.Tensor],
        stages_bar: torch.Tensor | None,
    ) -> PulledSlopes:
        """The exact derivative: from gradients of tensors made of these slopes, and of all slopes."""
        if stages_bar is not None:
            # One output for all: each is checked against its gradient, at the cost of an operation.
            with torch.enable_grad():
                outputs, bars = [*outputs, torch.stack(self.stages)], [*bars, stages_bar]
        leaves = [self.y]
        if self.first is not None:
            leaves.append(self.first)
        if not self.times:
            pulled = scope.pull_graph(outputs, bars, leaves)
            return PulledSlopes(pulled[0], None if self.first is None else pulled[1], None, None)
        assert isinstance(self.size, torch.Tensor)
        gradients = scope.pull_graph(outputs, bars, [*leaves, self.size, *self.times])
        pulled, size_bar, times_bar = gradients[: len(leaves)], gradients[len(leaves)], gradients[len(leaves) + 1 :]
        t_bar, t_end_bar = -size_bar.reshape(-1), size_bar.reshape(-1)
        for node, time_bar in zip(self.nodes, times_bar, strict=True):
            t_bar = t_bar + (1 - node) * time_bar.reshape(-1)
            t_end_bar = t_end_bar + node * time_bar.reshape(-1)
        return PulledSlopes(pulled[0], None if self.first is None else pulled[1], t_bar, t_end_bar)

    def pull_increment(
        self, scope: TapeScope, weights: np.ndarray, bar: torch.Tensor, stages_bar: torch.Tensor | None
    ) -> PulledSlopes:
        """The exact derivative: from gradients of size sum_j weights[j] k[j], and of all slopes."""
        if isinstance(self.size, torch.Tensor) and self.size.requires_grad:
            with torch.enable_grad():
                increment = traced_increment(self.stages[: len(weights)], weights, self.size)
            return self.pull_back(scope, [increment], [bar], stages_bar)
        bars = {j: bar * (self.size * float(weights[j])) for j in np.flatnonzero(weights).tolist()}
        if stages_bar is None:
            return self.pull_back(scope, [self.stages[j] for j in bars], list(bars.values()), None)
        stages_bar = stages_bar.clone()
        for j, part in bars.items():
            stages_bar[j].add_(part)
        return self.pull_back(scope, [], [], stages_bar)


@dataclass(frozen=True)
class Slopes:
    """The first `count` slopes of a tableau."""

    tableau: Tableau
    count: int

    def table(self, like: torch.Tensor) -> SlopeTable:
        return _table(self.tableau, self.count, like.dtype, like.device)

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
                argument = advance(y, stages, i, table.rows[i], size, table.few[i])
            stages[i] = equation(times[i], argument)
        return stages, argument

    def evaluate_traced(
        self, equation: AbstractEquation, t: StepTime, t_end: StepTime, y: torch.Tensor, first: torch.Tensor | None
    ) -> tuple[list[torch.Tensor], torch.Tensor, float | torch.Tensor]:
        """The same without writing in place, so that autograd can follow (also t and t_end as tensors); and the step
        size."""
        size, times = self._traced_times(equation, t, t_end, y)
        return *self._make_traced(equation, times, size, y, first), size

    def _make_traced(self, equation: AbstractEquation, times, size, y: torch.Tensor, first: torch.Tensor | None):
        stages: list[torch.Tensor] = []
        argument = y
        for i in range(self.count):
            if i > 0:
                argument = traced_advance(y, stages, self.tableau.a_matrix[i, :i], size)
            stages.append(first if i == 0 and first is not None else equation(times[i], argument))
        return stages, argument

    def _times(self, t: HostTime, t_end: HostTime) -> list[HostTime]:
        size = t_end - t
        return [t if c == 0 else t_end if c == 1 else t + c * size for c in self.tableau.nodes[: self.count]]

    def _traced_times(self, equation: AbstractEquation, t, t_end, y):
        if not isinstance(t, torch.Tensor):
            return step_size(t, t_end, y), equation.times(self._times(t, t_end))
        size, rounded = t_end - t, y.dtype
        column = size.to(rounded) if size.ndim == 0 else size.to(rounded).unsqueeze(1)
        return column, [equation.shaped_time(time.to(rounded)) for time in self._times(t, t_end)]

    def record(
        self, scope: TapeScope, t: HostTime, t_end: HostTime, y: torch.Tensor, first: torch.Tensor | None = None
    ) -> RecordedSlopes:
        """Make the slopes in one graph on `scope`. first: the first slope, if it was handed over."""
        y = y.detach().requires_grad_()
        first = None if first is None else first.detach().requires_grad_()
        times, size, leaves = scope.equation.times(self._times(t, t_end)), step_size(t, t_end, y), ()
        if scope.tape.time:
            # Leaves of their own, one a call: the values stay those of the forward pass to the last bit.
            times = leaves = tuple(time.detach().requires_grad_() for time in times)
            size = (y.new_tensor(size) if isinstance(size, float) else size).requires_grad_()
        with torch.enable_grad():
            stages, argument = self._make_traced(scope.equation, times, size, y, first)
        nodes = self.tableau.nodes[: self.count]
        return RecordedSlopes(y, first, leaves, nodes, size, stages, argument)


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


def advance(y: torch.Tensor, stages: torch.Tensor, count: int, weights: torch.Tensor, size, few=None) -> torch.Tensor:
    """y + size sum_j weights[j] stages[j] over the first `count` stages. few: the pairs (j, weight) that are not zero,
    where they are few."""
    if isinstance(size, float):
        if few is not None:
            for j, weight in few:
                y = torch.add(y, stages[j], alpha=size * weight)
            return y
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
    return torch.addcmul(y, size, _weighted_sum(pairs))


def traced_increment(stages, weights, size) -> torch.Tensor:
    """size sum_j weights[j] stages[j] for a list of stages, in operations that autograd follows."""
    pairs = [(stage, float(weight)) for stage, weight in zip(stages, weights, strict=True) if weight != 0]
    if isinstance(size, float):
        return _weighted_sum([(stage, size * weight) for stage, weight in pairs])
    return size * _weighted_sum(pairs)


def _weighted_sum(pairs: list[tuple[torch.Tensor, float]]) -> torch.Tensor:
    total = pairs[0][0] * pairs[0][1]
    for stage, weight in pairs[1:]:
        total = torch.add(total, stage, alpha=weight)
    return total
