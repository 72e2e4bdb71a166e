"""Calls of the field recorded in small graphs, pulled back one at a time: how exact gradients re-run a solve."""

from collections.abc import Container, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch

from neurode.core.equation import AbstractEquation
from neurode.core.held import Held
from neurode.core.transforms import is_wrapped, pull_back_values


@dataclass(slots=True)
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
        self.goes_once = False
        originals = equation.args_tensors
        self.args_leaves = [
            tensor.detach().requires_grad_(wanted) for tensor, wanted in zip(originals, wants_args, strict=True)
        ]
        self.equation = equation.with_args_tensors(self.args_leaves)
        self.follows = equation.args_follow
        self.sums: list[torch.Tensor | None] = [None] * (len(parameters) + len(self.args_leaves))

    def restart(self) -> None:
        """Forget what was summed."""
        self.sums = [None] * len(self.sums)

    @property
    def whole(self) -> "TapeScope":
        """For all rows. Made when asked: kept here it would hold the tape, and the tape it."""
        return TapeScope(self, self.equation, self.args_leaves, rows=None)

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

    def pull_back(
        self, values: Sequence[torch.Tensor], wanted: Sequence[torch.Tensor], bars: Sequence[torch.Tensor]
    ) -> Sequence[torch.Tensor | None]:
        """Gradients of the wanted leaves of one recorded graph.

        The graph may run on into one made outside (weights computed by another network), and has to survive this. A
        compiled field cannot: it gives its buffers away, and says so.
        """
        if not self.goes_once:
            try:
                return pull_back_values(values, wanted, bars, retain=True)
            except RuntimeError as error:
                if "donated" not in str(error):
                    raise
                self.goes_once = True
        return pull_back_values(values, wanted, bars, retain=False)

    def add(self, places: Sequence[int], gradients: Sequence[torch.Tensor | None], rows: torch.Tensor | None) -> None:
        """Sum one call's gradients of some of [*parameters, *args]; those of a sample go to its own row."""
        totals, parts, sums = [], [], self.sums
        for place, gradient in zip(places, gradients, strict=True):
            if gradient is None:
                continue
            of_args = place - len(self.parameters)
            total = sums[place]
            if total is None:
                leaf = self.args_leaves[of_args] if of_args >= 0 else self.parameters[place]
                total = sums[place] = torch.zeros_like(leaf)
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

    @cached_property
    def wanted(self) -> tuple[list[int], list[torch.Tensor]]:
        """Those of [*parameters, *args] that are differentiated: places, and tensors."""
        sources = (*self.tape.parameters, *self.args_leaves)
        places = [place for place, leaf in enumerate(sources) if leaf.requires_grad]
        return places, [sources[place] for place in places]

    def record(self, t: torch.Tensor, y: torch.Tensor) -> Evaluation:
        """Call f at (t, y) with a graph that starts there."""
        y = y.detach().requires_grad_()
        if self.tape.time:
            t = t.detach().requires_grad_()
        with torch.enable_grad():
            return Evaluation(self.equation(t, y), y, t)

    def pull(self, call: Evaluation, value_bar: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Gradients of y and t from that of the call's value; parameters and args are summed on the tape."""
        leaves = (call.y, call.t) if self.tape.time else (call.y,)
        if not call.value.requires_grad:
            return torch.zeros_like(call.y), torch.zeros_like(call.t) if self.tape.time else None
        places, wanted = self.wanted
        gradients = self.tape.pull_back((call.value,), (*leaves, *wanted), (value_bar,))
        if places:
            self.tape.add(places, gradients[len(leaves) :], self.rows)
        y_bar = torch.zeros_like(call.y) if gradients[0] is None else gradients[0]
        if not self.tape.time:
            return y_bar, None
        return y_bar, torch.zeros_like(call.t) if gradients[1] is None else gradients[1]

    def pull_values(
        self, values: Sequence[torch.Tensor], leaves: Sequence[torch.Tensor], bars: Sequence[torch.Tensor]
    ) -> list[torch.Tensor]:
        """Gradients of the leaves from those of several values of one graph; parameters and args are summed on the
        tape."""
        if not values:
            return [torch.zeros_like(leaf) for leaf in leaves]
        places, wanted = self.wanted
        gradients = self.tape.pull_back(values, (*leaves, *wanted), bars)
        if places:
            self.tape.add(places, gradients[len(leaves) :], self.rows)
        pairs = zip(leaves, gradients, strict=False)
        return [torch.zeros_like(leaf) if gradient is None else gradient for leaf, gradient in pairs]


@contextmanager
def hooks_aside(tensors: Sequence[torch.Tensor]) -> Iterator[None]:
    """Without the hooks of these tensors, and without gradients retained in them: both are for a whole gradient, not
    for that of each recorded call."""
    hooked = [(tensor._backward_hooks, dict(tensor._backward_hooks)) for tensor in tensors if tensor._backward_hooks]
    retained = [(tensor, tensor.grad) for tensor in tensors if tensor.retains_grad]
    try:
        for present, _ in hooked:
            present.clear()
        yield
    finally:
        for present, hooks in hooked:
            present.update(hooks)
        for tensor, gradient in retained:
            tensor.grad = gradient


def captured(held: Held, value: torch.Tensor) -> list[torch.Tensor]:
    """The tensors beside its arguments that a field's gradients are gradients of: where its graphs begin.

    held: by the field. value: what one call returned; its arguments had no graph. These are leaves, and tensors with a
    history that the field has in hand (an encoder's output, weights made by another network): the graph behind them is
    walked once, by autograd, and not at every call. What the field's code names, and the parameters of modules, count
    even if that call did not use them; other attributes only if it did. Leaves out of sight are found by the graph.
    """
    # What belongs to a transform of torch.func is an argument by now.
    own = [tensor for tensor in held.tensors if tensor.requires_grad and not is_wrapped(tensor)]
    leaves = {id(tensor): tensor for tensor in own if tensor.is_leaf}
    in_hand = {_edge(tensor): tensor for tensor in own if not tensor.is_leaf}
    variables, seen = _walk([_edge(value)], stops=in_hand)
    named = {id(tensor) for tensor in held.named}
    made = {edge: tensor for edge, tensor in in_hand.items() if edge in seen or id(tensor) in named}
    found = leaves | variables
    behind, passed = _walk([edge for node, _ in made for edge in node.next_functions], stops={})
    if found.keys() & behind.keys() or made.keys() & passed:
        # One of them is made from another one: their gradients are taken together, behind all that is made.
        return list((found | behind).values())
    return [*found.values(), *made.values()]


Edge = tuple[Any, int]
"""A node of a graph and the number of one of its outputs."""


def _edge(tensor: torch.Tensor) -> Edge:
    return tensor.grad_fn, tensor.output_nr


def _walk(edges: list[Edge], stops: Container[Edge]) -> tuple[dict[int, torch.Tensor], set[Edge]]:
    """The leaves that a graph reaches from these edges, and all edges on the way; not beyond `stops`."""
    leaves, seen = {}, set()
    while edges:
        edge = edges.pop()
        if edge[0] is None or edge in seen:
            continue
        seen.add(edge)
        if edge in stops:
            continue
        variable = getattr(edge[0], "variable", None)
        if isinstance(variable, torch.Tensor) and variable.requires_grad:
            leaves[id(variable)] = variable
        edges.extend(edge[0].next_functions)
    return leaves, seen
