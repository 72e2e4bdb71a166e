"""Who takes part in the speed comparison, and what each library is asked to do.

Each sample is read at its own times, whatever the library returns; the cost of bringing results into that shape belongs
to the contender.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any

import torch

from neurode.core.nest import PerSample
from neurode.solving import solve
from neurode.tasks.speed.floor import Floor
from neurode.tasks.speed.runner import AbstractRunner, Evaluations, Setup, TorchRunner, Unavailable
from neurode.tasks.speed.workloads import Workload


@dataclass(frozen=True)
class Contender:
    """A library in one mode. takes_part: in which workloads. module: that has to be installed."""

    name: str
    build: Callable[..., AbstractRunner]
    options: dict = field(default_factory=dict)
    takes_part: Callable[[Workload], bool] = lambda workload: True
    module: str = "torch"

    @property
    def is_installed(self) -> bool:
        return find_spec(self.module) is not None

    def runner(self, setup: Setup) -> AbstractRunner:
        """Raises Unavailable where the library cannot do it here."""
        return self.build(setup, **self.options)


def neurode_options(setup: Setup) -> dict[str, Any]:
    """What solve() is asked for, beside the engine and the gradient."""
    workload = setup.workload
    per_sample = workload.own_times or workload.own_steps
    options: dict[str, Any] = {"method": "dopri5", "rtol": workload.rtol, "atol": workload.atol}
    options["batching"] = "per_sample" if per_sample else "joint"
    if setup.mu is not None:
        options["args"] = PerSample(setup.mu)
    return options


def _neurode(setup: Setup, **options) -> TorchRunner:
    options = neurode_options(setup) | options
    if setup.mu is not None and options["batching"] == "joint":
        options["args"] = setup.mu
    counted = None
    if options["engine"] == "fused":
        try:
            stats = solve(setup.field, setup.y0, setup.ts, **options).stats
        except (NotImplementedError, ValueError, RuntimeError) as error:
            raise Unavailable(str(error)) from error
        counts = torch.as_tensor(stats.num_evaluations).expand(setup.workload.batch)
        counted = Evaluations(int(counts.max()), int(counts.sum()))
    return TorchRunner(setup, lambda y0: solve(setup.field, y0, setup.ts, **options).ys, counted)


def _neurode_dense(setup: Setup) -> TorchRunner:
    """One joint solve, its dense output read at each sample's own times: what the series models do."""
    workload = setup.workload
    span = torch.tensor([0.0, workload.t1], dtype=setup.dtype)
    options = neurode_options(setup) | {"batching": "joint", "save": "dense", "engine": "eager"}
    return TorchRunner(setup, lambda y0: solve(setup.field, y0, span, **options).evaluate(setup.ts))


def _torchdiffeq(setup: Setup, function: str) -> TorchRunner:
    """Shared times directly; own times through the union of all times, as its maintainers advise."""
    import torchdiffeq

    workload, f = setup.workload, setup.closed_field()
    odeint = getattr(torchdiffeq, function)
    options: dict[str, Any] = {"rtol": workload.rtol, "atol": workload.atol, "method": "dopri5"}
    if not workload.own_times:
        return TorchRunner(setup, lambda y0: odeint(f, y0, setup.ts, **options))
    union, position = torch.unique(setup.ts, return_inverse=True)
    samples = torch.arange(workload.batch)
    return TorchRunner(setup, lambda y0: odeint(f, y0, union, **options)[position, samples])


def _torchode(setup: Setup) -> TorchRunner:
    """dopri5 with the integral controller, per sample always; no gradient through the step size (exact as ours)."""
    import torchode

    workload, f = setup.workload, setup.closed_field()
    flat = f
    if len(workload.shape) > 1:
        # Its states are (batch, width), nothing else.
        def flat(t, y):
            return f(t, y.view(len(y), *workload.shape)).flatten(1)

    term = torchode.ODETerm(flat)  # type: ignore[arg-type]
    controller = torchode.IntegralController(workload.atol, workload.rtol, term=term)
    adjoint = torchode.AutoDiffAdjoint(torchode.Dopri5(term), controller, backprop_through_step_size_control=False)
    t_eval = (setup.ts.T if workload.own_times else setup.ts.expand(workload.batch, -1)).contiguous()

    def run(y0):
        problem = torchode.InitialValueProblem(y0=y0.flatten(1), t_eval=t_eval)  # type: ignore[arg-type]
        return adjoint.solve(problem).ys.transpose(0, 1).unflatten(2, workload.shape)

    return TorchRunner(setup, run)


def _floor(setup: Setup) -> AbstractRunner:
    return Floor(setup, neurode_options(setup) | {"engine": "eager"})


def _diffrax(setup: Setup, mapped: bool) -> AbstractRunner:
    from neurode.tasks.speed.diffrax_runner import DiffraxRunner

    return DiffraxRunner(setup, mapped=mapped)


def _joint(workload: Workload) -> bool:
    return not (workload.own_times or workload.own_steps)


FLOOR = "floor"
CONTENDERS = {
    contender.name: contender
    for contender in (
        Contender("neurode eager", _neurode, {"engine": "eager"}),
        Contender("neurode fused", _neurode, {"engine": "fused"}),
        Contender("neurode direct", _neurode, {"engine": "eager", "gradient": "direct"}, lambda it: not it.own_steps),
        Contender("neurode per sample", _neurode, {"engine": "eager", "batching": "per_sample"}, _joint),
        Contender("neurode joint dense", _neurode_dense, takes_part=lambda it: it.own_times),
        Contender("torchdiffeq", _torchdiffeq, {"function": "odeint"}, module="torchdiffeq"),
        Contender("torchdiffeq adjoint", _torchdiffeq, {"function": "odeint_adjoint"}, _joint, module="torchdiffeq"),
        Contender("torchode", _torchode, module="torchode"),
        Contender("diffrax batch", _diffrax, {"mapped": False}, _joint, module="diffrax"),
        Contender("diffrax vmap", _diffrax, {"mapped": True}, module="diffrax"),
        Contender(FLOOR, _floor),
    )
}


def entrants(workload: Workload) -> list[str]:
    """Names of the installed contenders that take part in a workload."""
    return [name for name, it in CONTENDERS.items() if it.takes_part(workload) and it.is_installed]
