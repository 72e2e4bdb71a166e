"""gradient="reversible": order, exactness without anchors, memory, and what is said when two states come apart."""

import gc
import itertools
import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch

from neurode import PerSample, Reversible, Status, Tableau, solve
from neurode.core.transforms import is_wrapped
from neurode.gradients.anchors import Anchors
from neurode.methods.catalogue import METHODS
from neurode.methods.explicit_rk import ExplicitRungeKutta
from neurode.methods.reversible import ReversibleRungeKutta
from tests.gradients.cases import Case, recursion_of
from tests.gradients.replay import boundaries_of, directional_difference, places_of, replay_reversible
from tests.gradients.ways import by_autograd
from tests.kinds import CORE
from tests.problems import SmoothField, cosine_growth, forced_decay, linear_system, logistic, oscillator, riccati

PAIRED = Reversible(coupling=0.999)
WAYS = pytest.mark.parametrize("way", [Reversible(), PAIRED], ids=["undone", "paired"])
COUNTS = {1: (40, 80, 160), 2: (40, 80, 160), 3: (40, 80, 160), 4: (60, 120, 240), 5: (40, 60, 90)}
BATCHINGS = pytest.mark.parametrize("batching", ["joint", "per_sample"])
Y0 = torch.tensor([[0.5, -1.0], [1.5, 0.3], [-0.2, 0.1]], dtype=torch.float64)


def errors_of(problem, method):
    """Step sizes, and the largest errors at the end and anywhere inside."""
    sizes = [(problem.t1 - problem.t0) / count for count in COUNTS[METHODS[method].order]]
    asked = torch.linspace(problem.t0, problem.t1, 203, dtype=torch.float64)
    exact, at_end, inside = problem.exact_at(asked), [], []
    for size in sizes:
        span = torch.tensor([problem.t0, problem.t1], dtype=torch.float64)
        solution = solve(problem.f, problem.y0, span, method=method, step_size=size, save="dense", gradient=PAIRED)
        at_end.append((solution.ys[-1] - exact[-1]).abs().max().item())
        inside.append((solution.evaluate(asked) - exact).abs().max().item())
    assert min(at_end) > 1e-14, "rounding would decide, not the method"
    return sizes, at_end, inside


def slope(sizes, errors) -> float:
    return float(np.polyfit(np.log(sizes), np.log(errors), 1)[0])


@pytest.mark.parametrize("problem", [linear_system(), forced_decay()], ids=str)
@pytest.mark.parametrize("method", CORE)
def test_the_error_shrinks_with_the_order_of_the_base_method(method, problem):
    sizes, at_end, inside = errors_of(problem, method)
    assert slope(sizes, at_end) == pytest.approx(METHODS[method].order, abs=0.2)
    assert slope(sizes, inside) == pytest.approx(METHODS[method].order, abs=0.2)


@pytest.mark.parametrize("problem", [logistic(), cosine_growth(), riccati(), oscillator()], ids=str)
@pytest.mark.parametrize("method", ["heun", "rk4", "dopri5"])
def test_on_other_problems_the_error_inside_shrinks_at_least_with_the_order(method, problem):
    sizes, _, inside = errors_of(problem, method)
    assert slope(sizes, inside) > METHODS[method].order - 0.2


def long_solve(gradient, y0, ts, field, scale, **options):
    """A field that turns, so that neither direction contracts much."""
    turn = torch.tensor([[0.0, 1.0], [-1.0, 0.0]], dtype=y0.dtype)
    return solve(
        lambda t, y, a: y @ turn * 2 + 0.1 * a["scale"] * field(t, y), y0, ts, args={"scale": PerSample(scale)},
        gradient=gradient, **options,
    )  # fmt: skip


