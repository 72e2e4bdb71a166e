import json
import re

import numpy as np
import pandas as pd
import pytest

from neurode import SeriesModel
from neurode.core.errors import DataError, NeurodeError
from neurode.tasks.series.results import AVERAGE, FORECAST, HELD_OUT, METHODS
from tests.tasks.tables import long_waves, waves

SMALL = {
    "epochs": 8,
    "hidden_dim": 16,
    "latent_dim": 4,
    "batch_size": 16,
    "horizon": 4.0,
    "cuts": 2,
    "learning_rate": 0.01,
}


@pytest.fixture(scope="module")
def model() -> SeriesModel:
    return SeriesModel(**SMALL).fit(waves(80), id="patient", time="hour", progress=False)


@pytest.fixture(scope="module")
def long_model() -> SeriesModel:
    return SeriesModel(**SMALL | {"epochs": 2}).fit(long_waves(30), progress=False)


def test_impute_keeps_the_users_rows_and_observed_cells_and_leaves_no_blank(model):
    table = waves(10, seed=5)
    filled = model.impute(table)
    assert len(filled) == len(table)
    for name in ("pulse", "drift"):
        seen = table[name].notna()
        pd.testing.assert_series_equal(filled.loc[seen, name], table.loc[seen, name])
        assert filled[name].notna().all()
        blank = ~seen
        assert (filled.loc[blank, f"{name}_lo"] < filled.loc[blank, name]).all()
        assert (filled.loc[blank, name] < filled.loc[blank, f"{name}_hi"]).all()
        assert filled.loc[seen, f"{name}_lo"].isna().all()
    assert (filled["imputed"] == table[["pulse", "drift"]].isna().any(axis=1)).all()


def test_impute_takes_rows_in_any_order_and_returns_them_in_that_order(model):
    table = waves(6, seed=5)
    shuffled = table.sample(frac=1, random_state=0)
    expected = model.impute(table).loc[shuffled.index].reset_index(drop=True)
    got = model.impute(shuffled).reset_index(drop=True)
    pd.testing.assert_frame_equal(got, expected, rtol=1e-5)


def test_a_row_without_any_value_is_filled_too(model):
    table = waves(6, seed=5)
    extra = pd.DataFrame({"patient": [0], "hour": [9.999], "pulse": [np.nan], "drift": [np.nan]})
    filled = model.impute(pd.concat([table, extra], ignore_index=True))
    assert filled.iloc[-1][["pulse", "drift", "pulse_lo", "drift_hi"]].notna().all()
    assert bool(filled.iloc[-1]["imputed"])


def test_a_series_is_filled_alike_alone_and_among_others(model):
    table = waves(12, seed=5)
    among = model.impute(table)
    alone = model.impute(table[table["patient"] == 7])
    pd.testing.assert_frame_equal(
        alone.reset_index(drop=True), among[among["patient"] == 7].reset_index(drop=True), rtol=1e-4
    )


def test_wider_coverage_gives_wider_intervals_around_the_same_value(model):
    table = waves(6, seed=5)
    narrow, wide = model.impute(table, coverage=0.5), model.impute(table, coverage=0.95)
    pd.testing.assert_series_equal(narrow["pulse"], wide["pulse"])
    blank = table["pulse"].isna()
    assert (wide.loc[blank, "pulse_hi"] > narrow.loc[blank, "pulse_hi"]).all()
    assert (wide.loc[blank, "pulse_lo"] < narrow.loc[blank, "pulse_lo"]).all()


def test_forecast_gives_equal_steps_after_each_series_last_row(model):
    table = waves(5, seed=5)
    ahead = model.forecast(table, horizon=3, steps=3)
    assert list(ahead.columns) == ["patient", "hour", "pulse", "pulse_lo", "pulse_hi", "drift", "drift_lo", "drift_hi"]
    last = table.dropna(how="all", subset=["pulse", "drift"]).groupby("patient")["hour"].max()
    for patient, part in ahead.groupby("patient"):
        np.testing.assert_allclose(part["hour"], last[patient] + np.array([1.0, 2, 3]))
    assert ahead["patient"].dtype == table["patient"].dtype


def test_forecast_at_absolute_times_asks_every_series_for_them(model):
    with pytest.warns(UserWarning, match="beyond a series' last row, and were trained and calibrated up to 4 hours"):
        ahead = model.forecast(waves(5, seed=5), times=[30, 25])
    assert ahead.groupby("patient")["hour"].apply(list).tolist() == [[25.0, 30.0]] * 5


