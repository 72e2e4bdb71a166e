"""Evaluations of the field with one small graph each, pulled back one at a time: how exact gradients re-run a solve."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch

from neurode.core.equation import AbstractEquation
from neurode.core.held import Held
from neurode.core.transforms import is_wrapped


@dataclass
class Evaluation:
    """One recorded call k = f(t, y): the value with its graph, and the leaves it starts from."""

    value: torch.Tensor
    y: torch.Tensor
    t: torch.Tensor


class Tape:
    """Records calls of an equation and sums the gradients of its parameters and args over all calls pulled back.

    parameters: tensors that f captures. args: of the equation, detached; those with requires_grad are differentiated.
    time: whether gradients of the call times are wanted. sums: gradients of [*parameters, *args tensors], None while
    untouched.
    """

    def __init__(
        self, equation: AbstractEquation, parameters: list[torch.Tensor], *, wants_args: list[bool], time: bool
    ):
        self.parameters, self.time = parameters, time
        originals = equation.args_tensors
        self.args_leaves = [
            tensor.detach().requires_grad_(wanted) for tensor, wanted in zip(originals, wants_args, strict=True)
        ]
        self.equation = equation.with_args_tensors(self.args_leaves)
        self.follows = equation.args_follow
        self.sums: list[torch.Tensor | None] = [None] * (len(parameters) + len(self.args_leaves))
        self.whole = TapeScope(self, self.equation, self.args_leaves, rows=None)

    def scope(self, rows: torch.Tensor | None) -> "TapeScope":
        """The tape for some of the lanes (`rows`), or for all (None); args of a sample follow."""
        if rows is None:
            return self.whole
        if not any(self.follows):
            return replace(self.whole, rows=rows)
        leaves = [
            leaf.detach().index_select(0, rows).requires_grad_(leaf.requires_grad) if follows else leaf
            for leaf, follows in zip(self.args_leaves, self.follows, strict=True)
        ]
        return TapeScope(self, self.equation.with_args_tensors(leaves), leaves, rows=rows)

    def add(self, gradients: tuple[torch.Tensor | None, ...], rows: torch.Tensor | None) -> None:
        """Sum one call's gradients of [*parameters, *args]; those of a sample go to its own row."""
        totals, parts = [], []
        for place, gradient in enumerate(gradients):
            if gradient is None:
                continue
            of_args = place - len(self.parameters)
            total = self.sums[place]
            if total is None:
                leaf = self.args_leaves[of_args] if of_args >= 0 else self.parameters[place]
                total = self.sums[place] = torch.zeros_like(leaf)
            if rows is not None and of_args >= 0 and self.follows[of_args]:
                total.index_add_(0, rows, gradient)
            else:
                totals.append(total)
                parts.append(gradient)
        if parts:
            # One call for all: this runs once a stage, and a small field has as many parameters as operations.
            torch._foreach_add_(totals, parts)


@dataclass(frozen=True)
class TapeScope:
    """A tape seen for some of the lanes (`rows`, None for all), with the args of these."""

    tape: Tape
    equation: AbstractEquation
    args_leaves: list[torch.Tensor]
    rows: torch.Tensor | None

    def record(self, t: torch.Tensor, y: torch.Tensor) -> Evaluation:
        """Call f at (t, y) with a graph that starts there."""
        y = y.detach().requires_grad_()
        if self.tape.time:
            t = t.detach().requires_grad_()
        with torch.enable_grad():
            return Evaluation(self.equation(t, y), y, t)

    def pull(self, call: Evaluation, value_bar: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Gradients of y and t from that of the call's value; parameters and args are summed on the tape."""
        if not call.value.requires_grad:
            return torch.zeros_like(call.y), torch.zeros_like(call.t) if self.tape.time else None
        wanted = [leaf for leaf in (*self.tape.parameters, *self.args_leaves) if leaf.requires_grad]
        times = [call.t] if self.tape.time else []
        # The graph may run on into one made outside (weights computed by another network): it must survive this call.
        gradients = torch.autograd.grad(
            call.value, [call.y, *times, *wanted], value_bar, retain_graph=True, allow_unused=True
        )
        y_bar = gradients[0] if gradients[0] is not None else torch.zeros_like(call.y)
        t_bar = None
        if times:
            t_bar = gradients[1] if gradients[1] is not None else torch.zeros_like(call.t)
        supply = iter(gradients[1 + len(times) :])
        self.tape.add(
            tuple(next(supply) if leaf.requires_grad else None for leaf in (*self.tape.parameters, *self.args_leaves)),
            self.rows,
        )
        return y_bar, t_bar


@contextmanager
def hooks_aside(parameters: Sequence[torch.Tensor]) -> Iterator[None]:
    """Without the hooks of these leaves: they are for a whole gradient, not for that of each recorded call."""
    hooked = [(tensor, tensor._backward_hooks) for tensor in parameters if tensor._backward_hooks]
    try:
        for tensor, _ in hooked:
            tensor._backward_hooks = None
        yield
    finally:
        for tensor, hooks in hooked:
            tensor._backward_hooks = hooks


def captured_leaves(held: Held, value: torch.Tensor, known: list[torch.Tensor]) -> list[torch.Tensor]:
    """The leaf tensors that a field depends on beside its arguments: what its graph reaches, and what it holds.

    held: by the field. value: what one call returned, with its graph. known: leaves that are counted elsewhere (args).
    Leaves that the field holds count even if that call did not use them.
    """
    # A leaf only: a module of a data-parallel replica holds tensors with a history, found through the graph. And what
    # belongs to a transform of torch.func is an argument by now.
    found = {
        id(tensor): tensor
        for tensor in held.tensors
        if tensor.is_leaf and tensor.requires_grad and not is_wrapped(tensor)
    }
    stack, seen = [value.grad_fn], set()
    while stack:
        node = stack.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        variable = getattr(node, "variable", None)
        if isinstance(variable, torch.Tensor) and variable.requires_grad:
            found[id(variable)] = variable
        stack.extend(parent for parent, _ in node.next_functions)
    for tensor in known:
        found.pop(id(tensor), None)
    return list(found.values())
