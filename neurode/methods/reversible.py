"""The algebraically reversible version of an explicit Runge-Kutta method: a step, its exact inverse, its derivative.

S. McCallum and J. Foster, Efficient, accurate and stable gradients for neural ODEs (2024), arXiv 2410.11648. With
Psi_h(t, y) the increment of the base method, a second state z beside y, z[0] = y[0], and the coupling l:

    y[n+1] = l y[n] + (1 - l) z[n] + Psi_h(t[n], z[n])        z[n+1] = z[n] - Psi_{-h}(t[n+1], y[n+1])
    z[n] = z[n+1] + Psi_{-h}(t[n+1], y[n+1])                  y[n] = (y[n+1] - (1 - l) z[n] - Psi_h(t[n], z[n])) / l
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from neurode.core.equation import AbstractEquation
from neurode.core.tape import TapeScope
from neurode.methods.derived_stepper import AbstractDerivedStepper
from neurode.methods.explicit_rk import ExplicitRungeKutta
from neurode.methods.slopes import (
    PulledSlopes,
    RecordedSlopes,
    combination,
    traced_advance,
    traced_increment,
)
from neurode.methods.step_times import step_size
from neurode.methods.stepper import AbstractStepper, Replayed, StepGradient, StepResult, StepTime
from neurode.methods.undoable import AbstractUndoable, Undone


@dataclass(frozen=True)
class ReversibleRungeKutta(AbstractDerivedStepper, AbstractUndoable):
    """Two states that step over each other by a base method; of the base's order, and undone up to rounding.

    Good for gradients that keep no states. Not good for fields that contract: on y' = -k y the difference of the two
    states grows like l exp(k h) a step, so that only k h < -log l is stable for ever.
    base: the method whose increments are used. coupling: l, in (0, 1]; at 1 the states are pulled together by nothing;
    the smaller, the stabler forward, and the more rounding grows in the inverse (by 1/l a step).
    A step's stages are the slopes of Psi_h, with which dense output and error estimate are the base's, and the pull
    (1 - l)(z - y) / h as one more slope, so that dense output meets both ends of the step. What dense output needs
    beyond the stages of the base is made at every step.
    """

    base: ExplicitRungeKutta
    coupling: float = 0.999

    def __post_init__(self):
        if not isinstance(self.base, ExplicitRungeKutta):
            raise TypeError(
                f"a reversible method is made from an explicit Runge-Kutta one, but the base is {self.base!r}."
            )
        if not 0 < self.coupling <= 1:
            raise ValueError(f"coupling must lie in (0, 1], but is {self.coupling}. 0.999 is usual.")

    @property
    def name(self) -> str:
        return f"reversible {self.base.name}"

    @property
    def carries(self) -> bool:
        return True

    def begin(self, y0: torch.Tensor, first: torch.Tensor | None) -> torch.Tensor:
        del first
        return y0

    def begin_bar(self, carried_bar: torch.Tensor) -> tuple[torch.Tensor, None]:
        return carried_bar, None

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
        assert carried is not None
        if traced:
            return self._traced_step(equation, t, t_end, y, carried)
        z, size = carried, step_size(t, t_end, y)
        stages, _ = self.base.readable.evaluate(equation, t, t_end, z, None)
        y1 = self._increment(stages, size).add_(y, alpha=self.coupling).add_(z, alpha=1 - self.coupling)
        back, _ = self.base.weighted.evaluate(equation, t_end, t, y1, None)
        z1 = z - self._increment(back, -size)
        # A second state that is NaN or infinite makes the first one NaN, which is watched.
        y1 = y1.add_(z1 - z1)
        error, coarse = self.base.errors(y, stages, size)
        pull = (z - y).mul_(1 - self.coupling).div_(size)
        return StepResult(y1, torch.cat((stages, pull.unsqueeze(0))), error, z1, coarse_error=coarse)

    def _traced_step(self, equation, t, t_end, y, z) -> StepResult:
        """The same step in operations that autograd follows."""
        weights = self.base.tableau.b_vector
        slopes, _, size = self.base.readable.evaluate_traced(equation, t, t_end, z, None)
        y1 = traced_advance(
            self.coupling * y + (1 - self.coupling) * z, slopes[: self.base.tableau.num_stages], weights, size
        )
        back, _, back_size = self.base.weighted.evaluate_traced(equation, t_end, t, y1, None)
        z1 = traced_advance(z, back, -weights[: len(back)], back_size)
        y1 = y1 + (z1 - z1).detach()
        pull = (z - y) * (1 - self.coupling) / size
        plain = size if isinstance(size, float) else size.detach()
        error, coarse = self.base.errors(y, torch.stack(slopes).detach(), plain)
        return StepResult(y1, torch.stack((*slopes, pull)), error, z1, coarse_error=coarse)

    def _increment(self, stages: torch.Tensor, size) -> torch.Tensor:
        """Psi = h sum_i b[i] k[i]."""
        weighted = self.base.weighted
        return combination(stages, weighted.count, weighted.table(stages).combine).mul_(size)

    @cached_property
    def dense_matrix(self) -> np.ndarray:
        matrix = self.base.dense_matrix
        return np.vstack((matrix, np.eye(1, matrix.shape[1])))

    def replay(self, scope: TapeScope, t, t_end, y, carried, *, read: bool) -> Replayed:
        up = self._record_up(scope, t, t_end, carried, read)
        size = step_size(t, t_end, y)
        y1 = self._increment_of(up.stages, size).add_(y, alpha=self.coupling).add_(carried, alpha=1 - self.coupling)
        return self._replayed(y, carried, size, up, self.base.weighted.record(scope, t_end, t, y1))

    def undo(self, scope: TapeScope, t, t_end, y1, carried, *, slope, read: bool) -> Undone:
        """The states (y, z) at t, by the inverse of the step: exact but for rounding."""
        del slope  # of the first state; the inverse begins with it, but its graph is wanted
        assert carried is not None
        size = step_size(t, t_end, y1)
        back = self.base.weighted.record(scope, t_end, t, y1)
        z = carried + self._increment_of(back.stages, -size)
        up = self._record_up(scope, t, t_end, z, read)
        y = (y1 - self._increment_of(up.stages, size)).add_(z, alpha=self.coupling - 1).div_(self.coupling)
        finite, worst = torch.isfinite(scope.equation.layout.flat(y + z)).all(dim=1).min(0)
        replayed, sound = self._replayed(y, z, size, up, back), bool(finite)
        return Undone(y, z, replayed, sound=sound, finite=sound, worst=int(worst), passes=1)

    def slope_of(self, replayed: Replayed) -> None:
        del replayed

    @torch.no_grad()
    def again(self, equation: AbstractEquation, t, t_end, y, carried) -> tuple[torch.Tensor, torch.Tensor]:
        assert carried is not None
        size, weighted = step_size(t, t_end, y), self.base.weighted
        up, _ = weighted.evaluate(equation, t, t_end, carried, None)
        y1 = self._increment(up, size).add_(y, alpha=self.coupling).add_(carried, alpha=1 - self.coupling)
        back, _ = weighted.evaluate(equation, t_end, t, y1, None)
        return y1, carried - self._increment(back, -size)

    def end_of(self, replayed: Replayed) -> tuple[torch.Tensor, torch.Tensor]:
        up, back = replayed.recorded
        return back.y, up.y - self._increment_of(back.stages, back.size)

    def _record_up(self, scope: TapeScope, t, t_end, z: torch.Tensor, read: bool) -> RecordedSlopes:
        return (self.base.readable if read else self.base.weighted).record(scope, t, t_end, z)

    @torch.no_grad()
    def _increment_of(self, slopes: torch.Tensor, size) -> torch.Tensor:
        """Psi of recorded slopes, without a graph."""
        weighted = self.base.weighted
        return traced_increment(list(slopes[: weighted.count]), self.base.tableau.b_vector[: weighted.count], size)

    def _replayed(self, y: torch.Tensor, z: torch.Tensor, size, up: RecordedSlopes, back: RecordedSlopes) -> Replayed:
        pull = (z - y).mul_(1 - self.coupling).div_(size)
        return Replayed(torch.cat((up.stages, pull.unsqueeze(0))), (up, back))

    def pull_back(self, scope: TapeScope, replayed: Replayed, y1_bar, stages_bar, next_bar) -> StepGradient:
        up, back = replayed.recorded
        # z1 = z - Psi_{-h}(t_end, y1): what z1 passes on goes to z whole, and through the increment to y1.
        weights = self.base.tableau.b_vector[: self.base.weighted.count]
        second = back.pull_increment(scope, weights, -next_bar, None)
        y1_bar = y1_bar + second.y
        first = up.pull_increment(scope, weights, y1_bar, None if stages_bar is None else stages_bar[:-1])
        z_bar = (next_bar + first.y).add_(y1_bar, alpha=1 - self.coupling)
        y_bar = self.coupling * y1_bar
        size_bar = None
        if stages_bar is not None:
            # The pull is one more slope, (1 - l) (z - y) / h.
            size = up.size
            pull_bar = stages_bar[-1] * (1 - self.coupling) / size
            z_bar.add_(pull_bar)
            y_bar.sub_(pull_bar)
            size_bar = -stages_bar[-1] * replayed.stages[-1] / size
        return StepGradient(y_bar, z_bar, *_time_bars(first, second, size_bar))


def _time_bars(first: PulledSlopes, second: PulledSlopes, size_bar: torch.Tensor | None):
    """Gradients of both times. size_bar: of the step size, state by state. The second half runs from t_end to t."""
    if first.t is None or first.t_end is None or second.t is None or second.t_end is None:
        return None, None
    t_bar, t_end_bar = first.t + second.t_end, first.t_end + second.t
    if size_bar is not None:
        own = size_bar.view(len(t_bar), -1).sum(1)
        t_bar, t_end_bar = t_bar - own, t_end_bar + own
    return t_bar, t_end_bar


def reversible(base: AbstractStepper, coupling: float) -> ReversibleRungeKutta:
    """The reversible version of a method; one that is reversible already stays as it is.

    Raises TypeError for a method that has none, ValueError for one that is already reversible by another coupling.
    """
    if isinstance(base, ReversibleRungeKutta):
        if base.coupling != coupling:
            raise ValueError(
                f"the method is reversible already, with coupling {base.coupling}, but coupling {coupling} is asked "
                "for. Give both the same."
            )
        return base
    if not isinstance(base, ExplicitRungeKutta):
        raise TypeError(
            f"method {base.name!r} has no reversible version: that is made from an explicit Runge-Kutta method. "
            "Use gradient='checkpointed'."
        )
    return ReversibleRungeKutta(base, coupling)
