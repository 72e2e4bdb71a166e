"""The state of an equation: a tensor, a tuple or a dict of tensors, and the one packed tensor it is inside the solver.

A lane is what has a step size of its own: the whole batch in a joint solve (one lane), a sample in a per-sample solve.
Packed, a per-sample state is (lanes, width); a joint one keeps a tensor as it is, since every view would cost as much
as an operation of a small field. A complex state is packed as pairs of real and imaginary parts, and the field sees
complex tensors.
"""

from dataclasses import dataclass
from functools import cached_property, lru_cache
from math import prod
from typing import Any

import torch

from neurode.core.nest import describe

State = Any
"""A tensor, a tuple of tensors, or a dict of tensors."""


@dataclass(frozen=True)
class StateLayout:
    """How a state is packed into one tensor, and back.

    kind: "tensor", "tuple" or "dict". keys: of a dict. shapes: of each part, without the batch axis when per_sample,
    and with an axis of pairs at the end where the state is complex. dtype: of the packed tensor, which is real.
    """

    kind: str
    keys: tuple
    shapes: tuple[tuple[int, ...], ...]
    per_sample: bool
    dtype: torch.dtype
    device: torch.device
    is_complex: bool = False

    @cached_property
    def width(self) -> int:
        return sum(prod(shape) for shape in self.shapes)

    @property
    def part_shapes(self) -> tuple[tuple[int, ...], ...]:
        """Of each part as the user has it, without the batch axis when per_sample."""
        return tuple(shape[:-1] for shape in self.shapes) if self.is_complex else self.shapes

    @property
    def reals(self) -> int:
        """Real numbers for each number of the state."""
        return 2 if self.is_complex else 1

    @property
    def user_dtype(self) -> torch.dtype:
        """As the user has it."""
        if not self.is_complex:
            return self.dtype
        return torch.complex64 if self.dtype == torch.float32 else torch.complex128

    def pack_sizes(self, parts: list[torch.Tensor]) -> torch.Tensor:
        """The packed tensor of one size, which is real, for each number of the state; parts: like those of y."""
        if self.is_complex:
            parts = [torch.complex(part, part) for part in parts]
        return self.pack(parts[0] if self.kind == "tensor" else dict(zip(self.keys, parts, strict=True)))

    def modulus(self, packed: torch.Tensor) -> torch.Tensor:
        """How large each number of a packed state is, like it: of a complex one both parts have its modulus."""
        if not self.is_complex:
            return packed.abs()
        pairs = packed.reshape(*packed.shape[:-1], -1, 2)
        return torch.linalg.vector_norm(pairs, dim=-1).repeat_interleave(2, dim=-1).view(packed.shape)

    def seen(self, part: torch.Tensor) -> torch.Tensor:
        """A part as the user sees it, from one of real numbers."""
        return torch.view_as_complex(part.contiguous()) if self.is_complex else part

    def pack(self, y: State) -> torch.Tensor:
        """The packed tensor of a state or a derivative of this layout."""
        if self.is_complex:
            y = _as_pairs(y)
        if self.kind == "tensor":
            # A view costs as much as an operation of a small field, and changes nothing here.
            return y.reshape(y.shape[0], self.width) if self.per_sample and y.ndim != 2 else y
        parts = y if isinstance(y, (tuple, list)) else [y[key] for key in self.keys]
        if self.per_sample:
            return torch.cat([part.reshape(part.shape[0], -1) for part in parts], dim=1)
        return torch.cat([part.reshape(1, -1) for part in parts], dim=1)

    def unpack(self, packed: torch.Tensor) -> State:
        """The state, as f sees it, from the packed tensor."""
        if self.kind == "tensor" and (not self.per_sample or len(self.shapes[0]) == 1):
            return self.seen(packed) if self.is_complex else packed
        return self.unpack_rows(packed)

    def flat(self, packed: torch.Tensor) -> torch.Tensor:
        """(lanes, width) from a packed tensor."""
        return packed if self.per_sample else packed.reshape(1, -1)

    def lanes(self, packed: torch.Tensor) -> int:
        return packed.shape[0] if self.per_sample else 1

    def unpack_rows(self, matrix: torch.Tensor) -> State:
        """The state from a matrix (..., lanes, width); leading axes stay in front, the one lane of a joint state
        goes."""
        lead = matrix.shape[:-1] if self.per_sample else matrix.shape[:-2]
        if self.kind == "tensor":
            return self.seen(matrix.reshape((*lead, *self.shapes[0])))
        pieces = matrix.split([prod(shape) for shape in self.shapes], dim=-1)
        parts = [self.seen(piece.reshape((*lead, *shape))) for piece, shape in zip(pieces, self.shapes, strict=True)]
        return tuple(parts) if self.kind == "tuple" else dict(zip(self.keys, parts, strict=True))

    def check_derivative(self, dy: State, lanes: int) -> None:
        """Raise a sentence when the field returned something of another structure, shape or dtype than the state."""
        parts = _parts(dy, self.kind, self.keys, what="the field returned")
        for part, shape in zip(parts, self.part_shapes, strict=True):
            expected = (lanes, *shape) if self.per_sample else shape
            if tuple(part.shape) != expected:
                raise ValueError(
                    f"the field returned a derivative of shape {tuple(part.shape)}, but the state it was called with "
                    f"has shape {expected}. f(t, y) must return a tensor of y's shape."
                )
            if part.dtype != self.user_dtype:
                raise TypeError(
                    f"the field returned dtype {part.dtype}, but the state has dtype {self.user_dtype}. "
                    "Cast the field's output, its parameters or y0 so that they agree."
                )

    def check_state(self, state: State, lanes: int, *, source: str) -> None:
        """Raise a sentence when `source` (a function of the user) returned something unlike the state."""
        parts = _parts(state, self.kind, self.keys, what=f"{source} returned")
        for part, shape in zip(parts, self.part_shapes, strict=True):
            expected = (lanes, *shape) if self.per_sample else shape
            if tuple(part.shape) != expected or part.dtype != self.user_dtype:
                raise ValueError(
                    f"{source} returned {describe(part)}, but the state has shape {expected} and dtype "
                    f"{self.user_dtype}. "
                    "It must return a state like the one it was called with."
                )


