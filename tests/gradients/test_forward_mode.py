"""Forward mode: tangents through a solve, against differences over the accepted steps and against the way back."""

import pytest
import torch
from torch.autograd import forward_ad

from neurode import solve
from neurode.gradients.catalogue import GRADIENTS
from tests.gradients.cases import Case, recursion_of
from tests.gradients.replay import directional_difference
from tests.gradients.test_exactness import some_cases
from tests.gradients.ways import EXACT, by_autograd

pytestmark = [
    # torch's own forward derivatives of some operations are written in TorchScript, which says that it is deprecated.
    pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning"),
    # Steps of 0.4 are coarse, and the reversible ones say so; their derivatives are exact.
    pytest.mark.filterwarnings("ignore:gradient='reversible'.* two states"),
]


def directions_of(case: Case) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(8)
    return {
        name: torch.randn(leaf.shape, generator=generator, dtype=torch.float64) for name, leaf in case.leaves().items()
    }


def tangent_of_loss(case: Case, gradient, directions: dict[str, torch.Tensor]) -> tuple[float, float]:
    """The loss and its derivative along the directions, by dual numbers in the place of every leaf."""
    with forward_ad.dual_level():
        for name, direction in directions.items():
            place = vars(case) if name in vars(case) else case.field._parameters
            place[name] = forward_ad.make_dual(place[name].detach(), direction)
        primal, tangent = forward_ad.unpack_dual(case.loss(gradient))
        return primal.item(), tangent.item()


CASES = list(some_cases())[::2]


@pytest.mark.parametrize(
    "own",
    [
        pytest.param(case, id=str(case), marks=[pytest.mark.slow] if number % 4 else [])
        for number, case in enumerate(CASES)
    ],
)
def test_tangents_are_those_of_differences_over_the_accepted_steps(own):
    """For y0, parameters, args, output times and the times asked for, all moved at once, by every exact way."""
    settings = (own.method, own.batching, own.save, own.kind, own.backward, own.step_size)
    known = {}
    for gradient in EXACT:
        case, recursion = Case(*settings), recursion_of(gradient)
        directions, leaves = directions_of(case), case.leaves()
        if recursion not in known:
            accepted = case.accepted_times(gradient)
            slope = directional_difference(
                lambda case=case, accepted=accepted, recursion=recursion: case.replay_loss(accepted, recursion),
                list(leaves.values()),
                list(directions.values()),
            )
            replayed = case.replay_loss(accepted, recursion)
            gradients = torch.autograd.grad(replayed, list(leaves.values()), allow_unused=True)
            pairs = zip(gradients, directions.values(), strict=True)
            exact = sum((bar * direction).sum().item() for bar, direction in pairs if bar is not None)
            known[recursion] = slope, exact
        slope, exact = known[recursion]
        _, found = tangent_of_loss(case, gradient, directions)
        size = max(1.0, abs(exact))
        assert found == pytest.approx(slope, rel=1e-6, abs=1e-6 * size), gradient
        assert found == pytest.approx(exact, rel=1e-9, abs=1e-9 * size), gradient


@pytest.mark.parametrize(
    ("batching", "gradient"), [*(("joint", gradient) for gradient in GRADIENTS), ("per_sample", "direct")]
)
def test_only_what_moves_needs_a_tangent(batching, gradient):
    """One leaf at a time; the sum over all is the derivative along all."""
    case = Case(batching=batching)
    moved = ("x", "scale", "shift", "ts", "w_in")
    directions = {name: direction for name, direction in directions_of(case).items() if name in moved}
    _, along_all = tangent_of_loss(Case(batching=batching), gradient, directions)
    parts = [
        tangent_of_loss(Case(batching=batching), gradient, {name: direction})[1]
        for name, direction in directions.items()
    ]
    assert sum(parts) == pytest.approx(along_all, rel=1e-9, abs=1e-10)
    assert min(abs(part) for part in parts) > 1e-4


@pytest.mark.parametrize("gradient", GRADIENTS)
def test_without_a_graph_forward_mode_needs_no_grad_mode(gradient):
    case = Case()
    directions = directions_of(case)
    due = tangent_of_loss(Case(), gradient, directions)
    with torch.no_grad():
        assert tangent_of_loss(Case(), gradient, directions) == pytest.approx(due, rel=1e-12)


def test_forward_mode_keeps_nothing_of_the_steps_behind():
    """Under no_grad autograd saves nothing: the memory does not grow with the number of steps."""
    kept = []
    field = torch.nn.Linear(4, 4, dtype=torch.float64)
    start = torch.ones(4, dtype=torch.float64)
    hooks = torch.autograd.graph.saved_tensors_hooks(lambda x: kept.append(x) or x, lambda x: x)
    with hooks, torch.no_grad(), forward_ad.dual_level():
        dual = forward_ad.make_dual(start, torch.ones_like(start))
        ys = solve(lambda t, y: field(y), dual, [0.0, 1.0], method="rk4", step_size=0.01, gradient="direct").ys
        assert forward_ad.unpack_dual(ys).tangent[-1].abs().min() > 0
    assert not kept


@pytest.mark.parametrize("gradient", [name for name in GRADIENTS if name != "direct"])
def test_both_directions_at_once_are_refused_one_of_them_is_not(gradient):
    """A tangent that is to be differentiated by the weights is a second derivative; the value beside it is not."""
    field = torch.nn.Linear(2, 2, dtype=torch.float64)
    start = torch.tensor([0.5, -1.0], dtype=torch.float64)
    options = {"rtol": 1e-10, "atol": 1e-12}
    with forward_ad.dual_level():
        dual = forward_ad.make_dual(start, start.cos())
        ys = solve(lambda t, y: field(y).tanh(), dual, [0.0, 1.0], gradient=gradient, **options).ys
        value, tangent = forward_ad.unpack_dual(ys)
        found = torch.autograd.grad(value[-1].sum(), list(field.parameters()), retain_graph=True)
        with pytest.raises(RuntimeError, match=f"gradient='{gradient}' gives first derivatives only"):
            torch.autograd.grad(tangent.sum(), list(field.parameters()))
    plain = solve(lambda t, y: field(y).tanh(), start, [0.0, 1.0], **by_autograd(gradient), **options).ys
    for one, other in zip(found, torch.autograd.grad(plain[-1].sum(), list(field.parameters())), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-7, atol=1e-8)
