"""What a user can say about the steps of a solve: tolerances, norms, limits, forced times, callbacks, and going on."""

import math

import pytest
import torch

from neurode import AdaptiveSteps, Callbacks, ConstantSteps, Event, SolveError, Status, solve
from tests.problems import forced_decay, oscillator

TIGHT = {"rtol": 1e-9, "atol": 1e-11}


def doubles(*rows):
    return torch.tensor(rows, dtype=torch.float64)


def steps_of(solution):
    return int(solution.stats.num_accepted)


def test_tolerances_may_be_a_nest_like_the_state():
    def field(t, y):
        return {"fast": -5 * y["fast"], "slow": torch.cos(20 * t) + 0 * y["slow"]}

    y0 = {"fast": torch.ones(2, dtype=torch.float64), "slow": doubles(0.0)}
    tight = solve(field, y0, [0.0, 2.0], rtol=1e-8, atol=1e-8)
    loose = solve(field, y0, [0.0, 2.0], rtol=1e-8, atol={"fast": 1e-8, "slow": 1.0})
    named = solve(field, y0, [0.0, 2.0], rtol=1e-8, atol={"fast": doubles(1e-8, 1e-8), "slow": doubles(1.0)})
    assert steps_of(loose) < steps_of(tight)
    assert steps_of(loose) == steps_of(named)
    assert float((loose.ys["fast"][-1] - tight.ys["fast"][-1]).abs().max()) < 1e-6


@pytest.mark.parametrize("batching", ["joint", "per_sample"])
def test_a_tolerance_for_each_component_counts_for_that_component(batching):
    problem = oscillator()
    equal = solve(problem.f, problem.y0, [0.0, 3.0], atol=doubles(1e-9, 1e-9), rtol=0.0, batching=batching)
    other = solve(problem.f, problem.y0, [0.0, 3.0], atol=doubles(1e-9, 1e3), rtol=0.0, batching=batching)
    assert int(other.stats.num_accepted.max()) < int(equal.stats.num_accepted.min())


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ((1e-3, 1e-3), TypeError, "but y0 is a tensor"),
        (torch.ones(3), ValueError, "does not broadcast against y0"),
        (-1.0, ValueError, "must not be negative"),
    ],
)
def test_a_tolerance_that_does_not_fit_is_refused(given, error, message):
    with pytest.raises(error, match=message):
        solve(lambda t, y: -y, torch.ones(2), [0.0, 1.0], rtol=given)
    with pytest.raises(ValueError, match="y0 is a tuple of 2 tensors"):
        solve(lambda t, y: y, (torch.ones(1), torch.ones(1)), [0.0, 1.0], rtol=(1e-3,))


@pytest.mark.parametrize("batching", ["joint", "per_sample"])
def test_a_norm_of_the_user_chooses_the_steps(batching):
    """The largest ratio instead of the root mean square: a state padded with zeros takes the same steps."""
    problem = oscillator()
    wide = torch.cat((problem.y0, torch.zeros(2, 30, dtype=torch.float64)), dim=1)

    def field(t, y):
        return torch.cat((problem.f(t, y[..., :2]), torch.zeros_like(y[..., 2:])), dim=-1)

    def largest(ratios):
        return ratios.abs().amax(dim=1) if batching == "per_sample" else ratios.abs().max()

    controller = AdaptiveSteps(norm=largest)
    narrow = solve(problem.f, problem.y0, [0.0, 3.0], controller=controller, batching=batching)
    padded = solve(field, wide, [0.0, 3.0], controller=controller, batching=batching)
    mean = solve(field, wide, [0.0, 3.0], batching=batching)
    assert torch.equal(narrow.stats.num_accepted, padded.stats.num_accepted)
    assert bool((mean.stats.num_accepted < padded.stats.num_accepted).all())


