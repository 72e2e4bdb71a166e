"""Which series a report shows: not the longest, but a spread, and the worst of those looked at."""

from dataclasses import replace

import numpy as np
import pytest

from neurode import SeriesModel
from neurode.data.series import Series
from neurode.tasks.series.fitting import problems
from neurode.tasks.series.pages.examples import examples
from neurode.tasks.series.pages.spread import LONG, SHORT, TYPICAL, WORST, choose_entries, choose_features
from neurode.tasks.series.report_data import test_pieces as unused_pieces
from neurode.tasks.series.results import FORECAST, LAST_VALUE, LINEAR, MEAN, NEURODE, Evaluation, ScoreRow
from neurode.tasks.series.scoring.problem import forecast_problem
from tests.tasks.tables import waves


@pytest.fixture(scope="module")
def model() -> SeriesModel:
    settings = {"epochs": 2, "hidden_dim": 8, "latent_dim": 3, "horizon": 4.0, "cuts": 3, "num_samples": 2}
    return SeriesModel(**settings).fit(waves(60), id="patient", time="hour", progress=False)


def scored(ratios: dict[str, float]) -> Evaluation:
    """An evaluation of forecasts in which neurode's RMSE is `ratios` times that of the baselines."""
    rows = [
        ScoreRow(FORECAST, method, name, ratio if method == NEURODE else 1.0, 1.0, 1.0, 0.9, 100)
        for name, ratio in ratios.items()
        for method in (NEURODE, LAST_VALUE, LINEAR, MEAN)
    ]
    return Evaluation(0.9, 4.0, "hours", 0.25, 9, tuple(rows), (), (), (), 1.0)


def long_and_short() -> list[Series]:
    """Twenty series of 4 to 23 rows; number 7 jumps where no other does."""
    found = []
    for number in range(20):
        rows = 4 + number
        values = np.stack([70 + np.sin(np.arange(rows)), 5 + 0.3 * np.arange(rows)], axis=1)
        if number == 7:
            values[rows // 2 :] += 500.0
        found.append(Series((number,), np.arange(rows, dtype=np.float64), values))
    return found


def test_a_typical_a_long_a_short_and_the_worst_predicted_series_are_chosen(model):
    series = long_and_short()
    problem = forecast_problem(series, 4.0, 0, cuts=3)
    chosen = {why: series[problem.owner[entry]] for entry, why in choose_entries(model.fitted, problem, np.array([0]))}
    assert list(chosen) == [TYPICAL, LONG, SHORT, WORST]
    assert chosen[WORST].key == (7,)
    assert chosen[SHORT].num_times < chosen[TYPICAL].num_times < chosen[LONG].num_times
    assert 10 <= chosen[TYPICAL].num_times <= 17
    assert chosen[LONG].num_times > 19
    assert chosen[SHORT].num_times < 8


def test_one_series_alone_is_shown_without_a_reason(model):
    problem = forecast_problem(long_and_short()[9:10], 4.0, 0, cuts=3)
    assert [why for _, why in choose_entries(model.fitted, problem, np.array([0]))] == [""]


def test_the_best_and_the_worst_scored_features_are_shown_in_the_tables_order(model):
    names = ("a", "b", "c", "d", "e")
    fitted = replace(model.fitted, schema=replace(model.fitted.schema, features=names))
    times = np.arange(12.0)
    values = np.random.default_rng(0).normal(size=(12, 5))
    values[:, 4] = 1.0  # no news, however well it is predicted
    values[1:, 3] = np.nan  # seldom asked
    problem = forecast_problem([Series((0,), times, values)], 4.0, 0, cuts=8)
    evaluation = scored({"a": 0.8, "b": 0.5, "c": 1.4, "d": 9.0, "e": 0.01})
    assert choose_features(fitted, problem, evaluation).tolist() == [1, 2]


def test_forecasts_of_positions_show_the_position_and_two_features_more(model):
    names = ("lat", "long", "wind", "pressure", "depth")
    fitted = replace(model.fitted, schema=replace(model.fitted.schema, features=names))
    values = np.random.default_rng(0).normal(size=(12, 5))
    problem = forecast_problem([Series((0,), np.arange(12.0), values)], 4.0, 0, cuts=8)
    evaluation = scored({"lat": 0.1, "long": 9.0, "wind": 0.5, "pressure": 0.7, "depth": 0.9})
    assert choose_features(fitted, problem, evaluation).tolist() == [0, 1, 2, 4]


def test_examples_carry_the_reason_they_are_shown(model):
    evaluation = model.evaluate()
    pieces = unused_pieces(model.fitted, model._read(None, False))
    for problem in problems(pieces, model.fitted.config, model.fitted.choices):
        shown = examples(model.fitted, problem, evaluation)
        assert shown[-1].why == WORST
        assert len({example.key for example in shown}) == min(4, len(pieces))
