"""Events: found where they are, in each sample for itself, with direction, counts, jumps and an honest end."""

import math

import pytest
import torch

from neurode import AdaptiveSteps, Event, PerSample, SolveError, Status, solve

GRAVITY = 9.81
TIGHT = {"rtol": 1e-10, "atol": 1e-12}


def falling(t, y):
    """A stone: height and speed along the last axis."""
    del t
    return torch.stack((y[..., 1], torch.full_like(y[..., 1], -GRAVITY)), dim=-1)


def turning(t, y):
    """(cos t, -sin t) from (1, 0)."""
    del t
    return torch.stack((y[..., 1], -y[..., 0]), dim=-1)


def height(t, y):
    del t
    return y[..., 0]


def bounce(t, y, keep=0.8):
    del t
    return torch.stack((y[..., 0].abs(), -keep * y[..., 1]), dim=-1)


def doubles(*rows):
    return torch.tensor(rows, dtype=torch.float64)


DROP = doubles(10.0, 0.0)
START = doubles(1.0, 0.0)
FALL = math.sqrt(2 * 10 / GRAVITY)


def bounces(count: int, keep: float = 0.8) -> list[float]:
    """Times at which a ball dropped from ten metres hits the ground."""
    times, flight = [FALL], FALL
    for _ in range(count - 1):
        flight = flight * keep if len(times) > 1 else 2 * FALL * keep
        times.append(times[-1] + flight)
    return times


@pytest.mark.parametrize("method", ["dopri5", "tsit5", "bosh3"])
def test_a_terminal_event_stops_the_solve_where_the_condition_is_zero(method):
    solution = solve(falling, DROP, [0.0, 5.0], method=method, events=height, **TIGHT)
    assert Status(int(solution.status)) is Status.EVENT
    assert solution.succeeded
    assert solution.events.times.tolist() == pytest.approx([FALL], abs=1e-12)
    assert solution.events.which.tolist() == [0]
    assert int(solution.events.stopped_by) == 0
    assert float(solution.reached) == float(solution.events.times[0])
    torch.testing.assert_close(solution.events.states, doubles([0.0, -GRAVITY * FALL]), rtol=0, atol=1e-9)


def test_constant_steps_find_events_too():
    solution = solve(turning, START, [0.0, 4.0], method="rk4", step_size=0.01, events=height)
    assert float(solution.events.times[0]) == pytest.approx(math.pi / 2, abs=1e-6)


def test_output_times_behind_a_terminal_event_are_nan_and_those_before_are_there():
    ts = torch.linspace(0, 3, 7, dtype=torch.float64)
    solution = solve(falling, DROP, ts, events=height, **TIGHT)
    before = ts < FALL
    torch.testing.assert_close(solution.ys[before, 0], 10 - GRAVITY / 2 * ts[before] ** 2)
    assert solution.ys[~before].isnan().all()


def test_an_output_time_that_is_the_events_own_is_read():
    first = solve(turning, START, [0.0, 4.0], events=height, **TIGHT)
    ts = [0.0, float(first.events.times[0]), 4.0]
    again = solve(turning, START, ts, events=height, **TIGHT)
    torch.testing.assert_close(again.ys[1], again.events.states[0])


@pytest.mark.parametrize("save", ["end", "steps", "dense"])
def test_whatever_is_saved_ends_at_the_event(save):
    solution = solve(turning, START, [0.0, 4.0], events=height, save=save, **TIGHT)
    time = float(solution.events.times[0])
    assert time == pytest.approx(math.pi / 2, abs=1e-9)
    if save == "dense":
        torch.testing.assert_close(solution.evaluate(time), solution.events.states[0])
        with pytest.raises(ValueError, match="outside the interval"):
            solution.evaluate(2.0)
        return
    assert float(solution.ts[-1]) == time
    assert torch.equal(solution.ys[-1], solution.events.states[0])
    assert not solution.ys.isnan().any()


@pytest.mark.parametrize("save", ["end", "steps", "dense"])
def test_samples_that_stop_save_what_they_save_alone(save):
    y0 = doubles([1.0, 0.0], [0.3, 1.0], [-2.0, 0.1])
    options = {"batching": "per_sample", "save": save, "events": height, **TIGHT}
    together = solve(turning, y0, [0.0, 2.0], **options)
    for sample in range(3):
        alone = solve(turning, y0[sample : sample + 1], [0.0, 2.0], **options)
        assert int(alone.status[0]) == int(together.status[sample])
        rows = len(alone.ys)
        torch.testing.assert_close(together.ts[:rows, sample] if together.ts.ndim == 2 else together.ts,
                                   alone.ts[:, 0] if alone.ts.ndim == 2 else alone.ts)  # fmt: skip
        torch.testing.assert_close(together.ys[:rows, sample], alone.ys[:, 0], equal_nan=True)


