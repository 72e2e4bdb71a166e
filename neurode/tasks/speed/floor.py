"""The floor: the evaluations of the field that a solve and its gradient need, and nothing else."""

from typing import Any

import torch

from neurode.solving import solve
from neurode.tasks.speed.runner import AbstractRunner, Evaluations, Setup


class Floor(AbstractRunner):
    """Bare calls of the field, and of its vector-Jacobian product, as many as a neurode solve of the workload needs.

    Forward: every call of the solve, without a graph. Backward: one vector-Jacobian product for each call of the
    accepted steps, behind a call with a graph; where the way back makes the steps again, on top of the calls of the way
    there, else in place of them. Samples that have left the computation are not counted: a call of half the batch is
    half a call. What it returns is no solution.

    options: what `solve` is asked for.
    """

    def __init__(self, setup: Setup, options: dict[str, Any]):
        self.setup, self.field = setup, setup.closed_field()
        y0 = setup.y0.clone().requires_grad_()
        solution = solve(setup.field, y0, setup.ts, **options)
        torch.autograd.grad((solution.ys * setup.loss_weights).sum(), y0)
        assert solution.backward is not None
        stats, t0_calls = solution.stats, 1
        self.calls = round(stats.num_evaluations.double().mean().item())
        # dopri5 calls f six times a step.
        self.products = 6 * round(stats.num_accepted.double().mean().item()) + t0_calls
        # What the way back did not have to make again was made with its graph on the way there.
        kept = self.products - min(self.products, solution.backward.num_evaluations)
        self.plain = max(0, self.calls - kept)
        self.t = torch.zeros((), dtype=setup.dtype)

    def forward(self) -> Any:
        with torch.no_grad():
            for _ in range(self.calls):
                self.field(self.t, self.setup.y0)

    def forward_backward(self) -> tuple:
        parameters = tuple(self.setup.field.parameters())
        with torch.no_grad():
            for _ in range(self.plain):
                self.field(self.t, self.setup.y0)
        y = self.setup.y0.detach().requires_grad_()
        for _ in range(self.products):
            value = self.field(self.t, y)
            torch.autograd.grad(value, (y, *parameters), value.detach())
        return ()

    def evaluations(self) -> Evaluations:
        return Evaluations(self.calls, self.calls * self.setup.workload.batch)
