"""What torch.func does to the tensors inside a solve: wrappers, level by level, and rows in place of a mapped axis.

Each transform in force is a level of a stack, the outermost the first; the level above all of them is the innermost
call. vmap wraps a tensor that it maps over, grad and jvp one that they follow. This file is the only one that touches
torch's own internals of it.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from math import prod

import numpy as np
import torch
from torch._C import _functorch
from torch.autograd import forward_ad
from torch.utils._python_dispatch import _get_current_dispatch_mode_stack


def active() -> bool:
    """Is a transform of torch.func in force?"""
    return torch._C._are_functorch_transforms_active()


def forward_mode() -> bool:
    """May tensors carry tangents (jvp, jacfwd, dual numbers)?"""
    return forward_ad._current_level >= 0


def push_forward(
    function: Callable[..., Iterable[torch.Tensor]],
    primals: Sequence[torch.Tensor | None],
    tangents: Sequence[torch.Tensor | None],
) -> tuple[torch.Tensor, ...]:
    """The tangents of function(*primals), zeros where there are none; also where an autograd.Function or an open level
    of dual numbers stands around it, in which torch.func.jvp cannot be called."""
    opened = nullcontext() if forward_mode() else forward_ad.dual_level()
    with forward_ad._set_fwd_grad_enabled(True), opened:
        level = _functorch._jvp_increment_nesting() if active() else 0
        try:
            duals = [
                x if x is None or tangent is None else forward_ad.make_dual(x, tangent)
                for x, tangent in zip(primals, tangents, strict=True)
            ]
            pairs = [(x, forward_ad.unpack_dual(x).tangent) for x in function(*duals)]
            pushed = [torch.zeros_like(x) if tangent is None else tangent for x, tangent in pairs]
            return tuple(_functorch._unwrap_for_grad(x, level) if level else x for x in pushed)
        finally:
            if level:
                _functorch._jvp_decrement_nesting()


def pull_back_call(
    value: torch.Tensor, inputs: Sequence[torch.Tensor], bar: torch.Tensor, *, retain: bool
) -> tuple[torch.Tensor | None, ...]:
    """Gradients of the inputs from that of one value of the same shape: torch.autograd.grad without its checks, which
    take as long as the gradient of a small layer."""
    return pull_back_values((value,), inputs, (bar,), retain=retain)


def pull_back_values(
    values: Sequence[torch.Tensor], inputs: Sequence[torch.Tensor], bars: Sequence[torch.Tensor], *, retain: bool
) -> tuple[torch.Tensor | None, ...]:
    """The same of several values of one graph."""
    engine = torch.autograd.Variable._execution_engine
    return engine.run_backward(tuple(values), tuple(bars), retain, False, tuple(inputs), True, accumulate_grad=False)


def one_by_one(
    function: Callable[[tuple[torch.Tensor | None, ...]], tuple[torch.Tensor | None, ...]],
    tensors: tuple[torch.Tensor | None, ...],
) -> tuple[torch.Tensor | None, ...]:
    """function(tensors); for batches of them (is_grads_batched, which maps in a way of its own) one after the other."""
    if not any(x is not None and _functorch.is_legacy_batchedtensor(x) for x in tensors):
        return function(tensors)
    level = _legacy_level(next(x for x in tensors if x is not None and _functorch.is_legacy_batchedtensor(x)))
    # What is not mapped comes back with an axis of length one.
    whole = [None if x is None else torch._remove_batch_dim(x, level, 1, 0) for x in tensors]
    size = max(len(x) for x in whole if x is not None)
    spread = [None if x is None else x.expand(size, *x.shape[1:]) for x in whole]
    rows = [function(tuple(None if x is None else x[number] for x in spread)) for number in range(size)]
    columns = [None if column[0] is None else torch.stack(column) for column in zip(*rows, strict=True)]
    return tuple(None if x is None else torch._add_batch_dim(x, 0, level) for x in columns)


def _legacy_level(tensor: torch.Tensor) -> int:
    """Of a tensor mapped in that way: the one at which its axis comes off. (Its own thread may not know the level.)"""
    for level in range(1, 64):
        if not _functorch.is_legacy_batchedtensor(torch._remove_batch_dim(tensor, level, 1, 0)):
            return level
    raise NotImplementedError("is_grads_batched=True inside itself is not supported. Use torch.func.jacrev.")


def tangents_are_followed() -> bool:
    """Are they at this moment? Inside an autograd.Function they are not."""
    return torch._C._is_fwd_grad_enabled()


def depth() -> int:
    """How many transforms are in force."""
    return _functorch.get_dynamic_layer_stack_depth()


def is_wrapped(tensor: torch.Tensor) -> bool:
    """Is it a transform's view of another tensor?"""
    return _functorch.is_functorch_wrapped_tensor(tensor)


