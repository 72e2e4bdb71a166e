import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neurode.tasks.series.scoring.metrics import (
    crps_draws,
    crps_gaussian,
    crps_quantiles,
    feature_means,
    find_position,
    great_circle_km,
    inside,
    middle_levels,
    normal_quantile,
)


@settings(max_examples=40)
@given(truth=st.floats(-5, 5), mean=st.floats(-5, 5), std=st.floats(0.05, 5))
def test_gaussian_crps_equals_the_integral_over_the_squared_distance_of_distributions(truth, mean, std):
    scipy_stats = pytest.importorskip("scipy.stats", reason="scipy is the oracle here")
    grid = np.linspace(min(truth, mean - 12 * std), max(truth, mean + 12 * std), 40_001)
    cdf = scipy_stats.norm.cdf(grid, mean, std)
    expected = np.trapezoid((cdf - (grid >= truth)) ** 2, grid)
    assert crps_gaussian(np.array([truth]), np.array([mean]), np.array([std]))[0] == pytest.approx(expected, abs=2e-3)


def test_gaussian_crps_without_spread_is_the_absolute_error():
    assert crps_gaussian(np.array([3.0]), np.array([1.0]), np.array([0.0]))[0] == 2.0


def test_crps_from_draws_and_from_quantiles_agree_with_the_closed_form():
    random = np.random.default_rng(0)
    truth, mean, std = random.normal(size=50), random.normal(size=50), random.uniform(0.5, 2, size=50)
    exact = crps_gaussian(truth, mean, std)
    draws = mean + std * random.normal(size=(20_000, 50))
    levels = middle_levels(200)
    quantiles = mean[:, None] + std[:, None] * normal_quantile(levels)
    np.testing.assert_allclose(crps_draws(truth, draws), exact, atol=0.03)
    np.testing.assert_allclose(crps_quantiles(truth, quantiles, levels), exact, atol=0.005)


def test_crps_from_draws_has_no_bias_for_few_draws():
    random = np.random.default_rng(1)
    truth = random.normal(size=40_000)
    two = crps_draws(truth, random.normal(size=(2, 40_000))).mean()
    assert two == pytest.approx(crps_gaussian(truth, np.zeros(40_000), np.ones(40_000)).mean(), abs=0.01)


def test_one_draw_is_refused_for_crps():
    with pytest.raises(ValueError, match="at least 2 draws, got 1"):
        crps_draws(np.zeros(3), np.zeros((1, 3)))


def test_normal_quantile_refuses_levels_of_zero_and_one():
    np.testing.assert_allclose(normal_quantile(np.array([0.025, 0.5, 0.975])), [-1.959964, 0, 1.959964], atol=1e-6)
    with pytest.raises(ValueError, match="strictly between 0 and 1"):
        normal_quantile(1.0)


def test_means_are_taken_per_feature_and_a_feature_without_cells_gets_nan():
    means = feature_means(np.array([1.0, 3.0, 5.0]), np.array([0, 0, 2]), 3)
    np.testing.assert_array_equal(means, [2.0, np.nan, 5.0])


def test_an_interval_holds_its_own_ends():
    np.testing.assert_array_equal(inside(np.array([1.0, 2.0, 2.1]), np.ones(3), np.full(3, 2.0)), [True, True, False])


def test_a_quarter_of_the_globe_is_ten_thousand_kilometres_and_the_date_line_is_no_gap():
    assert great_circle_km(0.0, 0.0, 0.0, 90.0) == pytest.approx(10_007.6, abs=0.5)
    assert great_circle_km(10.0, 179.9, 10.0, -179.9) == pytest.approx(21.9, abs=0.1)


@pytest.mark.parametrize("names", [["wind", "lat", "long"], ["Wind", "Latitude", "Longitude"], ["w", "lat", "lon"]])
def test_latitude_and_longitude_are_found_by_name(names):
    assert find_position(names) == (1, 2)


def test_without_both_coordinates_there_is_no_position():
    assert find_position(["lat", "wind"]) is None
