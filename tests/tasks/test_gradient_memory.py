"""The memory that each way to differentiate needs, counted tensor by tensor; and the job that measures it."""

from dataclasses import replace

import pytest
import torch

from neurode.gradients.catalogue import GRADIENTS
from neurode.tasks.gradient_memory import SLOTS, GradientMemoryJob, measure_gradient_memory, ways_to_differentiate

JOB = GradientMemoryJob(steps=(50, 500), batch=32, hidden=(16,), timed_steps=20, rounds=1)
STATE = JOB.batch * JOB.dim * 8


def measured(job):
    return {way.name: way for way in measure_gradient_memory(job).ways}


@pytest.fixture(scope="module")
def ways():
    return measured(JOB)


@pytest.mark.parametrize("name", ["reversible", "adjoint", f"Checkpointed({SLOTS})"])
def test_ten_times_the_steps_need_no_more_memory(ways, name):
    few, many = (ways[name].at(steps) for steps in JOB.steps)
    # Of fifty steps hardly five lie between two anchors: fewer than the states in hand while they are made again.
    not_yet_in_hand = 3 * STATE if name == "reversible" else 0
    assert many.peak <= 1.05 * few.peak + not_yet_in_hand
    assert many.kept <= 1.05 * few.kept


def test_bounded_checkpoints_are_as_many_states_as_they_say(ways):
    """And beside them what is in hand: the value of the solve, and what the field gave at its start."""
    assert SLOTS * STATE <= ways[f"Checkpointed({SLOTS})"].at(500).kept <= (SLOTS + 3) * STATE


def test_checkpoints_of_every_state_grow_by_a_state_a_step(ways):
    few, many = (ways["checkpointed"].at(steps) for steps in JOB.steps)
    assert (many.kept - few.kept) / 450 == pytest.approx(STATE, rel=0.01)


def test_direct_grows_in_proportion_to_the_steps(ways):
    few, many = (ways["direct"].at(steps) for steps in JOB.steps)
    assert 9 < many.peak / few.peak < 10.5
    # Each of a step's two evaluations keeps at least its argument and the hidden layer's result.
    assert (many.kept - few.kept) / 450 >= 2 * JOB.batch * (JOB.dim + JOB.hidden[0]) * 8


@pytest.mark.slow
@pytest.mark.parametrize("method", ["rk4", "dopri5"])
def test_thirty_times_the_steps_need_no_more_memory_than_two_numbers_a_step(method):
    """The states here are so small that the times of the steps show."""
    job = replace(JOB, steps=(100, 3000), method=method, max_seconds=600)
    ways = measured(job)
    for name in ("reversible", "adjoint", f"Checkpointed({SLOTS})"):
        few, many = (ways[name].at(steps) for steps in job.steps)
        assert many.peak <= 1.05 * few.peak + 16 * 2900, name
    assert 27 < ways["direct"].at(3000).peak / ways["direct"].at(100).peak < 31


def test_every_way_of_the_catalogue_is_measured_and_direct_is_the_measure(ways):
    assert set(GRADIENTS) <= set(ways_to_differentiate()) == set(ways)
    assert ways["direct"].gap == 0
    assert ways["checkpointed"].gap < 1e-12
    assert ways[f"Checkpointed({SLOTS})"].gap == ways["checkpointed"].gap
    for name, way in ways.items():
        assert way.gap < 0.1, name
        assert way.seconds > 0, name


def test_numbers_of_steps_that_take_too_long_are_left_out():
    told = []
    result = measure_gradient_memory(replace(JOB, steps=(10, 20, 10**9), max_seconds=60), tell=told.append)
    assert [point.steps for point in result.direct.points] == [10, 20]
    assert result.most_steps == 20
    assert len(told) == 2
    assert told[1].startswith("20 steps: direct 0.")


def test_measuring_leaves_the_global_generator_alone():
    torch.manual_seed(3)
    due = torch.rand(2)
    torch.manual_seed(3)
    JOB.field()
    assert torch.equal(torch.rand(2), due)
