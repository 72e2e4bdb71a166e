"""The gradient of parameters and args beside an adjoint solve: an integral, by Gauss nodes over its accepted steps."""

import numpy as np
import torch

from neurode.core.tape import Tape
from neurode.gradients.adjoint_equation import AdjointEquation
from neurode.integration.problem import AcceptedStep
from neurode.methods.stepper import AbstractStepper, StepResult


class GaussQuadrature:
    """Sums the integral of a df/dtheta on a tape, step by step.

    The parameters are no part of the adjoint's state: they cost neither memory nor work in its stages, and the error
    control does not see them. The number of nodes is the least whose order is that of the method: 3 for dopri5. It is
    what the adjoint solvers of SUNDIALS call a pure quadrature, and SciMLSensitivity a Gauss adjoint.

    scale: (lanes, 1), by which the adjoint was divided.
    """

    def __init__(self, tape: Tape, stepper: AbstractStepper, equation: AdjointEquation, scale: torch.Tensor):
        self.tape, self.stepper, self.equation, self.scale = tape, stepper, equation, scale
        nodes, weights = np.polynomial.legendre.leggauss((stepper.order + 1) // 2)
        self.nodes, self.weights = (nodes + 1) / 2, weights / 2
        self.factor = scale.item() if len(scale) == 1 else 1.0  # of a joint solve
        self.wanted = any(leaf.requires_grad for leaf in (*tape.parameters, *tape.args_leaves))

    def add(self, step: AcceptedStep, result: StepResult) -> None:
        """The part of one accepted step."""
        if not self.wanted:
            return
        y, interval, tape = step.y, step.interval, self.tape
        lanes = np.zeros(1, dtype=int) if step.lanes is None else step.lanes.cpu().numpy()
        some = None if step.lanes is None or len(lanes) == len(self.scale) else step.lanes
        scope = tape.scope(some)
        scale = self.scale if some is None else self.scale.index_select(0, some)
        size = interval.t_end - interval.t
        times = [interval.t + node * size for node in self.nodes]
        own = self.equation if some is None else self.equation.select(some)
        result = self.stepper.complete(own, interval.t, interval.t_end, y, result, traced=False)
        values = self._values(y, result.stages, size)
        for time, tensor, value, weight in zip(times, scope.equation.times(times), values, self.weights, strict=True):
            state, a = self.equation.split(time, value, lanes)
            # The adjoint runs against time, so its steps are counted negatively.
            if isinstance(size, float):
                bar = a * (self.factor * -size * weight)
            else:
                bar = a * (scale * torch.from_numpy(-size * weight).to(y.device, y.dtype).unsqueeze(1))
            scope.pull(scope.record(tensor, state), bar)

    def _values(self, y: torch.Tensor, stages: torch.Tensor, size) -> torch.Tensor:
        """(nodes, *y.shape): the adjoint's state at the nodes, by the method's own dense output."""
        weights = torch.from_numpy(self.stepper.dense_weights(self.nodes)).to(y.device, y.dtype)
        moved = (weights @ stages.reshape(stages.shape[0], -1)).view(-1, *y.shape)
        if isinstance(size, float):
            return moved.mul_(size).add_(y)
        return moved.mul_(torch.from_numpy(size).to(y.device, y.dtype).unsqueeze(1)).add_(y)
