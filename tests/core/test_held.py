"""Which tensors a callable is found to hold, and where."""

from functools import partial

import torch
from torch import nn

from neurode.core.held import LONGEST, held_by

A, B, C, D = (torch.tensor(float(number)) for number in range(4))


def names(tensors):
    known = {id(A): "A", id(B): "B", id(C): "C", id(D): "D"}
    return sorted(known[id(tensor)] for tensor in tensors)


class Holder:
    def __init__(self, *things):
        self.first, self.rest = things[0], list(things[1:])

    def rate(self, t, y):
        return y

    def __call__(self, t, y):
        return y


class Module(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(2))
        self.register_buffer("scale", torch.ones(1))
        self.register_buffer("count", torch.tensor(0))
        self.extra, self.unregistered = A, [nn.Linear(1, 1)]


def closing_over(*things):
    return lambda t, y: (things, y)


def test_what_the_code_names_is_told_from_attributes():
    a, b = A, {"b": B}

    def f(t, y, c=C):
        return a * y + b["b"] * c

    assert names(held_by(f).named) == ["A", "B", "C"]
    assert held_by(f).attributes == []
    assert names(held_by(partial(f, c=D)).named) == ["A", "B", "C", "D"]
    holder = Holder(A, B, closing_over(C))
    for callable_ in (holder.rate, holder):
        assert names(held_by(callable_).attributes) == ["A", "B"]
        assert names(held_by(callable_).named) == ["C"]
    assert names(held_by(closing_over(closing_over(A), holder.rate)).tensors) == ["A", "B", "C"]


def test_a_module_holds_its_weights_buffers_and_what_lies_about():
    module = Module()
    held = held_by(module.forward)
    own = {id(module.weight), id(module.scale), id(module.count)}
    assert own <= {id(tensor) for tensor in held.named}
    assert {id(weight) for weight in module.unregistered[0].parameters()} <= {id(tensor) for tensor in held.named}
    assert names(held.attributes) == ["A"]
    assert {name for _, name, _ in held.slots} == {"weight", "bias", "scale"}


def test_each_tensor_is_found_once_and_cycles_end():
    holder = Holder(A, A)
    holder.rest.append(holder)
    holder.same = holder.rate
    assert names(held_by(holder).tensors) == ["A"]


def test_long_lists_are_data():
    assert names(held_by(closing_over(*[1.0] * (LONGEST - 1), A)).named) == ["A"]
    assert held_by(closing_over(*[1.0] * LONGEST, A)).tensors == []


def test_modules_get_back_for_a_while_what_they_held():
    module = Module()
    held, before, other = held_by(module), module.weight, nn.Parameter(torch.zeros(2))
    module.weight = other
    module.count = torch.tensor(7)
    with held.as_found():
        assert module.weight is before
        assert module.count == 7
    assert module.weight is other
    del module.weight
    with held.as_found():
        assert not hasattr(module, "weight")
