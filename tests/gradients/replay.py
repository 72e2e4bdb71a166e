"""The discrete solution written out again, apart from the solver: Runge-Kutta steps between given boundaries.

It is what an exact gradient is the derivative of: the accepted steps are held fixed, and only boundaries that are times
of ts move with them. In plain torch operations, so that both finite differences and autograd can be taken of it.
"""

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor

from neurode.methods.tableau import Tableau

FlatField = Callable[[Tensor, Tensor], Tensor]


def boundaries_of(ts: Tensor, accepted: Tensor, *, at_ts: bool) -> list[Tensor]:
    """Step boundaries as tensors: the accepted times, of which the two ends (or, with at_ts, all) are those of ts."""
    if at_ts:
        return list(ts)
    return [ts[0], *accepted[1:-1].detach(), ts[-1]]


def replay(f: FlatField, y0: Tensor, boundaries: list[Tensor], tableau: Tableau, places: list[tuple]) -> list[Tensor]:
    """Values at `places` of the solution through y0 (any shape): ("boundary", k) or ("inside", k, t) in step k."""
    steps = [y0]
    inside = {}
    asked: dict[int, list[tuple[int, Tensor]]] = {}
    for number, place in enumerate(places):
        if place[0] == "inside":
            asked.setdefault(place[1], []).append((number, place[2]))
    for k, (start, end) in enumerate(pairwise(boundaries)):
        size, y = end - start, steps[-1]
        slopes: list[Tensor] = []
        for node, row in zip(tableau.nodes, tableau.rows, strict=True):
            moved = sum((size * float(a) * slope for a, slope in zip(row, slopes, strict=True)), start=y)
            slopes.append(f(start + float(node) * size, moved))
        steps.append(sum((size * float(b) * slope for b, slope in zip(tableau.b, slopes, strict=False)), start=y))
        for number, t in asked.get(k, []):
            theta = (t - start) / size
            value = y
            for row, slope in zip(tableau.dense, slopes, strict=True):
                weight = sum(float(c) * theta ** (power + 1) for power, c in enumerate(row))
                value = value + size * weight * slope
            inside[number] = value
    return [steps[place[1]] if place[0] == "boundary" else inside[n] for n, place in enumerate(places)]


def replay_reversible(
    f: FlatField, y0: Tensor, boundaries: list[Tensor], tableau: Tableau, places: list[tuple], coupling: float = 0.999
) -> list[Tensor]:
    """The same through the reversible recursion of McCallum and Foster over the method of the tableau.

    Within a step the solution runs along the method's dense output for the slopes of the increment, and along the
    straight line of the pull (1 - coupling) (z - y).
    """

    def slopes_of(start: Tensor, size: Tensor, y: Tensor) -> list[Tensor]:
        slopes: list[Tensor] = []
        for node, row in zip(tableau.nodes, tableau.rows, strict=True):
            moved = sum((size * float(a) * slope for a, slope in zip(row, slopes, strict=True)), start=y)
            slopes.append(f(start + float(node) * size, moved))
        return slopes

    def along(slopes: list[Tensor], weights: list) -> Tensor:
        return sum(
            (float(w) * k if not isinstance(w, Tensor) else w * k for w, k in zip(weights, slopes, strict=False))
        )

    ys, z, inside = [y0], y0, {}
    for k, (start, end) in enumerate(pairwise(boundaries)):
        size, y = end - start, ys[-1]
        slopes = slopes_of(start, size, z)
        for number, place in enumerate(places):
            if place[0] == "inside" and place[1] == k:
                theta = (place[2] - start) / size
                weights = [sum(float(c) * theta ** (p + 1) for p, c in enumerate(row)) for row in tableau.dense]
                inside[number] = y + theta * (1 - coupling) * (z - y) + size * along(slopes, weights)
        y_next = coupling * y + (1 - coupling) * z + size * along(slopes, list(tableau.b))
        z = z + size * along(slopes_of(end, -size, y_next), list(tableau.b))
        ys.append(y_next)
    return [ys[place[1]] if place[0] == "boundary" else inside[n] for n, place in enumerate(places)]


def places_of(times: Tensor, boundaries: list[Tensor]) -> list[tuple]:
    """Where each time lies: on a boundary (exactly), or inside a step."""
    edges = torch.stack([edge.detach() for edge in boundaries])
    sign = 1.0 if edges[-1] >= edges[0] else -1.0
    places: list[tuple] = []
    for t in times:
        same = (edges == t.detach()).nonzero()
        if len(same):
            places.append(("boundary", int(same[0])))
        else:
            step = int(torch.searchsorted(sign * edges, sign * t.detach())) - 1
            places.append(("inside", step, t))
    return places


def directional_difference(
    loss: Callable[[], Tensor], leaves: list[Tensor], directions: list[Tensor], width: float = 2e-5
) -> float:
    """The derivative of loss() when the leaves move along their directions, by central differences of order four."""
    originals = [leaf.detach().clone() for leaf in leaves]

    def at(factor: float) -> float:
        with torch.no_grad():
            for leaf, original, direction in zip(leaves, originals, directions, strict=True):
                leaf.copy_(original + factor * width * direction)
            value = loss().item()
            for leaf, original in zip(leaves, originals, strict=True):
                leaf.copy_(original)
        return value

    return (8 * (at(1) - at(-1)) - (at(2) - at(-2))) / (12 * width)
