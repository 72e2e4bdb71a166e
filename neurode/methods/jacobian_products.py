"""Products with the Jacobian of the field at one point, where the matrix itself would be too large."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from neurode.core.equation import AbstractEquation
from neurode.core.transforms import push_forward
from neurode.methods.jacobian import Jacobian, RowOf, fold, is_transformed, rows_by_graph


@dataclass(frozen=True)
class JacobianProducts:
    """push: J v from v. pull: J^T w from w. Both like the state; push is None where only the other is wanted."""

    push: Callable[[torch.Tensor], torch.Tensor] | None
    pull: RowOf


def products_at(equation: AbstractEquation, t: Any, y: torch.Tensor) -> JacobianProducts:
    """The products at a point, without graphs. One with J counts as a call of f, which it costs as much as.

    J v is the derivative by w of J^T w, which is linear in w: one graph, made once, gives it for any v, and f is not
    called again.
    """
    y = y.detach()
    if is_transformed():
        pull = torch.func.vjp(lambda state: equation(t, state), y)[1]
        return JacobianProducts(
            lambda v: push_forward(lambda state: (equation(t, state),), (y,), (v,))[0], lambda w: pull(w)[0]
        )
    with torch.inference_mode(False), torch.enable_grad():
        if y.is_inference():
            t, y = t.clone(), y.clone()
        leaf = y.detach().requires_grad_()
        value = equation(t, leaf)
        weights, row = torch.zeros_like(leaf, requires_grad=True), None
        if value.requires_grad:
            (row,) = torch.autograd.grad(value, leaf, weights, create_graph=True, allow_unused=True)

    def push(v: torch.Tensor) -> torch.Tensor:
        equation.count.calls += 1
        if row is None or not row.requires_grad:
            return torch.zeros_like(v)
        (found,) = torch.autograd.grad(row, weights, v, retain_graph=True, allow_unused=True)
        return torch.zeros_like(v) if found is None else found

    return JacobianProducts(push, rows_by_graph(value, leaf))


def products_of(jacobian: Jacobian) -> JacobianProducts:
    """With a matrix that is there after all."""
    matrix = jacobian.matrix

    def push(v: torch.Tensor) -> torch.Tensor:
        return (matrix @ fold(v, jacobian.width).unsqueeze(2)).reshape(v.shape)

    def pull(w: torch.Tensor) -> torch.Tensor:
        return (matrix.mT @ fold(w, jacobian.width).unsqueeze(2)).reshape(w.shape)

    return JacobianProducts(push, pull)


def chosen(mask: np.ndarray, one: JacobianProducts, other: JacobianProducts) -> JacobianProducts:
    """The first where a lane is marked, the second elsewhere."""

    def mixed(first: Callable, second: Callable) -> RowOf:
        def product(v: torch.Tensor) -> torch.Tensor:
            column = torch.from_numpy(mask).to(v.device).view(-1, 1)
            return torch.where(column, first(v), second(v))

        return product

    push = None if one.push is None or other.push is None else mixed(one.push, other.push)
    return JacobianProducts(push, mixed(one.pull, other.pull))
