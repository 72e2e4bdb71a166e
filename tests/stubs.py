"""Stand-ins for parts of the solver: the loop and its controller are tested without a method's own errors."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch

from neurode.methods.stepper import AbstractStepper, StepResult


@dataclass
class Script:
    """Error ratios to report, one an attempted step (a float for all lanes, or one a lane); the last is repeated."""

    ratios: list
    attempts: list[tuple] = field(default_factory=list)

    def next(self, lanes: int) -> torch.Tensor:
        ratio = self.ratios[min(len(self.attempts), len(self.ratios) - 1)]
        return torch.as_tensor(ratio, dtype=torch.float64).expand(lanes)


@dataclass(frozen=True)
class PerfectStepper(AbstractStepper):
    """Steps along a known solution and reports the scripted error ratios.

    exact: time (float) -> (width,), the solution, the same for every lane. script: what it reports, and where it notes
    each attempt (t, t_end). Solve with rtol=0, atol=1, so that the error is the ratio.
    """

    exact: Callable[[float], torch.Tensor]
    script: Script
    name: str = "perfect"
    order: int = 1

    @property
    def has_error(self) -> bool:
        return True

    @property
    def carries_first(self) -> bool:
        return False

    @property
    def error_order(self) -> int:
        return 2

    def step(self, equation, t, t_end, y, first, *, traced) -> StepResult:
        del equation, first, traced
        lanes = y.shape[0]
        starts, ends = np.broadcast_to(t, lanes), np.broadcast_to(t_end, lanes)
        y1 = torch.stack([self.exact(float(end)) for end in ends]).to(y.dtype)
        size = torch.as_tensor(ends - starts).to(y.dtype).unsqueeze(1)
        error = self.script.next(lanes).to(y.dtype).unsqueeze(1).expand_as(y).clone()
        self.script.attempts.append((np.copy(starts), np.copy(ends)))
        return StepResult(y1, ((y1 - y) / size).unsqueeze(0), error, None)

    def dense_weights(self, theta: np.ndarray) -> np.ndarray:
        return np.asarray(theta)[:, None]

    def dense_slopes(self, theta: np.ndarray) -> np.ndarray:
        return np.ones((len(theta), 1))

    @property
    def dense_matrix(self) -> np.ndarray:
        return np.ones((1, 1))

    def replay(self, scope, t, t_end, y, first, *, last):
        raise NotImplementedError("the perfect stepper is for forward solves")

    def pull_back(self, scope, replayed, y1_bar, stages_bar, next_bar, *, time):
        raise NotImplementedError("the perfect stepper is for forward solves")


class Recording:
    """A field that notes every call: times, shapes, number of rows; and counts them."""

    def __init__(self, f):
        self.f = f
        self.times: list[torch.Tensor] = []
        self.shapes: list[tuple[int, ...]] = []

    def __call__(self, t, y, *args):
        first = next(iter(y.values())) if isinstance(y, dict) else y[0] if isinstance(y, tuple) else y
        self.times.append(t.detach().clone())
        self.shapes.append(tuple(first.shape))
        return self.f(t, y, *args)

    @property
    def calls(self) -> int:
        return len(self.times)

    @property
    def rows(self) -> list[int]:
        """Length of the state's first axis at each call."""
        return [shape[0] for shape in self.shapes]
