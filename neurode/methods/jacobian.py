"""The Jacobian of the field at one point, block by block: a block is what the field couples.

Per sample a lane is a block. Jointly the whole state is one, or, where the field acts on the rows of the first axis one
by one (a batch), each row; that is found out at every point, and checked by one more product with a fixed random
vector, so that rows which do act on each other are never overlooked.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch

from neurode.core.equation import AbstractEquation, Equation
from neurode.core.nest import describe
from neurode.core.transforms import (
    active,
    forward_mode,
    host_array,
    host_number,
    outside,
    pull_back_call,
    tangents_are_followed,
)

RowOf = Callable[[torch.Tensor], torch.Tensor]
"""From w, like the field's value, to w^T J, like the state."""

AGREE = {torch.float32: 1e-3, torch.float64: 1e-9}
"""Rows are one by one if the product with the random vector is that of the blocks, up to this."""


@dataclass(frozen=True)
class Jacobian:
    """df/dy in blocks: matrix (blocks, n, n), [b, i, j] the derivative of component i of block b by its component j."""

    matrix: torch.Tensor

    @property
    def width(self) -> int:
        return self.matrix.shape[-1]


def fold(packed: torch.Tensor, width: int) -> torch.Tensor:
    """(blocks, width) from one packed tensor."""
    return packed.reshape(-1, width)


