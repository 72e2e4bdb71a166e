import numpy as np
import pytest

from neurode.data.scaling import Scaling
from neurode.data.series import Series
from neurode.tasks.series.predictor import Predicted, cells_to_model, cells_to_user
from neurode.tasks.series.results import AVERAGE, FORECAST, HELD_OUT, METHODS, POSITION, ScoreRow
from neurode.tasks.series.scoring.baselines import Baselines
from neurode.tasks.series.scoring.calibration import Calibration
from neurode.tasks.series.scoring.evaluation import evaluate
from neurode.tasks.series.scoring.problem import Problem, forecast_problem, held_out_problem
from neurode.tasks.series.scoring.verdicts import verdicts

FEATURES = ("lat", "long")


class Oracle:
    """A predictor that knows the truth up to noise of a known size, in place of a trained model."""

    def __init__(self, scaling: Scaling, noise: float):
        self.scaling, self.noise = scaling, noise

    def predict(self, problem: Problem) -> Predicted:
        truth = cells_to_model(self.scaling, problem.asked.value[:, None], problem.asked.feature)[:, 0]
        mean = truth + np.random.default_rng(0).normal(0, self.noise, len(truth))
        std = np.full(len(truth), self.noise)
        return Predicted(problem, mean, std, self.scaling, Calibration.gaussian(len(FEATURES)))


def tracks(count: int) -> list[Series]:
    random = np.random.default_rng(0)
    found = []
    for k in range(count):
        times = 6.0 * np.arange(random.integers(8, 20))
        speed, start = random.normal(0, 0.05, 2), random.uniform([10, -80], [40, -30])
        walk = np.cumsum(random.normal(0, 0.3, (len(times), 2)), axis=0)
        found.append(Series((f"storm {k}",), times, start + times[:, None] * speed + walk))
    return found


@pytest.fixture(scope="module")
def evaluation():
    series = tracks(60)
    cells = np.concatenate([one.values for one in series])
    problems = [held_out_problem(series, 0.25, 0), forecast_problem(series, 24.0, 0, cuts=3)]
    baselines = Baselines.fit(problems, cells.mean(axis=0), cells.std(axis=0), 6.0)
    return evaluate(
        Oracle(Scaling.fit(series, FEATURES), 0.01),  # type: ignore[arg-type]
        baselines,
        problems,
        features=FEATURES,
        coverage=0.9,
        horizon=24.0,
        spacing=6.0,
        hidden_share=0.25,
        time_unit="hours",
        num_series=60,
    )


def test_a_predictor_that_knows_the_truth_gets_its_own_noise_as_error(evaluation):
    for task in (HELD_OUT, FORECAST):
        row = evaluation.row(task, "neurode")
        assert row.rmse == pytest.approx(0.01, rel=0.1)
        assert row.crps == pytest.approx(
            0.01 * 0.5642, rel=0.1
        )  # CRPS of a normal with the right spread: std / sqrt(pi)
        assert row.coverage == pytest.approx(0.9, abs=0.03)


def test_every_method_is_scored_per_feature_and_as_a_position_in_kilometres(evaluation):
    assert evaluation.features == FEATURES
    for method in METHODS:
        assert evaluation.row(FORECAST, method, POSITION).unit == "km"
    one_degree = evaluation.row(FORECAST, "last value", "lat").rmse * 111.2
    assert evaluation.row(FORECAST, "last value", POSITION).rmse > one_degree


def test_average_is_the_mean_over_standardised_features(evaluation):
    rows = [evaluation.row(FORECAST, "linear", name) for name in FEATURES]
    stds = np.concatenate([one.values for one in tracks(60)]).std(axis=0)
    expected = np.mean([row.rmse / std for row, std in zip(rows, stds, strict=True)])
    assert evaluation.row(FORECAST, "linear", AVERAGE).rmse == pytest.approx(expected)


def test_forecast_errors_are_listed_by_horizon_and_grow_for_the_last_value(evaluation):
    rows = [row for row in evaluation.by_horizon if (row.task, row.method) == (FORECAST, "last value")]
    assert [(row.lower, row.upper) for row in rows] == [(0, 6), (6, 12), (12, 18), (18, 24)]
    assert all(later.rmse > earlier.rmse for earlier, later in zip(rows[:-1], rows[1:], strict=True))  # noqa: RUF007
    assert sum(row.count for row in rows) == evaluation.row(FORECAST, "last value").count


def test_coverage_curves_rise_with_the_nominal_level(evaluation):
    for curve in evaluation.coverage_curves:
        assert np.all(np.diff(curve.actual) >= 0)
        assert np.all((curve.actual >= 0) & (curve.actual <= 1))