def test_a_norm_has_the_structure_of_the_state_and_serves_the_adjoint():
    seen = []

    def norm(ratios):
        seen.append(set(ratios))
        return torch.maximum(ratios["a"].abs().max(), ratios["b"].abs().max())

    y0 = {"a": torch.ones(2, dtype=torch.float64, requires_grad=True), "b": torch.ones(1, dtype=torch.float64)}
    solution = solve(
        lambda t, y: {"a": -y["a"], "b": y["b"]}, y0, [0.0, 1.0], controller=AdaptiveSteps(norm=norm),
        gradient="adjoint",
    )  # fmt: skip
    forward = len(seen)
    solution.ys["a"][-1].sum().backward()
    assert len(seen) > forward
    assert all(keys == {"a", "b"} for keys in seen)
    torch.testing.assert_close(y0["a"].grad, torch.full((2,), math.exp(-1), dtype=torch.float64), rtol=1e-5, atol=0)


def test_a_norm_that_returns_something_else_is_refused():
    with pytest.raises(ValueError, match="norm returned a tensor of shape"):
        solve(lambda t, y: -y, torch.ones(2), [0.0, 1.0], controller=AdaptiveSteps(norm=lambda ratios: ratios))


def jumping_field(t, y):
    """Its derivative jumps at 0.7: 1 before, -2 from there on."""
    return torch.where(torch.as_tensor(t) < 0.7, torch.ones_like(y), -2 * torch.ones_like(y))


def test_a_forced_smallest_step_goes_on_where_the_error_stays_above_the_tolerance():
    options = {"rtol": 1e-12, "atol": 1e-12}
    strict = AdaptiveSteps(min_step=0.01)
    with pytest.raises(SolveError, match="step size fell below min_step"):
        solve(jumping_field, doubles(0.0), [0.0, 1.0], controller=strict, **options)
    forced = AdaptiveSteps(min_step=0.01, force_min_step=True)
    for batching, y0 in (("joint", doubles(0.0)), ("per_sample", doubles([0.0], [0.1]))):
        solution = solve(jumping_field, y0, [0.0, 1.0], controller=forced, batching=batching, **options)
        torch.testing.assert_close(solution.ys[-1], y0 + 0.7 - 0.6, atol=0.03, rtol=0)
    with pytest.raises(ValueError, match="force_min_step=True has no effect without min_step"):
        AdaptiveSteps(force_min_step=True)


@pytest.mark.parametrize("batching", ["joint", "per_sample"])
def test_evaluations_are_limited_over_the_whole_solve(batching):
    problem = oscillator()
    free = solve(problem.f, problem.y0, [0.0, 3.0], batching=batching, **TIGHT)
    limit = int(free.stats.num_evaluations.min()) // 2
    with pytest.raises(SolveError, match="used up max_evaluations before.*larger max_evaluations") as caught:
        solve(problem.f, problem.y0, [0.0, 3.0], batching=batching, max_evaluations=limit, **TIGHT)
    used = caught.value.solution.stats.num_evaluations
    assert bool(((used >= limit) & (used < limit + 7)).all())
    bounce = Event(lambda t, y: y[..., 0], jump=lambda t, y: y)
    with pytest.raises(SolveError, match="used up max_evaluations"):
        solve(problem.f, problem.y0[0], [0.0, 30.0], max_evaluations=300, events=bounce, **TIGHT)


@pytest.mark.parametrize("controller", [AdaptiveSteps(step_t=(0.31, 1.7, 5.0)), ConstantSteps(0.4, step_t=(1.7, 0.31))])
@pytest.mark.parametrize("batching", ["joint", "per_sample"])
def test_steps_end_at_the_times_that_are_forced(controller, batching):
    problem = forced_decay()
    solution = solve(problem.f, problem.y0, [0.0, 2.0], controller=controller, batching=batching, save="steps")
    times = solution.ts if solution.ts.ndim == 1 else solution.ts[:, 0]
    assert {0.31, 1.7} <= set(times.tolist())
    assert float(times[-1]) == 2.0


