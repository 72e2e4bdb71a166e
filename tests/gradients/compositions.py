"""Compositions of torch.func over a solve, each beside what it has to be: by loops and by plain autograd.

A row of the table in docs/torch_func.md is a key here. `found` composes a Solve; `due` computes the same of a Solve
with gradient="direct", outside of torch.func.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad, functional
from torch.func import functional_call, grad, grad_and_value, hessian, jacfwd, jacrev, jvp, vjp, vmap
from torch.utils._pytree import tree_map

from neurode import NeuralODE
from tests.problems import SmoothField

FIELD = SmoothField(dim=2, hidden=2, seed=4)
WEIGHTS = {name: weight.detach() for name, weight in FIELD.named_parameters()}
Y = torch.tensor([0.5, -1.0], dtype=torch.float64)
TS = torch.tensor([0.1, 0.4, 0.9], dtype=torch.float64)
A = torch.tensor(1.3, dtype=torch.float64)
YS = torch.tensor([[0.5, -1.0], [3.0, 0.3], [-0.2, 2.0]], dtype=torch.float64)
"""Three states for vmap, two of them for the dearer compositions."""


class Scaled(torch.nn.Module):
    """a f(t, y) as the field of a NeuralODE."""

    def __init__(self):
        super().__init__()
        self.field = FIELD

    def forward(self, t: Tensor, y: Tensor, a: Tensor) -> Tensor:
        return a * self.field(t, y)


class Solve:
    """Values and losses of one element as functions of everything that can be differentiated."""

    def __init__(self, **options):
        self.layer = NeuralODE(Scaled(), **options)

    def values(self, y: Tensor, ts: Tensor = TS, a: Tensor = A) -> Tensor:
        """(3, *y.shape)."""
        return self.layer(y, ts, a)

    def with_weights(self, weights: dict[str, Tensor], y: Tensor) -> Tensor:
        named = {f"field.field.{name}": weight for name, weight in weights.items()}
        return functional_call(self.layer, named, (y, TS, A))

    def loss(self, y: Tensor, ts: Tensor = TS, a: Tensor = A) -> Tensor:
        return weighted(self.values(y, ts, a))

    def loss_of_weights(self, weights: dict[str, Tensor], y: Tensor = Y) -> Tensor:
        return weighted(self.with_weights(weights, y))


@dataclass(frozen=True)
class Composition:
    """found and due: of a Solve; both return any nest of tensors of the same structure."""

    found: Callable[[Solve], Any]
    due: Callable[[Solve], Any]


def weighted(values: Tensor) -> Tensor:
    """A sum in which every entry has another weight; not linear, so that second derivatives show."""
    weights = torch.cos(torch.arange(values.numel(), dtype=torch.float64) * 1.7 + 0.3).reshape(values.shape)
    return (values.square() * weights).sum()


def each(function: Callable, *stacks: Tensor) -> Any:
    """What vmap has to give: the function of each element, stacked."""
    rows = [function(*row) for row in zip(*stacks, strict=True)]
    return tree_map(lambda *parts: torch.stack(parts), *rows)


def gradient(function: Callable, *inputs: Tensor) -> tuple[Tensor, ...]:
    """By plain autograd."""
    leaves = [x.detach().clone().requires_grad_() for x in inputs]
    return torch.autograd.grad(function(*leaves), leaves)


def gradient_by_weights(function: Callable, weights: dict[str, Tensor]) -> dict[str, Tensor]:
    found = gradient(lambda *w: function(dict(zip(weights, w, strict=True))), *weights.values())
    return dict(zip(weights, found, strict=True))


def jacobian(function: Callable, *inputs: Tensor) -> tuple[Tensor, ...]:
    """By plain autograd, row by row."""
    return functional.jacobian(function, inputs)


def pushed(function: Callable, inputs: tuple[Tensor, ...], tangents: tuple[Tensor, ...]) -> Tensor:
    """A directional derivative, from the whole Jacobian."""
    return sum(torch.tensordot(j, t, dims=t.ndim) for j, t in zip(jacobian(function, *inputs), tangents, strict=True))


def second(function: Callable, y: Tensor) -> Tensor:
    return functional.hessian(function, y)


EVERYTHING = (Y, TS, A)
TANGENTS = (Y.cos(), TS.sin(), A.cos())
TIMES = torch.stack((TS, TS * 1.2, TS.flip(0)))
SCALES = torch.tensor([1.3, 0.4, -0.7], dtype=torch.float64)
STACKED = {name: torch.stack((weight, -0.5 * weight)) for name, weight in WEIGHTS.items()}
BATCH = torch.stack((YS, YS * 0.7 + 0.1))
BARS = torch.cos(torch.arange(12.0, dtype=torch.float64)).reshape(2, 3, 2)


def of_ensemble(solve: Solve) -> Tensor:
    return torch.stack([solve.with_weights({n: w[i] for n, w in STACKED.items()}, Y) for i in range(2)])


def dual(solve: Solve) -> tuple[Tensor, Tensor]:
    with forward_ad.dual_level():
        inputs = [forward_ad.make_dual(x, t) for x, t in zip(EVERYTHING, TANGENTS, strict=True)]
        return tuple(forward_ad.unpack_dual(solve.values(*inputs)))


def in_batches(solve: Solve) -> tuple[Tensor, ...]:
    leaves = [x.clone().requires_grad_() for x in EVERYTHING]
    return torch.autograd.grad(solve.values(*leaves), leaves, BARS, is_grads_batched=True)


def one_at_a_time(solve: Solve) -> tuple[Tensor, ...]:
    return each(lambda bar: gradient(lambda *x: (solve.values(*x) * bar).sum(), *EVERYTHING), BARS)


def with_a_graph(solve: Solve) -> Tensor:
    y = Y.clone().requires_grad_()
    (first,) = torch.autograd.grad(solve.loss(y), y, create_graph=True)
    return torch.autograd.grad(first.square().sum(), y)[0]


COMPOSITIONS: dict[str, Composition] = {
    "`grad`": Composition(lambda s: grad(s.loss, (0, 1, 2))(*EVERYTHING), lambda s: gradient(s.loss, *EVERYTHING)),
    "`grad_and_value`": Composition(
        lambda s: grad_and_value(s.loss)(Y), lambda s: (gradient(s.loss, Y)[0], s.loss(Y).detach())
    ),
    "`vjp`": Composition(
        lambda s: vjp(s.values, *EVERYTHING)[1](BARS[0]),
        lambda s: gradient(lambda *x: (s.values(*x) * BARS[0]).sum(), *EVERYTHING),
    ),
    "`jvp`": Composition(
        lambda s: jvp(s.values, EVERYTHING, TANGENTS),
        lambda s: (s.values(*EVERYTHING).detach(), pushed(s.values, EVERYTHING, TANGENTS)),
    ),
    "`jacrev`": Composition(
        lambda s: jacrev(s.values, (0, 1, 2))(*EVERYTHING), lambda s: jacobian(s.values, *EVERYTHING)
    ),
    "`jacfwd`": Composition(
        lambda s: jacfwd(s.values, (0, 1, 2))(*EVERYTHING), lambda s: jacobian(s.values, *EVERYTHING)
    ),
    "`vjp` by `functional_call` weights": Composition(
        lambda s: vjp(s.with_weights, WEIGHTS, Y)[1](BARS[0]),
        lambda s: (
            gradient_by_weights(lambda w: (s.with_weights(w, Y) * BARS[0]).sum(), WEIGHTS),
            gradient(lambda y: (s.values(y) * BARS[0]).sum(), Y)[0],
        ),
    ),
    "`grad` by `functional_call` weights": Composition(
        lambda s: grad(s.loss_of_weights)(WEIGHTS), lambda s: gradient_by_weights(s.loss_of_weights, WEIGHTS)
    ),
    "`vmap`": Composition(lambda s: vmap(s.values)(YS), lambda s: each(s.values, YS).detach()),
    "`vmap` over states, times and args": Composition(
        lambda s: vmap(s.values)(YS, TIMES, SCALES), lambda s: each(s.values, YS, TIMES, SCALES).detach()
    ),
    "`vmap(vmap(...))`": Composition(
        lambda s: vmap(vmap(s.values))(BATCH), lambda s: each(lambda ys: each(s.values, ys), BATCH).detach()
    ),
    "`vmap` over stacked weights (an ensemble)": Composition(
        lambda s: vmap(s.with_weights, (0, None))(STACKED, Y), lambda s: of_ensemble(s).detach()
    ),
    "`vmap(grad(...))`": Composition(
        lambda s: vmap(grad(s.loss, (0, 1, 2)))(YS, TIMES, SCALES),
        lambda s: each(lambda *x: gradient(s.loss, *x), YS, TIMES, SCALES),
    ),
    "`vmap(grad(...), (None, 0))` (per-sample gradients)": Composition(
        lambda s: vmap(grad(s.loss_of_weights), (None, 0))(WEIGHTS, YS),
        lambda s: each(lambda y: gradient_by_weights(lambda w: s.loss_of_weights(w, y), WEIGHTS), YS),
    ),
    "`grad` of a sum over `vmap`": Composition(
        lambda s: grad(lambda w: vmap(s.loss_of_weights, (None, 0))(w, YS).sum())(WEIGHTS),
        lambda s: gradient_by_weights(lambda w: sum(s.loss_of_weights(w, y) for y in YS), WEIGHTS),
    ),
    "`grad` of a sum over an ensemble": Composition(
        lambda s: grad(lambda w: vmap(s.loss_of_weights, (0, None))(w, Y).sum())(STACKED),
        lambda s: each(
            lambda *w: gradient_by_weights(s.loss_of_weights, dict(zip(WEIGHTS, w, strict=True))), *STACKED.values()
        ),
    ),
    "`vmap(jvp(...))`": Composition(
        lambda s: vmap(lambda y, v: jvp(s.values, (y,), (v,))[1])(YS, YS.cos()),
        lambda s: each(lambda y, v: pushed(s.values, (y,), (v,)), YS, YS.cos()),
    ),
    "`vmap(jacrev(...))`": Composition(
        lambda s: vmap(jacrev(s.values))(YS[:2]), lambda s: each(lambda y: jacobian(s.values, y)[0], YS[:2])
    ),
    "`vmap(jacfwd(...))`": Composition(
        lambda s: vmap(jacfwd(s.values))(YS[:2]), lambda s: each(lambda y: jacobian(s.values, y)[0], YS[:2])
    ),
    "`jacrev` of `vmap`": Composition(
        lambda s: jacrev(vmap(s.values))(YS[:2]), lambda s: jacobian(lambda ys: each(s.values, ys), YS[:2])[0]
    ),
    "`jacfwd` of `vmap`": Composition(
        lambda s: jacfwd(vmap(s.values))(YS[:2]), lambda s: jacobian(lambda ys: each(s.values, ys), YS[:2])[0]
    ),
    "dual numbers (`torch.autograd.forward_ad`)": Composition(
        dual, lambda s: (s.values(*EVERYTHING).detach(), pushed(s.values, EVERYTHING, TANGENTS))
    ),
    "`torch.autograd.grad(..., is_grads_batched=True)`": Composition(in_batches, one_at_a_time),
    "`torch.autograd.functional.jacobian`": Composition(
        lambda s: functional.jacobian(s.values, Y), lambda s: jacobian(s.values, Y)[0]
    ),
    "`torch.autograd.grad(..., create_graph=True)`": Composition(
        with_a_graph, lambda s: 2 * second(s.loss, Y) @ gradient(s.loss, Y)[0]
    ),
    "`hessian`": Composition(lambda s: hessian(s.loss)(Y), lambda s: second(s.loss, Y)),
    "`grad(grad(...))`": Composition(
        lambda s: grad(lambda y: grad(s.loss)(y).square().sum())(Y),
        lambda s: 2 * second(s.loss, Y) @ gradient(s.loss, Y)[0],
    ),
    "`jvp` of `grad` (Hessian times vector)": Composition(
        lambda s: jvp(grad(s.loss), (Y,), (Y.cos(),))[1], lambda s: second(s.loss, Y) @ Y.cos()
    ),
    "`grad` of `jvp`": Composition(
        lambda s: grad(lambda y: jvp(s.loss, (y,), (Y.cos(),))[1])(Y), lambda s: second(s.loss, Y) @ Y.cos()
    ),
    "`vmap(hessian(...))`": Composition(
        lambda s: vmap(hessian(s.loss))(YS[:2]), lambda s: each(lambda y: second(s.loss, y), YS[:2])
    ),
}
