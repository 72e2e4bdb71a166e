"""direct: autograd follows every operation of the loop."""

from dataclasses import dataclass

import torch

from neurode.core.transforms import forward_mode
from neurode.gradients.gradient import AbstractGradient, Differentiated, kept_steps
from neurode.gradients.kept_graphs import GRAPH_BYTES
from neurode.integration.loop import integrate
from neurode.integration.problem import Problem


@dataclass(frozen=True)
class Direct(AbstractGradient):
    """Plain autograd through the accepted steps.

    Good for short solves, for derivatives of any order (Hessians, gradient penalties), as the reference that the other
    ways are tested against. Not good for long solves: memory grows with the number of evaluations of f, activations
    included.

    kernel: may one kernel make the whole solve where it can read the field? Its gradient is exact too, and second
    derivatives through it solve once more; not for forward mode after the solve. False (default): torch's operations
    only.
    """

    kernel: bool = False

    @property
    def is_traced(self) -> bool:
        return True

    @property
    def reason_against_kernel(self) -> str | None:
        return None if self.kernel else "gradient='direct' is plain autograd through torch's operations"

    @property
    def graph_limit(self) -> int:
        return GRAPH_BYTES

    def run(self, problem: Problem) -> Differentiated:
        trajectory = integrate(problem, traced=torch.is_grad_enabled() or forward_mode())
        return Differentiated(trajectory, trajectory.values, *kept_steps(trajectory, problem))
