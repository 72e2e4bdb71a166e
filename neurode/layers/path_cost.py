"""What a path through a field costs: kinetic energy and the size of the Jacobian, integrated beside the state.

Finlay, Jacobsen, Nurbekyan and Oberman, How to train your neural ODE: the world of Jacobian and kinetic regularization
(ICML 2020), arXiv 2002.02798, section 3.
"""

import torch
from torch import nn
from torch.func import vjp

COSTS = ("kinetic", "jacobian")


class CostedField(nn.Module):
    """A field whose state carries the costs of its own path: (y, costs) -> (f, their densities).

    Good for regularising a neural ODE, so that its solves need fewer steps. Not good beside second derivatives of the
    solve, nor for fields that mix samples.

    field: f(t, y) on (batch, ...). kinetic: |f|^2 of a sample over its number of entries. jacobian: |e^T df/dy|^2 over
    the same, an estimate of the squared Frobenius norm by one probe e, which has to be set before a solve.

    forward(t, (y, costs)): costs (batch, 2), kinetic first; what is switched off stays 0.
    """

    def __init__(self, field: nn.Module, *, kinetic: bool = True, jacobian: bool = True):
        super().__init__()
        if not (kinetic or jacobian):
            raise ValueError("neither cost is wanted; use the field itself.")
        self.field, self.kinetic, self.jacobian = field, kinetic, jacobian
        self.probe: torch.Tensor | None = None

    def forward(self, t: torch.Tensor, state: tuple[torch.Tensor, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        y, costs = state
        size = y[0].numel()
        if self.jacobian:
            if self.probe is None or self.probe.shape != y.shape:
                raise ValueError("set `probe`, of the state's shape, before a solve: a probe is drawn once for each.")
            dy, pull_back, *_ = vjp(lambda point: self.field(t, point), y)
            slope = pull_back(self.probe)[0].flatten(1).square().sum(1) / size
        else:
            dy, slope = self.field(t, y), torch.zeros_like(costs[:, 1])
        energy = dy.flatten(1).square().sum(1) / size if self.kinetic else torch.zeros_like(slope)
        return dy, torch.stack([energy, slope], dim=1)