def level_of(tensor: torch.Tensor) -> int:
    """Of its outermost wrapper that is in use; 0 for a plain tensor."""
    return next(level for _, level in _wrappers(tensor))


def is_transformed(tensor: torch.Tensor) -> bool:
    """Is it wrapped, or a plain tensor with a tangent?"""
    return level_of(tensor) > 0 or has_tangent(tensor, 0)


def has_tangent(tensor: torch.Tensor, level: int) -> bool:
    """Does it carry one at its own level?"""
    if not forward_mode():
        return False
    with lowered(level):
        return forward_ad.unpack_dual(tensor).tangent is not None


@contextmanager
def lowered(level: int) -> Iterator[None]:
    """With only the transforms up to `level` in force."""
    popped = []
    try:
        while depth() > level:
            popped.append(_functorch.pop_dynamic_layer_stack())
        yield
    finally:
        while popped:
            _functorch.push_dynamic_layer_stack(popped.pop())


@contextmanager
def above(level: int) -> Iterator[None]:
    """At least `level` transforms in force, so that one that begins here has a level of its own: added ones map
    nothing."""
    added = 0
    try:
        while depth() < level:
            _functorch._vmap_increment_nesting(1, "same")
            added += 1
        yield
    finally:
        for _ in range(added):
            _functorch._vmap_decrement_nesting()


def outside() -> AbstractContextManager:
    """No transform in force: for plain tensors, which a transform would wrap."""
    return lowered(0) if active() else nullcontext()


def bare(tensor: torch.Tensor) -> torch.Tensor:
    """The numbers alone: no graph, no tangent, no wrapper; mapped axes come back as axes."""
    if not active() and not is_wrapped(tensor):
        return tensor.detach()
    while is_wrapped(tensor):
        tensor = _functorch.get_unwrapped(tensor)
    with outside():
        return tensor.detach()


def host_array(tensor: torch.Tensor) -> np.ndarray:
    """The numbers as a numpy array, for decisions on the host."""
    if not active():
        return bare(tensor).cpu().numpy()
    if any(_is_mapped(wrapper) for wrapper, _ in _wrappers(tensor)):
        raise out_of_sight(tensor)
    plain = bare(tensor)
    with outside():
        return plain.cpu().numpy()


def out_of_sight(tensor: torch.Tensor) -> RuntimeError:
    """What is said where a tensor's derivative, or its mapped axis, would get lost."""
    return RuntimeError(
        f"the field uses a tensor that torch.func transforms (shape {tuple(tensor.shape)}) and that solve() does not "
        "find in it. Hand it over by args=..., or keep it in a module or a closure of the field. (Random numbers "
        "are not followed by vmap(grad(...)).)"
    )


def host_number(tensor: torch.Tensor) -> float:
    """The one number of a tensor, for a decision on the host."""
    return host_array(tensor).item() if is_wrapped(tensor) else tensor.item()


def is_finite(tensor: torch.Tensor) -> bool:
    """Is every number of it finite?"""
    # A sum is a third of the work, and never finite where a number is not; a sum that overflows is looked at again.
    with torch.no_grad():
        return math.isfinite(host_number(tensor.sum())) or bool(host_number(torch.isfinite(tensor).all()))