def test_a_task_without_a_truth_is_listed_as_skipped_with_the_reason():
    lone = [Series((k,), np.array([0.0]), np.array([[1.0, 2.0]])) for k in range(4)]
    series = tracks(20)
    baselines = Baselines.fit([held_out_problem(series, 0.25, 0)], np.zeros(2), np.ones(2), 6.0)
    evaluation = evaluate(
        Oracle(Scaling.fit(series, FEATURES), 0.01),  # type: ignore[arg-type]
        baselines,
        [held_out_problem(lone, 0.25, 0), forecast_problem(lone, 24.0, 0)],
        features=FEATURES,
        coverage=0.9,
        horizon=24.0,
        spacing=6.0,
        hidden_share=0.25,
        time_unit="hours",
        num_series=4,
    )
    assert evaluation.tasks == () or evaluation.tasks == (HELD_OUT,)
    assert "no test series has a row within the horizon" in evaluation.skipped[FORECAST]
    assert any(sentence.startswith("Forecast: not scored") for sentence in evaluation.verdicts)


def rows(own: float, linear: float) -> list[ScoreRow]:
    scores = {"neurode": own, "last value": 0.9, "linear": linear, "mean": 1.1}
    return [
        ScoreRow(HELD_OUT, method, feature, score, score, score, 0.9, 100)
        for method, score in scores.items()
        for feature in (AVERAGE, "bili", "chol")
    ]


def test_a_baseline_that_wins_is_named_with_both_figures():
    said = verdicts(rows(0.5, 0.4), 0.9, {FORECAST: "nothing to score"})
    assert "Held-out points: linear (0.4) beats neurode in RMSE (0.5)." in said
    lost = "bili (linear 0.4 against 0.5), chol (linear 0.4 against 0.5)."
    assert f"Held-out points: a baseline has the lower RMSE on {lost}" in said
    assert not any("ahead of all" in sentence for sentence in said)


def test_a_lead_is_told_beside_the_best_baseline():
    said = verdicts(rows(0.3, 0.4), 0.9, {FORECAST: "nothing to score"})
    lead = "neurode is ahead of all three baselines in CRPS: 0.3 against 0.4 of linear, 25% less."
    assert f"Held-out points: {lead}" in said


def test_cells_are_converted_each_by_its_own_feature():
    series = [Series((0,), np.arange(30.0), np.stack([np.arange(30.0), np.exp(np.arange(30.0) / 5)], axis=1))]
    scaling = Scaling.fit(series, ("a", "b"), transforms={"b": "log"})
    values, feature = np.array([[3.0, 4], [2, 5], [7, 9]]), np.array([1, 0, 1])
    model = cells_to_model(scaling, values, feature)
    np.testing.assert_allclose(cells_to_user(scaling, model, feature), values)
    np.testing.assert_allclose(model[1], scaling.values_to_model(np.array([[2.0, 1], [5, 1]]))[:, 0])


def test_a_log_feature_is_not_followed_into_the_millions_by_a_wide_factor():
    """A factor that a few sudden rises made would end an interval at e to the power of 30."""
    random = np.random.default_rng(0)
    series = [
        Series((k,), np.arange(12.0), np.exp(random.normal(3, 1, (12, 1))) * np.array([[1.0, 1.0]])) for k in range(20)
    ]
    scaling = Scaling.fit(series, ("a", "b"), transforms={"a": "log", "b": "none"})
    problem = forecast_problem(series, 6.0, seed=0, cuts=2)
    truth = cells_to_model(scaling, problem.asked.value[:, None], problem.asked.feature)[:, 0]
    # Errors of thirty standard deviations, of either sign, at every tenth cell.
    std = np.full(len(truth), 0.3)
    mean = truth + np.where(np.arange(len(truth)) % 10 == 0, 9.0, 0.3) * random.choice([-1, 1], len(truth))
    predicted = Predicted(problem, np.clip(mean, -2, 2), std, scaling, Calibration.gaussian(2))
    ratio = np.where(np.arange(len(truth)) % 10 == 0, 30.0, 1.0)
    calibration = Calibration.fit([predicted.asked], [ratio], [truth], 2)
    wide = Predicted(problem, np.clip(mean, -2, 2), std, scaling, calibration)
    _, high = wide.interval(0.99)
    largest = max(float(one.values.max()) for one in series)
    logs = problem.asked.feature == 0
    assert high[logs].max() < 20 * largest
    assert high[~logs].max() > largest
    quantiles = wide.quantiles(np.array([0.005, 0.5, 0.995]))
    assert np.all(np.diff(quantiles, axis=1) >= 0)
    assert Calibration.from_json(calibration.to_json()).reach == pytest.approx(calibration.reach, rel=1e-6)
