"""Gradients are those of the discrete solution over the accepted steps: against central differences, for everything."""

import itertools
from dataclasses import dataclass

import pytest
import torch

from neurode import Checkpointed, Reversible
from neurode.gradients.catalogue import GRADIENTS
from neurode.methods.catalogue import METHODS
from tests.gradients.cases import Case, recursion_of
from tests.gradients.replay import directional_difference, replay
from tests.gradients.ways import EXACT
from tests.kinds import ADAPTIVE_EXPLICIT, CORE, EXPLICIT

pytestmark = pytest.mark.filterwarnings("ignore:gradient='reversible'")
"""Steps of 0.4 by Euler's method and its like are coarse, and the reversible ones say so; their gradients are exact."""

WAYS = {
    **{name: GRADIENTS[name] for name in EXACT},
    "checkpointed with two states": Checkpointed(2),
    "reversible from the end alone": Reversible(anchors=0),
    "reversible with a second state": Reversible(coupling=0.999),
}
SAVES = ("ts", "end", "steps", "dense")


def every_case():
    """The full product; adaptive methods also with constant steps that do not meet the output times."""
    for method, batching, save, kind, backward in itertools.product(
        EXPLICIT, ("joint", "per_sample"), SAVES, ("tensor", "tuple"), (False, True)
    ):
        for step_size in (None, 0.17):
            yield Case(method, batching, save, kind, backward, step_size)


def some_cases():
    """Every pair of settings in some case (by a fixed thinning of the product): for the fast suite. Each method in four
    at least."""
    others = [name for name in EXPLICIT if name not in CORE]
    settings = itertools.product(others, enumerate(itertools.product((False, True), (None, 0.17))))
    for number, (method, (turn, (backward, step_size))) in enumerate(settings):
        kind, batching = ("tensor", "tuple")[number % 2], ("per_sample", "joint")[(number // 3) % 2]
        yield Case(method, batching, SAVES[(number // 4 + turn) % 4], kind, backward, step_size)
    for number, case in enumerate(case for case in every_case() if case.method in CORE):
        base = METHODS[case.method].has_error
        if number % 11 == 0 or (case.method == "dopri5" and number % 5 == 0) or (not base and number % 13 == 0):
            yield case


@dataclass
class Due:
    """What every way of one recursion has to give: the loss, its gradients, and slopes along directions.

    slopes: by the names of the leaves that move together.
    """

    loss: float
    gradients: dict[str, torch.Tensor]
    directions: dict[str, torch.Tensor]
    slopes: dict[tuple[str, ...], float]


def due_of(case: Case, gradient, *, together: bool) -> Due:
    recursion, accepted, leaves = recursion_of(gradient), case.accepted_times(gradient), case.leaves()
    replayed = case.replay_loss(accepted, recursion)
    due = torch.autograd.grad(replayed, list(leaves.values()), allow_unused=True)
    due = [torch.zeros_like(leaf) if g is None else g for g, leaf in zip(due, leaves.values(), strict=True)]
    generator = torch.Generator().manual_seed(5)
    directions = {
        name: torch.randn(leaf.shape, generator=generator, dtype=torch.float64) for name, leaf in leaves.items()
    }
    slopes = {}
    for names in [tuple(leaves)] if together else [(name,) for name in leaves]:
        moved, along = [leaves[name] for name in names], [directions[name] for name in names]
        slopes[names] = directional_difference(lambda: case.replay_loss(accepted, recursion), moved, along)
    return Due(replayed.item(), dict(zip(leaves, due, strict=True)), directions, slopes)


def check(case: Case, *, thorough: bool):
    """Each gradient way against differences along random directions, and every entry against autograd of the replay.

    thorough: differences leaf by leaf for every recursion; else all leaves of the reversible one move together.
    """
    leaves, known = case.leaves(), {}
    for gradient, way in WAYS.items():
        recursion = recursion_of(way)
        if recursion not in known:
            known[recursion] = due_of(case, way, together=not thorough and recursion is not replay)
        due = known[recursion]
        loss = case.loss(way)
        assert loss.item() == pytest.approx(due.loss, rel=1e-11, abs=1e-11)
        found = torch.autograd.grad(loss, list(leaves.values()), allow_unused=True)
        own = {
            name: torch.zeros_like(leaf) if g is None else g
            for (name, leaf), g in zip(leaves.items(), found, strict=True)
        }
        for name, exact in due.gradients.items():
            message = f"{gradient}, {name}: "
            torch.testing.assert_close(own[name], exact, rtol=1e-9, atol=1e-9, msg=lambda m, s=message: s + m)
        for names, slope in due.slopes.items():
            products = torch.cat([(own[name] * due.directions[name]).reshape(-1) for name in names])
            size = max(1.0, products.abs().sum().item())
            assert products.sum().item() == pytest.approx(slope, rel=1e-6, abs=1e-7 * size), (gradient, names)


@pytest.mark.parametrize("case", list(some_cases()), ids=str)
def test_gradients_agree_with_differences_over_the_accepted_steps(case):
    check(case, thorough=False)


@pytest.mark.slow
@pytest.mark.parametrize("case", list(every_case()), ids=str)
def test_gradients_agree_with_differences_in_every_arrangement(case):
    check(case, thorough=True)


def test_the_fast_cases_hold_every_setting():
    cases = list(some_cases())
    assert {case.method for case in cases} == set(EXPLICIT)
    pairs = {(case.save, case.batching, case.kind) for case in cases}
    assert pairs == set(itertools.product(SAVES, ("joint", "per_sample"), ("tensor", "tuple")))
    for method in ADAPTIVE_EXPLICIT:
        assert {(case.backward, case.step_size) for case in cases if case.method == method} == set(
            itertools.product((False, True), (None, 0.17))
        )