@BATCHINGS
@WAYS
@pytest.mark.parametrize("anchors", [0, 8])
@pytest.mark.parametrize(
    ("method", "options"),
    [("dopri5", {}), ("bosh3", {"rtol": 1e-5}), ("tsit5", {"save": "steps"}), ("rk4", {"step_size": 0.07})],
    ids=str,
)
def test_over_many_steps_it_is_the_gradient_of_autograd(method, options, anchors, way, batching):
    """Dozens of steps inverted without a stored state: y0, times, own arguments and parameters."""
    span = torch.tensor([0.0, 1.7, 3.1, 5.0], dtype=torch.float64)
    if batching == "per_sample":
        span = span.unsqueeze(1) * torch.tensor([1.0, -0.7, 1.3], dtype=torch.float64)

    def gradients(gradient, **own):
        field, y0, ts = SmoothField(), Y0.clone().requires_grad_(), span.clone().requires_grad_()
        scale = torch.tensor([[0.3], [-0.5], [1.0]], dtype=torch.float64, requires_grad=True)
        solution = long_solve(gradient, y0, ts, field, scale, batching=batching, **(options | own))
        assert solution.stats.num_accepted.min() > 15
        values = solution.ys.nan_to_num()
        weights = torch.cos(torch.arange(values.numel(), dtype=torch.float64)).reshape(values.shape)
        return torch.autograd.grad((values * weights).sum(), (y0, ts, scale, *field.parameters()))

    way = replace(way, anchors=anchors)
    for one, other in zip(gradients(way, method=method), gradients(**by_autograd(way, method)), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9)


@WAYS
@pytest.mark.filterwarnings("ignore:gradient='reversible'")  # steps of 0.4 are coarse
@pytest.mark.parametrize(
    "case",
    [
        Case(method, batching, save, kind, backward, step_size)
        for number, (method, batching, save, kind, backward, step_size) in enumerate(
            itertools.product(
                ("midpoint", "bosh3", "dopri5"),
                ("joint", "per_sample"),
                ("ts", "end", "steps", "dense"),
                ("tensor", "tuple"),
                (False, True),
                (None, 0.127),
            )
        )
        if number % 7 == 0
    ],
    ids=str,
)
def test_without_anchors_it_is_exact_in_every_arrangement(case, way):
    """The battery of test_exactness keeps an anchor at each of its few steps; here every state is re-created."""
    way, leaves = replace(way, anchors=0), list(case.leaves().values())
    due = torch.autograd.grad(case.replay_loss(case.accepted_times(way), recursion_of(way)), leaves, allow_unused=True)
    found = torch.autograd.grad(case.loss(way), leaves, allow_unused=True)
    for leaf, one, other in zip(leaves, found, due, strict=True):
        one, other = (torch.zeros_like(leaf) if g is None else g for g in (one, other))
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("coupling", [1.0, 0.8])
def test_other_couplings_are_exact_too(coupling):
    """By differences of the recursion written out again over the accepted steps."""
    field, y0 = SmoothField(), Y0.clone().requires_grad_()
    ts = torch.tensor([0.0, 0.5, 0.9], dtype=torch.float64)
    gradient = Reversible(coupling, anchors=0)
    accepted = solve(field, y0, ts, gradient=gradient, save="steps").ts
    edges = boundaries_of(ts, accepted, at_ts=False)
    leaves = [y0, *field.parameters()]

    def loss():
        values = replay_reversible(field, y0, edges, METHODS["dopri5"].tableau, places_of(ts, edges), coupling)
        return torch.stack(values).pow(3).sum()

    found = torch.autograd.grad(solve(field, y0, ts, gradient=gradient).ys.pow(3).sum(), leaves)
    directions = [torch.cos(torch.arange(leaf.numel(), dtype=torch.float64)).view_as(leaf) for leaf in leaves]
    product = sum((own * along).sum().item() for own, along in zip(found, directions, strict=True))
    assert product == pytest.approx(directional_difference(loss, leaves, directions), rel=1e-6)


@WAYS
def test_a_sample_has_the_same_values_and_gradients_alone_and_in_a_batch(way):
    lists = [torch.linspace(0, end, n, dtype=torch.float64) for end, n in ((1.0, 3), (-2.0, 5), (4.0, 2))]

    def run(samples):
        field, y0 = SmoothField(), Y0[samples].clone().requires_grad_()
        scale = torch.tensor([[0.3], [-0.5], [1.0]], dtype=torch.float64)[samples].requires_grad_()
        times = [lists[i].clone().requires_grad_() for i in samples]
        solution = long_solve(way, y0, times, field, scale, batching="per_sample")
        loss = solution.ys.nan_to_num().square().sum()
        return solution.ys, torch.autograd.grad(loss, (y0, scale, *times)), solution.stats.num_steps

    ys, (y_bar, scale_bar, *times_bar), steps = run([0, 1, 2])
    for i in range(3):
        own_ys, (own_y, own_scale, own_times), own_steps = run([i])
        torch.testing.assert_close(ys[: len(own_ys), i], own_ys[:, 0], rtol=1e-11, atol=1e-11)
        for one, other in ((y_bar[i], own_y[0]), (scale_bar[i], own_scale[0]), (times_bar[i], own_times)):
            torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10)
        assert steps[i] == own_steps[0]


