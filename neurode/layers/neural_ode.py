"""NeuralODE: a vector field and a solver as one nn.Module."""

from typing import Any

import torch
from torch import nn

from neurode.core.protocols import VectorField
from neurode.core.state import State
from neurode.core.transforms import bare
from neurode.fused.library import status
from neurode.gradients.gradient import AbstractGradient
from neurode.integration.controller import AdaptiveSteps, ConstantSteps
from neurode.integration.save import Save, What
from neurode.integration.solution import Solution
from neurode.integration.times import TimesLike
from neurode.methods.stepper import AbstractStepper
from neurode.methods.tableau import Tableau
from neurode.solving import CannotFuse, solve


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

    def read(
        self, y0: torch.Tensor, times: torch.Tensor, ends: float | torch.Tensor, args: Any = None
    ) -> tuple[torch.Tensor, int]:
        """The states (B, Q, D) of y0 (B, D) at own times (B, Q) of each sample, in any order, from t = 0 on; and the
        number of calls of the field (largest over samples).

        Good for irregular series: one solve, however many times there are. ends: t1, not before the last time, and
        positive; one for all, or (B,). With constant steps the samples share their steps whatever `batching` says; with
        adaptive ones they choose them as `batching` says, and a joint solve goes on to the last end. The kernel, where
        it takes the solve, reads each sample as it goes by; else the solve is kept densely and read afterwards.
        """
        ends = torch.as_tensor(ends, dtype=y0.dtype, device=y0.device).expand(len(y0))
        alike = self.options["step_size"] is not None
        if (alike or self.options["batching"] == "per_sample") and self.options["engine"] != "eager":
            values = self._read_by_kernel(y0, times, ends, args)
            if values is not None:
                return values, self.last_evaluations
        if self.options["batching"] == "joint":
            ts = torch.stack([ends.new_zeros(()), ends.max()])
        else:
            ts = torch.stack([torch.zeros_like(ends), ends])
        solution = self.solve(y0, ts, args=args, save="dense")
        return solution.evaluate(times.T.contiguous()).transpose(0, 1), self.last_evaluations

    def _read_by_kernel(
        self, y0: torch.Tensor, times: torch.Tensor, ends: torch.Tensor, args: Any
    ) -> torch.Tensor | None:
        if self.options["engine"] == "auto" and not status().available:
            return None
        ordered, order = times.sort(dim=1)
        ts = torch.cat([torch.zeros_like(ends)[:, None], ordered, ends[:, None]], dim=1).T
        options: dict[str, Any] = self.options | {"batching": "per_sample", "engine": "fused"}
        try:
            solution = solve(self.field, y0, ts, args=args, **options)
        except CannotFuse:
            if self.options["engine"] == "fused":
                raise
            return None
        self.last_evaluations = int(solution.stats.num_evaluations.max())
        place = order.argsort(dim=1)[..., None].expand(-1, -1, y0.shape[1])
        return solution.ys[1:-1].transpose(0, 1).gather(1, place)

    def extra_repr(self) -> str:
        return ", ".join(f"{name}={value!r}" for name, value in self.options.items() if value is not None)
