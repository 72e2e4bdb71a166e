"""The steps of an explicit Runge-Kutta method seen from the way back: undone by iteration, without a second state.

A step y1 = Phi_h(y) is undone by the same method with the step -h, up to a defect of its own order at least (that of an
explicit and effectively symmetric method is smaller: D. Shmelev, K. Ebrahimi-Fard, N. Tapia and C. Salvi (2025)). The
defect r shows when the step is made again, which its derivative asks for anyway, and is taken off:

    u = y1,   then   y = Phi_{-h}(u),   r = Phi_h(y) - y1,   and once more with u = u - r if r is not small enough.

Each turn makes r smaller by a factor of order h^(p+1), and y - r is better than y by one of order h. It is the defect
correction of H. Stetter (Numer. Math. 29 (1978)) for the inverse of a residual block, which J. Behrmann et al.
(Invertible residual networks, ICML 2019) find by simple iteration.
"""

from dataclasses import dataclass
from functools import cached_property
from math import isfinite

import numpy as np
import torch

from neurode.core.equation import AbstractEquation
from neurode.core.tape import TapeScope
from neurode.methods.derived_stepper import AbstractDerivedStepper
from neurode.methods.explicit_rk import ExplicitRungeKutta
from neurode.methods.slopes import RecordedSlopes, advance, traced_increment
from neurode.methods.step_times import step_size
from neurode.methods.stepper import Replayed, StepGradient, StepResult, StepTime
from neurode.methods.undoable import AbstractUndoable, Undone

TURNS = 2
"""At most so many: where the second is not enough, keeping states is cheaper than more of them."""
ENOUGH = {torch.float32: 2e-6, torch.float64: 1e-12}
"""Defects of this size, relative to the state, are let be: some times what rounding leaves of one."""
STUCK = 30
"""After the last turn a defect of so many times that is let be too: it may be rounding that is left."""


@dataclass(frozen=True)
class UndoableRungeKutta(AbstractDerivedStepper, AbstractUndoable):
    """A Runge-Kutta method whose steps hand nothing over, and can be undone.

    Good for gradients that keep no states, of the very solution that the method gives. Not good where a step times the
    field's Lipschitz constant comes to more than about one: there a step may have no beginning that can be found.
    base: the method. What it would hand over, f at the end of a step, is evaluated again as the next one's first slope.
    """

    base: ExplicitRungeKutta

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
        result = self.base.step(equation, t, t_end, y, None, traced=traced)
        return StepResult(result.y1, result.stages, result.error, None, coarse_error=result.coarse_error)

    @property
    def completes(self) -> bool:
        return self.base.completes

    @property
    def num_made(self) -> int:
        return self.base.num_made

    def complete(self, equation, t, t_end, y, result: StepResult, *, traced: bool) -> StepResult:
        return self.base.complete(equation, t, t_end, y, result, traced=traced)

    @cached_property
    def _weights(self) -> np.ndarray:
        return self.base.tableau.b_vector[: self.base.weighted.count]

    def replay(self, scope: TapeScope, t, t_end, y, carried, *, read: bool) -> Replayed:
        del carried
        slopes = self.base.readable if read else self.base.weighted
        recorded = slopes.record(scope, t, t_end, y)
        return Replayed(recorded.stages, recorded)

    def pull_back(self, scope: TapeScope, replayed: Replayed, y1_bar, stages_bar, next_bar) -> StepGradient:
        del next_bar
        pulled = replayed.recorded.pull_increment(scope, self._weights, y1_bar, stages_bar)
        return StepGradient(y1_bar + pulled.y, None, pulled.t, pulled.t_end)

    def _increment(self, recorded: RecordedSlopes) -> torch.Tensor:
        return traced_increment(list(recorded.stages[: len(self._weights)]), self._weights, recorded.size)

    @torch.no_grad()
    def again(self, equation: AbstractEquation, t, t_end, y, carried=None) -> tuple[torch.Tensor, None]:
        del carried
        return self._step_of(equation, t, t_end, y, None), None

    def _step_of(self, equation: AbstractEquation, t, t_end, y: torch.Tensor, slope: torch.Tensor | None):
        weighted = self.base.weighted
        stages, _ = weighted.evaluate(equation, t, t_end, y, slope)
        return advance(y, stages, weighted.count, weighted.table(y).combine, step_size(t, t_end, y))

    @torch.no_grad()
    def end_of(self, replayed: Replayed) -> tuple[torch.Tensor, None]:
        return replayed.recorded.y + self._increment(replayed.recorded), None

    def slope_of(self, replayed: Replayed) -> torch.Tensor:
        return replayed.stages[0]

    def undo(self, scope: TapeScope, t, t_end, y1, carried, *, slope, read: bool) -> Undone:
        del carried
        enough, goal, turn, trial = ENOUGH[y1.dtype], y1, 0, None
        for turn in range(1, TURNS + 1):
            with torch.no_grad():
                y = self._step_of(scope.equation, t_end, t, goal, slope if turn == 1 else None)
            trial = None  # its graph goes before the next one is made
            trial = self._tried(scope, self.replay(scope, t, t_end, y, None, read=read), y, y1)
            if trial.size <= enough or not isfinite(trial.size):
                break
            goal = goal - trial.defect
        assert trial is not None
        sound = trial.size <= (enough if turn == 1 else STUCK * enough)
        y = y - trial.defect
        return Undone(y, None, trial.replayed, sound, isfinite(trial.size), trial.worst, passes=2 * turn)

    @torch.no_grad()
    def _tried(self, scope: TapeScope, replayed: Replayed, y: torch.Tensor, y1: torch.Tensor) -> "_Trial":
        defect = (y - y1).add_(self._increment(replayed.recorded))
        one, other, off = (torch.linalg.vector_norm(scope.equation.layout.flat(x), dim=1) for x in (y, y1, defect))
        sizes = off / torch.maximum(one, other).add_(torch.finfo(y.dtype).tiny)
        size, worst = sizes.max(0)
        return _Trial(replayed, defect, size.item(), int(worst))


@dataclass(frozen=True)
class _Trial:
    """A step from where it may have begun, how far its end is off, and how much that is of the state in the worst
    lane."""

    replayed: Replayed
    defect: torch.Tensor
    size: float
    worst: int
