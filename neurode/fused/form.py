"""Affine forms: what a tensor inside a field is, as a sum over the state, activations, time and constants.

Shape legend: W width (the last axis), R rows of the state.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
import torch.nn.functional as F

from neurode.fused.program import Program, Ref

Vector = float | Ref
"""A number for all components, or a tensor (W,) or (R, W)."""

STATE = 0
"""The source that is the state; others are activations, counted from 1."""


class CannotRead(BaseException):
    """Raised while a field is read; no `except Exception` of the field's own may hold it up."""


@dataclass(frozen=True)
class Form:
    """sum over sources of part @ source + sum over (clock, rate) of clock(rate t) vector + constant.

    parts: source -> a number (times the source itself), or a matrix (W, W_source).
    """

    width: int
    parts: dict[int, float | Ref] = field(default_factory=dict)
    time: dict[tuple[str, float], Vector] = field(default_factory=dict)
    constant: Vector = 0.0


@dataclass(frozen=True)
class Node:
    """An activation: activation(form) + skip times the one source of the form."""

    activation: str
    form: Form
    skip: float = 0.0


class Algebra:
    """Operations on forms. rows: R. nodes: the activations so far; source i is nodes[i - 1]."""

    def __init__(self, program: Program, rows: int, like: torch.Tensor):
        self.program, self.rows, self.like = program, rows, like
        self.nodes: list[Node] = []

    # -- vectors

    def vector(self, value: Vector, width: int) -> Ref:
        """As a tensor (W,) or (R, W)."""
        if isinstance(value, Ref):
            if value.shape[-1] == width:
                return value
            return self.program.call(torch.Tensor.expand, value, *value.shape[:-1], width)
        return self.program.fixed(self.like.new_full((width,), value))

    def _add(self, a: Vector, b: Vector) -> Vector:
        if isinstance(a, float) and isinstance(b, float):
            return a + b
        if b == 0.0 or a == 0.0:
            return a if b == 0.0 else b
        return self.program.call(torch.add, a, b)

    def times(self, a: Vector, b: Vector) -> Vector:
        if isinstance(a, float) and isinstance(b, float):
            return a * b
        if a == 1.0 or b == 1.0:
            return b if a == 1.0 else a
        if a == 0.0 or b == 0.0:
            return 0.0
        return self.program.call(torch.mul, a, b)

    # -- forms

    def add(self, a: Form, b: Form) -> Form:
        width = max(a.width, b.width)
        a, b = self.widened(a, width), self.widened(b, width)
        parts: dict[int, float | Ref] = dict(a.parts)
        for source, part in b.parts.items():
            parts[source] = self._sum_of_parts(parts[source], part) if source in parts else part
        time = dict(a.time)
        for key, vector in b.time.items():
            time[key] = self._add(time[key], vector) if key in time else vector
        return Form(width, parts, time, self._add(a.constant, b.constant))

    def _sum_of_parts(self, a: float | Ref, b: float | Ref) -> float | Ref:
        if isinstance(a, float) and isinstance(b, float):
            return a + b
        matrix, other = (a, b) if isinstance(a, Ref) else (b, a)
        assert isinstance(matrix, Ref)
        return self.program.call(torch.add, matrix, self.eye(other, matrix.shape[0]))

    def eye(self, value: float | Ref, width: int) -> Ref:
        """A part as a matrix."""
        if isinstance(value, Ref):
            return value
        return self.program.fixed(value * torch.eye(width, dtype=self.like.dtype, device=self.like.device))

    def widened(self, form: Form, width: int) -> Form:
        """A form of width 1 spread over `width` equal components."""
        if form.width == width:
            return form
        if form.width != 1 or form.parts:
            raise CannotRead(f"it spreads a tensor of width {form.width} over one of width {width}")
        return replace(form, width=width)

    def scaled(self, form: Form, by: Vector) -> Form:
        if isinstance(by, Ref):
            form = self.widened(form, max(form.width, by.shape[-1]))
            if by.value.ndim == 2 and form.parts:
                raise CannotRead("it scales the state by another number for each row")
        parts = {source: self._scaled_part(part, by) for source, part in form.parts.items()}
        time = {key: self.times(vector, by) for key, vector in form.time.items()}
        return Form(form.width, parts, time, self.times(form.constant, by))

    def _scaled_part(self, part: float | Ref, by: Vector) -> float | Ref:
        if isinstance(by, float):
            return part * by if isinstance(part, float) else self.times(part, by)
        if isinstance(part, float):
            return self.program.call(torch.diag, self.times(by, part))
        return self.program.call(torch.mul, self.program.call(torch.unsqueeze, by, 1), part)

    def linear(self, form: Form, weight: Ref, bias: Ref | None) -> Form:
        """weight @ form + bias, for a weight (W_out, W)."""
        form = self.joined(form)
        if weight.value.ndim != 2 or weight.shape[1] != form.width:
            raise CannotRead(f"it multiplies by a tensor of shape {tuple(weight.shape)}, which is no layer's weight")
        parts: dict[int, float | Ref] = {}
        for source, part in form.parts.items():
            whole = isinstance(part, float)
            parts[source] = self.times(weight, part) if whole else self._product(weight, part)
        time = {key: self._linear_of(weight, vector) for key, vector in form.time.items()}
        constant = self._linear_of(weight, form.constant)
        if bias is not None:
            constant = self._add(constant, bias)
        return Form(weight.shape[0], parts, time, constant)

    def _product(self, weight: Ref, part: Ref) -> Ref:
        """weight @ part; columns of the weight where the part only places the source among other inputs."""
        columns = part.shape[1]
        places = part.value.nonzero() if self.program.is_fixed(part) else None
        if places is not None and len(places) == columns and bool((part.value.sum(0) == 1).all()):
            start = int(places[0, 0])
            if bool((places.cpu() == torch.arange(columns)[:, None] + torch.tensor([start, 0])).all()):
                return self.program.call(torch.narrow, weight, 1, start, columns)
        return self.program.call(torch.matmul, weight, part)

    def _linear_of(self, weight: Ref, vector: Vector) -> Vector:
        if isinstance(vector, Ref) and self.program.is_fixed(vector) and vector.shape == weight.shape[1:]:
            places = vector.value.nonzero()
            if len(places) == 1 and float(vector.value.sum()) == 1:  # one input alone: its column
                return self.program.call(torch.select, weight, 1, int(places[0, 0]))
        if isinstance(vector, float):
            return self.times(self.program.call(torch.sum, weight, 1), vector) if vector else 0.0
        return self.program.call(F.linear, self.vector(vector, weight.shape[1]), weight)

    def sliced(self, form: Form, start: int, stop: int) -> Form:
        def cut(vector: Vector) -> Vector:
            wide = isinstance(vector, Ref) and vector.shape[-1] == form.width
            return self.program.call(torch.narrow, vector, -1, start, stop - start) if wide else vector

        rows = {source: self.eye(part, form.width) for source, part in form.parts.items()}
        parts: dict[int, float | Ref] = {
            source: self.program.call(torch.narrow, matrix, 0, start, stop - start) for source, matrix in rows.items()
        }
        return Form(stop - start, parts, {key: cut(v) for key, v in form.time.items()}, cut(form.constant))

    def joined_along_width(self, forms: Sequence[Form]) -> Form:
        """The forms side by side (torch.cat along the last axis)."""
        if len(forms) == 1:
            return forms[0]
        parts: dict[int, float | Ref] = {}
        for source in sorted({source for form in forms for source in form.parts}):
            there = [form.parts.get(source) for form in forms]
            columns = next(
                part.shape[1] if isinstance(part, Ref) else form.width
                for part, form in zip(there, forms, strict=True)
                if part is not None
            )
            blocks = [
                self.program.fixed(self.like.new_zeros(form.width, columns))
                if part is None
                else self.eye(part, form.width)
                for part, form in zip(there, forms, strict=True)
            ]
            parts[source] = self.program.call(torch.cat, blocks)
        keys = sorted({key for form in forms for key in form.time})
        time: dict[tuple[str, float], Vector] = {}
        time |= {key: self._side_by_side([(f.time.get(key, 0.0), f.width) for f in forms]) for key in keys}
        constant: Vector = 0.0
        if any(form.constant != 0.0 for form in forms):
            constant = self._side_by_side([(form.constant, form.width) for form in forms])
        return Form(sum(form.width for form in forms), parts, time, constant)

    def _side_by_side(self, vectors: Iterable[tuple[Vector, int]]) -> Ref:
        whole = [self.vector(vector, width) for vector, width in vectors]
        if any(ref.value.ndim == 2 for ref in whole):
            whole = [
                ref if ref.value.ndim == 2 else self.program.call(torch.Tensor.expand, ref, self.rows, ref.shape[0])
                for ref in whole
            ]
        return self.program.call(torch.cat, whole, -1)

    # -- activations

    def activated(self, form: Form, name: str) -> Form:
        """The form that is one new source: name(form)."""
        if not form.parts:
            raise CannotRead(f"it takes the {name} of something that is not made of the state")
        self.nodes.append(Node(name, self.joined(form)))
        return Form(form.width, {len(self.nodes): 1.0})

    def joined(self, form: Form) -> Form:
        """A sum of an activation and the source it was taken from becomes one source, an activation with a skip."""
        if len(form.parts) != 2 or form.time or form.constant != 0.0:
            return form
        below, above = sorted(form.parts)
        node, skip = self.nodes[above - 1], form.parts[below]
        if form.parts[above] != 1.0 or not isinstance(skip, float) or node.skip or set(node.form.parts) != {below}:
            return form
        self.nodes.append(replace(node, skip=skip))
        return Form(form.width, {len(self.nodes): 1.0})

    def wave(self, form: Form, shift: float) -> Form:
        """sin(form + shift) of a form of time alone that is linear in t: clocks of its rates."""
        slope = form.time.get(("t", 1.0), 0.0)
        if form.parts or set(form.time) - {("t", 1.0)}:
            raise CannotRead("it takes a sine of something that is neither an affine map of the state nor linear in t")
        phase = self._add(form.constant, shift)
        if isinstance(slope, float):
            rates = [slope]
        else:
            if slope.value.requires_grad:
                raise CannotRead("it learns a frequency in time")
            if not self.program.is_fixed(slope):
                self.program.repeatable = False
            if slope.value.ndim == 2:
                raise CannotRead("it has another frequency in time for each row")
            rates = slope.value.tolist()
        sine, cosine = self._function(torch.sin, math.sin, phase), self._function(torch.cos, math.cos, phase)
        result = Form(form.width)
        for rate in dict.fromkeys(rates):
            mask: Vector = 1.0
            if len(set(rates)) > 1:
                mask = self.program.fixed(self.like.new_tensor([float(own == rate) for own in rates]))
            terms: dict[tuple[str, float], Vector] = {
                ("cos", rate): self.times(sine, mask),
                ("sin", rate): self.times(cosine, mask),
            }
            part = Form(form.width, time=terms) if rate else Form(form.width, constant=terms["cos", rate])
            result = self.add(result, part)
        return result

    def _function(self, of_tensor: Any, of_number: Any, vector: Vector) -> Vector:
        return of_number(vector) if isinstance(vector, float) else self.program.call(of_tensor, vector)