def is_differentiated(tensor: torch.Tensor) -> bool:
    """Does anything want its gradient, or does it carry a tangent, at any level?"""
    if not is_wrapped(tensor) and not forward_mode():
        return tensor.requires_grad
    return any(_followed(wrapper, level) for wrapper, level in _wrappers(tensor))


def refuse_tracing() -> None:
    """Raise where the solve is recorded rather than run: steps that depend on values cannot be."""
    layers, modes = _functorch.get_interpreter_stack() or (), _get_current_dispatch_mode_stack()
    recorded = any(layer.key() == _functorch.TransformType.Functionalize for layer in layers)
    if recorded or any(type(mode).__name__ in ("ProxyTorchDispatchMode", "FakeTensorMode") for mode in modes):
        raise NotImplementedError(
            "solve() was called where its operations are recorded (torch.func.functionalize, torch.func.linearize, "
            "make_fx), and steps that depend on values cannot be. grad, vjp, jvp, jacrev, jacfwd, hessian and vmap of "
            "torch.func run them; in the place of linearize use vjp or jvp."
        )


def depth_below_maps() -> int:
    """How many transforms are left when the innermost ones, as far as they are vmaps, are taken off."""
    layers = list(_functorch.get_interpreter_stack() or ())
    while layers and layers[-1].key() == _functorch.TransformType.Vmap:
        layers.pop()
    return len(layers)


def _wrappers(tensor: torch.Tensor) -> Iterator[tuple[torch.Tensor, int]]:
    """The tensor as each level sees it, from the innermost call outwards; last the plain one, of level 0."""
    while is_wrapped(tensor):
        level = _functorch.maybe_get_level(tensor)
        # The wrapper of a transform that has ended is of level -2.
        if level > 0:
            yield tensor, level
        tensor = _functorch.get_unwrapped(tensor)
    yield tensor, 0


def _followed(wrapper: torch.Tensor, level: int) -> bool:
    if _is_mapped(wrapper):
        return False
    return wrapper.requires_grad or has_tangent(wrapper, level)


@dataclass(frozen=True)
class MappedAxes:
    """Those axes of vmap over which something that a solve is made from differs.

    levels: of these vmaps, the outermost first. sizes: of the axes. markers: a tensor of each axis and nothing else.
    randomness: of the innermost one.
    """

    levels: tuple[int, ...]
    sizes: tuple[int, ...]
    markers: tuple[torch.Tensor, ...]
    randomness: str

    @classmethod
    def of(cls, tensors: Iterable[torch.Tensor]) -> "MappedAxes | None":
        """The axes that any of these is mapped over; None if none is."""
        used = {level for tensor in tensors for wrapper, level in _wrappers(tensor) if _is_mapped(wrapper)}
        if not used:
            return None
        layers = [layer for layer in _functorch.get_interpreter_stack() or () if layer.level() in used]
        maps = [_functorch.CVmapInterpreterPtr(layer) for layer in layers]
        levels, sizes = tuple(layer.level() for layer in layers), tuple(one.batchSize() for one in maps)
        with outside():
            plain = [torch.zeros(size) for size in sizes]
        markers = tuple(_functorch._add_batch_dim(x, 0, level) for x, level in zip(plain, levels, strict=True))
        return cls(levels, sizes, markers, maps[-1].randomness().name.lower())

    @property
    def lanes(self) -> int:
        return prod(self.sizes)

    def is_foreign(self, tensor: torch.Tensor, level: int) -> bool:
        """Has it, at or below `level`, a mapped axis or a derivative a lane that is not rows?"""
        chain = [(wrapper, own) for wrapper, own in _wrappers(tensor) if 0 < own <= level]
        return any(_is_mapped(wrapper) for wrapper, _ in chain) or self.touch(tensor)

    def touch(self, tensor: torch.Tensor) -> bool:
        """Does it need a row a lane? If it differs from lane to lane, or if its derivative does: under
        vmap(grad(...)) a weight that all lanes share has a gradient for each."""
        return any(
            (_is_mapped(wrapper) and level in self.levels) or (level > self.levels[0] and _followed(wrapper, level))
            for wrapper, level in _wrappers(tensor)
        )

    def rows(self, tensor: torch.Tensor) -> torch.Tensor:
        """(lanes, *shape): one row a lane in place of the mapped axes, which it no longer has."""
        whole = _Rows.apply(tensor, 0, self.levels, *self.markers)
        return whole.reshape(self.lanes, *tensor.shape)

    def back(self, rows: torch.Tensor) -> torch.Tensor:
        """The tensor of one lane, mapped over, from (lanes, *shape)."""
        return _Lanes.apply(rows.reshape(*self.sizes, *rows.shape[1:]), 0, self.levels, *self.markers)


