"""Symplectic methods for systems of positions and momenta whose field takes each from the other.

dq/dt = g(p, t), dp/dt = f(q, t): the equations of a Hamiltonian T(p) + V(q), and second-order equations q'' = f(q, t)
written with the velocity as p. A step is a chain of kicks (of p, by f at the present q) and drifts (of q, by g at the
present p). Each keeps areas in the plane of (q, p), and so does the chain: the energy error stays bounded over as many
periods as one likes, where a Runge-Kutta method's grows. E. Hairer, C. Lubich and G. Wanner, Geometric Numerical
Integration (2006), I.1, II.4 and II.5.
"""

from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

import numpy as np
import torch

from neurode.core.equation import AbstractEquation
from neurode.core.state import StateLayout
from neurode.core.tape import TapeScope
from neurode.methods.hermite import HermiteReading, hermite_reading
from neurode.methods.splitting import Splitting
from neurode.methods.step_times import size_and_times
from neurode.methods.stepper import Replayed, StepResult, StepTime
from neurode.methods.traced_stepper import AbstractTracedStepper, add_scaled, combined
from neurode.methods.undoable import AbstractUndoable, Undone


@dataclass(frozen=True)
class Symplectic(AbstractTracedStepper, AbstractUndoable):
    """The method of a splitting. Good for long solves of conservative systems: orbits, molecules, Hamiltonian networks.

    Not good where dq/dt depends on q or dp/dt on p (damping, magnetic fields): then it is of order one at best. Steps
    are constant: choosing them by the error would spoil what the method is for.

    The state is a tuple (q, p) of two tensors of one shape, or a tensor whose last axis holds first q and then p; the
    field returns (dq/dt, dp/dt) in the same form. Each call of it gives both, and one of them is used.
    table: the splitting. hands_over: may a step begin with the last kick's field of the step before?
    """

    table: Splitting
    hands_over: bool = True

    @property
    def name(self) -> str:
        return self.table.name

    @property
    def order(self) -> int:
        return self.table.order

    @property
    def carries_first(self) -> bool:
        return self.hands_over and self.table.ends_with_a_kick

    @property
    def completes(self) -> bool:
        return True

    @property
    def num_made(self) -> int:
        return len(self.table.parts)

    @cached_property
    def reading(self) -> HermiteReading:
        return hermite_reading(self.table.weights, self.order)

    @property
    def dense_matrix(self) -> np.ndarray:
        return self.reading.matrix

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
        del traced  # it writes nothing in place
        size, times = size_and_times(equation, t, t_end, y, self.table.nodes)
        stages = []
        for number, (part, time) in enumerate(zip(self.table.parts, times, strict=True)):
            given = carried if number == 0 and part.is_kick else None
            slope = equation(time, y) if given is None else given
            stages.append(slope * _mask(equation.layout, part.is_kick, y))
            y = add_scaled(y, stages[-1], size, part.weight)
        return StepResult(y, torch.stack(stages), None, stages[-1] if self.carries_first else None)

    def complete(self, equation, t, t_end, y, result: StepResult, *, traced: bool) -> StepResult:
        del traced
        reading, own = self.reading, len(self.table.parts)
        if len(result.stages) > own:
            return result
        size, times = size_and_times(equation, t, t_end, y, (0, 1, *reading.nodes))
        stages = [*result.stages.unbind(0), equation(times[0], y), equation(times[1], result.y1)]
        for row, time in zip(reading.rows, times[2:], strict=True):
            stages.append(equation(time, combined(y, torch.stack(stages), size, row[: len(stages)])))
        return replace(result, stages=torch.stack(stages))

    @torch.no_grad()
    def again(self, equation: AbstractEquation, t, t_end, y, carried=None) -> tuple[torch.Tensor, torch.Tensor | None]:
        result = self.step(equation, t, t_end, y, carried, traced=False)
        return result.y1, result.carried_next

    @torch.no_grad()
    def end_of(self, replayed: Replayed) -> tuple[torch.Tensor, torch.Tensor | None]:
        step = replayed.recorded
        return step.call.value[: step.y.numel()].view(step.y.shape), step.following

    def slope_of(self, replayed: Replayed) -> None:
        del replayed

    def undo(self, scope: TapeScope, t, t_end, y1, carried, *, slope, read: bool) -> Undone:
        """The kicks and drifts taken back in reverse: exact but for rounding."""
        del slope
        equation, y = scope.equation, y1
        with torch.no_grad():
            size, times = size_and_times(equation, t, t_end, y, self.table.nodes)
            for part, time in zip(reversed(self.table.parts), reversed(times), strict=True):
                y = add_scaled(y, equation(time, y) * _mask(equation.layout, part.is_kick, y), size, -part.weight)
        finite, worst = torch.isfinite(equation.layout.flat(y)).all(dim=1).min(0)
        sound = bool(finite)
        replayed = self.replay(scope, t, t_end, y, None, read=read)
        return Undone(y, carried, replayed, sound=sound, finite=sound, worst=int(worst), passes=2)


def _mask(layout: StateLayout, is_kick: bool, like: torch.Tensor) -> torch.Tensor:
    return _masks(layout, like.dtype, like.device)[int(is_kick)]


@lru_cache(maxsize=64)
def _masks(layout: StateLayout, dtype: torch.dtype, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Ones where the last axis of a packed state holds q (first) or p (second), zeros elsewhere."""
    shapes = layout.part_shapes
    if layout.kind == "tuple" and len(shapes) == 2 and shapes[0] == shapes[1]:
        one = torch.arange(layout.width) < layout.width // 2
    elif layout.kind == "tensor" and shapes[0] and shapes[0][-1] % 2 == 0:
        one = torch.arange(shapes[0][-1]) < shapes[0][-1] // 2
        if layout.per_sample:
            one = one.repeat_interleave(layout.reals).repeat(layout.width // (len(one) * layout.reals))
        elif layout.is_complex:
            one = one.unsqueeze(1)
    else:
        held = {"tensor": "a tensor", "tuple": "a tuple", "dict": "a dict"}[layout.kind]
        raise ValueError(
            "a symplectic method takes positions and momenta: a tuple (q, p) of two tensors of one shape, or a tensor "
            f"whose last axis holds first q and then p; but y0 is {held} of {[tuple(shape) for shape in shapes]}"
            f"{' a sample' if layout.per_sample else ''}. Bring it into one of these forms, or take another method."
        )
    with torch.inference_mode(False):
        return one.to(device, dtype), (~one).to(device, dtype)
