from itertools import pairwise

import pytest

from neurode.training.fit_config import FitConfig
from neurode.training.loop.schedule import FINAL_FRACTION, learning_rate_at


def test_the_rate_warms_up_then_falls_by_a_cosine_to_a_twentieth():
    config = FitConfig(learning_rate=1.0, warmup=10, schedule="cosine")
    rates = [learning_rate_at(step, 101, config) for step in range(101)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) > 0.97
    assert rates[50] == pytest.approx((1 + FINAL_FRACTION) / 2)
    assert rates[-1] == pytest.approx(FINAL_FRACTION)
    assert all(later < earlier for earlier, later in pairwise(rates[10:]))


def test_a_constant_rate_is_constant_after_warm_up():
    config = FitConfig(learning_rate=0.5, warmup=2, schedule="constant")
    assert [learning_rate_at(step, 4, config) for step in range(4)] == [0.25, 0.5, 0.5, 0.5]


def test_a_run_of_one_step_has_a_rate():
    assert learning_rate_at(0, 1, FitConfig(learning_rate=0.5, warmup=0)) == 0.5
