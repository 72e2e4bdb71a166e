"""The explicit Runge-Kutta step of any tableau, and its exact derivative."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from neurode.core.equation import AbstractEquation
from neurode.core.tape import TapeScope
from neurode.methods.slopes import Slopes, advance, combination, step_size, traced_advance
from neurode.methods.stepper import AbstractStepper, Replayed, StepGradient, StepResult, StepTime
from neurode.methods.tableau import Tableau


@dataclass(frozen=True)
class ExplicitRungeKutta(AbstractStepper):
    """The method of a tableau. Good for non-stiff problems; stiff ones force it to tiny steps."""

    tableau: Tableau

    @cached_property
    def slopes(self) -> Slopes:
        return Slopes(self.tableau, self.tableau.num_stages, self.tableau.fsal)

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
        equation: AbstractEquation,
        t: StepTime,
        t_end: StepTime,
        y: torch.Tensor,
        carried: torch.Tensor | None,
        *,
        traced: bool,
    ) -> StepResult:
        if traced:
            return self._traced_step(equation, t, t_end, y, carried)
        tableau, table = self.tableau, self.slopes.table(y)
        stages, argument = self.slopes.evaluate(equation, t, t_end, y, carried)
        size = step_size(t, t_end, y)
        y1 = argument if tableau.fsal else advance(y, stages, tableau.num_stages, table.combine, size)
        error = None
        if table.error is not None:
            error = combination(stages, tableau.num_stages, table.error).mul_(size)
        return StepResult(y1, stages, error, stages[-1] if tableau.fsal else None)

    def _traced_step(self, equation, t, t_end, y, carried) -> StepResult:
        """The same step without writing in place, so that autograd can follow it (also through t and t_end as
        tensors)."""
        tableau = self.tableau
        stages, argument, size = self.slopes.evaluate_traced(equation, t, t_end, y, carried)
        y1 = argument if tableau.fsal else traced_advance(y, stages, tableau.b_vector, size)
        stacked = torch.stack(stages)
        error = None
        if tableau.has_error:
            # Steps are chosen by values: the error estimate takes no part in the gradient.
            table = self.slopes.table(y)
            plain = size if isinstance(size, float) else size.detach()
            assert table.error is not None
            error = combination(stacked.detach(), tableau.num_stages, table.error).mul_(plain)
        return StepResult(y1, stacked, error, stages[-1] if tableau.fsal else None)

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

    def replay(self, scope: TapeScope, t, t_end, y, carried, *, read: bool) -> Replayed:
        del read  # every slope takes part in the step itself
        return self.slopes.record(scope, t, t_end, y, carried)

    def pull_back(
        self, scope: TapeScope, replayed: Replayed, y1_bar, stages_bar, next_bar, *, time: bool
    ) -> StepGradient:
        pulled = self.slopes.pull_back(scope, replayed, y1_bar, stages_bar, next_bar, time=time)
        return StepGradient(pulled.arguments.sum(0), pulled.first, pulled.t, pulled.t_end)


def _powers(theta: np.ndarray, degree: int) -> np.ndarray:
    return np.asarray(theta)[:, None] ** np.arange(1, degree + 1)
