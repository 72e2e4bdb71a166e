"""Evaluations of the field with one small graph each, pulled back one at a time: how exact gradients re-run a solve."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch

from neurode.core.equation import AbstractEquation


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


def captured_leaves(f: Callable, value: torch.Tensor, known: list[torch.Tensor]) -> list[torch.Tensor]:
    """The leaf tensors that a field depends on beside its arguments: what its graph reaches, and parameters it holds.

    f: the field. value: what one call returned, with its graph. known: leaves that are counted elsewhere (args).
    Parameters held by a module (or by modules in a closure, partial or bound method) count even if that call did not
    use them.
    """
    found: dict[int, torch.Tensor] = {}
    for tensor in _held_parameters(f, set()):
        if tensor.requires_grad:
            found[id(tensor)] = tensor
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


def _held_parameters(thing: Any, seen: set[int]) -> list[torch.Tensor]:
    if id(thing) in seen:
        return []
    seen.add(id(thing))
    if isinstance(thing, torch.nn.Module):
        # A leaf only: a module of a data-parallel replica holds tensors with a history, found through the graph.
        return [parameter for parameter in thing.parameters() if parameter.is_leaf]
    if isinstance(thing, torch.Tensor):
        return [thing] if thing.is_leaf else []
    inner = [cell.cell_contents for cell in getattr(thing, "__closure__", None) or () if _filled(cell)]
    for name in ("__self__", "__func__", "__wrapped__", "func"):
        inner.append(getattr(thing, name, None))
    for name in ("args", "__defaults__"):
        value = getattr(thing, name, None)
        if isinstance(value, tuple):
            inner.extend(value)
    keywords = getattr(thing, "keywords", None)
    if isinstance(keywords, dict):
        inner.extend(keywords.values())
    interesting = (item for item in inner if isinstance(item, (torch.nn.Module, torch.Tensor)) or callable(item))
    return [tensor for item in interesting for tensor in _held_parameters(item, seen)]


def _filled(cell) -> bool:
    try:
        cell.cell_contents  # noqa: B018 - reading an empty cell raises
    except ValueError:
        return False
    return True
