"""The ways to differentiate that the memory benchmark compares: a solve on [0, 1] by a number of constant steps."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec

import torch
from torch import Tensor

from neurode.fused.library import status
from neurode.gradients.adjoint import Adjoint
from neurode.gradients.catalogue import GRADIENTS
from neurode.gradients.checkpointed import Checkpointed
from neurode.gradients.gradient import AbstractGradient
from neurode.solving import solve
from neurode.tasks.speed.fields import Perceptron

NO_GRADIENT = "no gradient"
"""A forward pass alone: the floor."""
Solve = Callable[[Perceptron, Tensor, str, int], Tensor]
"""(field, y0, method, steps) -> the state at 1."""


@dataclass(frozen=True)
class Way:
    """A row of the table. tag: what it is a case of, for the bars: a name of the catalogue, or of another library."""

    name: str
    solve: Solve
    tag: str


def _neurode(gradient: AbstractGradient, engine: str = "eager") -> Solve:
    """All on one engine, so that gradients are compared and not engines."""

    def end(field: Perceptron, y0: Tensor, method: str, steps: int) -> Tensor:
        settings = {"method": method, "step_size": 1 / steps, "gradient": gradient, "engine": engine}
        return solve(field, y0, [0.0, 1.0], save="end", **settings).ys[0]

    return end


def _without_gradient(field: Perceptron, y0: Tensor, method: str, steps: int) -> Tensor:
    with torch.no_grad():
        return _neurode(GRADIENTS["direct"])(field, y0, method, steps)


def _torchdiffeq(function: str) -> Solve:
    def end(field: Perceptron, y0: Tensor, method: str, steps: int) -> Tensor:
        import torchdiffeq

        ts = torch.tensor([0.0, 1.0], dtype=y0.dtype)
        return getattr(torchdiffeq, function)(field, y0, ts, method=method, options={"step_size": 1 / steps})[-1]

    return end


def _settings() -> dict[str, AbstractGradient]:
    """The catalogue, and the settings of its members that differ in memory."""
    found: dict[str, AbstractGradient] = {}
    for name, gradient in GRADIENTS.items():
        found[name] = gradient
        if isinstance(gradient, Checkpointed):
            # Without the first megabytes of graphs, which would hide what a step holds.
            found[name] = Checkpointed(graph_bytes=0)
            found |= {"Checkpointed(10)": Checkpointed(10), 'Checkpointed("log")': Checkpointed("log")}
        if isinstance(gradient, Adjoint):
            found |= {"adjoint, dense": Adjoint("dense"), "adjoint, checkpoints": Adjoint("checkpoints")}
    return found


def _catalogue() -> dict[str, Way]:
    ways = [Way(NO_GRADIENT, _without_gradient, NO_GRADIENT)]
    ways += [Way(name, _neurode(gradient), name.split(",")[0]) for name, gradient in _settings().items()]
    ways += [
        Way(f"torchdiffeq {function}", _torchdiffeq(function), "torchdiffeq")
        for function in ("odeint", "odeint_adjoint")
    ]
    return {way.name: way for way in ways}


WAYS = _catalogue()
FUSED = Way("checkpointed, fused", _neurode(GRADIENTS["checkpointed"], "fused"), "fused")
"""The default as the native kernel makes it. It is timed only: the kernel's own memory is not seen tensor by tensor."""

PEERS_METHODS = ("euler", "midpoint", "rk4")
"""The methods that torchdiffeq takes by constant steps too; its rk4 is Kutta's 3/8 rule, of as many evaluations."""


def why_not(way: Way, method: str) -> str:
    """Why a way does not take part; "" where it does."""
    if way.tag == "fused":
        return status().reason
    if way.tag != "torchdiffeq":
        return ""
    if find_spec("torchdiffeq") is None:
        return "torchdiffeq is not installed: pip install '.[bench]'"
    if method not in PEERS_METHODS:
        return f"torchdiffeq does not take {method} by constant steps"
    return ""