def test_forced_times_serve_backward_time_and_events():
    problem = forced_decay()
    controller = AdaptiveSteps(step_t=(0.31, 1.7))
    backward = solve(problem.f, problem.y0, [2.0, 0.0], controller=controller, save="steps")
    assert {0.31, 1.7} <= set(backward.ts.tolist())
    event = Event(lambda t, y: t - 1.0, jump=lambda t, y: y)
    parted = solve(problem.f, problem.y0, [0.0, 2.0], controller=controller, save="steps", events=event)
    assert {0.31, 1.7} <= set(parted.ts.tolist())


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("batching", ["joint", "per_sample"])
@pytest.mark.parametrize("backwards", [False, True])
def test_a_jump_of_the_field_that_is_told_costs_no_rejected_step(dtype, batching, backwards):
    y0 = torch.tensor([[0.5], [0.2]], dtype=dtype)
    ts = torch.tensor([0.0, 0.7, 1.0], dtype=torch.float64)
    if backwards:
        ts = ts.flip(0)
    asked = []

    def field(t, y):
        asked.extend(t.reshape(-1).tolist())
        return jumping_field(t, y)

    told = AdaptiveSteps(jump_t=(0.7, 9.0))
    solution = solve(field, y0, ts, controller=told, batching=batching, rtol=1e-6, atol=1e-6)
    blind = solve(jumping_field, y0, ts, batching=batching, rtol=1e-6, atol=1e-6)
    assert int(solution.stats.num_rejected.max()) == 0
    assert int(blind.stats.num_rejected.max()) > 0
    expected = torch.tensor([0.0, 0.7, 0.1] if not backwards else [0.0, 0.6, -0.1])
    torch.testing.assert_close(solution.ys[:, 0, 0].double(), 0.5 + expected.double(), atol=3e-6, rtol=0)
    assert torch.tensor(0.7, dtype=dtype).item() not in asked


@pytest.mark.parametrize("save", ["steps", "dense", "end"])
def test_a_solve_with_a_jump_of_the_field_saves_as_any_other(save):
    solution = solve(
        jumping_field, doubles(0.0), [0.0, 1.0], controller=AdaptiveSteps(jump_t=[0.7]), save=save, **TIGHT
    )
    assert float(solution.ys[-1]) == pytest.approx(0.1, abs=1e-9)
    if save == "dense":
        values = solution.evaluate(doubles(0.35, 0.7, 0.9))[:, 0].tolist()
        assert values == pytest.approx([0.35, 0.7, 0.3], abs=1e-9)
    if save == "steps":
        assert bool((solution.ts.diff() > 0).all())
        assert len(solution.ts) == len(solution.ys)


def test_events_and_jumps_of_the_field_go_together():
    solution = solve(
        jumping_field, doubles(0.0), [0.0, 2.0], events=lambda t, y: y[0] - 0.2, controller=AdaptiveSteps(jump_t=[0.7])
    )
    assert float(solution.events.times[0]) == pytest.approx(0.2, abs=1e-9)
    falling = solve(
        jumping_field, doubles(0.0), [0.0, 2.0], events=Event(lambda t, y: y[0] - 0.2, direction=-1),
        controller=AdaptiveSteps(jump_t=[0.7]),
    )  # fmt: skip
    assert float(falling.events.times[0]) == pytest.approx(0.95, abs=1e-9)


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("batching", ["joint", "per_sample"])
@pytest.mark.parametrize("of_time", [True, False])
@pytest.mark.parametrize("shift", [-1e-7, -1e-16, 0.0, 1e-16, 1e-7])
def test_an_event_exactly_at_a_jump_of_the_field_happens_once(backwards, dtype, batching, of_time, shift):
    y0 = torch.tensor([[0.0]], dtype=dtype)
    ts = torch.tensor([0.0, 2.0], dtype=dtype)

    def field(t, y):
        return torch.where(t < 0.7, 1.0, 0.5) * torch.ones_like(y)

    if backwards:
        ts, y0 = ts.flip(0), torch.tensor([[0.7 + 1.3 / 2]], dtype=dtype)

    def condition(t, y):
        value = (t - 0.7 - shift) * torch.ones_like(y) if of_time else y - 0.7 - shift
        return value.reshape(-1) if batching == "per_sample" else value.reshape(())

    control = AdaptiveSteps(jump_t=(0.7,))
    near = pytest.approx(0.7, abs=2e-6 if dtype == torch.float32 else 1e-6)
    for event in (Event(condition, terminal=False), Event(condition, direction=-1 if backwards else 1)):
        found = solve(field, y0, ts, events=event, controller=control, batching=batching, rtol=1e-6, atol=1e-6)
        assert found.events.times.reshape(-1).tolist() == [near]
        assert found.events.states.reshape(-1).tolist() == [near]
    against = Event(condition, direction=1 if backwards else -1)
    found = solve(field, y0, ts, events=against, controller=control, batching=batching, rtol=1e-6, atol=1e-6)
    assert found.events.times.numel() == 0


