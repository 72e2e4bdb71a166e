"""A method that starts explicit, goes over to a stiff one where the field turns out stiff, and back: lane by lane.

Stiff is where stability rather than accuracy holds the explicit step: the dominant eigenvalue times the step size,
estimated from the two stages at the step's end (E. Hairer and G. Wanner 1996, IV.2), stays at the edge of the stability
region. At tight tolerances these stages differ along the slow modes; so every few steps one more call of f looks along
the error estimate, in which the fast mode shows at the edge. The stiff method is left again where the step times the
spectral radius of the Jacobian lies well inside that region.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch

from neurode.core.equation import AbstractEquation
from neurode.core.tape import TapeScope
from neurode.core.transforms import host_array
from neurode.methods.explicit_rk import ExplicitRungeKutta
from neurode.methods.rosenbrock import Rosenbrock
from neurode.methods.stage_sums import along
from neurode.methods.stepper import AbstractStepper, Replayed, StepCosts, StepGradient, StepResult, StepTime

EXPLICIT, STIFF, RETURNED = 0, 1, 2
"""How the next step of a lane is made; RETURNED: explicitly, without f at its beginning."""
EDGE, PATIENCE = 2.8, 8
"""So many explicit steps at the edge of the stability region, in excess of others, and the lane is stiff."""
EVERY, WEIGHT = 5, 4
"""Every so many steps f is called along the error; such a look counts for so many steps."""
LOOK = {torch.float32: 1e-3, torch.float64: 1e-6}
"""How far it looks, relative to the state."""
INSIDE, TRUST = 1.0, 6
"""So many stiff steps in a row well inside it, and the lane is not."""
WIDEST = 32
"""Up to this width of its blocks the eigenvalues of a Jacobian are computed; beyond, a norm stands for them."""


@dataclass(frozen=True)
class Switching(AbstractStepper):
    """An explicit and a stiff method in one. Good where stiffness is not known beforehand, or differs from sample to
    sample or from time to time. Not good where it is known: each change costs some steps, and memory holds the stages
    of both methods.

    explicit: with its last two stages at the end of the step, the last one f at it. stiff: of the same order of error.
    What a step hands over is f at the beginning, and behind it in three more columns the kind of step and two counts.
    """

    explicit: ExplicitRungeKutta
    stiff: Rosenbrock

    def __post_init__(self):
        nodes = self.explicit.tableau.c
        if not self.explicit.carries_first or nodes[-2] != 1:
            raise ValueError(f"stiffness is not told by the stages of {self.explicit.name!r}; take dopri5 or tsit5.")
        if self.explicit.error_order != self.stiff.error_order:
            raise ValueError(
                f"the error estimates of {self.explicit.name!r} and {self.stiff.name!r} are of orders "
                f"{self.explicit.error_order} and {self.stiff.error_order}; one step size needs equal ones."
            )

    @property
    def name(self) -> str:
        return "auto"

    @property
    def order(self) -> int:
        return min(self.explicit.order, self.stiff.order)

    @property
    def dense_order(self) -> int:
        return min(self.explicit.dense_order, self.stiff.dense_order)

    @property
    def linearises(self) -> bool:
        return True

    @property
    def has_error(self) -> bool:
        return True

    @property
    def carries_first(self) -> bool:
        return True

    @property
    def error_order(self) -> int:
        return self.stiff.error_order

    def within(self, rtol: float, atol: float) -> "Switching":
        explicit, stiff = self.explicit.within(rtol, atol), self.stiff.within(rtol, atol)
        assert isinstance(explicit, ExplicitRungeKutta)
        assert isinstance(stiff, Rosenbrock)
        return replace(self, explicit=explicit, stiff=stiff)

    def begin(self, y0: torch.Tensor, first: torch.Tensor | None) -> torch.Tensor | None:
        del y0
        return None if first is None else _handed(first, _Flags(np.array([EXPLICIT]), np.zeros(1), np.zeros(1)))

    @cached_property
    def dense_matrix(self) -> np.ndarray:
        tables = self.explicit.dense_matrix, self.stiff.dense_matrix
        matrix = np.zeros((sum(map(len, tables)), max(table.shape[1] for table in tables)))
        matrix[: len(tables[0]), : tables[0].shape[1]] = tables[0]
        matrix[len(tables[0]) :, : tables[1].shape[1]] = tables[1]
        return matrix

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
        flags = _flags(equation, y, carried)
        parts = []
        for group in _groups(flags, equation.layout.per_sample):
            rows = group.rows(y)
            own = equation if rows is None else equation.select(rows)
            first = None if carried is None or group.kind != EXPLICIT else _first(_of(carried, rows), y)
            times = _times_of(t, t_end, group)
            parts.append(self._part(group, own, times, _of(y, rows), first, flags, traced=traced))
        return _together(parts, flags, y)

    def _part(self, group: "_Group", equation, times, y, first, flags: "_Flags", *, traced: bool) -> "_Part":
        """One step of the lanes that make it in one way, and how they make the next."""
        before, looked = replace(equation.count), np.zeros(0, dtype=int)
        count, age = flags.count[group.places], flags.age[group.places]
        if group.kind == STIFF:
            result, jacobian = self.stiff.step_and_jacobian(equation, times[0], times[1], y, traced=traced)
            reach = _length(times) * _spectral_radii(jacobian, equation.layout.per_sample)
            count = np.where(reach < INSIDE, count + 1, 0)
            kind = np.where(count >= TRUST, RETURNED, STIFF)
            following = torch.zeros_like(result.y1)
        else:
            result = self.explicit.step(equation, times[0], times[1], y, first, traced=traced)
            count = count + (self._reach(equation, result.stages.detach()) > EDGE)
            age = (age + 1) % EVERY
            looked = np.flatnonzero(age == 0)
            if len(looked):
                over = self._looked(equation, times, result, looked) > EDGE
                count[looked] = np.where(over, count[looked] + WEIGHT, np.maximum(count[looked] - WEIGHT, 0))
            kind = np.where(count >= PATIENCE, STIFF, EXPLICIT)
            following = result.carried_next
        count = np.where(kind == group.kind, count, 0)
        part = _Part(group, self._widened(group.kind, result), kind, count, age, following)
        calls = equation.count.calls - before.calls
        costs = StepCosts(np.full(len(kind), calls), np.full(len(kind), equation.count.jacobians - before.jacobians))
        if len(looked) and len(looked) < len(kind):
            costs.evaluations[np.delete(np.arange(len(kind)), looked)] -= 1
        return replace(part, costs=costs)

    @torch.no_grad()
    def _looked(self, equation: AbstractEquation, times, result: StepResult, lanes: np.ndarray) -> np.ndarray:
        """h |f(y1 + d) - f(y1)| / |d| for these lanes, with d along the error estimate."""
        y1, error, slope, end = result.y1.detach(), result.error, result.stages[-1].detach(), times[1]
        assert error is not None
        length = _length(times)
        end = host_array(end) if isinstance(end, torch.Tensor) else end
        if equation.layout.per_sample and len(lanes) < len(y1):
            rows = torch.from_numpy(lanes).to(y1.device)
            y1, error, slope = (x.index_select(0, rows) for x in (y1, error, slope))
            equation, end, length = equation.select(rows), end[lanes], length[lanes]
        flat, layout = equation.layout.flat, equation.layout
        far = torch.linalg.vector_norm(flat(y1), dim=1, keepdim=True) * LOOK[y1.dtype]
        along_error = flat(error) * (far / torch.linalg.vector_norm(flat(error), dim=1, keepdim=True))
        moved = equation(
            equation.times([float(end) if not layout.per_sample else end])[0], y1 + along_error.view(y1.shape)
        )
        ratio = torch.linalg.vector_norm(flat(moved - slope), dim=1, keepdim=True) / far
        return length * np.nan_to_num(host_array(ratio.double())[:, 0], nan=0.0, posinf=0.0)

    def _widened(self, kind: int, result: StepResult) -> StepResult:
        """With the stages of both methods, zeros for those that were not made."""
        return replace(result, stages=self._all_stages(kind, result.stages))

    def _all_stages(self, kind: int, stages: torch.Tensor) -> torch.Tensor:
        idle = self.explicit if kind == STIFF else self.stiff
        zeros = stages.new_zeros(len(idle.dense_matrix), *stages.shape[1:])
        return torch.cat((zeros, stages) if kind == STIFF else (stages, zeros))

    def _own_stages(self, kind: int, stages: torch.Tensor) -> torch.Tensor:
        count = len(self.explicit.dense_matrix)
        return stages[count:] if kind == STIFF else stages[:count]

    def _reach(self, equation: AbstractEquation, stages: torch.Tensor) -> np.ndarray:
        """h |f(u) - f(v)| / |u - v| for the arguments u and v of the last two stages, per lane."""
        tableau, layout = self.explicit.tableau, equation.layout
        apart = along(stages, tableau.a_matrix[-1] - tableau.a_matrix[-2])
        slopes = layout.flat(stages[-1] - stages[-2])
        ratio = torch.linalg.vector_norm(slopes, dim=1) / torch.linalg.vector_norm(layout.flat(apart), dim=1)
        # Where both are rounding, or the field is not finite, nothing is told.
        return np.nan_to_num(host_array(ratio.double()), nan=0.0, posinf=0.0)

    def replay(self, scope: TapeScope, t, t_end, y, carried, *, read: bool) -> Replayed:
        flags = _flags(scope.equation, y, carried)
        parts, stages = [], None
        for group in _groups(flags, scope.equation.layout.per_sample):
            rows = group.rows(y)
            own = scope
            if rows is not None:
                own = scope.tape.scope(rows if scope.rows is None else scope.rows.index_select(0, rows))
            first = None if carried is None or group.kind != EXPLICIT else _first(_of(carried, rows), y)
            stepper = self.stiff if group.kind == STIFF else self.explicit
            made = stepper.replay(own, *_times_of(t, t_end, group), _of(y, rows), first, read=read)
            parts.append((group, own, made))
            whole = self._all_stages(group.kind, made.stages)
            if rows is None:
                stages = whole
            else:
                stages = whole.new_zeros(len(whole), *y.shape) if stages is None else stages
                stages.index_copy_(1, rows, whole)
        assert stages is not None
        return Replayed(stages, (y, parts))

    def pull_back(self, scope: TapeScope, replayed: Replayed, y1_bar, stages_bar, next_bar) -> StepGradient:
        y, parts = replayed.recorded
        found: list[tuple[torch.Tensor | None, StepGradient]] = []
        for group, own, made in parts:
            rows = group.rows(y)
            stages = None if stages_bar is None else self._own_stages(group.kind, stages_bar)
            stages = stages if stages is None or rows is None else stages.index_select(1, rows)
            stepper = self.stiff if group.kind == STIFF else self.explicit
            # A stiff step hands no slope over, and none was taken from it.
            handed = None if group.kind == STIFF else _of(next_bar, rows)
            pulled = stepper.pull_back(own, made, _of(y1_bar, rows), stages, handed)
            first = torch.zeros_like(pulled.y) if pulled.carried is None else pulled.carried
            found.append((rows, StepGradient(pulled.y, first, pulled.t, pulled.t_end)))
        if len(found) == 1 and found[0][0] is None:
            return found[0][1]
        rows = [own for own, _ in found if own is not None]
        parts = [one for _, one in found]
        y_bar = _merged(rows, [one.y for one in parts])
        assert y_bar is not None
        return StepGradient(
            y_bar,
            _merged(rows, [one.carried for one in parts]),
            _merged(rows, [one.t for one in parts]),
            _merged(rows, [one.t_end for one in parts]),
        )


@dataclass(frozen=True)
class _Flags:
    """Per lane, on the host: how the step is made, the count, and how many steps ago f was called along the error."""

    kind: np.ndarray
    count: np.ndarray
    age: np.ndarray


@dataclass(frozen=True)
class _Group:
    """Lanes whose step is made in one way. places: within the present ones. alone: are there no others?"""

    kind: int
    places: np.ndarray
    alone: bool

    def rows(self, like: torch.Tensor) -> torch.Tensor | None:
        """Their index; None for all."""
        return None if self.alone else torch.from_numpy(self.places).to(like.device)


@dataclass(frozen=True)
class _Part:
    """What one group's step gave, and how its lanes make the next."""

    group: _Group
    result: StepResult
    kind: np.ndarray
    count: np.ndarray
    age: np.ndarray
    following: torch.Tensor | None
    costs: StepCosts | None = None


