"""Pointers to the next output of each lane find what a look at all times finds."""

import numpy as np
import pytest
import torch

from neurode.integration.lane_outputs import LaneOutputs
from neurode.integration.times import read_times


def times_of(*lists: list[float]):
    return read_times([torch.tensor(own, dtype=torch.float64) for own in lists], lanes=len(lists), per_sample=True,
                      device=torch.device("cpu"))  # fmt: skip


def pairs(found) -> list[tuple[int, int]]:
    rows, local = found
    return list(zip(rows.tolist(), local.tolist(), strict=True))


def test_times_before_the_end_and_at_it_are_told_apart_and_each_is_told_once():
    outputs = LaneOutputs(times_of([0.0, 0.5, 1.0, 1.0, 2.0], [0.0, 1.0]))
    lanes = np.array([0, 1])
    outputs.skip(np.ones(2, dtype=int))  # t0 is written at the beginning
    assert pairs(outputs.before(lanes, np.array([1.0, 0.5]))) == [(1, 0)]
    assert pairs(outputs.at(lanes, np.array([1.0, 0.5]))) == [(2, 0), (3, 0)]
    assert pairs(outputs.before(lanes, np.array([2.0, 1.0]))) == []
    assert pairs(outputs.at(lanes, np.array([2.0, 1.0]))) == [(4, 0), (1, 1)]
    # Behind the last time of a lane there is nothing.
    assert pairs(outputs.before(lanes, np.array([9.0, 9.0]))) == []


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_steps_of_many_lanes_in_either_direction_find_what_a_full_look_finds(sign):
    draw = np.random.default_rng(0)
    lists = [sign * np.sort(np.concatenate([[0.0], draw.choice(20, draw.integers(1, 30))])) for _ in range(40)]
    times = times_of(*[own.tolist() for own in lists])
    outputs, at = LaneOutputs(times), np.zeros(40)
    outputs.skip(np.array([(own == 0.0).sum() for own in lists]))
    for _ in range(12):
        lanes = np.flatnonzero(draw.random(40) < 0.7)
        end = at[lanes] + sign * draw.integers(0, 4, len(lanes))
        host = times.host[:, lanes]
        inside = (host * sign > at[lanes] * sign) & (host * sign < end * sign)
        assert sorted(pairs(outputs.before(lanes, end))) == sorted(pairs(np.nonzero(inside)))
        there = (host == end) & (end != at[lanes])
        assert sorted(pairs(outputs.at(lanes, end))) == sorted(pairs(np.nonzero(there)))
        at[lanes] = end