def test_a_forecast_within_the_trained_horizon_warns_of_nothing_and_one_beyond_says_how_far(model):
    model.forecast(waves(5, seed=5), horizon=4)  # a warning would be an error
    with pytest.warns(UserWarning, match=r"reach 9 hours beyond a series' last row.*up to 4 hours.*unverified"):
        ahead = model.forecast(waves(5, seed=5), horizon=9, steps=3)
    assert (ahead["pulse_lo"] < ahead["pulse_hi"]).all()


def test_a_horizon_of_more_than_ten_trained_ones_is_refused_with_the_remedy(model):
    with pytest.raises(DataError, match=r"horizon='41' is more than 10 times the 4 hours.*at most 40 hours, or train"):
        model.forecast(waves(5, seed=5), horizon="41")
    with pytest.raises(DataError, match="horizon='0' must be above zero"):
        model.forecast(waves(5, seed=5), horizon="0")


@pytest.mark.filterwarnings("ignore:Forecasts reach:UserWarning")
def test_series_far_from_the_asked_times_are_left_out_with_a_warning(model):
    table = waves(5, seed=5)
    table.loc[table["patient"] == 3, "hour"] -= 1000
    table.loc[table["patient"] == 4, "hour"] += 1000
    with pytest.warns(UserWarning, match="Left out") as said:
        ahead = model.forecast(table, times=[25])
    assert sorted(ahead["patient"].unique()) == [0, 1, 2]
    assert "Left out: 2 of 5 series, each of which ends more than 40 hours (10 horizons) before" in str(said[0].message)
    assert "or begins more than 40 hours" in str(said[0].message)


def test_times_far_from_every_series_are_refused_at_once(model):
    with pytest.raises(DataError, match="every series ends more than 40 hours .* before the last time asked"):
        model.forecast(waves(5, seed=5), times=[1e9])
    with pytest.raises(DataError, match="every series begins more than 40 hours .* after the first time asked"):
        model.forecast(waves(5, seed=5), times=[-1e9])


def test_times_and_horizon_together_are_refused(model):
    with pytest.raises(ValueError, match="pass either times, which are absolute, or horizon and steps"):
        model.forecast(waves(5), times=[30], horizon=3)


def test_sample_makes_series_in_the_tables_columns_and_more_do_not_change_the_first(model):
    few, many = model.sample(3, seed=1), model.sample(5, seed=1)
    assert list(few.columns) == ["patient", "hour", "pulse", "drift"]
    assert few["patient"].nunique() == 3
    pd.testing.assert_frame_equal(few, many.iloc[: len(few)], rtol=1e-4)
    assert not few.equals(model.sample(3, seed=2))
    assert model.sample(2, times=[0, 5])["hour"].diff().iloc[1] == pytest.approx(5)
    pd.testing.assert_frame_equal(model.sample(2, times=["0h", "5h"]), model.sample(2, times=["0", "5"]))


def test_times_of_made_series_far_beyond_any_real_one_are_refused(model):
    with pytest.raises(DataError, match="more than 10 times a typical series. Ask for at most"):
        model.sample(2, times=["0", "1e6"])


def test_no_series_to_make_is_refused(model):
    with pytest.raises(ValueError, match="n=0 must be at least 1"):
        model.sample(0)


def test_encode_gives_one_row_a_series(model):
    codes = model.encode(waves(5, seed=5))
    assert list(codes.columns[:2]) == ["patient", "code_1"]
    assert codes.shape == (5, 1 + 2 * 4)
    assert codes.notna().all(axis=None)


def test_evaluate_scores_every_method_on_both_tasks_on_test_series_only(model):
    evaluation = model.evaluate()
    assert evaluation.tasks == (HELD_OUT, FORECAST)
    assert evaluation.num_series == model.fitted.split["test"]
    for task in evaluation.tasks:
        for method in METHODS:
            row = evaluation.row(task, method, AVERAGE)
            assert 0 < row.crps <= row.mae * 1.01 <= row.rmse * 1.02
            assert 0 <= row.coverage <= 1
    assert evaluation.row(HELD_OUT, "neurode").crps < evaluation.row(HELD_OUT, "mean").crps
    assert json.loads(json.dumps(evaluation.to_dict()))["num_series"] == evaluation.num_series


def test_evaluating_twice_gives_the_same_scores(model):
    assert model.evaluate().rows == model.evaluate().rows


def test_a_new_table_is_scored_whole_and_of_the_old_one_the_test_series_as_is_said(model):
    assert model.evaluate(waves(20, seed=9)).num_series == 20
    assert model.notes[-1] == "Scored: all 20 series of this table; the model has used none of them."
    test = model.fitted.split["test"]
    assert model.evaluate(waves(80)).num_series == test
    assert model.notes[-1].startswith(f"Scored: {test} of 80 series; the others were used to train")