def test_a_ball_bounces_at_the_times_of_the_textbook():
    ts = torch.linspace(0, 8, 9, dtype=torch.float64)
    solution = solve(falling, DROP, ts, events=Event(height, jump=bounce, direction=-1), save="dense", **TIGHT)
    assert Status(int(solution.status)) is Status.SUCCESS
    assert solution.events.times.tolist() == pytest.approx(bounces(4), abs=1e-11)
    assert int(solution.events.stopped_by) == -1
    assert not solution.ys.isnan().any()
    # The dense output is the flight between two bounces, and each state at an event is that before its jump.
    second = solution.events.times[1]
    middle = 0.5 * (solution.events.times[0] + second)
    assert float(solution.evaluate(middle)[1]) == pytest.approx(0.0, abs=1e-9)
    assert float(solution.events.states[1, 1]) == pytest.approx(-0.8 * GRAVITY * FALL, abs=1e-9)
    torch.testing.assert_close(solution.evaluate(second), solution.events.states[1])


def test_a_jump_keeps_the_step_size():
    """The field of the flight is a parabola, which one step solves: each flight after the first costs one or two."""
    solution = solve(falling, DROP, [0.0, 8.0], events=Event(height, jump=bounce, direction=-1), **TIGHT)
    free = solve(falling, DROP, [0.0, 1.4], **TIGHT)
    assert int(solution.stats.num_steps) <= int(free.stats.num_steps) + 2 * 4 + 1


def test_a_jump_shows_as_two_rows_where_all_steps_are_saved():
    solution = solve(falling, DROP, [0.0, 3.0], events=Event(height, jump=bounce, direction=-1), save="steps", **TIGHT)
    (place,) = torch.nonzero(solution.ts[1:] == solution.ts[:-1])[:, 0].tolist()
    torch.testing.assert_close(solution.ys[place + 1, 1], -0.8 * solution.ys[place, 1])
    assert float(solution.ts[-1]) == 3.0


@pytest.mark.parametrize(("direction", "expected"), [(0, [0.5, 1.5, 2.5]), (-1, [0.5, 2.5]), (1, [1.5])])
def test_direction_chooses_the_passages(direction, expected):
    solution = solve(
        turning, START, [0.0, 3 * math.pi], events=Event(height, terminal=False, direction=direction), **TIGHT
    )
    assert (solution.events.times / math.pi).tolist() == pytest.approx(expected, abs=1e-9)
    assert Status(int(solution.status)) is Status.SUCCESS


def test_direction_is_meant_in_the_order_in_which_the_solve_goes():
    solution = solve(turning, START, [0.0, -3.0], events=Event(height, direction=-1), **TIGHT)
    assert float(solution.events.times[0]) == pytest.approx(-math.pi / 2, abs=1e-9)


def test_a_counted_event_stops_at_its_number():
    solution = solve(turning, START, [0.0, 30.0], events=Event(height, terminal=3), **TIGHT)
    assert (solution.events.times / math.pi).tolist() == pytest.approx([0.5, 1.5, 2.5], abs=1e-9)
    assert Status(int(solution.status)) is Status.EVENT
    counted = solve(falling, DROP, [0.0, 30.0], events=Event(height, terminal=3, jump=bounce, direction=-1), **TIGHT)
    assert counted.events.times.tolist() == pytest.approx(bounces(3), abs=1e-11)
    # It stops before the jump of the last one.
    assert float(counted.events.states[-1, 1]) < 0


def test_several_events_are_told_apart_and_the_first_terminal_one_ends_the_solve():
    events = [
        Event(lambda t, y: y[..., 1] + 0.5, terminal=False, name="half"),
        Event(height),
        Event(lambda t, y: t - 0.25, terminal=False),
    ]
    solution = solve(turning, START, [0.0, 4.0], events=events, **TIGHT)
    assert solution.events.which.tolist() == [2, 0, 1]
    assert solution.events.times.tolist() == pytest.approx([0.25, math.pi / 6, math.pi / 2], abs=1e-9)
    assert int(solution.events.stopped_by) == 1
    assert [int(solution.events.count(number)) for number in range(3)] == [1, 1, 1]