def widths(equation: AbstractEquation, y: torch.Tensor) -> tuple[int, ...]:
    """How wide blocks may be: the width to try first, and the one that is sure."""
    layout = equation.layout
    if layout.per_sample:
        return (y.shape[1],)
    if layout.kind == "tensor" and y.ndim > 1 and y.shape[0] > 1 and y.numel() > 0:
        return (y.numel() // y.shape[0], y.numel())
    return (y.numel(),)


def jacobian_at(
    equation: AbstractEquation, t: Any, y: torch.Tensor, *, largest: int, given: Callable | None = None
) -> Jacobian | None:
    """The Jacobian without a graph; None where its blocks would be wider than `largest`.

    t: as `equation.times` gives it. given: the user's own, jac(t, y) or jac(t, y, args).
    """
    equation.count.jacobians += 1
    if given is not None:
        with torch.no_grad():
            return Jacobian(_given(equation, given, t, y.detach()))
    y = y.detach()
    if is_transformed():
        pull = torch.func.vjp(lambda state: equation(t, state), y)[1]
        row_of: RowOf = lambda bar: pull(bar)[0]  # noqa: E731
    else:
        with torch.inference_mode(False), torch.enable_grad():
            if y.is_inference():
                t, y = t.clone(), y.clone()
            leaf = y.detach().requires_grad_()
            value = equation(t, leaf)
        row_of = rows_by_graph(value, leaf)
    matrix = blocks_of(row_of, y, widths(equation, y), largest)
    return None if matrix is None else Jacobian(matrix)


@dataclass(frozen=True)
class Linearised:
    """The field at one point: its value, its Jacobian, and df/dt; the first and the last like the state."""

    value: torch.Tensor
    jacobian: Jacobian
    by_time: torch.Tensor

    def detach(self) -> "Linearised":
        """Without graphs."""
        return Linearised(self.value.detach(), Jacobian(self.jacobian.matrix.detach()), self.by_time.detach())


def linearised_at(
    equation: AbstractEquation, t: torch.Tensor, y: torch.Tensor, *, largest: int, given: Callable | None = None
) -> Linearised | None:
    """Value, Jacobian and df/dt, all with graphs that autograd and torch.func can follow; None as of `jacobian_at`.

    The graph begins at t and y themselves, where these require gradients.
    """
    equation.count.jacobians += 1
    if is_transformed():
        value, pull = torch.func.vjp(lambda state: equation(t, state), y)[:2]
        row_of: RowOf = lambda bar: pull(bar)[0]  # noqa: E731
        by_time = torch.func.jvp(lambda time: equation(time, y), (t,), (torch.ones_like(t),))[1]
    else:
        # Views: the field may hold y itself (a code it is conditioned on), which is another dependence.
        t, y = t.view_as(t), y.view_as(y)
        with torch.enable_grad():
            leaf = y if y.requires_grad else y.requires_grad_()
            time = t if t.requires_grad else t.requires_grad_()
            value = equation(time, leaf)
            by_time = _by_time(value, time)

        def row_of(bar: torch.Tensor) -> torch.Tensor:
            if not value.requires_grad:
                return torch.zeros_like(leaf)
            row = torch.autograd.grad(value, leaf, bar, create_graph=True, allow_unused=True)[0]
            return torch.zeros_like(leaf) if row is None else row

    if given is not None:
        matrix: torch.Tensor | None = _given(equation, given, t, y)
    else:
        with torch.enable_grad():
            matrix = blocks_of(row_of, y, widths(equation, y), largest)
    if matrix is None:
        return None
    return Linearised(value, Jacobian(matrix), by_time)


def _by_time(value: torch.Tensor, time: torch.Tensor) -> torch.Tensor:
    """df/dt for all components at once: w^T df/dt is linear in w, so its derivative by w is what is sought."""
    weights = torch.zeros_like(value, requires_grad=True)
    if not value.requires_grad:
        return torch.zeros_like(value)
    product = torch.autograd.grad(value, time, weights, create_graph=True, allow_unused=True)[0]
    if product is None or not product.requires_grad:
        return torch.zeros_like(value)
    return torch.autograd.grad(product.sum(), weights, create_graph=True)[0]


def is_transformed() -> bool:
    """Does torch.func, or forward mode, look at what is computed now? Then derivatives are taken its way."""
    return active() or (forward_mode() and tangents_are_followed())


def rows_by_graph(value: torch.Tensor, leaf: torch.Tensor) -> RowOf:
    """w^T J from the graph of one recorded call, which stays."""
    if not value.requires_grad:
        return torch.zeros_like

    def row_of(bar: torch.Tensor) -> torch.Tensor:
        row = pull_back_call(value, (leaf,), bar, retain=True)[0]
        return torch.zeros_like(leaf) if row is None else row

    return row_of


def blocks_of(row_of: RowOf, y: torch.Tensor, allowed: Sequence[int], largest: int) -> torch.Tensor | None:
    """(blocks, n, n) for the first of the allowed widths n that holds all of the Jacobian."""
    for width in allowed:
        if width > largest:
            continue
        if width < allowed[-1] > largest and _rows_touch(row_of, y, width):
            return None
        matrix = torch.stack([fold(row_of(bar), width) for bar in _basis(y, width)], dim=1)
        if width == allowed[-1] or _is_whole(row_of, matrix, y):
            return matrix
    return None


def _basis(y: torch.Tensor, width: int) -> list[torch.Tensor]:
    """For each place within a block: 1 there, in all blocks."""
    eye = torch.eye(width, dtype=y.dtype, device=y.device)
    return [eye[place].expand(y.numel() // width, width).reshape(y.shape) for place in range(width)]


@lru_cache(maxsize=64)
def _random_vector(shape: torch.Size, dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    with outside(), torch.inference_mode(False):
        generator = torch.Generator().manual_seed(20040)
        return torch.randn(shape, generator=generator, dtype=torch.float64).to(device, dtype)


def _is_whole(row_of: RowOf, matrix: torch.Tensor, y: torch.Tensor) -> bool:
    """Is w^T J that of the blocks, for one random w?"""
    vector = _random_vector(y.shape, y.dtype, y.device)
    whole = row_of(vector)
    inside = torch.einsum("bi,bij->bj", fold(vector, matrix.shape[-1]), matrix).reshape(y.shape)
    off, size = torch.linalg.vector_norm(whole - inside), torch.linalg.vector_norm(whole)
    # NaN is for the step to find, not for the shape of the blocks.
    return not host_number(off) > AGREE[y.dtype] * host_number(size)


def _rows_touch(row_of: RowOf, y: torch.Tensor, width: int) -> bool:
    """Does the first row depend on others? One product tells, where the blocks would be made for nothing."""
    first = torch.zeros_like(y)
    fold(first, width)[0] = fold(_random_vector(y.shape, y.dtype, y.device), width)[0]
    return bool(host_array(fold(row_of(first), width)[1:].abs().sum()) > 0)


def _given(equation: AbstractEquation, jacobian: Callable, t: Any, y: torch.Tensor) -> torch.Tensor:
    """The user's own, as blocks; in a joint solve of rows it may be that of all numbers, or one of each row."""
    if not isinstance(equation, Equation):
        raise TypeError("a Jacobian of one's own goes with the field it is of, not with the adjoint's equation.")
    found = equation.given(jacobian, t, y)
    allowed = [(y.numel() // width, width) for width in widths(equation, y)]
    shown = " or ".join(f"{count} x {width} x {width}" for count, width in allowed)
    if not isinstance(found, torch.Tensor) or found.dtype != y.dtype:
        raise TypeError(f"jacobian must return a tensor of dtype {y.dtype}, but returned {describe(found)}.")
    for count, width in allowed:
        if found.numel() == count * width * width:
            return found.reshape(count, width, width)
    raise ValueError(
        f"jacobian returned shape {tuple(found.shape)}, but blocks x components x components are {shown} numbers."
    )
