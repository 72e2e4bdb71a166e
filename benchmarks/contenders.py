"""Who takes part in the speed comparison: functions y0 -> outputs of shape (num_outputs, batch, dim).

Each sample is read at its own times, whatever the library returns; the cost of bringing results into that shape belongs
to the contender.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from benchmarks.workloads import Field, Workload

Solver = Callable[[Tensor], Tensor]


class Setup:
    """What every contender is given: the field, the initial states, the times and the loss of one workload."""

    def __init__(self, workload: Workload, dtype: torch.dtype = torch.float32):
        self.workload, self.dtype = workload, dtype
        self.field: Field = workload.field(dtype)
        self.y0, self.ts = workload.y0(dtype), workload.ts(dtype)
        self.loss_weights = workload.loss_weights(dtype)

    def forward(self, solver: Solver) -> Tensor:
        """A solve without gradients."""
        with torch.no_grad():
            return solver(self.y0)

    def forward_backward(self, solver: Solver) -> tuple[Tensor, ...]:
        """A solve, and the gradients of the loss for y0 and for every parameter."""
        y0 = self.y0.clone().requires_grad_()
        loss = (solver(y0) * self.loss_weights).sum()
        return torch.autograd.grad(loss, (y0, *self.field.parameters()))

    def num_evaluations(self, solver: Solver) -> int:
        """Calls of the field in one forward solve."""
        count = 0

        def increase(*_):
            nonlocal count
            count += 1

        handle = self.field.register_forward_hook(increase)
        self.forward(solver)
        handle.remove()
        return count


@dataclass(frozen=True)
class Contender:
    """A library in one mode. own_times: True takes part only where samples have own times, False only where they share
    them, None in both."""

    name: str
    build: Callable[..., Solver]
    options: dict = field(default_factory=dict)
    own_times: bool | None = None
    module: str = ""

    def solver(self, setup: Setup) -> Solver:
        return self.build(setup, **self.options)


def _neurode(setup: Setup, **options) -> Solver:
    from neurode import solve

    workload = setup.workload
    options = {"batching": "per_sample" if workload.own_times else "joint"} | options
    return lambda y0: (
        solve(setup.field, y0, setup.ts, method="dopri5", rtol=workload.rtol, atol=workload.atol, **options).ys
    )


def _neurode_dense(setup: Setup) -> Solver:
    """One joint solve, its dense output read at each sample's own times: what the series models do."""
    from neurode import solve

    workload = setup.workload
    span = torch.tensor([0.0, workload.t1], dtype=setup.dtype)
    return lambda y0: solve(
        setup.field, y0, span, method="dopri5", rtol=workload.rtol, atol=workload.atol, save="dense"
    ).evaluate(setup.ts)


def _torchdiffeq(setup: Setup, function: str) -> Solver:
    """Shared times directly; own times through the union of all times, as its maintainers advise."""
    import torchdiffeq

    workload, odeint = setup.workload, getattr(torchdiffeq, function)
    options = {"rtol": workload.rtol, "atol": workload.atol, "method": "dopri5"}
    if not workload.own_times:
        return lambda y0: odeint(setup.field, y0, setup.ts, **options)
    union, position = torch.unique(setup.ts, return_inverse=True)
    samples = torch.arange(workload.batch)
    return lambda y0: odeint(setup.field, y0, union, **options)[position, samples]


def _torchode(setup: Setup) -> Solver:
    """dopri5 with the integral controller, per sample always; no gradient through the step size (exact as ours)."""
    import torchode

    workload = setup.workload
    term = torchode.ODETerm(setup.field)  # type: ignore[arg-type]
    controller = torchode.IntegralController(workload.atol, workload.rtol, term=term)
    adjoint = torchode.AutoDiffAdjoint(torchode.Dopri5(term), controller, backprop_through_step_size_control=False)
    t_eval = (setup.ts.T if workload.own_times else setup.ts.expand(workload.batch, -1)).contiguous()
    return lambda y0: adjoint.solve(torchode.InitialValueProblem(y0=y0, t_eval=t_eval)).ys.transpose(0, 1)  # type: ignore[arg-type]


CONTENDERS = {
    contender.name: contender
    for contender in (
        Contender("neurode", _neurode, module="neurode"),
        Contender("neurode direct", _neurode, {"gradient": "direct"}, module="neurode"),
        Contender("neurode per sample", _neurode, {"batching": "per_sample"}, own_times=False, module="neurode"),
        Contender("neurode joint dense", _neurode_dense, own_times=True, module="neurode"),
        Contender("torchdiffeq", _torchdiffeq, {"function": "odeint"}, module="torchdiffeq"),
        Contender(
            "torchdiffeq adjoint", _torchdiffeq, {"function": "odeint_adjoint"}, own_times=False, module="torchdiffeq"
        ),
        Contender("torchode", _torchode, module="torchode"),
    )
}


def entrants(workload: Workload) -> list[str]:
    """Names of the contenders that take part in a workload."""
    return [name for name, it in CONTENDERS.items() if it.own_times in (None, workload.own_times)]