def _handed(first: torch.Tensor, flags: _Flags) -> torch.Tensor:
    """What a step hands over: the slope with three more columns, one row of numbers for all or one a lane."""
    first = first.reshape(1) if first.ndim == 0 else first
    own = np.stack((flags.kind, flags.count, flags.age), axis=-1).astype(np.float64)
    own = torch.from_numpy(own).to(first.device, first.dtype)
    own = own[0].expand(*first.shape[:-1], 3) if len(own) == 1 else own
    return torch.cat((first, own), dim=-1)


def _flags(equation: AbstractEquation, y: torch.Tensor, carried: torch.Tensor | None) -> _Flags:
    lanes = equation.layout.lanes(y)
    if carried is None or carried.numel() == 0:
        return _Flags(np.full(lanes, RETURNED), np.zeros(lanes), np.zeros(lanes))
    own = host_array(carried.detach()[..., -3:].reshape(-1, 3)[:lanes]).astype(np.float64)
    return _Flags(own[:, 0].astype(int), own[:, 1], own[:, 2])


def _groups(flags: _Flags, per_sample: bool) -> list[_Group]:
    kinds = np.unique(flags.kind)
    if not per_sample or len(kinds) == 1:
        return [_Group(int(flags.kind[0]) if len(flags.kind) else RETURNED, np.arange(len(flags.kind)), True)]
    return [_Group(int(kind), np.flatnonzero(flags.kind == kind), False) for kind in kinds]