def test_events_of_one_step_beyond_the_one_that_stops_it_are_not_told():
    events = [Event(height), Event(lambda t, y: y[..., 0] + 0.01, terminal=False)]
    solution = solve(turning, START, [0.0, 4.0], method="rk4", step_size=1.0, events=events)
    assert solution.events.which.tolist() == [0]


def test_events_that_happen_together_are_all_told_and_all_jump():
    """Two balls in one state that hit the ground at the same moment."""

    def field(t, y):
        del t
        return torch.cat((y[2:], torch.full_like(y[2:], -GRAVITY)))

    def jump_of(number):
        def jump(t, y):
            del t
            sign = torch.ones_like(y)
            sign[2 + number] = -0.5
            return y * sign

        return jump

    y0 = doubles(10.0, 10.0, 0.0, 0.0)
    events = [Event(lambda t, y, k=k: y[k], jump=jump_of(k), direction=-1) for k in range(2)]
    solution = solve(field, y0, [0.0, 2.0], events=events, **TIGHT)
    assert solution.events.which.tolist() == [0, 1]
    torch.testing.assert_close(solution.ys[-1, 0], solution.ys[-1, 1])
    assert float(solution.ys[-1, 0]) > 0


@pytest.mark.parametrize("y0", [0.0, 1e-18, -1e-18])
def test_an_event_that_holds_at_the_beginning_does_not_happen_there(y0):
    """Thrown up from the ground: it lands once."""
    thrown = solve(falling, doubles(y0, 5.0), [0.0, 3.0], events=height, **TIGHT)
    assert thrown.events.times.tolist() == pytest.approx([2 * 5.0 / GRAVITY], abs=1e-11)


def test_a_solve_that_goes_on_from_its_event_does_not_stop_at_once():
    first = solve(turning, START, [0.0, 10.0], events=height, **TIGHT)
    begin = float(first.events.times[0])
    second = solve(turning, first.events.states[0], [begin, 10.0], events=height, **TIGHT)
    assert second.events.times.tolist() == pytest.approx([1.5 * math.pi], abs=1e-8)


def test_a_flight_shorter_than_the_step_size_is_not_missed():
    """The bounce makes flights of a thousandth of the step that the parabola allows."""
    keep = 1e-3
    event = Event(height, jump=lambda t, y: bounce(t, y, keep), direction=-1, terminal=2)
    solution = solve(falling, DROP, [0.0, 30.0], events=event, **TIGHT)
    assert solution.events.times.tolist() == pytest.approx([FALL, FALL + 2 * FALL * keep], abs=1e-11)


def test_bounces_that_pile_up_end_with_a_sentence():
    event = Event(height, jump=lambda t, y: bounce(t, y, 0.3), direction=-1)
    with pytest.raises(SolveError, match="follow each other faster than times can be told apart.*terminal=n") as caught:
        solve(falling, DROP, [0.0, 8.0], events=event, **TIGHT)
    assert caught.value.status is Status.EVENTS_PILE_UP
    assert len(caught.value.solution.events.times) > 20


def test_an_event_at_the_very_end_is_told():
    solution = solve(lambda t, y: torch.ones_like(y), doubles(0.0), [0.0, 1.0], events=lambda t, y: y - 1.0)
    assert float(solution.events.times[0]) == pytest.approx(1.0, abs=1e-9)
    assert Status(int(solution.status)) is Status.EVENT
    jumping = Event(lambda t, y: t - 1.0, jump=lambda t, y: y + 5)
    solution = solve(lambda t, y: torch.ones_like(y), doubles(0.0), [0.0, 1.0], events=jumping)
    assert Status(int(solution.status)) is Status.SUCCESS
    assert float(solution.ys[-1]) == pytest.approx(1.0)


def test_looks_find_a_condition_that_passes_twice_in_one_step():
    def dips(t, y):
        return (t - 0.5) ** 2 - 0.01 + 0 * y.sum()

    def field(t, y):
        return torch.ones_like(y)

    options = {"method": "rk4", "step_size": 1.0}
    blind = solve(field, START, [0.0, 1.0], events=Event(dips, terminal=False), **options)
    seeing = solve(field, START, [0.0, 1.0], events=Event(dips, terminal=False, looks=10), **options)
    assert len(blind.events.times) == 0
    assert seeing.events.times.tolist() == pytest.approx([0.4, 0.6], abs=1e-12)


