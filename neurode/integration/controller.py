"""Who chooses the steps: constant steps, or steps from the error estimate (I, PI and PID laws) within limits.

Everything here works on floats (joint) and on arrays (per sample) alike; state is returned, never stored.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch

from neurode.core.nest import describe
from neurode.core.state import State
from neurode.methods.stepper import StepLaw

Host = Any
"""A float (joint) or an array (per sample)."""


REMEMBERED = 1e-4
"""The smallest error ratio that is remembered (as in the authors' program DOPRI5)."""


class ErrorHistory(NamedTuple):
    """What a controller remembers: error ratios of the last two accepted steps, and whether the last attempt was
    rejected."""

    previous: Host
    before: Host
    rejected: Host


class Decision(NamedTuple):
    """accept: is the step good. size: the next step size (positive). history: for the next call."""

    accept: Host
    size: Host
    history: ErrorHistory


@dataclass(frozen=True)
class ConstantSteps:
    """Steps of equal size, or from one output time to the next.

    Good for methods without an error estimate, for reproducing a residual network, for constant cost. Not good where
    the accuracy is not known beforehand: nothing watches the error.
    step_size: positive, in units of t; the last step is shortened to end at t1. None: a step from each output time
    to the next. step_t, jump_t: as in AdaptiveSteps.
    """

    step_size: float | None = None
    step_t: Sequence[float] = ()
    jump_t: Sequence[float] = ()

    def __post_init__(self):
        _read_forced(self)
        if self.step_size is not None and not self.step_size > 0:
            raise ValueError(
                f"step_size must be positive, but is {self.step_size}. "
                "For backward time give descending ts and keep it positive."
            )


@dataclass(frozen=True)
class AdaptiveSteps:
    """Steps chosen so that the estimated error of each stays under atol + rtol |y|, by a PID law within limits.

    The next size is size * safety * r[n]^-b1 * r[n-1]^-b2 * r[n-2]^-b3 with r the ratio of error to tolerance,
    b1 = (p + i + d) / k, b2 = -(p + 2 d) / k, b3 = d / k and k the order of the error estimate (Soderlind, ACM TOMS 29
    (2003), section 3). The default is the I law. PI or PID damp steps that alternate, for mildly stiff fields.

    proportional, integral, derivative: p, i, d. safety: factor below 1. factor_min, factor_max: largest change a step.
    min_step, max_step: bounds in units of t; below min_step the solve ends with Status.STEP_TOO_SMALL.
    first_step: None chooses it (Hairer, Norsett and Wanner 1993, II.4).
    force_min_step: accept a step of min_step whatever its error, and go on, instead of ending there.
    norm: norm(ratios): what is held under 1. ratios: the errors divided by their tolerances, in the structure of y0;
        returns 0-d jointly, (batch,) per sample. None: their root mean square.
    step_t: times at which a step has to end. jump_t: times at which the field jumps: a step ends just before and the
        next one begins just behind, so that the field is never asked at the jump itself. Those outside the interval are
        left out.
    Raises ValueError for settings that contradict each other.
    """

    proportional: float = 0.0
    integral: float = 1.0
    derivative: float = 0.0
    safety: float = 0.9
    factor_min: float = 0.2
    factor_max: float = 10.0
    min_step: float = 0.0
    max_step: float = float("inf")
    first_step: float | None = None
    force_min_step: bool = False
    norm: Callable[[State], torch.Tensor] | None = None
    step_t: Sequence[float] = ()
    jump_t: Sequence[float] = ()

    def __post_init__(self):
        _read_forced(self)
        if self.force_min_step and not self.min_step > 0:
            raise ValueError("force_min_step=True has no effect without min_step. Pass min_step, or leave it out.")
        if self.norm is not None and not callable(self.norm):
            raise TypeError(f"norm must be a function of the error ratios, but is {describe(self.norm)}.")
        if not 0 < self.safety < 1:
            raise ValueError(f"safety must lie between 0 and 1, but is {self.safety}.")
        if not 0 < self.factor_min < 1 < self.factor_max:
            raise ValueError(
                f"factor_min < 1 < factor_max is needed, but they are {self.factor_min} and {self.factor_max}."
            )
        if not 0 <= self.min_step <= self.max_step:
            raise ValueError(f"0 <= min_step <= max_step is needed, but they are {self.min_step} and {self.max_step}.")
        if self.first_step is not None and not self.first_step > 0:
            raise ValueError(f"first_step must be positive, but is {self.first_step}.")

    def judge(
        self, ratio: Host, size: Host, history: ErrorHistory, *, error_order: Host, law: StepLaw | None = None
    ) -> Decision:
        """Accept a step of `size` whose error is `ratio` times the tolerance? And how long is the next one?

        A ratio that is NaN rejects the step and shrinks it by factor_min. law: of a method that sizes its steps.
        """
        accept = ratio <= 1.0
        if self.force_min_step:
            accept = accept | ((size <= self.min_step * (1 + 1e-9)) & (ratio < math.inf))
        safe = _where(ratio == ratio, _largest(ratio, 1e-10), 1e10)
        b1 = (self.proportional + self.integral + self.derivative) / error_order
        b2 = -(self.proportional + 2 * self.derivative) / error_order
        b3 = self.derivative / error_order
        factor = self.safety * safe**-b1
        if law is None and b2:
            factor = factor * history.previous**-b2 * history.before**-b3
        # After a rejection a step does not grow at once: it would be rejected again.
        highest = _where(accept & ~_boolean(history.rejected), self.factor_max, 1.0)
        if law is not None:
            own = self.safety * _largest(safe * law.relation, 1e-10) ** (-1.0 / law.following)
            # A size that is held must not be cut shorter by rounding.
            factor = _where(accept, _where(_boolean(law.holds), 1 + 1e-9, own), factor)
            highest = self.factor_max
        factor = _smallest(_largest(factor, self.factor_min), highest)
        # A rejected step shrinks, whatever the law remembers.
        factor = _where(accept, factor, _smallest(factor, self.safety))
        # A ratio far below one may be all rounding, which must not choose the steps to come.
        previous = _where(accept, _largest(safe, REMEMBERED), history.previous)
        before = _where(accept, history.previous, history.before)
        following = rounded_down(_smallest(size * factor, self.max_step))
        return Decision(accept, following, ErrorHistory(previous, before, _boolean(~_boolean(accept))))


def _read_forced(controller: "AdaptiveSteps | ConstantSteps") -> None:
    """step_t and jump_t as tuples of rising floats."""
    for name in ("step_t", "jump_t"):
        given: Any = getattr(controller, name)
        times = given.detach().cpu().reshape(-1).tolist() if isinstance(given, torch.Tensor) else list(given)
        times = sorted(float(time) for time in times)
        if not all(math.isfinite(time) for time in times):
            raise ValueError(f"{name} holds NaN or infinite times.")
        if len(set(times)) < len(times):
            raise ValueError(f"{name} holds a time twice. Pass each time once.")
        object.__setattr__(controller, name, tuple(times))
    both = set(controller.step_t) & set(controller.jump_t)
    if both:
        raise ValueError(
            f"step_t and jump_t share {min(both)}: a step ends at a jump in any case. Leave it out of step_t."
        )


LAWS: dict[str, AdaptiveSteps] = {
    "I": AdaptiveSteps(),
    "PI": AdaptiveSteps(proportional=0.4, integral=0.3),
    "PID": AdaptiveSteps(proportional=0.2, integral=0.3, derivative=0.1),
    "damped": AdaptiveSteps(proportional=0.2, integral=0.5, safety=0.8),
    "strict": AdaptiveSteps(safety=0.65),
}
"""Controllers by name: `controller="PI"`."""


def rounded_down(size: Host) -> Host:
    """A step size cut to eleven binary digits.

    The error estimate is a difference of nearly equal numbers, so it carries rounding noise that depends on the
    batch, the
    threads and the order of summation. Cut sizes make all of these choose the same steps.
    """
    if isinstance(size, np.ndarray):
        mantissa, exponent = np.frexp(size)
        return np.ldexp(np.floor(mantissa * 2048), exponent - 11)
    if not math.isfinite(size):
        return size
    mantissa, exponent = math.frexp(size)
    return math.ldexp(math.floor(mantissa * 2048), exponent - 11)


def _boolean(value):
    return np.bool_(value) if not isinstance(value, np.ndarray) else value


def _where(condition, yes, no):
    if isinstance(condition, np.ndarray):
        return np.where(condition, yes, no)
    return yes if condition else no


def _largest(left, right):
    return np.maximum(left, right) if isinstance(left, np.ndarray) else max(left, right)


def _smallest(left, right):
    if isinstance(left, np.ndarray) or isinstance(right, np.ndarray):
        return np.minimum(left, right)
    return min(left, right)
