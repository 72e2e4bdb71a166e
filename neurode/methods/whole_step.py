"""A step of an explicit Runge-Kutta method as one function of torch, so that torch.compile or a CUDA graph can have it.

The step of `neurode.methods.slopes` calls f stage by stage from Python. Here the whole step is one function of tensors,
made once for a field and a shape; its derivative is that function's, one node of autograd for all stages.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from types import FunctionType, MethodType
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import torch

from neurode.core.equation import AbstractEquation, Equation
from neurode.core.state import StateLayout
from neurode.core.tape import TapeScope
from neurode.methods.stepper import Replayed, StepGradient, StepResult
from neurode.methods.tableau import Tableau

Made = Callable[..., tuple[torch.Tensor, ...]]
"""A step: f, clock (nodes of time and the size, in the state's dtype), y, first slope or None, args of f -> its end,
slopes (stages, *y.shape), last slope, and the error where there is one."""


class CannotCompile(ValueError):
    """The step could not be made one function; the message says what stood in the way."""


class AbstractStepMaker(ABC):
    """Makes a faster function of a step. Frozen."""

    @property
    @abstractmethod
    def name(self) -> str:
        """As in engine="..."."""

    @property
    @abstractmethod
    def keeps_graphs(self) -> bool:
        """May several steps be made before the first of them is pulled back?"""

    @abstractmethod
    def make(self, step: Made, f: Any, samples: tuple) -> Made:
        """A function that does what `step` does. samples: the arguments behind f as later calls have them, with
        requires_grad where they may have it."""


@dataclass(frozen=True)
class _Recorded:
    """A step with its graph: what it was made of, and what came out."""

    clock: torch.Tensor
    y: torch.Tensor
    first: torch.Tensor | None
    outputs: tuple[torch.Tensor, ...]


_made: WeakKeyDictionary[Any, dict[Any, Made]] = WeakKeyDictionary()


@dataclass(frozen=True)
class WholeStep:
    """The steps of a tableau by a maker: joint, of real states, without further slopes for dense output."""

    tableau: Tableau
    maker: AbstractStepMaker

    def prepare(self, equation: Equation, y: torch.Tensor) -> None:
        """Make the function for states like y, forward and backward, unless it is there. Raises CannotCompile."""
        if self._known(equation, y) is not None:
            return
        # An error of the field's own is the field's, and says so better uncompiled.
        plain = equation.times([0.0])[0]
        equation.layout.check_derivative(_called(equation.f, equation.layout, plain, y, equation.plain_args), 1)
        first = torch.zeros_like(y) if self.tableau.fsal else None
        clock, enabled = self._clock(0.0, 0.0, y), torch.is_grad_enabled()
        samples = (clock, y.detach().clone().requires_grad_(), first, equation.plain_args)
        if first is not None:
            first.requires_grad_()
        step = self.maker.make(_step_of(self.tableau, equation.layout), equation.f, samples)
        try:
            with torch.enable_grad():
                outputs = step(equation.f, *samples)
            if outputs[0].requires_grad:
                torch.autograd.grad(outputs[0].sum(), samples[1], allow_unused=True)
            with torch.no_grad():
                step(equation.f, *samples)
        except Exception as error:
            raise CannotCompile(f"{type(error).__name__}: {str(error).strip().splitlines()[0]}") from error
        finally:
            torch.set_grad_enabled(enabled)
        owner, key = _place(equation, y, self)
        _made.setdefault(owner, {})[key] = step

    def result(
        self, equation: Equation, t: Any, t_end: Any, y: torch.Tensor, carried: torch.Tensor | None, *, traced: bool
    ) -> StepResult:
        """One attempted step; traced: with its graph."""
        with nullcontext() if traced else torch.no_grad():
            return self._result(self._run(equation, self._clock(t, t_end, y), y, carried))

    def record(self, scope: TapeScope, t: Any, t_end: Any, y, carried) -> tuple[StepResult, Replayed]:
        """The step with its graph on `scope`, without that graph and as it is."""
        y = y.detach().requires_grad_()
        first = None if carried is None else carried.detach().requires_grad_()
        with torch.enable_grad():
            clock = self._clock(t, t_end, y).requires_grad_(scope.tape.time)
            assert isinstance(scope.equation, Equation)
            outputs = self._run(scope.equation, clock, y, first)
        result = self._result(tuple(x.detach() for x in outputs))
        return result, Replayed(result.stages, _Recorded(clock, y, first, outputs))

    def pull_back(self, scope: TapeScope, replayed: Replayed, y1_bar, stages_bar, next_bar) -> StepGradient:
        """The exact derivative of a recorded step."""
        step: _Recorded = replayed.recorded
        y1, stages, last, *_ = step.outputs
        pairs = [(y1, y1_bar), (stages, stages_bar), (last, next_bar)]
        pairs = [(value, bar) for value, bar in pairs if bar is not None and value.requires_grad]
        leaves = [x for x in (step.y, step.first, step.clock if scope.tape.time else None) if x is not None]
        found = iter(scope.pull_values([value for value, _ in pairs], leaves, [bar for _, bar in pairs]))
        y_bar, first_bar = next(found), None if step.first is None else next(found)
        if not scope.tape.time:
            return StepGradient(y_bar, first_bar, None, None)
        *times_bar, size_bar = next(found).unbind(0)
        shares = list(zip(self.tableau.nodes, times_bar, strict=False))
        t_bar = sum(((1 - node) * bar for node, bar in shares), -size_bar)
        t_end_bar = sum((node * bar for node, bar in shares), size_bar)
        return StepGradient(y_bar, first_bar, t_bar.reshape(1), t_end_bar.reshape(1))

    def _run(self, equation: Equation, clock, y, first) -> tuple[torch.Tensor, ...]:
        step = self._known(equation, y)
        if step is None:
            raise RuntimeError("a step was asked for that was not prepared.")
        given = first if self.tableau.fsal else None
        equation.count.calls += self.tableau.num_stages - (given is not None)
        return step(equation.f, clock, y, given, equation.plain_args)

    def _known(self, equation: Equation, y: torch.Tensor) -> Made | None:
        owner, key = _place(equation, y, self)
        return _made.get(owner, {}).get(key)

    def _result(self, outputs: tuple[torch.Tensor, ...]) -> StepResult:
        y1, stages, last, *errors = outputs
        return StepResult(y1, stages, errors[0] if errors else None, last if self.tableau.fsal else None)

    def _clock(self, t: Any, t_end: Any, y: torch.Tensor) -> torch.Tensor:
        """(stages + 1,) the times of the calls, and the size."""
        size = t_end - t
        times = [
            t if c == 0 else t_end if c == 1 else t + c * size for c in self.tableau.nodes[: self.tableau.num_stages]
        ]
        if isinstance(size, torch.Tensor):
            return torch.stack([*times, size]).to(y.device, y.dtype)
        return torch.tensor([*times, size], dtype=y.dtype, device=y.device)


def reason_against(equation: AbstractEquation, y: torch.Tensor) -> str | None:
    """Why no step of this equation can be made one function, as a clause that follows "because"; None where it may."""
    layout = equation.layout
    if layout.per_sample:
        return "samples with steps of their own leave one by one, and every number of them would be compiled anew"
    if layout.is_complex:
        return "the state is complex"
    if not isinstance(equation, Equation):
        return "a transform of torch.func is in force"
    if equation.autocast is not None:
        return "autocast is on"
    if y.numel() == 0:
        return "y0 is empty"
    try:
        _place(equation, y, None)
        hash(_place(equation, y, None)[0])
    except TypeError:
        return f"a {type(equation.f).__name__} cannot be remembered; make it a module or a function"
    return None


def _place(equation: AbstractEquation, y: torch.Tensor, step: WholeStep | None) -> tuple[Any, Any]:
    """What a made step lives as long as, and its name there."""
    f, args = equation.f, equation.args_tensors  # type: ignore[attr-defined]
    owner, name = (f.__self__, f.__func__) if isinstance(f, MethodType) else (f, None)
    shapes = tuple((x.shape, x.dtype, x.device, x.requires_grad) for x in args)
    return owner, (name, step, equation.layout, y.shape, shapes)


def _called(f: Any, layout: StateLayout, t: torch.Tensor, y: torch.Tensor, args: Any) -> Any:
    state = layout.unpack(y)
    return f(t, state) if args is None else f(t, state, args)


def _step_of(tableau: Tableau, layout: StateLayout) -> Made:
    count, fsal = tableau.num_stages, tableau.fsal
    rows, combine = tableau.a_matrix[:count, :count].tolist(), np.asarray(tableau.b_vector).tolist()
    error = None if tableau.b_error is None else [float(x) for x in tableau.b_error]

    def step(f, clock, y, first, args):
        *times, size = clock.unbind(0)
        slopes, end = [], y
        for i in range(count):
            end = y if i == 0 else y + size * _weighted(slopes, rows[i])
            if i == 0 and first is not None:
                slopes.append(first)
            else:
                slopes.append(layout.pack(_called(f, layout, times[i], end, args)))
        y1 = end if fsal else y + size * _weighted(slopes, combine)
        outputs = (y1, torch.stack(slopes), slopes[-1])
        if error is None:
            return outputs
        # Steps are chosen by values: the error takes no part in the gradient.
        return (*outputs, size.detach() * _weighted([k.detach() for k in slopes], error))

    # A code of its own: what is compiled for one field must not count as another version of what is for the next.
    return FunctionType(step.__code__.replace(), step.__globals__, "step", None, step.__closure__)


def _weighted(slopes: list[torch.Tensor], weights: list[float]) -> torch.Tensor:
    total = None
    for slope, weight in zip(slopes, weights, strict=False):
        if weight != 0:
            total = slope * weight if total is None else total + slope * weight
    return torch.zeros_like(slopes[0]) if total is None else total
