"""The slopes of an explicit Runge-Kutta method, k[i] = f(t + c[i] h, y + h sum_j a[i][j] k[j]): made, recorded, pulled
back."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch

from neurode.core.equation import AbstractEquation, HostTime
from neurode.core.tape import Evaluation, TapeScope
from neurode.core.transforms import outside
from neurode.methods.step_times import node_times, size_and_times, step_size
from neurode.methods.stepper import StepTime
from neurode.methods.tableau import Tableau


@dataclass(frozen=True)
class SlopeTable:
    """The tableau as tensors. rows[i]: a[i][:i]; combine: b; error, and the coarser one. few[i]: the pairs
    (j, a[i][j]) that are not zero, where they are at most two."""

    rows: tuple[torch.Tensor, ...]
    few: tuple[tuple[tuple[int, float], ...] | None, ...]
    combine: torch.Tensor
    error: torch.Tensor | None
    coarse: torch.Tensor | None


@lru_cache(maxsize=256)
def _table(tableau: Tableau, count: int, dtype: torch.dtype, device: torch.device) -> SlopeTable:
    def tensor(array):
        return torch.tensor(np.asarray(array, dtype=np.float64), dtype=dtype, device=device)

    matrix = tableau.a_matrix[:count, :count]
    pairs = [tuple((j, row[j]) for j in np.flatnonzero(row).tolist()) for row in matrix]
    whole = count >= tableau.num_stages
    # Made once and used in every solve: it must not belong to the transform or the inference mode of the first one.
    with outside(), torch.inference_mode(False):
        return SlopeTable(
            rows=tuple(tensor(matrix[i, :i]) for i in range(count)),
            few=tuple(row if len(row) <= 2 else None for row in pairs),
            combine=tensor(tableau.b_vector[:count]),
            error=tensor([float(x) for x in tableau.b_error]) if whole and tableau.b_error is not None else None,
            coarse=tensor([float(x) for x in tableau.coarse_error])
            if whole and tableau.coarse_error is not None
            else None,
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
    """Slopes whose calls of f each have a graph of their own on a tape, from the call's argument on.

    What lies between the calls is linear, and pulled back by hand. calls: one a slope, None for one that was handed
    over. stages: (count, *y.shape), the slopes without graphs. argument: of the last one that is a stage (dense output
    may need slopes beyond). size: a number, or a column a lane.
    """

    slopes: "Slopes"
    y: torch.Tensor
    calls: list[Evaluation | None]
    size: float | torch.Tensor
    stages: torch.Tensor
    argument: torch.Tensor

    def pull_back(
        self, scope: TapeScope, stages_bar: torch.Tensor, argument_bar: torch.Tensor | None = None
    ) -> PulledSlopes:
        """The exact derivative, from gradients of all slopes and of `argument`. Uses stages_bar up."""
        table, timed = self.slopes.table(self.y), scope.tape.time
        y_bar, t_bars, size_bar = None, [], None
        flat = stages_bar.view(len(self.calls), -1)
        for i in reversed(range(len(self.calls))):
            call = self.calls[i]
            if call is None:
                continue
            bar, t_bar = scope.pull(call, stages_bar[i])
            if argument_bar is not None and i == self.slopes.last_stage:
                bar = bar + argument_bar
            if timed:
                t_bars.append((self.slopes.tableau.nodes[i], t_bar))
                if i > 0:
                    size_bar = _plus(size_bar, combination(self.stages, i, table.rows[i]).mul_(bar))
            y_bar = _plus(y_bar, bar)
            if i > 0:
                self._spread(stages_bar, flat, i, bar, table)
        first_bar = stages_bar[0] if self.calls[0] is None else None
        if y_bar is None:  # the only slope was handed over
            y_bar = torch.zeros_like(self.y)
        if not timed:
            return PulledSlopes(y_bar, first_bar, None, None)
        return PulledSlopes(y_bar, first_bar, *self._time_bars(scope, t_bars, size_bar))

    def pull_increment(
        self, scope: TapeScope, weights: np.ndarray, bar: torch.Tensor, stages_bar: torch.Tensor | None
    ) -> PulledSlopes:
        """The exact derivative: from gradients of size sum_j weights[j] k[j], and of all slopes."""
        count, taking = len(self.calls), len(weights)
        known = self.slopes.table(self.y).combine[:taking]
        scaled = bar * self.size
        own = torch.outer(known, scaled.reshape(-1)).view(taking, *bar.shape)
        if stages_bar is not None:
            stages_bar = stages_bar.clone(memory_format=torch.contiguous_format)
            stages_bar[:taking].add_(own)
        elif taking == count:
            stages_bar = own
        else:
            stages_bar = torch.zeros_like(self.stages)
            stages_bar[:taking] = own
        pulled = self.pull_back(scope, stages_bar)
        if pulled.t is None or pulled.t_end is None:
            return pulled
        size_bar = _per_lane(scope, combination(self.stages, taking, known).mul_(bar))
        return PulledSlopes(pulled.y, pulled.first, pulled.t - size_bar, pulled.t_end + size_bar)

    def _spread(self, stages_bar: torch.Tensor, flat: torch.Tensor, i: int, bar: torch.Tensor, table: SlopeTable):
        """What the argument of slope i passes on to the slopes it was made of."""
        few = table.few[i]
        if few is not None and isinstance(self.size, float):
            for j, weight in few:
                stages_bar[j].add_(bar, alpha=self.size * weight)
        elif isinstance(self.size, float):
            flat[:i].addr_(table.rows[i], bar.reshape(-1), alpha=self.size)
        else:
            flat[:i].addr_(table.rows[i], (bar * self.size).view(-1))

    def _time_bars(self, scope: TapeScope, calls: list, size_bar: torch.Tensor | None):
        """Gradients of the step's two times, per lane, from those of the calls' times and of the step size."""
        own = self.y.new_zeros(scope.equation.layout.lanes(self.y)) if size_bar is None else _per_lane(scope, size_bar)
        t_bar, t_end_bar = -own, own
        for node, bar in calls:
            t_bar = t_bar + (1 - node) * bar.reshape(-1)
            t_end_bar = t_end_bar + node * bar.reshape(-1)
        return t_bar, t_end_bar


def _plus(total: torch.Tensor | None, part: torch.Tensor) -> torch.Tensor:
    return part if total is None else total + part


def _per_lane(scope: TapeScope, products: torch.Tensor) -> torch.Tensor:
    return scope.equation.layout.flat(products).sum(1)


@dataclass(frozen=True)
class Slopes:
    """The first `count` slopes of a tableau."""

    tableau: Tableau
    count: int

    @property
    def last_stage(self) -> int:
        return min(self.count, self.tableau.num_stages) - 1

    def table(self, like: torch.Tensor) -> SlopeTable:
        return _table(self.tableau, self.count, like.dtype, like.device)

    def evaluate(
        self,
        equation: AbstractEquation,
        t: HostTime,
        t_end: HostTime,
        y: torch.Tensor,
        first: torch.Tensor | None,
        size: float | torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """(count, *y.shape) slopes, and the argument of the last. first: the first slope where it is known. size: what
        `step_size` gives."""
        argument = y
        times = equation.times(self._times(t, t_end))
        stages, arguments = self._arguments(step_size(t, t_end, y) if size is None else size, y)
        for i in range(self.count):
            if i == 0 and first is not None:
                stages[0] = first
                continue
            argument = arguments(i)
            stages[i] = equation(times[i], argument)
        return stages, argument

    def complete(
        self, equation: AbstractEquation, t: HostTime, t_end: HostTime, y: torch.Tensor, known: torch.Tensor
    ) -> torch.Tensor:
        """(count, *y.shape), of which the first ones are known."""
        times = equation.times(self._times(t, t_end)[len(known) :])
        stages, arguments = self._arguments(step_size(t, t_end, y), y)
        stages[: len(known)] = known
        for i, time in enumerate(times, start=len(known)):
            stages[i] = equation(time, arguments(i))
        return stages

    def complete_traced(
        self, equation: AbstractEquation, t: StepTime, t_end: StepTime, y: torch.Tensor, known: torch.Tensor
    ) -> torch.Tensor:
        """The same in operations that autograd follows."""
        size, times = self._traced_times(equation, t, t_end, y)
        stages = list(known.unbind(0))
        for i in range(len(known), self.count):
            stages.append(equation(times[i], traced_advance(y, stages, self.tableau.a_matrix[i, :i], size)))
        return torch.stack(stages)

    def complete_recorded(
        self, scope: TapeScope, t: HostTime, t_end: HostTime, known: "RecordedSlopes"
    ) -> "RecordedSlopes":
        """The same on the tape that the known ones are recorded on."""
        y, calls, first = known.y, list(known.calls), len(known.calls)
        times = scope.equation.times(self._times(t, t_end)[first:])
        stages, arguments = self._arguments(known.size, y)
        with torch.no_grad():
            stages[:first] = known.stages
            for i, time in enumerate(times, start=first):
                call = scope.record(time, arguments(i))
                calls.append(call)
                stages[i] = call.value
        return RecordedSlopes(self, y, calls, known.size, stages, known.argument)

    def record(
        self, scope: TapeScope, t: HostTime, t_end: HostTime, y: torch.Tensor, first: torch.Tensor | None = None
    ) -> RecordedSlopes:
        """The same, to the last bit, with the calls on `scope`."""
        of_last, calls, size = y, [], step_size(t, t_end, y)
        times = scope.equation.times(self._times(t, t_end))
        stages, arguments = self._arguments(size, y)
        with torch.no_grad():
            for i in range(self.count):
                if i == 0 and first is not None:
                    stages[0] = first
                    calls.append(None)
                    continue
                argument = arguments(i)
                if i == self.last_stage:
                    of_last = argument
                call = scope.record(times[i], argument)
                calls.append(call)
                stages[i] = call.value
        return RecordedSlopes(self, y, calls, size, stages, of_last)

    def _arguments(self, size: float | torch.Tensor, y: torch.Tensor):
        """An empty buffer for the slopes, and what gives the argument of slope i once those before it are there."""
        table = self.table(y)
        stages = y.new_empty(self.count, *y.shape)
        columns, start = stages.view(self.count, -1).T, y.reshape(-1)
        joint = isinstance(size, float)

        def argument(i: int) -> torch.Tensor:
            if i == 0:
                return y
            few = table.few[i]
            if joint and few is not None:
                total = y
                for j, weight in few:
                    total = torch.add(total, stages[j], alpha=size * weight)
                return total
            if joint:
                return torch.addmv(start, columns[:, :i], table.rows[i], alpha=size).view(y.shape)
            return torch.addcmul(y, size, torch.mv(columns[:, :i], table.rows[i]).view(y.shape))

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
        return node_times(t, t_end, self.tableau.nodes[: self.count])

    def _traced_times(self, equation: AbstractEquation, t, t_end, y):
        return size_and_times(equation, t, t_end, y, self.tableau.nodes[: self.count])


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