@WAYS
def test_the_solution_is_the_same_with_and_without_gradients(way):
    field = SmoothField()
    with torch.no_grad():
        plain = solve(field, Y0, [0.0, 1.0], gradient=way)
    graph = solve(field, Y0.clone().requires_grad_(), [0.0, 1.0], gradient=way)
    assert torch.equal(plain.ys, graph.ys.detach())
    assert plain.stats.num_steps == graph.stats.num_steps


def test_the_solution_is_that_of_the_method_unless_a_coupling_is_given():
    field = SmoothField()
    base = solve(field, Y0, [0.0, 1.0]).ys
    assert torch.equal(solve(field, Y0, [0.0, 1.0], gradient="reversible").ys, base)
    paired = solve(field, Y0, [0.0, 1.0], gradient=PAIRED).ys
    assert not torch.equal(paired, base)
    torch.testing.assert_close(paired.detach(), base.detach(), rtol=1e-5, atol=1e-6)


# Memory


def bytes_kept(gradient, num_steps, batching="joint", method="rk4") -> tuple[int, int]:
    """Bytes of tensors alive between forward and backward, and the most at some calls of f on the way back."""
    field, most = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Tanh(), torch.nn.Linear(8, 4)), [0]

    def alive() -> int:
        storages = {}
        for thing in gc.get_objects():
            # What torch.func wrapped, and left to be collected, has no storage.
            if type(thing) in (torch.Tensor, torch.nn.Parameter) and not is_wrapped(thing):
                storages[thing.untyped_storage().data_ptr()] = thing.untyped_storage().nbytes()
        return sum(storages.values())

    calls = [0]

    def f(t, y):
        calls[0] += 1
        if watching and calls[0] % (num_steps // 4 + 1) == 0:
            most[0] = max(most[0], alive() - before)
        return field(y)

    y0, watching = torch.full((64, 4), 0.1, requires_grad=True), False
    gc.collect()
    before = alive()
    ys = solve(
        f, y0, [0.0, 1.0], method=method, step_size=1 / num_steps, gradient=gradient, save="end", batching=batching
    ).ys
    gc.collect()
    kept, watching = alive() - before, True
    ys.sum().backward()
    return kept, most[0]


@pytest.mark.usefixtures("small_heap")
@BATCHINGS
@WAYS
def test_no_more_tensors_are_kept_for_more_steps(way, batching):
    few, many = bytes_kept(way, 20, batching), bytes_kept(way, 100, batching)
    state, parts = 64 * 4 * 4, 1 if way.coupling is None else 2
    assert many[0] <= few[0] + (parts + 1) * state, "the last state may be an anchor, or not"
    assert many[1] <= few[1] + (parts + 3) * state
    assert many[0] <= (parts * (8 + 1) + 6) * state, (
        "eight anchors and the last one, of one part or two; y0, the values"
    )
    checkpointed = bytes_kept("checkpointed", 100, batching)
    assert checkpointed[0] > 90 * state


@pytest.mark.usefixtures("small_heap")
@BATCHINGS
def test_where_steps_are_made_again_no_more_tensors_are_kept_for_more_steps_either(batching):
    """Of Euler's method a step is cheaper made again than undone."""
    few, many = (bytes_kept(Reversible(), steps, batching, method="euler") for steps in (100, 800))
    # Three states where 700 steps were added: what a solve remembers of the last ones (times, layouts) counts, too.
    state = 64 * 4 * 4
    assert many[0] <= few[0] + 3 * state
    assert many[1] <= few[1] + 3 * state


@pytest.mark.parametrize("limit", [1, 2, 5, 8])
def test_anchors_stay_at_their_number_and_evenly_spread(limit):
    anchors, state = Anchors(limit), (Y0, Y0)
    for number in range(1, 1001):
        anchors.offer(number, state)
        assert len(anchors.kept) == min(limit, number)
        gaps = np.diff([0, *anchors.kept, number])
        assert gaps.max() <= max(1, 4 * number / limit)
    assert anchors.at(999) is None


def test_no_anchors_are_kept_where_none_are_asked_for():
    anchors = Anchors(0)
    anchors.offer(1, (Y0, Y0))
    assert not anchors.kept


# When two states come apart


@BATCHINGS
@pytest.mark.parametrize("options", [{}, {"method": "rk4", "step_size": 0.1}], ids=["adaptive", "constant"])
def test_two_states_that_come_apart_are_said_also_without_gradients(options, batching):
    """y' = -y to t = 10: the reversible method is off by more than the solution itself."""
    y0 = torch.ones(3, 2, dtype=torch.float64)
    run = lambda t1: solve(lambda t, y: -y, y0, [0.0, t1], gradient=PAIRED, batching=batching, **options)  # noqa: E731
    with pytest.warns(RuntimeWarning, match=r"two states .* apart, .* contracts too strongly for coupling=0\.999"):
        run(12.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run(1.0)


@WAYS
def test_a_sample_that_becomes_nan_on_its_way_leaves_the_gradients_of_the_others(way):
    """With two states the half step of the second alone meets the NaN; the step does not count."""

    def gradients(rows):
        y0, rate = Y0[rows].clone().requires_grad_(), torch.tensor(1.0, dtype=torch.float64, requires_grad=True)
        solution = solve(
            lambda t, y, a: a * torch.where(y.sum(-1, keepdim=True) > 3, torch.nan, y), y0, [0.0, 1.5], args=rate,
            gradient=way, batching="per_sample", method="heun", step_size=0.05, throw=False,
        )  # fmt: skip
        good = solution.status == 0
        return solution, torch.autograd.grad(solution.ys[:, good].square().sum(), (y0, rate))

    solution, (y_bar, rate_bar) = gradients([0, 1, 2])
    assert solution.status.tolist() == [Status.SUCCESS, Status.NON_FINITE, Status.SUCCESS]
    assert 0.3 < solution.reached[1] < 0.7
    _, (own_y, own_rate) = gradients([0, 2])
    torch.testing.assert_close(y_bar[[0, 2]], own_y, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(rate_bar, own_rate, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"coupling": 0.0}, r"coupling must be None or lie in \(0, 1\], but is 0.0"),
        ({"coupling": 1.1}, r"coupling must be None or lie in \(0, 1\], but is 1.1"),
        ({"anchors": -1}, "anchors must be a whole number, 0 or more, but is int -1"),
        ({"anchors": 2.5}, "anchors must be a whole number, 0 or more, but is float 2.5"),
        ({"drift": 0.0}, "drift must be positive, but is 0.0"),
    ],
)
def test_settings_out_of_range_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        Reversible(**settings)


