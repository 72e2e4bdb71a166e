"""Gradients are those of the discrete solution over the accepted steps: against central differences, for everything."""

import itertools

import pytest
import torch

from neurode import Checkpointed
from neurode.gradients.catalogue import GRADIENTS
from neurode.methods.catalogue import METHODS, adaptive_methods
from tests.gradients.cases import Case
from tests.gradients.replay import directional_difference

WAYS = {**GRADIENTS, "checkpointed with two states": Checkpointed(2)}
SAVES = ("ts", "end", "steps", "dense")


def every_case():
    """The full product; adaptive methods also with constant steps that do not meet the output times."""
    for method, batching, save, kind, backward in itertools.product(
        METHODS, ("joint", "per_sample"), SAVES, ("tensor", "tuple"), (False, True)
    ):
        for step_size in (None, 0.17):
            yield Case(method, batching, save, kind, backward, step_size)


def some_cases():
    """Every pair of settings in some case (by a fixed thinning of the product): for the fast suite."""
    for number, case in enumerate(every_case()):
        base = METHODS[case.method].has_error
        if number % 11 == 0 or (case.method == "dopri5" and number % 5 == 0) or (not base and number % 13 == 0):
            yield case


def check(case: Case):
    """Each gradient way against differences along random directions, and every entry against autograd of the replay."""
    accepted, leaves = case.accepted_times(), case.leaves()
    replayed = case.replay_loss(accepted)
    due = torch.autograd.grad(replayed, list(leaves.values()), allow_unused=True)
    due = [torch.zeros_like(leaf) if g is None else g for g, leaf in zip(due, leaves.values(), strict=True)]
    generator = torch.Generator().manual_seed(5)
    differences = {}
    for name, leaf in leaves.items():
        direction = torch.randn(leaf.shape, generator=generator, dtype=torch.float64)
        slope = directional_difference(lambda: case.replay_loss(accepted), leaf, direction)
        differences[name] = (direction, slope)
    for gradient, way in WAYS.items():
        loss = case.loss(way)
        assert loss.item() == pytest.approx(replayed.item(), rel=1e-11, abs=1e-11)
        found = torch.autograd.grad(loss, list(leaves.values()), allow_unused=True)
        for (name, leaf), own, exact in zip(leaves.items(), found, due, strict=True):
            own = torch.zeros_like(leaf) if own is None else own
            direction, slope = differences[name]
            size = max(1.0, (own.abs() * direction.abs()).sum().item())
            assert (own * direction).sum().item() == pytest.approx(slope, rel=1e-6, abs=1e-7 * size), (gradient, name)
            torch.testing.assert_close(
                own, exact, rtol=1e-9, atol=1e-9, msg=lambda m, n=name, g=gradient: f"{g}, {n}: {m}"
            )


@pytest.mark.parametrize("case", list(some_cases()), ids=str)
def test_gradients_agree_with_differences_over_the_accepted_steps(case):
    check(case)


@pytest.mark.slow
@pytest.mark.parametrize("case", list(every_case()), ids=str)
def test_gradients_agree_with_differences_in_every_arrangement(case):
    check(case)


def test_the_fast_cases_hold_every_setting():
    cases = list(some_cases())
    assert {case.method for case in cases} == set(METHODS)
    pairs = {(case.save, case.batching, case.kind) for case in cases}
    assert pairs == set(itertools.product(SAVES, ("joint", "per_sample"), ("tensor", "tuple")))
    for method in adaptive_methods():
        assert {(case.backward, case.step_size) for case in cases if case.method == method} == set(
            itertools.product((False, True), (None, 0.17))
        )
