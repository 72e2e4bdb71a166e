"""direct: autograd follows every operation of the loop."""

from dataclasses import dataclass

import torch

from neurode.core.transforms import forward_mode
from neurode.gradients.gradient import AbstractGradient, Differentiated, kept_steps
from neurode.integration.loop import integrate
from neurode.integration.problem import Problem


@dataclass(frozen=True)
class Direct(AbstractGradient):
    """Plain autograd through the accepted steps.

    Good for short solves, for derivatives of any order (Hessians, gradient penalties), as the reference that the other
    ways are tested against. Not good for long solves: memory grows with the number of evaluations of f, activations
    included.
    """

    @property
    def is_traced(self) -> bool:
        return True

    def run(self, problem: Problem) -> Differentiated:
        trajectory = integrate(problem, traced=torch.is_grad_enabled() or forward_mode())
        return Differentiated(trajectory, trajectory.values, *kept_steps(trajectory, problem))