def test_an_event_at_a_jump_of_the_field_may_move_the_state_and_has_its_gradient():
    level = doubles(0.7)[0].requires_grad_()
    event = Event(lambda t, y: y[0] - level, jump=lambda t, y: y - 5.0)
    found = solve(
        lambda t, y: torch.ones_like(y), doubles(0.0), [0.0, 2.0], events=event, save="end",
        controller=AdaptiveSteps(jump_t=[0.7]),
    )  # fmt: skip
    assert found.ys[-1].item() == pytest.approx(-3.0)
    assert found.events.lengths == 1
    assert torch.autograd.grad(found.events.times.sum(), level)[0].item() == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: AdaptiveSteps(step_t=(1.0, 1.0)), "step_t holds a time twice"),
        (lambda: ConstantSteps(jump_t=torch.tensor([1.0, 1.0])), "jump_t holds a time twice"),
        (lambda: AdaptiveSteps(step_t=(math.nan,)), "step_t holds NaN"),
        (lambda: AdaptiveSteps(step_t=(1.0,), jump_t=(1.0,)), "share 1.0"),
    ],
)
def test_forced_times_that_make_no_sense_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("batching", ["joint", "per_sample"])
def test_callbacks_hear_of_each_attempt_and_of_what_became_of_it(batching):
    problem = oscillator()
    heard = {"step": [], "accepted": [], "rejected": []}
    callbacks = Callbacks(**{kind: reports.append for kind, reports in heard.items()})
    controller = AdaptiveSteps(first_step=1.5)
    solution = solve(
        problem.f, problem.y0, [0.0, 3.0], callbacks=callbacks, controller=controller, batching=batching, **TIGHT
    )

    def count(kind):
        return sum(1 if report.lanes is None else len(report.lanes) for report in heard[kind])

    assert count("step") == int(solution.stats.num_steps.sum())
    assert count("accepted") == int(solution.stats.num_accepted.sum())
    assert count("rejected") == int(solution.stats.num_rejected.sum()) > 0
    first, last = heard["step"][0], heard["accepted"][-1]
    assert torch.equal(first.y, problem.y0)
    assert first.y_end is None
    if batching == "joint":
        assert first.t_end == 1.5
        assert last.t_end == 3.0
        assert last.error <= 1 < heard["rejected"][0].error
        assert torch.equal(last.y_end, solution.ys[-1])
    else:
        place = len(last.lanes) - 1
        assert torch.equal(last.y_end[place], solution.ys[-1, last.lanes[place]])


def test_callbacks_know_the_samples_behind_a_jump_by_their_own_numbers():
    heard = []
    event = Event(lambda t, y: y[:, 0] - 1.0, jump=lambda t, y: y - 5)
    solve(
        lambda t, y: torch.ones_like(y), doubles([-9.0], [0.5]), [0.0, 1.0], batching="per_sample", events=event,
        callbacks=Callbacks(accepted=lambda report: heard.append((report.lanes.tolist(), float(report.y[0, 0])))),
    )  # fmt: skip
    assert heard[-1][0] == [1]
    assert next(y for lanes, y in heard if lanes == [1]) == pytest.approx(-4.0)


def test_callbacks_that_do_nothing_or_are_something_else_are_refused():
    with pytest.raises(ValueError, match="has no effect"):
        Callbacks()
    with pytest.raises(TypeError, match="step of Callbacks must be a function"):
        Callbacks(step=3)
    with pytest.raises(TypeError, match=r"callbacks must be Callbacks\(...\)"):
        solve(lambda t, y: -y, torch.ones(1), [0.0, 1.0], callbacks=print)