def test_series_of_both_a_new_and_the_old_table_are_told_apart(model):
    new = waves(20, seed=9)
    new["patient"] += 1000
    both = model.evaluate(pd.concat([waves(80), new], ignore_index=True))
    assert both.num_series == 20 + model.fitted.split["test"]


def test_few_test_series_come_with_a_word_of_caution(model):
    assert "Only 9 test series" in model.evaluate(waves(9, seed=9)).verdicts[-1]
    assert "Only" not in model.evaluate(waves(20, seed=9)).verdicts[-1]


def test_a_reopened_model_answers_exactly_as_before(model, tmp_path):
    again = SeriesModel.load(model.save(tmp_path / "model"))
    table = waves(5, seed=5)
    pd.testing.assert_frame_equal(again.impute(table), model.impute(table), rtol=1e-5)
    pd.testing.assert_frame_equal(again.forecast(table), model.forecast(table), rtol=1e-5)
    pd.testing.assert_frame_equal(again.sample(2), model.sample(2))
    assert again.evaluate(waves(80)).num_series == model.fitted.split["test"]


def test_a_damaged_model_folder_is_said_and_not_a_traceback(model, tmp_path):
    folder = model.save(tmp_path / "model")
    before = json.loads((folder / "preprocessing.json").read_text())
    del before["scaling"]["means"]
    (folder / "preprocessing.json").write_text(json.dumps(before))
    with pytest.raises(DataError, match="this model folder is damaged"):
        SeriesModel.load(folder)


def test_the_card_names_the_data_and_the_scores(model, tmp_path):
    model.evaluate()
    text = (model.save(tmp_path / "model") / "README.md").read_text()
    assert model.fitted.sha256 in text
    assert "| forecast | linear |" in text


def test_an_untrained_model_says_so():
    with pytest.raises(NeurodeError, match="not trained yet: call fit"):
        SeriesModel().impute(waves(5))


def test_a_loaded_model_needs_a_table(model, tmp_path):
    again = SeriesModel.load(model.save(tmp_path / "model"))
    with pytest.raises(DataError, match="no table was given, and a loaded model holds none"):
        again.impute()


def test_a_wrong_coverage_is_refused(model):
    with pytest.raises(ValueError, match="coverage=90 must lie between 0 and 1"):
        model.impute(waves(5), coverage=90)


def test_an_unknown_setting_of_the_network_is_refused():
    with pytest.raises(DataError, match="model: unknown setting 'betta'. Settings: .*beta"):
        SeriesModel(model={"betta": 1}).fit(waves(20), progress=False)


def test_the_same_seed_trains_the_same_model():
    small = SMALL | {"epochs": 1}
    one, two = (SeriesModel(**small).fit(waves(20), progress=False).encode() for _ in range(2))
    pd.testing.assert_frame_equal(one, two)


def test_a_run_folder_holds_config_log_checkpoints_and_a_model_that_opens(tmp_path):
    SeriesModel(**SMALL | {"epochs": 1}).fit(waves(20), run_folder=tmp_path / "run", progress=False)
    assert {"config.yaml", "metrics.csv", "train.log", "checkpoints", "model"} <= {
        entry.name for entry in (tmp_path / "run").iterdir()
    }
    assert len(SeriesModel.load(tmp_path / "run").impute(waves(5))) == len(waves(5))


def test_a_resumed_run_gives_the_model_of_an_uninterrupted_one(tmp_path, monkeypatch):
    small = SMALL | {"epochs": 3}
    whole = SeriesModel(**small).fit(waves(20), progress=False).encode()
    run = tmp_path / "run"
    from neurode.tasks.series.series_batches import SeriesBatches

    batches = SeriesBatches.train_batches

    def interrupted(self, epoch, rank=0, world=1):
        if epoch == 3:
            raise RuntimeError("the machine went down")
        return batches(self, epoch, rank, world)

    monkeypatch.setattr(SeriesBatches, "train_batches", interrupted)
    with pytest.raises(RuntimeError, match="the machine went down"):
        SeriesModel(**small).fit(waves(20), run_folder=run, progress=False)
    monkeypatch.undo()
    again = SeriesModel(**small).fit(waves(20), run_folder=run, resume=True, progress=False).encode()
    pd.testing.assert_frame_equal(again, whole)


def test_a_run_folder_in_use_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(DataError, match=r"not empty \(it holds notes.txt\)"):
        SeriesModel(**SMALL).fit(waves(20), run_folder=tmp_path, progress=False)


