"""What a Solution tells of its way back: how often f was called, for how long, and what was held until then."""

import pytest
import torch

from neurode import Checkpointed, Reversible, solve
from neurode.gradients.catalogue import GRADIENTS
from tests.problems import SmoothField

Y0 = torch.tensor([[0.5, -1.0], [1.5, 0.3]], dtype=torch.float64)
STATES = Checkpointed(graph_bytes=0)
RECORDED = [STATES, *(name for name in GRADIENTS if name not in ("direct", "checkpointed"))]


def solved(gradient="checkpointed", num_steps=20, method="rk4", **options):
    field = SmoothField()
    y0 = Y0.clone().requires_grad_()
    return solve(field, y0, [0.0, 1.0], method=method, step_size=1 / num_steps, gradient=gradient, **options)


@pytest.mark.parametrize("gradient", RECORDED)
@pytest.mark.parametrize("batching", ["joint", "per_sample"])
def test_it_is_zero_before_the_backward_pass_and_filled_in_by_it(gradient, batching):
    solution = solved(gradient, batching=batching)
    assert (solution.backward.runs, solution.backward.num_evaluations, solution.backward.seconds) == (0, 0, 0.0)
    solution.ys.sum().backward()
    assert solution.backward.runs == 1
    assert solution.backward.num_evaluations >= 20 * 4
    assert 0 < solution.backward.seconds < 60
    assert solution.backward.peak_bytes is None or solution.backward.peak_bytes >= 0


def test_checkpointed_calls_f_once_more_for_each_slope():
    solution = solved(STATES, num_steps=20)
    solution.ys.sum().backward()
    assert solution.backward.num_evaluations == 20 * 4 == int(solution.stats.num_evaluations)


def test_steps_whose_graphs_are_kept_are_not_made_again_and_their_bytes_are_counted():
    kept, made_again = solved("checkpointed"), solved(STATES)
    for solution in (kept, made_again):
        solution.ys.sum().backward()
    # The first slope was known before there was a graph of the first step.
    assert kept.backward.num_evaluations == 4
    assert kept.backward.kept_bytes > 10 * made_again.backward.kept_bytes


def test_graphs_are_kept_as_long_as_there_is_room():
    whole = solved("checkpointed").backward.kept_bytes - solved(STATES).backward.kept_bytes
    half = solved(Checkpointed(graph_bytes=whole // 2))
    half.ys.sum().backward()
    assert 9 * 4 <= half.backward.num_evaluations <= 12 * 4
    assert half.backward.kept_bytes <= whole // 2 + solved(STATES).backward.kept_bytes


def test_states_made_again_count_as_evaluations():
    every, some = solved(STATES), solved(Checkpointed(2))
    for solution in (every, some):
        solution.ys.sum().backward()
    assert some.backward.num_evaluations > 2 * every.backward.num_evaluations


def test_a_second_backward_pass_is_counted_for_itself():
    solution = solved(Checkpointed(3))
    loss = solution.ys.sum()
    loss.backward(retain_graph=True)
    first = solution.backward.num_evaluations
    loss.backward()
    assert solution.backward.runs == 2
    assert solution.backward.num_evaluations <= 3 * first


def test_kept_bytes_grow_with_the_states_that_are_kept():
    state = Y0.numel() * 8
    kept = {steps: solved(STATES, steps).backward.kept_bytes for steps in (20, 40)}
    # The first state is y0 itself, which is the user's.
    assert kept == {20: 19 * state, 40: 39 * state}
    # Four more states, and f(t0, y0), from which the first step is made again.
    assert {solved(Checkpointed(5), steps).backward.kept_bytes for steps in (40, 80)} == {5 * state}
    bounded = {solved(Reversible(anchors=2), steps).backward.kept_bytes for steps in (20, 200)}
    assert bounded == {(1 + 2) * state}
    paired = solved(Reversible(0.999, anchors=2)).backward.kept_bytes
    assert paired == 2 * (1 + 2) * state


def test_there_is_none_where_autograd_goes_alone_or_nothing_wants_a_gradient():
    assert solved("direct").backward is None
    with torch.no_grad():
        assert solved("checkpointed").backward is None


def test_the_room_for_graphs_is_refused_where_it_has_no_effect_or_is_no_number_of_bytes():
    with pytest.raises(ValueError, match=r"keeps k=5 states and no graphs, so graph_bytes=100 has no effect"):
        Checkpointed(5, graph_bytes=100)
    with pytest.raises(ValueError, match=r"graph_bytes must be a whole number, 0 or more"):
        Checkpointed(graph_bytes=-1)


def test_kept_graphs_and_steps_made_again_give_the_same_gradient_to_the_last_bit():
    whole = solved("checkpointed").backward.kept_bytes
    fields = [SmoothField() for _ in range(3)]
    found = []
    for field, room in zip(fields, (0, whole // 2, 2 * whole), strict=True):
        field.load_state_dict(fields[0].state_dict())
        y0 = Y0.clone().requires_grad_()
        ys = solve(field, y0, [0.0, 0.3, 1.0], method="dopri5", gradient=Checkpointed(graph_bytes=room)).ys
        found.append(torch.autograd.grad(ys.square().sum(), (y0, *field.parameters())))
    for other in found[1:]:
        assert all(torch.equal(one, two) for one, two in zip(found[0], other, strict=True))


def test_a_second_way_back_makes_the_steps_again_that_were_kept_for_the_first():
    solution = solved("checkpointed", method="dopri5")
    loss = solution.ys.square().sum()
    loss.backward(retain_graph=True)
    first = solution.backward.num_evaluations
    loss.backward()
    assert first <= 1 < 20 * 6 <= solution.backward.num_evaluations
