"""A solve inside torch.func: what vmap maps over becomes the samples of one per-sample solve.

Inside vmap each element is a lane with its own steps, and f, written for one element, is mapped over the lanes by vmap
itself. The tensors that f captures (weights under functional_call, an ensemble's stack of them) go along as arguments.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any

import torch

from neurode.core.closure import AbstractOpenField, OpenField, refuse_inside_a_field
from neurode.core.held import held_by
from neurode.core.nest import PerSample, describe, leaf_tensors, map_leaves, per_sample_flags, unwrapped, with_tensors
from neurode.core.protocols import VectorField
from neurode.core.state import State, StateLayout, layout_of
from neurode.core.transforms import (
    MappedAxes,
    above,
    active,
    depth,
    depth_below_maps,
    forward_mode,
    is_transformed,
    refuse_tracing,
)
from neurode.integration.solution import Dense, Solution
from neurode.integration.times import TimesLike, as_times


@dataclass(frozen=True)
class LiftedSolve:
    """The arguments of the solve that runs instead, and the way from its solution to the one that was asked for.

    level: how many of the transforms stay in force while it runs.
    """

    f: Callable
    y0: State
    ts: TimesLike
    args: Any
    batching: str
    rtol: Any
    atol: Any
    level: int
    back: Callable[[Solution], Solution]


def lifted(
    f: VectorField,
    y0: State,
    ts: TimesLike,
    args: Any,
    *,
    batching: str,
    rtol: Any,
    atol: Any,
    step_size: Any,
    traced: bool,
) -> LiftedSolve | None:
    """The solve to run instead; None where torch.func has nothing to do with it, or the loop can be followed as it is.

    traced: does autograd follow every operation of the loop (gradient="direct")?
    """
    if isinstance(f, AbstractOpenField) or not (active() or forward_mode()):
        return None
    refuse_tracing()
    refuse_inside_a_field()
    if isinstance(step_size, torch.Tensor) and MappedAxes.of([step_size]) is not None:
        raise TypeError(
            "step_size is mapped over by torch.func.vmap, but it is one number for all. Leave it out, and step from "
            "one time of ts to the next: ts may be mapped over."
        )
    per_sample = batching == "per_sample"
    layout = layout_of(y0, per_sample=per_sample)
    ts = as_times(ts)
    captured = tuple(tensor for tensor in held_by(f).tensors if is_transformed(tensor))
    tensors = [*leaf_tensors((y0, ts, rtol, atol)), *captured, *(leaf_tensors(args) if args is not None else [])]
    axes = MappedAxes.of(tensors)
    if axes is None:
        if traced:
            return None
        field = OpenField(f, captured, None, depth())
        return LiftedSolve(
            field, y0, ts, (args, captured), batching, rtol, atol, depth(), back=lambda solution: solution
        )
    lanes = _Lanes(axes, layout, len(leaf_tensors(y0)[0]) if per_sample else 1)
    packed = (args, captured)
    of_lanes = lanes.args(packed)
    field = _MappedField(OpenField(f, captured, axes, depth()), lanes, packed, tuple(per_sample_flags(of_lanes)))
    return LiftedSolve(
        field,
        lanes.state(y0),
        lanes.times(ts),
        of_lanes,
        "per_sample",
        lanes.tolerance(rtol),
        lanes.tolerance(atol),
        depth_below_maps(),
        back=lanes.back,
    )


@dataclass(frozen=True)
class _Lanes:
    """How elements lie in lanes: one an element, or (batching="per_sample") one for each of its `samples`."""

    axes: MappedAxes
    layout: StateLayout
    samples: int

    def spread(self, tensor: torch.Tensor) -> torch.Tensor:
        """(elements, *shape), also of a tensor that is the same for all."""
        if self.axes.touch(tensor):
            return self.axes.rows(tensor)
        return tensor.expand(self.axes.lanes, *tensor.shape)

    def of_samples(self, tensor: torch.Tensor) -> torch.Tensor:
        """(lanes, ...) from a tensor with, where there are such, a row a sample."""
        whole = self.spread(tensor)
        return whole.flatten(0, 1) if self.layout.per_sample else whole

    def of_elements(self, tensor: torch.Tensor) -> torch.Tensor:
        """(lanes, *shape) from a tensor that is one for all samples of an element."""
        whole = self.spread(tensor)
        return whole if self.samples == 1 else whole.repeat_interleave(self.samples, dim=0)

    def state(self, y0: State) -> State:
        return map_leaves(self.of_samples, y0)

    def times(self, ts: Any) -> Any:
        """(n,) where they are the same for all lanes, (n, lanes) or a list of the lanes' own where not."""
        if isinstance(ts, (list, tuple)):
            whole = [self.spread(own) for own in ts]
            return [own[element] for element in range(self.axes.lanes) for own in whole]
        if ts.ndim == 1:
            return self.of_elements(ts).T if self.axes.touch(ts) else ts
        return self.spread(ts).transpose(0, 1).flatten(1) if ts.ndim == 2 else ts

    def args(self, packed: Any) -> Any:
        def laid_out(leaf):
            if isinstance(leaf, PerSample):
                return PerSample(self.of_samples(leaf.value))
            if isinstance(leaf, torch.Tensor) and self.axes.touch(leaf):
                return PerSample(self.of_elements(leaf))
            return leaf

        return map_leaves(laid_out, packed)

    def tolerance(self, given: Any) -> Any:
        if not isinstance(given, torch.Tensor) or (given.numel() == 1 and not self.axes.touch(given)):
            return given
        shape = self.layout.part_shapes[0]
        if self.layout.kind != "tensor" or given.ndim > len(shape) + self.layout.per_sample:
            return given  # refused where tolerances are checked
        missing = len(shape) + self.layout.per_sample - given.ndim
        whole = self.spread(given)
        whole = whole.reshape(whole.shape[0], *(1,) * missing, *given.shape)
        if self.layout.per_sample:
            whole = whole.expand(whole.shape[0], self.samples, *whole.shape[2:]).flatten(0, 1)
        return whole

    def back(self, solution: Solution) -> Solution:
        """Of one element, mapped over: what differs from lane to lane."""
        stats: Any = solution.stats
        counts = {
            one.name: self.element(count)
            for one in fields(stats)
            if isinstance(count := getattr(stats, one.name), torch.Tensor)
        }
        return replace(
            solution,
            ts=self.element(solution.ts, 1) if solution.ts.ndim == 2 else solution.ts,
            ys=map_leaves(lambda part: self.element(part, 1), solution.ys),
            lengths=None if solution.lengths is None else self.element(solution.lengths),
            status=self.element(solution.status),
            stats=replace(stats, **counts),
            reached=self.element(solution.reached),
            last_step=self.element(solution.last_step),
            dense=None if solution.dense is None else _MappedDense(solution.dense, self),
        )

    def element(self, tensor: torch.Tensor, axis: int = 0) -> torch.Tensor:
        """One element's part of a tensor whose axis `axis` is the lanes."""
        whole = tensor.movedim(axis, 0)
        if self.layout.per_sample:
            whole = whole.unflatten(0, (self.axes.lanes, self.samples)).movedim(1, 1 + axis)
        return self.axes.back(whole)


