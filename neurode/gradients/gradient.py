"""What `solve` asks of a way to differentiate: run the loop, and bring back tensors that carry their gradient."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch

from neurode.gradients.schedule import Slots
from neurode.integration.backward_stats import BackwardStats
from neurode.integration.problem import Problem, Trajectory


@dataclass(frozen=True)
class Differentiated:
    """A trajectory whose tensors have their gradients: values (rows, width), and for save="dense" the steps' starts
    and stages.

    backward: to be filled in by the way back; None where autograd goes it alone, or nothing wants a gradient.
    """

    trajectory: Trajectory
    values: torch.Tensor
    starts: torch.Tensor | None
    stages: torch.Tensor | None
    backward: BackwardStats | None = None


class AbstractGradient(ABC):
    """A way to differentiate a solve. Frozen, with its settings as fields."""

    @property
    def is_exact(self) -> bool:
        """Is the gradient that of the discrete solution, with the accepted steps held fixed?"""
        return True

    @property
    def is_traced(self) -> bool:
        """Does autograd follow the loop itself, so that derivatives of any order and direction come of themselves?"""
        return False

    @property
    def reason_against_kernel(self) -> str | None:
        """Why a kernel, whose gradient is the exact one from stored states, may not make the solve instead; None where
        it may. The same with and without gradients, so that training and use agree to the last bit."""
        return f"it does not compute {self!r}"

    @property
    def graph_limit(self) -> int:
        """Bytes of activations that the solve may keep for its way back, by default."""
        return 0

    @property
    def kept_states(self) -> Slots | None:
        """How many states a kernel may keep for its way back; None for all."""
        return None

    @abstractmethod
    def run(self, problem: Problem) -> Differentiated:
        """Solve, such that the values are differentiable by y0, captured parameters, args and times."""


def kept_steps(trajectory: Trajectory, problem: Problem) -> tuple[torch.Tensor | None, torch.Tensor | None]:
    """starts (rows, width) and stages (stages, rows, width) of a solve saved densely; None for both otherwise."""
    dense = trajectory.recorder.dense
    if dense is None:
        return None, None
    if not dense.starts:
        width = problem.equation.layout.width
        count = problem.stepper.dense_matrix.shape[0]
        return problem.y0.new_empty(0, width), problem.y0.new_empty(count, 0, width)
    return torch.cat(dense.starts), torch.cat(dense.stages, dim=1)