@pytest.mark.parametrize("batching", ["joint", "per_sample"])
def test_a_solve_goes_on_from_a_solution_with_its_step_size(batching):
    problem = oscillator()
    first = solve(problem.f, problem.y0, [0.0, 1.5], batching=batching, **TIGHT)
    second = solve(problem.f, first, [1.5, 3.0], batching=batching, save="steps", **TIGHT)
    torch.testing.assert_close(second.ys[0], first.ys[-1])
    fresh = solve(problem.f, first.ys[-1], [1.5, 3.0], batching=batching, **TIGHT)
    assert bool((second.stats.num_evaluations < fresh.stats.num_evaluations).all())
    torch.testing.assert_close(second.ys[1:].reshape(-1, 2)[-1], fresh.ys[-1, -1], rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("save", ["steps", "dense"])
@pytest.mark.parametrize("batching", ["joint", "per_sample"])
def test_a_solve_that_ran_out_of_steps_can_go_on(save, batching):
    problem = oscillator()
    cut = solve(problem.f, problem.y0, [0.0, 3.0], max_steps=5, throw=False, save=save, batching=batching, **TIGHT)
    reached = cut.reached
    ts = torch.stack((reached, torch.full_like(reached, 3.0)))
    whole = solve(problem.f, cut, ts, batching=batching, **TIGHT)
    torch.testing.assert_close(whole.ys[-1], problem.exact(3.0), rtol=1e-7, atol=1e-7)


def test_a_solve_that_stopped_at_an_event_can_go_on():
    problem = oscillator()
    event = Event(lambda t, y: y[..., 0])
    for batching in ("joint", "per_sample"):
        y0 = problem.y0[0] if batching == "joint" else problem.y0
        first = solve(problem.f, y0, [0.0, 3.0], events=event, batching=batching, **TIGHT)
        ts = torch.stack((first.reached, torch.full_like(first.reached, 3.5)))
        rest = solve(problem.f, first, ts, batching=batching, **TIGHT)
        expected = problem.exact(3.5)
        torch.testing.assert_close(rest.ys[-1], expected[0] if batching == "joint" else expected, rtol=1e-7, atol=1e-7)


def test_going_on_carries_gradients():
    problem = oscillator()
    y0 = problem.y0.clone().requires_grad_()
    first = solve(problem.f, y0, [0.0, 1.5], **TIGHT)
    solve(problem.f, first, [1.5, 3.0], **TIGHT).ys[-1].sum().backward()
    parted, y0.grad = y0.grad, None
    solve(problem.f, y0, [0.0, 3.0], **TIGHT).ys[-1].sum().backward()
    torch.testing.assert_close(parted, y0.grad, rtol=1e-7, atol=1e-7)


def test_going_on_from_another_time_or_from_nowhere_is_refused():
    problem = oscillator()
    first = solve(problem.f, problem.y0, [0.0, 1.5])
    with pytest.raises(ValueError, match=r"got to t=1.5, but ts begins at 1. Let ts begin at solution.reached"):
        solve(problem.f, first, [1.0, 3.0])
    cut = solve(problem.f, problem.y0, [0.0, 3.0], max_steps=2, throw=False)
    with pytest.raises(ValueError, match="save='steps' or 'dense' to go on"):
        solve(problem.f, cut, [float(cut.reached), 3.0])


def test_what_only_the_loop_does_is_named_where_the_kernel_is_asked_for():
    layer = torch.nn.Linear(2, 2)
    for options, message in (
        ({"callbacks": Callbacks(step=print)}, "calls nothing back"),
        ({"max_evaluations": 100}, "max_evaluations"),
        ({"controller": AdaptiveSteps(jump_t=(0.5,))}, "end its steps at given times"),
        ({"controller": AdaptiveSteps(norm=torch.linalg.vector_norm)}, "a norm of the user"),
    ):
        with pytest.raises(ValueError, match=message):
            solve(lambda t, y: layer(y), torch.ones(2), [0.0, 1.0], engine="fused", **options)


def test_status_sentences_of_limits_are_there():
    assert "max_evaluations" in Status.MAX_EVALUATIONS.sentence
