import numpy as np
import pytest

from neurode.data.series import Series
from neurode.tasks.series.results import FORECAST, HELD_OUT, LAST_VALUE, LINEAR, MEAN
from neurode.tasks.series.scoring.baselines import Baselines, last_value, linear
from neurode.tasks.series.scoring.problem import Problem, forecast_problem, held_out_problem
from tests.tasks.tables import many_series

MEANS = np.array([50.0, 60.0])


def asking(times, values, asked_times, features=1) -> Problem:
    context = Series(("a",), np.array(times, float), np.array(values, float).reshape(len(times), features))
    target = Series(("a",), np.array(asked_times, float), np.zeros((len(asked_times), features)))
    return Problem(HELD_OUT, (context,), (target,), np.zeros(1, dtype=np.int64), features)


def test_last_value_looks_back_then_ahead_then_at_the_mean():
    problem = asking([1, 3], [[10.0, np.nan], [20, np.nan]], [0, 2, 5], features=2)
    prediction = last_value(problem, MEANS)
    np.testing.assert_array_equal(prediction[problem.asked.feature == 0], [10, 10, 20])
    np.testing.assert_array_equal(prediction[problem.asked.feature == 1], [60, 60, 60])


def test_linear_interpolates_between_neighbours_as_numpy_does():
    times, values, asked = [0, 1, 4, 10], [3.0, 5, -1, 2], np.linspace(0, 10, 37)
    prediction = linear(asking(times, values, asked), MEANS, 0.0)
    np.testing.assert_allclose(prediction, np.interp(asked, times, values))


@pytest.mark.parametrize(("history", "slope"), [(1e-9, 3.0), (2.0, 2.0), (100.0, 4 / 3), (0.0, 0.0)])
def test_linear_extrapolates_with_the_slope_of_its_history(history, slope):
    problem = asking([0, 1, 2, 3], [0.0, 0, 1, 4], [4, 5])
    np.testing.assert_allclose(linear(problem, MEANS, history), [4 + slope, 4 + 2 * slope])


def test_a_lone_value_has_no_slope():
    np.testing.assert_array_equal(linear(asking([1], [7.0], [2, 9]), MEANS, 5.0), [7, 7])


def test_series_and_features_never_leak_into_each_other():
    series = many_series(12)
    whole = held_out_problem(series, 0.3, 0)
    means = np.array([70.0, 5.0])
    together = linear(whole, means, 2.0)
    for entry in range(len(whole)):
        one = Problem(HELD_OUT, whole.contexts[entry : entry + 1], whole.targets[entry : entry + 1], np.zeros(1), 2)
        np.testing.assert_array_equal(linear(one, means, 2.0), together[whole.asked.series == entry])


def test_spreads_are_the_size_of_the_baselines_own_errors():
    problem = held_out_problem(many_series(300), 0.25, 0)
    baselines = Baselines.fit([problem], np.array([70.0, 8.0]), np.array([6.0, 2.0]), 1.5)
    for mean, std in baselines.predict(problem).values():
        for feature in (0, 1):
            cells = problem.asked.feature == feature
            error = problem.asked.value[cells] - mean[cells]
            assert 0.95 < np.mean((error / std[cells]) ** 2) < 1.001


def test_spreads_grow_with_the_distance_to_the_last_value():
    problem = forecast_problem(many_series(300), 8.0, 0, cuts=4)
    baselines = Baselines.fit([problem], np.array([70.0, 8.0]), np.array([6.0, 2.0]), 1.5)
    spread = baselines.spreads[FORECAST][LAST_VALUE][:, 1]
    assert spread[-2] > 1.5 * spread[0]


def test_the_slope_length_with_the_least_error_is_taken():
    problem = forecast_problem(many_series(200), 4.0, 0, cuts=4)
    baselines = Baselines.fit([problem], np.array([70.0, 8.0]), np.array([6.0, 2.0]), 1.5)
    chosen = baselines.history[FORECAST]
    error = {
        length: np.mean(
            np.square(linear(problem, baselines.means, length) - problem.asked.value)[problem.asked.feature == 1]
        )
        for length in (1.5e-6, chosen)
    }
    assert error[chosen] < error[1.5e-6]


def test_baselines_come_back_from_json():
    problem = held_out_problem(many_series(40), 0.25, 0)
    baselines = Baselines.fit([problem], np.array([70.0, 8.0]), np.array([6.0, 2.0]), 1.5)
    again = Baselines.from_json(baselines.to_json())
    for method in (LAST_VALUE, LINEAR, MEAN):
        for one, other in zip(baselines.predict(problem)[method], again.predict(problem)[method], strict=True):
            np.testing.assert_array_equal(one, other)