def layout_of(y0: State, *, per_sample: bool) -> StateLayout:
    """Read the layout of y0, or raise TypeError/ValueError with the remedy."""
    if type(y0) is torch.Tensor and y0.dtype in (torch.float32, torch.float64) and (y0.ndim or not per_sample):
        return _tensor_layout(y0.shape[1:] if per_sample else y0.shape, per_sample, y0.dtype, y0.device)
    if isinstance(y0, torch.Tensor):
        kind, keys = "tensor", ()
    elif isinstance(y0, tuple):
        kind, keys = "tuple", tuple(range(len(y0)))
    elif isinstance(y0, dict):
        kind, keys = "dict", tuple(y0)
    else:
        raise TypeError(f"y0 must be a tensor, a tuple or a dict of tensors, but is {describe(y0)}.")
    parts = _parts(y0, kind, keys, what="y0 is")
    if not parts:
        raise ValueError("y0 holds no tensor. Pass at least one.")
    first = parts[0]
    for part in parts:
        if part.dtype != first.dtype or part.device != first.device:
            raise ValueError(
                f"all parts of y0 must share dtype and device, but there are {first.dtype} on {first.device} and "
                f"{part.dtype} on {part.device}. Convert them before the solve."
            )
    if first.dtype not in _REAL:
        raise TypeError(
            f"y0 has dtype {first.dtype}; solve works in float32 and float64 (and complex64 and complex128). "
            f"Convert with y0.float() or y0.double().{_half_hint(first.dtype)}"
        )
    if per_sample:
        sizes = {part.shape[0] if part.ndim else None for part in parts}
        if len(sizes) != 1 or None in sizes:
            raise ValueError(
                "batching='per_sample' needs a batch axis in front of every part of y0, of equal length; got shapes "
                f"{[tuple(part.shape) for part in parts]}. Use batching='joint' or unsqueeze the state."
            )
    pair = (2,) if first.is_complex() else ()
    shapes = tuple((*(part.shape[1:] if per_sample else part.shape), *pair) for part in parts)
    return StateLayout(kind, keys, shapes, per_sample, _REAL[first.dtype], first.device, first.is_complex())


_REAL = {
    torch.float32: torch.float32,
    torch.float64: torch.float64,
    torch.complex64: torch.float32,
    torch.complex128: torch.float64,
}
"""The dtype of a state's numbers, or of their parts."""


def _half_hint(dtype: torch.dtype) -> str:
    if dtype not in (torch.float16, torch.bfloat16):
        return ""
    return (
        " The error of a step is a difference of nearly equal numbers, of which half precision keeps nothing; "
        "autocast the field instead."
    )


def _as_pairs(y: State) -> State:
    """A complex state, or a derivative of one, as pairs of real numbers."""
    if isinstance(y, torch.Tensor):
        return torch.view_as_real(y.resolve_conj())
    if isinstance(y, dict):
        return {key: _as_pairs(part) for key, part in y.items()}
    return tuple(_as_pairs(part) for part in y)


@lru_cache(maxsize=256)
def _tensor_layout(shape: torch.Size, per_sample: bool, dtype: torch.dtype, device: torch.device) -> StateLayout:
    return StateLayout("tensor", (), (tuple(shape),), per_sample, dtype, device)


def _parts(y: State, kind: str, keys: tuple, *, what: str) -> list[torch.Tensor]:
    if kind == "tensor":
        parts = [y]
    elif kind == "tuple":
        if not isinstance(y, (tuple, list)) or len(y) != len(keys):
            raise TypeError(f"{what} {describe(y)}, but a tuple of {len(keys)} tensors is expected.")
        parts = list(y)
    else:
        if not isinstance(y, dict) or set(y) != set(keys):
            raise TypeError(f"{what} {describe(y)}, but a dict with the keys {list(keys)} is expected.")
        parts = [y[key] for key in keys]
    for part in parts:
        if not isinstance(part, torch.Tensor):
            raise TypeError(f"{what} {describe(part)}, where a tensor is expected.")
    return parts