def _is_mapped(wrapper: torch.Tensor) -> bool:
    return _functorch.is_batchedtensor(wrapper)


class _Rows(torch.autograd.Function):
    """Mapped axes become axes from place `front` on; its derivative is _Lanes, so that any order and direction works.

    vmap is asked level by level from the innermost call outwards (a marker is mapped at each, so that none is skipped),
    and what lies at a level of grad or jvp between two of them is a node there, for the levels below.
    """

    @staticmethod
    def forward(*inputs):
        raise AssertionError("every level has its marker, so the plain tensor is never reached")

    @staticmethod
    def setup_context(ctx, inputs, output):
        _, ctx.front, ctx.levels, *ctx.markers = inputs

    @staticmethod
    def vmap(info, in_dims, *inputs):
        tensor, front, levels, *markers = inputs
        if depth() + 1 != levels[-1]:  # another vmap's axis, over gradients or tangents: it stays
            return _Rows.apply(tensor.movedim(in_dims[0], 0), front + 1, levels, *markers), 0
        if in_dims[0] is None:
            tensor = tensor.unsqueeze(front)
            tensor = tensor.expand(*tensor.shape[:front], info.batch_size, *tensor.shape[front + 1 :])
        else:
            tensor = tensor.movedim(in_dims[0], front)
        outer = levels[:-1]
        return (_Rows.apply(tensor, front, outer, *markers[:-1]) if outer else tensor), None

    @staticmethod
    def backward(ctx, *bars):
        return _Lanes.apply(*bars, ctx.front, ctx.levels, *ctx.markers), None, None, *[None] * len(ctx.levels)

    @staticmethod
    def jvp(ctx, *tangents):
        return _Rows.apply(tangents[0], ctx.front, ctx.levels, *ctx.markers)


class _Lanes(torch.autograd.Function):
    """The way back: axes from place `front` on become mapped axes of these levels."""

    @staticmethod
    def forward(*inputs):
        raise AssertionError("every level has its marker, so the plain tensor is never reached")

    @staticmethod
    def setup_context(ctx, inputs, output):
        _, ctx.front, ctx.levels, *ctx.markers = inputs

    @staticmethod
    def vmap(info, in_dims, *inputs):
        tensor, front, levels, *markers = inputs
        if depth() + 1 != levels[-1]:
            return _Lanes.apply(tensor.movedim(in_dims[0], 0), front + 1, levels, *markers), 0
        tensor, outer = tensor.movedim(front + len(levels) - 1, 0), levels[:-1]
        return (_Lanes.apply(tensor, front + 1, outer, *markers[:-1]) if outer else tensor), 0

    @staticmethod
    def backward(ctx, *bars):
        return _Rows.apply(*bars, ctx.front, ctx.levels, *ctx.markers), None, None, *[None] * len(ctx.levels)

    @staticmethod
    def jvp(ctx, *tangents):
        return _Lanes.apply(tangents[0], ctx.front, ctx.levels, *ctx.markers)