def test_long_tables_come_back_long_with_every_variable_at_every_time(long_model):
    table = long_waves(6, seed=5)
    filled = long_model.impute(table)
    assert list(filled.columns) == ["patient", "hour", "variable", "value", "value_lo", "value_hi", "imputed"]
    pd.testing.assert_frame_equal(filled.iloc[: len(table), :4].reset_index(drop=True), table, check_dtype=False)
    assert not filled["imputed"].iloc[: len(table)].any()
    assert filled["imputed"].iloc[len(table) :].all()
    times = table.groupby("patient")["hour"].nunique().sum()
    assert len(filled) == 2 * times
    assert not filled.duplicated(["patient", "hour", "variable"]).any()


def test_a_blank_reading_of_a_long_table_is_filled_in_its_own_row(long_model):
    table = long_waves(6, seed=5)
    table.loc[3, "value"] = np.nan
    filled = long_model.impute(table)
    assert bool(filled.loc[3, "imputed"])
    assert np.isfinite(filled.loc[3, ["value", "value_lo", "value_hi"]].astype(float)).all()
    assert not filled.duplicated(["patient", "hour", "variable"]).any()


def test_long_forecasts_have_one_row_a_variable(long_model):
    ahead = long_model.forecast(long_waves(4, seed=5), horizon=2, steps=2)
    assert list(ahead.columns) == ["patient", "hour", "variable", "value", "value_lo", "value_hi"]
    assert len(ahead) == 4 * 2 * 2
    assert ahead.notna().all(axis=None)


def test_one_dated_series_is_cut_into_windows_filled_and_forecast_in_its_own_dates():
    days = np.arange(700)
    random = np.random.default_rng(0)
    table = pd.DataFrame(
        {
            "date": pd.date_range("2020-01-01", periods=700).strftime("%Y%m%d").astype(int),
            "level": 10 + np.sin(days / 5) + random.normal(0, 0.1, 700),
        }
    )
    table["level"] = table["level"].where((random.uniform(size=700) > 0.1).tolist())
    model = SeriesModel(**SMALL | {"epochs": 3, "horizon": "5 days", "window": "30 days"}).fit(table, progress=False)
    filled = model.impute()
    assert filled["level"].notna().all()
    pd.testing.assert_series_equal(filled["date"], table["date"])
    ahead = model.forecast(horizon="3 days", steps=3)
    assert ahead["date"].tolist() == [20211201, 20211202, 20211203]
    assert model.evaluate().row(FORECAST, "neurode").count > 0
    assert re.match("Scored: the series from 2021-0[5-9]-[0-9][0-9] on, in windows", model.notes[-1])


def test_report_data_holds_every_page(model):
    data = model.report_data()
    assert data.data.num_series == 80
    assert {example.task for example in data.examples} == {HELD_OUT, FORECAST}
    for example in data.examples:
        assert len(example.times) == len(example.mean) == len(example.lo) == len(example.hi)
        assert np.all(example.lo <= example.hi)
        assert len(example.hidden) + len(example.observed) > 0
    assert data.latent is not None
    assert data.latent.codes.shape == (80, 2)
    assert data.latent.field_x.shape == (len(data.latent.grid_y), len(data.latent.grid_x))
    assert data.latent.explained[0] >= data.latent.explained[1]
    assert data.samples is not None
    assert np.isfinite(data.samples.made).all()
    assert data.cost.parameters > 0
    assert data.history.num_epochs == data.cost.epochs == 8


@pytest.fixture(scope="module")
def flow_model() -> SeriesModel:
    return SeriesModel(**SMALL | {"epochs": 2, "prior": "flow"}).fit(
        waves(40), id="patient", time="hour", progress=False
    )


def test_new_series_can_be_drawn_from_a_flow_and_from_the_mixture(flow_model):
    assert any("Training the flow that new series are drawn from" in note for note in flow_model.notes)
    made = flow_model.sample(5, seed=1)
    pd.testing.assert_frame_equal(made, flow_model.sample(5, seed=1, prior="flow"))
    other = flow_model.sample(5, seed=1, prior="mixture")
    assert made.shape == other.shape
    assert np.isfinite(made[["pulse", "drift"]].to_numpy()).all()
    assert not np.allclose(made["pulse"], other["pulse"])


def test_a_flow_travels_with_its_model(flow_model, tmp_path):
    loaded = SeriesModel.load(flow_model.save(tmp_path / "model"))
    pd.testing.assert_frame_equal(loaded.sample(4, seed=2), flow_model.sample(4, seed=2))


def test_a_flow_that_was_not_trained_is_refused_with_the_remedy(model):
    with pytest.raises(DataError, match="no flow to draw from. Train it with prior=flow"):
        model.sample(2, prior="flow")
    with pytest.raises(ValueError, match="prior='kernel' must be one of: 'mixture'"):
        model.sample(2, prior="kernel")
    with pytest.raises(DataError, match="prior: Input should be 'mixture' or 'flow'"):
        SeriesModel(prior="kernel")
