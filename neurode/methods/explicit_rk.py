"""The explicit Runge-Kutta step of any tableau, and its exact derivative."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch

from neurode.core.equation import AbstractEquation, Equation
from neurode.core.tape import TapeScope
from neurode.methods.method_table import AbstractTableStepper
from neurode.methods.slopes import Slopes, advance, combination, traced_advance
from neurode.methods.step_times import step_size
from neurode.methods.stepper import KeptStep, Replayed, StepGradient, StepResult, StepTime
from neurode.methods.tableau import Tableau
from neurode.methods.whole_step import WholeStep


@dataclass(frozen=True)
class ExplicitRungeKutta(AbstractTableStepper):
    """The method of a tableau. Good for non-stiff problems; stiff ones force it to tiny steps.

    whole: makes its steps in one call each, where the equation is the one it was prepared for; None: stage by stage.
    """

    tableau: Tableau
    whole: WholeStep | None = None

    @cached_property
    def slopes(self) -> Slopes:
        return Slopes(self.tableau, self.tableau.num_stages)

    @cached_property
    def readable(self) -> Slopes:
        """The slopes, and those that only dense output needs."""
        return Slopes(self.tableau, self.tableau.num_slopes)

    @cached_property
    def weighted(self) -> Slopes:
        """The slopes of an increment: those at the end with no weight (first same as last) take no part."""
        return Slopes(self.tableau, int(np.flatnonzero(self.tableau.b_vector)[-1]) + 1)

    @property
    def completes(self) -> bool:
        return bool(self.tableau.extra_c)

    @property
    def num_made(self) -> int:
        return self.tableau.num_stages

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
        if self.whole is not None and isinstance(equation, Equation):
            return self.whole.result(equation, t, t_end, y, carried, traced=traced)
        if traced:
            return self._traced_step(equation, t, t_end, y, carried)
        size = step_size(t, t_end, y)
        stages, argument = self.slopes.evaluate(equation, t, t_end, y, carried, size)
        return self._result(size, y, stages, argument)

    def recorded_step(self, scope: TapeScope, t, t_end, y, carried) -> StepResult | None:
        if self.whole is not None:
            if not self.whole.maker.keeps_graphs:
                return None
            result, replayed = self.whole.record(scope, t, t_end, y, carried)
            return replace(result, kept=KeptStep(scope, replayed))
        recorded = self.slopes.record(scope, t, t_end, y, carried)
        kept = KeptStep(scope, Replayed(recorded.stages, recorded))
        return self._result(recorded.size, y, recorded.stages, recorded.argument.detach(), kept)

    def _result(self, size, y, stages, argument, kept: KeptStep | None = None) -> StepResult:
        tableau, table = self.tableau, self.slopes.table(y)
        y1 = argument if tableau.fsal else advance(y, stages, tableau.num_stages, table.combine, size)
        following = stages[tableau.num_stages - 1] if tableau.fsal else None
        error, coarse = self.errors(y, stages, size)
        return StepResult(y1, stages, error, following, kept, coarse_error=coarse)

    def errors(self, y, stages: torch.Tensor, size) -> tuple[torch.Tensor | None, torch.Tensor | None]:
        """The estimate of the error, and the coarser one, as far as the method has them."""
        count, table = self.tableau.num_stages, self.slopes.table(y)
        error, coarse = (
            None if row is None else combination(stages, count, row).mul_(size) for row in (table.error, table.coarse)
        )
        return error, coarse

    def _traced_step(self, equation, t, t_end, y, carried) -> StepResult:
        """The same step without writing in place, so that autograd can follow it (also through t and t_end as
        tensors)."""
        tableau = self.tableau
        stages, argument, size = self.slopes.evaluate_traced(equation, t, t_end, y, carried)
        y1 = argument if tableau.fsal else traced_advance(y, stages, tableau.b_vector, size)
        stacked = torch.stack(stages)
        # Steps are chosen by values: the error estimate takes no part in the gradient.
        error, coarse = self.errors(y, stacked.detach(), size if isinstance(size, float) else size.detach())
        return StepResult(y1, stacked, error, stages[-1] if tableau.fsal else None, coarse_error=coarse)

    def complete(self, equation, t, t_end, y, result: StepResult, *, traced: bool) -> StepResult:
        if len(result.stages) == self.tableau.num_slopes:
            return result
        if traced:
            return replace(result, stages=self.readable.complete_traced(equation, t, t_end, y, result.stages))
        if result.kept is None:
            return replace(result, stages=self.readable.complete(equation, t, t_end, y, result.stages))
        scope = result.kept.scope
        recorded = self.readable.complete_recorded(scope, t, t_end, result.kept.replayed.recorded)
        return replace(result, stages=recorded.stages, kept=KeptStep(scope, Replayed(recorded.stages, recorded)))

    def replay(self, scope: TapeScope, t, t_end, y, carried, *, read: bool) -> Replayed:
        if self.whole is not None:
            return self.whole.record(scope, t, t_end, y, carried)[1]
        recorded = (self.readable if read else self.slopes).record(scope, t, t_end, y, carried)
        return Replayed(recorded.stages, recorded)

    def pull_back(self, scope: TapeScope, replayed: Replayed, y1_bar, stages_bar, next_bar) -> StepGradient:
        if self.whole is not None:
            return self.whole.pull_back(scope, replayed, y1_bar, stages_bar, next_bar)
        recorded = replayed.recorded
        if next_bar is not None:
            # First same as last: the end is the argument of the last slope, which is handed over.
            if stages_bar is None:
                stages_bar = torch.zeros_like(recorded.stages)
            else:
                stages_bar = stages_bar.clone(memory_format=torch.contiguous_format)
            stages_bar[self.tableau.num_stages - 1].add_(next_bar)
            pulled = recorded.pull_back(scope, stages_bar, y1_bar)
            return StepGradient(pulled.y, pulled.first, pulled.t, pulled.t_end)
        pulled = recorded.pull_increment(scope, self.tableau.b_vector, y1_bar, stages_bar)
        return StepGradient(y1_bar + pulled.y, pulled.first, pulled.t, pulled.t_end)