def _first(carried: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return carried[..., :-3].reshape(-1, *y.shape[1:]) if y.ndim else carried[0]


def _of(tensor: torch.Tensor, rows: torch.Tensor | None) -> torch.Tensor:
    return tensor if rows is None else tensor.index_select(0, rows)


def _times_of(t: StepTime, t_end: StepTime, group: _Group) -> tuple[Any, Any]:
    if group.alone:
        return t, t_end
    if isinstance(t, torch.Tensor):
        rows = torch.from_numpy(group.places).to(t.device)
        return t.index_select(0, rows), t_end.index_select(0, rows)
    return t[group.places], t_end[group.places]


def _length(times: tuple[Any, Any]) -> np.ndarray:
    start, end = (host_array(time) if isinstance(time, torch.Tensor) else np.asarray(time) for time in times)
    return np.atleast_1d(np.abs(end - start))


def _spectral_radii(jacobian: torch.Tensor, per_sample: bool) -> np.ndarray:
    """Of each lane's blocks, or an upper bound of it."""
    with torch.no_grad():
        blocks = torch.nan_to_num(jacobian.detach(), nan=torch.inf, posinf=torch.inf, neginf=torch.inf)
        bound = torch.minimum(blocks.abs().sum(1).amax(1), blocks.abs().sum(2).amax(1))
        found = host_array(bound.double())
        if blocks.shape[-1] <= WIDEST and np.isfinite(found).all():
            found = np.abs(np.linalg.eigvals(host_array(blocks.double()))).max(1)
    return found if per_sample else found.max(keepdims=True)


def _merged(rows: list[torch.Tensor], parts: list[torch.Tensor | None]) -> torch.Tensor | None:
    """Parts of the lanes, in the lanes' order."""
    known = [part for part in parts if part is not None]
    if len(known) < len(parts):
        return None
    return torch.cat(known).index_select(0, torch.argsort(torch.cat(rows)))


def _together(parts: list[_Part], flags: _Flags, y: torch.Tensor) -> StepResult:
    if len(parts) == 1:
        part = parts[0]
        assert part.following is not None
        handed = _handed(part.following, _Flags(part.kind, part.count, part.age))
        return replace(part.result, carried_next=handed, costs=part.costs)
    rows, results = [torch.from_numpy(part.group.places).to(y.device) for part in parts], [p.result for p in parts]
    order = torch.argsort(torch.cat(rows))
    stages = torch.cat([result.stages for result in results], dim=1).index_select(1, order)
    lanes = len(flags.kind)
    merged, costs = _Flags(*np.zeros((3, lanes))), StepCosts(*np.zeros((2, lanes), dtype=int))
    for part in parts:
        places = part.group.places
        merged.kind[places], merged.count[places], merged.age[places] = part.kind, part.count, part.age
        assert part.costs is not None
        costs.evaluations[places], costs.jacobians[places] = part.costs.evaluations, part.costs.jacobians
    following = _merged(rows, [part.following for part in parts])
    y1, error = _merged(rows, [one.y1 for one in results]), _merged(rows, [one.error for one in results])
    assert y1 is not None
    assert following is not None
    return StepResult(y1, stages, error, _handed(following, merged), costs=costs)
