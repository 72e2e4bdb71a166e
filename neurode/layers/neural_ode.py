"""NeuralODE: a vector field and a solver as one nn.Module."""

from typing import Any

import torch
from torch import nn

from neurode.core.protocols import VectorField
from neurode.core.state import State
from neurode.core.transforms import bare
from neurode.gradients.gradient import AbstractGradient
from neurode.integration.controller import AdaptiveSteps, ConstantSteps
from neurode.integration.save import Save, What
from neurode.integration.solution import Solution
from neurode.integration.times import TimesLike
from neurode.methods.stepper import AbstractStepper
from neurode.methods.tableau import Tableau
from neurode.solving import solve


class NeuralODE(nn.Module):
    """The solution of dy/dt = field(t, y) as a layer.

    Good for a block of continuous depth (y at t = 1 from y at t = 0), and for latent dynamics read at given times.
    Not good for
    stiff fields. Its state_dict is that of the field.

    field: f(t, y) or f(t, y, args); a module is registered, so its parameters train. The other arguments are those of
    `neurode.solve`, fixed for every call. `forward` returns values, `solve` the whole Solution; `last_evaluations`
    is the
    number of calls of the field in the last solve (largest over samples).
    """

    def __init__(
        self,
        field: VectorField,
        *,
        method: str | Tableau | AbstractStepper = "dopri5",
        rtol: float | torch.Tensor | None = None,
        atol: float | torch.Tensor | None = None,
        step_size: float | None = None,
        controller: str | AdaptiveSteps | ConstantSteps | None = None,
        batching: str = "joint",
        gradient: str | AbstractGradient = "checkpointed",
        engine: str = "auto",
        max_steps: int | None = None,
    ):
        super().__init__()
        self.field = field
        self.options = {
            "method": method,
            "rtol": rtol,
            "atol": atol,
            "step_size": step_size,
            "controller": controller,
            "batching": batching,
            "gradient": gradient,
            "engine": engine,
            "max_steps": max_steps,
        }
        self.last_evaluations = 0

    def forward(self, y0: State, ts: TimesLike | None = None, args: Any = None) -> State:
        """The state at ts, (n, *y0.shape); without ts the state at t = 1 from t = 0, in y0's shape.

        Raises SolveError where the solve fails (see `neurode.solve`).
        """
        if ts is not None:
            return self.solve(y0, ts, args=args).ys
        ys = self.solve(y0, [0.0, 1.0], args=args, save="end").ys
        if isinstance(ys, dict):
            return {key: value[0] for key, value in ys.items()}
        return tuple(value[0] for value in ys) if isinstance(ys, tuple) else ys[0]

    def solve(
        self, y0: State, ts: TimesLike, *, args: Any = None, save: What | Save | None = None, throw: bool = True
    ) -> Solution:
        """The Solution over ts; save and throw as in `neurode.solve`."""
        solution = solve(self.field, y0, ts, args=args, save=save, throw=throw, **self.options)
        self.last_evaluations = int(bare(solution.stats.num_evaluations).max())
        return solution

    def extra_repr(self) -> str:
        return ", ".join(f"{name}={value!r}" for name, value in self.options.items() if value is not None)
