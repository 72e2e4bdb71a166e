"""The schedule alone: never over k states, every step undone once, few steps repeated beside the binomial bound."""

from functools import cache
from itertools import pairwise
from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neurode.gradients.schedule import OnlineSchedule, least_repeated, reverse_cost, slots_after, split, way_back

# At most so many times the repeated steps of revolve, which knows the number of steps (counted up to 6,000 steps).
FACTORS = {1: 1.0, 2: 1.218, 3: 1.1001, 4: 1.077, 5: 1.067}


def factor(slots: int) -> float:
    return FACTORS.get(slots, 1.063)


@cache
def fewest_steps(length: int, slots: int) -> int:
    """Going through `length` states in reverse, by trying every place for the next kept state."""
    if length <= 1:
        return 0
    if slots == 1:
        return sum(range(length))
    return min(m + fewest_steps(length - m, slots - 1) + fewest_steps(m, slots) for m in range(1, length))


def forward(slots, steps: int) -> OnlineSchedule:
    """Offer the states, and follow what is kept as a solver would."""
    schedule, kept = OnlineSchedule(slots), []
    for state in range(steps):
        offer = schedule.offer()
        if offer.drop is not None:
            kept.remove(offer.drop)
        if offer.keep:
            kept.append(state)
        assert kept == schedule.positions
        assert len(kept) <= schedule.limit
        assert kept[0] == 0
    return schedule


def backward(kept: list[int], steps: int, slots: int) -> int:
    """Follow the moves as a solver would; returns the repeated steps."""
    kept, undone, repeated = list(kept), [], 0
    for move in way_back(kept, steps, slots):
        assert move.start in kept
        assert move.start <= move.stop < steps
        repeated += move.stop - move.start
        if move.keep:
            kept.append(move.stop)
            assert len(kept) <= slots
        else:
            undone.append(move.stop)
        if move.last:
            kept.remove(move.start)
    assert undone == list(reversed(range(steps)))
    assert kept == ([0] if steps else [])
    return repeated


@pytest.mark.parametrize("slots", range(1, 7))
def test_the_closed_form_is_the_minimum_over_all_schedules(slots):
    for length in range(1, 70):
        assert reverse_cost(length, slots) == fewest_steps(length, slots)


@pytest.mark.parametrize("slots", range(2, 12))
def test_the_split_is_a_best_one(slots):
    for length in range(2, 400):
        m = split(length, slots)
        cost = m + reverse_cost(length - m, slots - 1) + reverse_cost(m, slots)
        assert cost == reverse_cost(length, slots), length


@given(slots=st.integers(1, 12), steps=st.integers(0, 500))
def test_every_step_is_undone_once_with_at_most_k_states(slots, steps):
    schedule = forward(slots, steps)
    repeated = backward(schedule.positions, steps, slots)
    best = least_repeated(steps, slots)
    assert best <= repeated <= factor(slots) * best


@given(slots=st.integers(1, 12), steps=st.integers(0, 500))
def test_a_second_way_back_begins_at_the_beginning_and_repeats_what_revolve_needs(slots, steps):
    assert backward([0] if steps else [], steps, slots) == (reverse_cost(steps, slots) if steps else 0)


@given(slots=st.integers(1, 8), steps=st.integers(1, 200), data=st.data())
def test_any_kept_states_lead_back(slots, steps, data):
    """As after a backward pass that was broken off."""
    others = data.draw(st.sets(st.integers(1, max(1, steps - 1)), max_size=min(slots, steps) - 1))
    backward(sorted({0, *others}), steps, slots)


@pytest.mark.parametrize("slots", range(1, 14))
def test_nothing_is_lost_by_not_knowing_the_number_of_steps_up_to_two_repetitions_and_something_beyond(slots):
    schedule, known = OnlineSchedule(slots), comb(slots + 2, slots)
    for steps in range(1, known + 2):
        schedule.offer()
        lost = backward(schedule.positions, steps, slots) - least_repeated(steps, slots)
        assert lost == 0 if steps <= known or slots == 1 else lost > 0, steps


@pytest.mark.parametrize(
    ("slots", "steps", "best"),
    [
        (1, 100, 4950),
        (2, 100, 758),
        (3, 100, 397),
        (5, 100, 220),
        (7, 100, 158),
        (20, 100, 80),
        (3, 1000, 11172),
        (5, 1000, 5292),
        (7, 1000, 3719),
        (10, 1000, 2640),
        (20, 1000, 1750),
        (50, 1000, 950),
    ],
)
def test_table_of_repeated_steps(slots, steps, best):
    """best: r (n + 1) - C(k + r, k + 1) - n, with r the least number of passes for which C(k + r, k) > n."""
    passes = next(r for r in range(steps + 1) if comb(slots + r, slots) > steps)
    assert best == passes * (steps + 1) - comb(slots + passes, slots + 1) - steps
    assert least_repeated(steps, slots) == best
    repeated = backward(forward(slots, steps).positions, steps, slots)
    assert best <= repeated <= factor(slots) * best


@pytest.mark.parametrize("slots", [2, 3, 4, 5, 7, 10, 20])
def test_at_no_number_of_steps_up_to_two_thousand_is_the_factor_passed(slots):
    """What the way back costs is known from the kept states: each later one leaves a slot to those before it."""
    schedule, worst = OnlineSchedule(slots), 1.0
    for steps in range(1, 2001):
        schedule.offer()
        edges = [*schedule.positions, steps]
        if len(schedule.positions) < slots or not least_repeated(steps, slots):
            continue
        repeated = sum(reverse_cost(b - a, slots - place) for place, (a, b) in enumerate(pairwise(edges)))
        if steps in (50, 500, 2000):
            assert repeated == backward(schedule.positions, steps, slots)
        worst = max(worst, repeated / least_repeated(steps, slots))
    assert worst <= factor(slots)


@pytest.mark.parametrize(("steps", "slots"), [(0, 2), (1, 2), (2, 4), (100, 14), (1000, 20), (10_000, 28)])
def test_log_allows_twice_the_binary_digits_of_the_steps(steps, slots):
    assert slots_after("log", steps) == slots


def test_log_repeats_what_so_many_states_need():
    schedule = OnlineSchedule("log")
    for steps in range(1, 1501):
        schedule.offer()
        assert len(schedule.positions) <= slots_after("log", steps)
        if steps % 7 == 2:
            repeated = backward(schedule.positions, steps, schedule.limit)
            assert repeated <= 1.17 * least_repeated(steps, schedule.limit)
            assert repeated < 2 * steps