@pytest.mark.parametrize("way", ["reversible", Reversible(0.99)], ids=str)
def test_a_method_that_is_reversible_already_stays_as_it_is(way):
    own = ReversibleRungeKutta(METHODS["rk4"], 0.99)
    options = {"method": own, "step_size": 0.1}
    found = solve(SmoothField(), Y0, [0.0, 1.0], gradient=way, **options).ys
    torch.testing.assert_close(found, solve(SmoothField(), Y0, [0.0, 1.0], gradient="direct", **options).ys)


def test_a_method_that_is_reversible_already_is_not_coupled_anew():
    with pytest.raises(ValueError, match=r"reversible already, with coupling 0.99, but coupling 0.999 is asked for"):
        solve(SmoothField(), Y0, [0.0, 1.0], gradient=PAIRED, method=ReversibleRungeKutta(METHODS["rk4"], 0.99))


@WAYS
def test_a_table_of_ones_own_can_be_undone(way):
    ralston = Tableau("ralston", 2, (0, 2 / 3), ((), (2 / 3,)), (1 / 4, 3 / 4), ((1, -3 / 4), (0, 3 / 4)))
    y0, base = Y0.clone().requires_grad_(), ExplicitRungeKutta(ralston)
    way = replace(way, anchors=0)
    values = solve(SmoothField(), y0, [0.0, 0.5], gradient=way, method=ralston, step_size=0.1).ys[-1].sum()
    traced = base if way.coupling is None else ReversibleRungeKutta(base)
    due = solve(SmoothField(), y0, [0.0, 0.5], gradient="direct", method=traced, step_size=0.1).ys[-1].sum()
    torch.testing.assert_close(torch.autograd.grad(values, y0), torch.autograd.grad(due, y0), rtol=1e-10, atol=1e-10)
