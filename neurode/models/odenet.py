"""ODENet: the block of a residual network as a vector field, and a solver for its depth.

Chen, Rubanova, Bettencourt and Duvenaud, Neural ordinary differential equations (2018), section 3.
"""

from dataclasses import replace

import torch
from torch import nn

from neurode.core.protocols import StepContext
from neurode.core.transforms import bare
from neurode.integration.backward_stats import Backward
from neurode.layers.path_cost import CostedField
from neurode.models.depth import Depth, Regulariser
from neurode.models.twin import AbstractTwin, Passed
from neurode.models.twin_shape import TwinShape
from neurode.solving import solve

FINER = 0.25
"""Share of the batches that are solved with more steps, where the regulariser asks for them. On spirals a quarter made
a model of two midpoint steps an ODE as well as half of the batches did, at three quarters of the time."""


class ODENet(AbstractTwin):
    """The state at t = 1 of dh/dt = block(t, h) from the stem's result at t = 0, and a head upon it.

    Good where memory is short, and where depth is to be a choice: set `depth` after training to any other Depth. Not
    good where time counts and a few blocks suffice: a block with weights of its own per layer says more per evaluation.

    depth: how it is solved. regulariser: what training adds. shape, number, seed: of AbstractTwin. `path` reads the
    state at any times; `states` gives it at each step.
    Raises SolveError where a solve fails (see `neurode.solve`).
    """

    def __init__(
        self,
        shape: TwinShape,
        depth: Depth | None = None,
        *,
        regulariser: Regulariser | None = None,
        number: bool = False,
        seed: int = 0,
    ):
        super().__init__(shape, number=number, seed=seed)
        self.depth = depth if depth is not None else Depth()
        self.regulariser = regulariser if regulariser is not None else Regulariser()
        if self.regulariser.more_steps > 1 and self.depth.steps is None:
            raise ValueError("more_steps has no effect where the error chooses the steps. Give the depth a number.")
        self._backward: Backward | None = None

    def make_body(self) -> nn.Module:
        return self.shape.make_block()

    def passed(self, state: torch.Tensor, context: StepContext | None = None) -> Passed:
        if context is None:
            return self._solved(state, self.depth, 1.0)
        regulariser, depth, end = self.regulariser, self.depth, 1.0
        generator = torch.Generator().manual_seed((context.seed * 1_000_003 + context.step) % 2**63)
        if regulariser.end_time:
            end += regulariser.end_time * (2 * torch.rand((), generator=generator).item() - 1)
        if regulariser.more_steps > 1 and depth.steps is not None and torch.rand((), generator=generator) < FINER:
            drawn = torch.randint(depth.steps + 1, depth.steps * regulariser.more_steps + 1, (), generator=generator)
            depth = replace(depth, steps=int(drawn))
        if not regulariser.has_costs:
            return self._solved(state, depth, end)
        return self._costed(state, depth, end, generator)

    def path(self, x: torch.Tensor, ts: torch.Tensor) -> torch.Tensor:
        """The state at the times ts, rising from 0: (n, B, *S), without gradients; solved by dopri5 at 1e-6."""
        with torch.no_grad():
            return solve(self.body, self.stem(x), ts, rtol=1e-6, atol=1e-7).ys  # type: ignore[return-value]

    @torch.no_grad()
    def states(self, x: torch.Tensor) -> torch.Tensor:
        found = solve(self.body, self.stem(x), [0.0, 1.0], save="steps", **self.depth.options()).ys
        return found  # type: ignore[return-value]

    @property
    def evaluations_backward(self) -> int:
        return 0 if self._backward is None else self._backward.num_evaluations

    def _solved(self, state: torch.Tensor, depth: Depth, end: float) -> Passed:
        solution = solve(self.body, state, [0.0, end], save="end", **depth.options(end))
        self._backward = solution.backward
        return Passed(solution.ys[0], int(bare(solution.stats.num_evaluations)))  # type: ignore[index]

    def _costed(self, state: torch.Tensor, depth: Depth, end: float, generator: torch.Generator) -> Passed:
        regulariser = self.regulariser
        field = CostedField(self.body, kinetic=regulariser.kinetic > 0, jacobian=regulariser.jacobian > 0)
        if field.jacobian:
            signs = torch.randint(0, 2, state.shape, generator=generator)
            field.probe = (2 * signs - 1).to(state)
        start = (state, state.new_zeros(state.shape[0], 2))
        solution = solve(field, start, [0.0, end], save="end", **depth.options(end))
        self._backward = solution.backward
        ends, costs = (part[0] for part in solution.ys)
        weights = costs.new_tensor([regulariser.kinetic, regulariser.jacobian])
        return Passed(ends, int(bare(solution.stats.num_evaluations)), costs @ weights)