@dataclass(frozen=True)
class _MappedField(AbstractOpenField):
    """f of one element, for whole lanes.

    packed: args and captured tensors of one element. marked: which of their tensors have a row a lane.
    """

    field: OpenField
    lanes: _Lanes
    packed: Any
    marked: tuple[bool, ...]

    def taken_off(self) -> "_MappedField":
        return replace(self, field=self.field.taken_off())

    @property
    def parts(self) -> "tuple[_MappedField, _MappedField] | None":
        parts = self.field.parts
        return None if parts is None else (replace(self, field=parts[0]), replace(self, field=parts[1]))

    def __call__(self, t: torch.Tensor, y: State, packed: Any) -> State:
        in_dims = (0, 0, *(0 if marked else None for marked in self.marked))
        with above(self.field.level):
            mapped = torch.func.vmap(self._element, in_dims, randomness=self.lanes.axes.randomness)
            return mapped(t.reshape(-1), y, *leaf_tensors(packed))

    def _element(self, t: torch.Tensor, y: State, *leaves: torch.Tensor) -> State:
        layout = self.lanes.layout
        if layout.per_sample:
            own = per_sample_flags(self.packed)
            y = map_leaves(lambda part: part.unsqueeze(0), y)
            t = t.reshape(1, *((1,) * len(layout.part_shapes[0]) if layout.kind == "tensor" else ()))
            leaves = tuple(x.unsqueeze(0) if flag else x for x, flag in zip(leaves, own, strict=True))
        dy = self.field.call(t, y, *unwrapped(with_tensors(self.packed, list(leaves))))
        layout.check_derivative(dy, 1)
        return map_leaves(lambda part: part.squeeze(0), dy) if layout.per_sample else dy


class _MappedDense:
    """Dense output of all lanes, read by one element that is mapped over."""

    def __init__(self, dense: Dense, lanes: _Lanes):
        self.dense, self.lanes = dense, lanes

    def evaluate(self, t: torch.Tensor | float) -> State:
        lanes = self.lanes
        times = t if isinstance(t, torch.Tensor) else torch.as_tensor(t, dtype=torch.float64)
        if times.ndim > 1 + lanes.layout.per_sample:
            allowed = "a number, (n,) or (n, batch)" if lanes.layout.per_sample else "a number or (n,)"
            raise ValueError(
                f"inside torch.func.vmap t must be {allowed}, but is {describe(t)}. Own times of samples inside an "
                "element need batching='per_sample'."
            )
        single = times.ndim == 0
        asked = lanes.times(times.reshape(1) if single else times)
        values = map_leaves(lambda part: lanes.element(part, 1), self.dense.evaluate(asked))
        return map_leaves(lambda part: part[0], values) if single else values
