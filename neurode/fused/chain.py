"""The forms of a field put in a row: one layer after the other, each made of the one before it."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from neurode.fused.field import Layer, ReadField, TimeTerm
from neurode.fused.form import STATE, Algebra, CannotRead, Form, Node
from neurode.fused.program import Program


@dataclass(frozen=True)
class _PlannedLayer:
    """A layer whose tensors are places of a program. time: (clock, rate, place)."""

    weight: int
    bias: int | None
    activation: str
    time: tuple[tuple[str, float, int], ...]
    skip: float


@dataclass(frozen=True)
class Chain:
    """How the layers of a field are made of the tensors it holds.

    program: makes them.
    """

    program: Program
    dim: int
    layers: tuple[_PlannedLayer, ...]
    scale: float
    skip: float

    def field(self, leaves: Sequence[torch.Tensor]) -> ReadField:
        """The field with these tensors."""
        values = self.program.run(leaves)
        layers = tuple(
            Layer(
                values[plan.weight],
                None if plan.bias is None else values[plan.bias],
                plan.activation,
                tuple(TimeTerm(clock, rate, values[place]) for clock, rate, place in plan.time),
                plan.skip,
            )
            for plan in self.layers
        )
        return ReadField(self.dim, layers, self.scale, self.skip)


def chain_of(algebra: Algebra, result: Form, dim: int) -> Chain:
    """The chain that ends in this form; `CannotRead` where it is none."""
    parts = dict(result.parts)
    skip, own = 0.0, parts.get(STATE)
    if isinstance(own, float) and len(parts) > 1:
        skip = own
        del parts[STATE]
    if len(parts) != 1:
        raise CannotRead(
            "its result is made of several activations of different depth"
            if parts
            else "its result is not made of the state"
        )
    (source, part), *_ = parts.items()
    scale, nodes = 1.0, []
    if source != STATE and isinstance(part, float) and not result.time and result.constant == 0.0:
        scale = part
    else:
        nodes.append(Node("identity", Form(result.width, parts, result.time, result.constant)))
    while source != STATE:
        node = algebra.nodes[source - 1]
        if len(node.form.parts) != 1:
            raise CannotRead("one of its layers is made of more than the layer before it")
        nodes.append(node)
        (source,) = node.form.parts
    plans = tuple(_planned(algebra, node) for node in reversed(nodes))
    wanted = [place for plan in plans for place in _places(plan)]
    return Chain(algebra.program.part(wanted), dim, plans, scale, skip)


def _planned(algebra: Algebra, node: Node) -> _PlannedLayer:
    form = node.form
    (part,) = form.parts.values()
    bias = None
    if form.constant != 0.0:
        bias = algebra.vector(form.constant, form.width).place
    time = tuple((clock, rate, algebra.vector(vector, form.width).place) for (clock, rate), vector in form.time.items())
    return _PlannedLayer(algebra.eye(part, form.width).place, bias, node.activation, time, node.skip)


def _places(plan: _PlannedLayer) -> list[int]:
    return [plan.weight, *([] if plan.bias is None else [plan.bias]), *(place for *_, place in plan.time)]