def test_the_tolerance_bounds_the_error_of_the_time_and_saves_looks():
    calls = 0

    def counted(t, y):
        nonlocal calls
        calls += 1
        return torch.exp(3 * y[0]) - 1

    found = {}
    for tolerance in (None, 1e-3):
        calls = 0
        solution = solve(
            turning, START, [0.0, 2.0], method="rk4", step_size=0.5, events=Event(counted, tolerance=tolerance)
        )
        found[tolerance] = (float(solution.events.times[0]), calls)
    assert abs(found[1e-3][0] - found[None][0]) <= 1e-3
    assert found[1e-3][1] < found[None][1]


def test_watching_costs_no_evaluation_and_the_field_is_never_called_outside():
    times = []

    def field(t, y):
        times.append(float(t))
        return turning(t, y)

    plain = solve(field, START, [0.0, 3.0], **TIGHT)
    watched = solve(field, START, [0.0, 3.0], events=Event(height, terminal=False), **TIGHT)
    assert int(plain.stats.num_evaluations) == int(watched.stats.num_evaluations)
    assert min(times) >= 0
    assert max(times) <= 3.0


def test_each_sample_stops_for_itself_with_its_own_arguments():
    y0 = doubles([1.0, 0.0], [1.0, 0.0], [1.0, 0.0])
    level = doubles(0.5, 0.0, 5.0)

    def field(t, y, args):
        return turning(t, y)

    def reached(t, y, args):
        return y[:, 0] - args

    solution = solve(field, y0, [0.0, 2.0], args=PerSample(level), batching="per_sample", events=reached, **TIGHT)
    assert solution.status.tolist() == [Status.EVENT, Status.EVENT, Status.SUCCESS]
    assert solution.events.times[0, :2].tolist() == pytest.approx([math.pi / 3, math.pi / 2], abs=1e-9)
    assert solution.events.times[:, 2].isnan().all()
    assert solution.events.lengths.tolist() == [1, 1, 0]
    assert solution.events.stopped_by.tolist() == [0, 0, -1]
    assert solution.ys[-1].isnan().any(dim=1).tolist() == [True, True, False]


def test_alone_or_in_any_batch_a_sample_has_the_same_events():
    y0 = doubles([10.0, 0.0], [5.0, 1.0], [0.1, 7.0], [3.0, -2.0])
    ts = torch.linspace(0, 4, 9, dtype=torch.float64)
    options = {"events": Event(height, jump=bounce, direction=-1), "batching": "per_sample", **TIGHT}
    together = solve(falling, y0, ts, **options)
    for sample in range(len(y0)):
        alone = solve(falling, y0[sample : sample + 1], ts, **options)
        count = int(alone.events.lengths[0])
        assert int(together.events.lengths[sample]) == count
        torch.testing.assert_close(together.events.times[:count, sample], alone.events.times[:, 0])
        torch.testing.assert_close(together.ys[:, sample], alone.ys[:, 0])
        assert int(together.stats.num_steps[sample]) == int(alone.stats.num_steps[0])
        assert int(together.stats.num_evaluations[sample]) == int(alone.stats.num_evaluations[0])


def test_samples_with_times_of_their_own_bounce_within_them():
    y0 = doubles([10.0, 0.0], [5.0, 1.0])
    ts = [doubles(0.0, 1.0, 2.0), doubles(1.0, 1.5, 2.0, 3.5)]
    solution = solve(falling, y0, ts, batching="per_sample", events=Event(height, jump=bounce, direction=-1), **TIGHT)
    assert solution.lengths.tolist() == [3, 4]
    assert float(solution.events.times[0, 0]) == pytest.approx(FALL, abs=1e-11)
    assert bool((solution.ys[:, :, 0][~solution.ys[:, :, 0].isnan()] >= -1e-9).all())


@pytest.mark.parametrize("kind", ["tuple", "dict"])
@pytest.mark.parametrize("batching", ["joint", "per_sample"])
def test_states_of_several_parts_have_events(kind, batching):
    lead = () if batching == "joint" else (2,)
    place, speed = torch.full(lead, 10.0, dtype=torch.float64), torch.zeros(lead, dtype=torch.float64)

    def parts(y):
        return (y["x"], y["v"]) if kind == "dict" else y

    def made(x, v):
        return {"x": x, "v": v} if kind == "dict" else (x, v)

    def field(t, y):
        _, v = parts(y)
        return made(v, torch.full_like(v, -GRAVITY))

    def jump(t, y):
        x, v = parts(y)
        return made(x.abs(), -0.8 * v)

    event = Event(lambda t, y: parts(y)[0], jump=jump, direction=-1, terminal=2)
    solution = solve(field, made(place, speed), [0.0, 8.0], events=event, batching=batching, **TIGHT)
    assert solution.events.times.reshape(2, -1)[:, 0].tolist() == pytest.approx(bounces(2), abs=1e-11)
    assert float(parts(solution.events.states)[0].abs().max()) < 1e-9


