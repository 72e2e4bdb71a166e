"""The spirals as a task: what is trained on, what is scored."""

import numpy as np
import pytest

from neurode.tasks.spirals import SpiralJob, fit_spirals

TINY = SpiralJob(num=24, num_points=20, epochs=2, max_seconds=None)


@pytest.fixture(scope="module")
def tiny():
    return fit_spirals(TINY, progress=False)


def test_noisy_points_are_missed_by_more_than_the_truth(tiny):
    assert np.isfinite(tiny.rmse)
    assert tiny.rmse_noisy**2 == pytest.approx(tiny.rmse**2 + TINY.noise**2, rel=0.1)


def test_a_fit_repeats_itself_and_another_seed_is_another_fit(tiny):
    assert fit_spirals(TINY, progress=False).rmse == tiny.rmse
    assert fit_spirals(SpiralJob(num=24, num_points=20, epochs=2, max_seconds=None, seed=1)).rmse != tiny.rmse


def test_test_spirals_go_on_beyond_their_window(tiny):
    assert all(one.num_times == TINY.num_points for one in tiny.test.observed)
    assert all(
        beyond.times[0] > seen.times[-1] for beyond, seen in zip(tiny.test.beyond, tiny.test.observed, strict=True)
    )


@pytest.mark.slow
def test_a_minute_of_training_foresees_spirals_better_than_the_paper():
    """Chen et al. (2018), table 2: 0.1502 with 50 points."""
    assert fit_spirals(SpiralJob(num_points=50, epochs=90, max_seconds=240), progress=False).rmse < 0.1502
