import numpy as np
import pytest

from neurode.tasks.series.scoring.calibration import Asked, Calibration
from neurode.tasks.series.scoring.metrics import normal_quantile


def draw(count: int, seed: int):
    """Cells whose errors are t-distributed, wider far away and for the second feature: nothing like a std of 1."""
    random = np.random.default_rng(seed)
    feature, gap = random.integers(0, 2, count), random.uniform(0, 10, count)
    asked = Asked(feature, gap, np.where(random.uniform(size=count) < 0.5, -1.0, 1.0))
    return asked, np.abs(random.standard_t(4, count)) * (0.5 + 0.2 * gap) * (1 + feature)


def fitted(count: int) -> Calibration:
    asked, ratio = draw(count, 0)
    return Calibration.fit([asked], [ratio], [np.zeros(len(ratio))], 2)


@pytest.mark.parametrize("level", [0.5, 0.8, 0.9, 0.95])
def test_intervals_cover_what_they_promise_on_other_data_for_each_feature_and_distance(level):
    calibration = fitted(20_000)
    asked, ratio = draw(50_000, 1)
    held = ratio <= calibration.factor(asked, level)
    assert held.mean() == pytest.approx(level, abs=0.01)
    for feature in (0, 1):
        for near in (asked.gap < 2, asked.gap > 8):
            assert held[near & (asked.feature == feature)].mean() == pytest.approx(level, abs=0.04)


def test_factors_grow_with_the_level():
    calibration = fitted(500)
    asked, _ = draw(50, 1)
    levels = np.concatenate([np.linspace(0, 0.995, 60), [0.997, 0.999, 0.9999]])
    assert np.all(np.diff(calibration.factor(asked, levels), axis=1) >= 0)


def test_a_group_of_few_cells_leans_on_the_wider_ones():
    asked, ratio = draw(3000, 0)
    lone = Asked(np.array([2]), np.array([5.0]), np.array([-1.0]))
    calibration = Calibration.fit([asked, lone], [ratio, np.array([1e3])], [np.zeros(len(ratio)), np.zeros(1)], 3)
    assert calibration.factor(lone, 0.9)[0] < 50


def test_many_levels_agree_with_one_at_a_time():
    calibration = fitted(500)
    asked, _ = draw(20, 1)
    levels = np.array([0.03, 0.4, 0.9, 0.999])
    single = np.stack([calibration.factor(asked, float(level)) for level in levels], axis=1)
    np.testing.assert_array_equal(calibration.factor(asked, levels), single)


def test_without_calibration_the_factors_are_those_of_the_normal_distribution():
    asked, _ = draw(10, 1)
    np.testing.assert_allclose(Calibration.gaussian(2).factor(asked, 0.9), normal_quantile(0.95), rtol=1e-12)


def test_calibration_comes_back_from_json():
    calibration = fitted(500)
    asked, _ = draw(30, 1)
    again = Calibration.from_json(calibration.to_json())
    np.testing.assert_allclose(again.factor(asked, 0.87), calibration.factor(asked, 0.87), rtol=1e-6)


def test_a_coverage_of_one_is_refused():
    with pytest.raises(ValueError, match=r"coverage must lie in \[0, 1\), got 1.0"):
        Calibration.gaussian(1).factor(Asked(np.zeros(1, int), np.ones(1), np.ones(1)), 1.0)