def test_a_required_event_that_does_not_happen_is_a_failure_with_a_sentence():
    event = Event(lambda t, y: y[..., 0] - 3.0, required=True)
    with pytest.raises(SolveError, match=r"required event did not happen.*of \[0, 2\].*later end in ts") as caught:
        solve(turning, START, [0.0, 2.0], events=event, **TIGHT)
    assert caught.value.status is Status.EVENT_MISSING
    assert not caught.value.solution.ys.isnan().any()


def test_a_condition_that_becomes_nan_ends_its_sample_only():
    y0 = doubles([1.0, 0.0], [4.0, 0.0])

    def condition(t, y):
        return torch.sqrt(y[:, 0]) - 0.5

    solution = solve(
        turning, y0, [0.0, 1.2], batching="per_sample", method="rk4", step_size=0.4, throw=False,
        events=Event(lambda t, y: torch.where(y[:, 0] < 2, torch.sqrt(y[:, 0] - 0.9), y[:, 0])),
    )  # fmt: skip
    del condition
    assert solution.status.tolist() == [Status.NON_FINITE, Status.SUCCESS]


def test_steps_are_counted_over_the_whole_solve():
    event = Event(height, jump=bounce, direction=-1)
    whole = solve(falling, DROP, [0.0, 8.0], events=event, **TIGHT)
    needed = int(whole.stats.num_steps)
    assert int(solve(falling, DROP, [0.0, 8.0], events=event, max_steps=needed, **TIGHT).status) == Status.SUCCESS
    for batching, y0 in (("joint", DROP), ("per_sample", DROP.unsqueeze(0))):
        cut = solve(
            falling, y0, [0.0, 8.0], events=event, max_steps=needed - 1, throw=False, batching=batching, **TIGHT
        )
        assert int(cut.status.max()) == Status.MAX_STEPS
        assert int(cut.stats.num_steps.max()) == needed - 1


def test_events_work_in_inference_mode_and_in_single_precision():
    with torch.inference_mode():
        solution = solve(falling, DROP.float(), [0.0, 8.0], events=Event(height, jump=bounce, direction=-1))
    assert solution.events.times.tolist() == pytest.approx(bounces(4), rel=1e-5)


def test_the_kernel_stands_aside_for_events():
    field = torch.nn.Sequential(torch.nn.Linear(2, 4), torch.nn.Tanh(), torch.nn.Linear(4, 2))
    with pytest.raises(ValueError, match="does not watch events"):
        solve(lambda t, y: field(y), torch.ones(2), [0.0, 1.0], events=height, engine="fused")


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Event(3), TypeError, "condition of an event must be a function"),
        (lambda: Event(height, terminal=-1), ValueError, "terminal must be"),
        (lambda: Event(height, terminal=True, jump=bounce), ValueError, "the jump has no effect"),
        (lambda: Event(height, direction=2), ValueError, "direction must be"),
        (lambda: Event(height, tolerance=0.0), ValueError, "tolerance of an event must be positive"),
        (lambda: Event(height, looks=0), ValueError, "looks must be"),
        (lambda: Event(height, jump=3), TypeError, "jump of an event must be a function"),
        (lambda: solve(turning, START, [0.0, 4.0], events=3), TypeError, "events must be"),
        (lambda: solve(turning, START, [0.0, 4.0], events=lambda t, y: y), ValueError, "Give each number an Event"),
        (lambda: solve(turning, START, [0.0, 4.0], events=lambda t, y: y[0] > 0), TypeError, "signed number"),
        (
            lambda: solve(turning, START, [0.0, 4.0], events=Event(height, jump=lambda t, y: y[0])),
            ValueError,
            "the jump of event 0 returned",
        ),
    ],
)
def test_what_does_not_fit_together_is_refused_with_a_sentence(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_a_first_step_may_be_given_beside_events():
    solution = solve(
        turning, START, [0.0, 4.0], events=height, controller=AdaptiveSteps(first_step=0.1), rtol=1e-9, atol=1e-9
    )
    assert float(solution.events.times[0]) == pytest.approx(math.pi / 2, abs=1e-8)
