"""What the loop makes of a step beyond the step itself: the slopes that only reading needs, and one size of two
errors."""

from dataclasses import replace

import numpy as np
import torch

from neurode.core.equation import AbstractEquation
from neurode.integration.clock import Interval
from neurode.methods.stepper import AbstractStepper, StepResult


def completed(
    stepper: AbstractStepper,
    equation: AbstractEquation,
    interval: Interval,
    traced_times: tuple[torch.Tensor, ...] | None,
    y: torch.Tensor,
    result: StepResult,
    reading: np.ndarray | None,
    *,
    traced: bool,
) -> StepResult:
    """The step with all slopes of its dense output for the lanes that are read; zeros for the others.

    equation, interval, y, result: of the same lanes. reading: places among these, None for all.
    """
    if reading is not None and len(reading) == 0:
        return result
    if reading is None or len(reading) == y.shape[0]:
        t, t_end = traced_times or (interval.t, interval.t_end)
        return stepper.complete(equation, t, t_end, y, result, traced=traced)
    places, part = torch.from_numpy(reading).to(y.device), interval.part(reading)
    t, t_end = (part.t, part.t_end) if traced_times is None else (x.index_select(0, places) for x in traced_times)
    some = StepResult(result.y1.index_select(0, places), result.stages.index_select(1, places), None, None)
    own = equation.select(places)
    made = stepper.complete(own, t, t_end, y.index_select(0, places), some, traced=traced).stages
    further = made[len(result.stages) :]
    whole = result.stages.new_zeros(len(further), *y.shape).index_copy(1, places, further)
    # A graph that was kept lacks these calls: a step of which a part is read is made again on the way back.
    return replace(result, stages=torch.cat((result.stages, whole)), kept=None)


def joined(fine: torch.Tensor, coarse: torch.Tensor) -> torch.Tensor:
    """The size of an error from those of two estimates of it: e^2 / sqrt(e^2 + d^2 / 100) (Hairer, Norsett and Wanner
    1993, II.10); 0 where both are."""
    both = torch.hypot(fine, 0.1 * coarse.to(fine.dtype))
    return torch.where(both == 0, both, fine * (fine / both))
