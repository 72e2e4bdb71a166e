"""The verbs as a user calls them: data on standard output or in a file, words on standard error."""

import gzip
import io
import json

import pandas as pd
import pytest
import yaml

from tests.cli.conftest import small_table
from tests.cli.running import neurode


def table_of(run):
    return run.parent / "waves.csv"


def csv(text):
    return pd.read_csv(io.StringIO(text))


def test_a_run_folder_holds_all_that_is_promised(trained_run):
    for name in ("config.yaml", "metrics.csv", "train.log", "checkpoints/last.ckpt", "checkpoints/best.ckpt"):
        assert (trained_run / name).is_file(), name
    for name in ("config.json", "model.safetensors", "preprocessing.json", "README.md"):
        assert (trained_run / "model" / name).is_file(), name


def test_imputing_fills_every_blank_and_keeps_every_observed_cell(trained_run):
    given = pd.read_csv(table_of(trained_run))
    done = neurode("series", "impute", trained_run, table_of(trained_run))
    filled = csv(done.out)
    assert done.code == 0
    assert filled["y"].notna().all()
    observed = given["y"].notna()
    pd.testing.assert_series_equal(filled["y"][observed], given["y"][observed])
    assert (filled["imputed"] == ~observed).all()
    assert (filled["y_lo"] < filled["y_hi"])[~observed].all()


def test_wider_coverage_gives_wider_intervals(trained_run):
    narrow, wide = (
        csv(neurode("series", "impute", trained_run, table_of(trained_run), "--coverage", share).out)
        for share in (0.5, 0.99)
    )
    blank = narrow["imputed"]
    assert ((wide["y_hi"] - wide["y_lo"]) > (narrow["y_hi"] - narrow["y_lo"]))[blank].all()


beyond_training = pytest.mark.filterwarnings("default:Forecasts reach:UserWarning")
"""Tests turn warnings into errors; these forecasts go beyond the small run's horizon, and the command says so."""


@beyond_training
def test_forecasting_goes_in_steps_after_each_series_last_row(trained_run):
    done = neurode("series", "forecast", trained_run, table_of(trained_run), "--horizon", "2", "--steps", "4")
    coming, last = csv(done.out), pd.read_csv(table_of(trained_run)).groupby("id")["t"].max()
    assert len(coming) == 4 * len(last)
    ahead = coming["t"] - coming["id"].map(last)
    assert sorted(ahead.round(6).unique()) == [0.5, 1.0, 1.5, 2.0]
    assert list(coming.columns) == ["id", "t", "x", "x_lo", "x_hi", "y", "y_lo", "y_hi"]


@beyond_training
def test_forecasting_at_given_times(trained_run):
    done = neurode("series", "forecast", trained_run, table_of(trained_run), "--at", "11", "--at", "12,13")
    assert sorted(csv(done.out)["t"].unique()) == [11, 12, 13]


def test_a_time_far_beyond_every_series_is_refused_and_not_computed(trained_run):
    done = neurode("series", "forecast", trained_run, table_of(trained_run), "--at", "1e6")
    assert (done.code, done.out) == (3, "")
    assert "every series ends more than" in done.err


@beyond_training
def test_a_forecast_beyond_what_was_calibrated_is_given_and_said_even_when_quiet(trained_run):
    done = neurode("series", "forecast", trained_run, table_of(trained_run), "--horizon", "9", "--steps", "1", "-q")
    assert len(csv(done.out)) == 24
    assert done.err.startswith("Warning: Forecasts reach 9 beyond a series' last row")
    assert done.err.count("\n") == 1


def test_a_horizon_that_no_training_covers_is_refused_and_not_computed(trained_run):
    done = neurode("series", "forecast", trained_run, table_of(trained_run), "--horizon", "1e6")
    assert (done.code, done.out) == (3, "")
    assert "is more than 10 times" in done.err


def test_sampling_makes_as_many_series_as_asked_and_repeats_by_seed(trained_run):
    first, again, other = (
        neurode("series", "sample", trained_run, "-n", 3, "--at", "0,1,2", "--seed", seed).out for seed in (1, 1, 2)
    )
    assert csv(first)["id"].nunique() == 3
    assert len(csv(first)) == 9
    assert first == again
    assert first != other


def test_samples_of_a_flow_that_was_not_trained_are_refused(trained_run):
    drawn = neurode("series", "sample", trained_run, "-n", 2, "--prior", "mixture")
    assert drawn.out == neurode("series", "sample", trained_run, "-n", 2).out
    done = neurode("series", "sample", trained_run, "--prior", "flow")
    assert (done.code, done.out) == (3, "")
    assert "Train it with prior=flow" in done.err


def test_results_go_to_a_file_in_the_format_of_its_extension(trained_run, tmp_path):
    done = neurode("series", "sample", trained_run, "-n", 2, "-o", tmp_path / "made.csv.gz")
    assert done.out == ""
    assert "Written:" in done.err
    inside = gzip.decompress((tmp_path / "made.csv.gz").read_bytes()).decode()
    assert inside == neurode("series", "sample", trained_run, "-n", 2).out


def test_quiet_says_nothing_and_the_data_are_the_same(trained_run):
    loud, quiet = (
        neurode("series", "forecast", trained_run / "model", table_of(trained_run), *q) for q in ((), ("-q",))
    )
    assert quiet.err == ""
    assert quiet.out == loud.out


def test_evaluation_names_all_methods_and_says_who_wins(trained_run):
    done = neurode("series", "evaluate", trained_run)
    assert done.code == 0
    assert "inside the 90% intervals" in done.err
    for word in ("Scored: ", "neurode", "last value", "linear", "mean", "CRPS", "lower is better"):
        assert word in done.err
    assert set(csv(done.out)["method"]) == {"neurode", "last value", "linear", "mean"}


def test_evaluation_as_json_is_json_and_nothing_else(trained_run):
    found = json.loads(neurode("series", "evaluate", trained_run, table_of(trained_run), "--json").out)
    assert {"rows", "verdicts", "by_horizon"} <= set(found)


def test_a_model_folder_alone_must_be_told_its_table(trained_run, tmp_path):
    import shutil

    shutil.copytree(trained_run / "model", tmp_path / "model")
    done = neurode("series", "evaluate", tmp_path / "model")
    assert done.code == 3
    assert "Name the table after it" in done.err


def test_the_report_is_one_html_file(trained_run, tmp_path):
    done = neurode("series", "report", trained_run, "-o", tmp_path / "report.html")
    assert (done.code, done.out) == (0, "")
    text = (tmp_path / "report.html").read_text()
    assert text.startswith("<!")
    assert "<svg" in text


@pytest.mark.parametrize("name", ["report", "report.pdf"])
def test_a_report_goes_to_an_html_file_only(trained_run, tmp_path, name):
    (tmp_path / "report").mkdir()
    done = neurode("series", "report", trained_run, "-o", tmp_path / name)
    assert done.code == 3
    assert ".html" in done.err


def test_config_yaml_runs_the_job_again_with_the_same_losses(trained_run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = neurode("series", "train", "--config", trained_run / "config.yaml", "-o", "again", "-q")
    assert done.code == 0, done.err
    first, again = (pd.read_csv(run / "metrics.csv") for run in (trained_run, tmp_path / "again"))
    pd.testing.assert_series_equal(first["loss"], again["loss"])
    assert yaml.safe_load((tmp_path / "again" / "config.yaml").read_text()) == yaml.safe_load(
        (trained_run / "config.yaml").read_text()
    )


def test_flags_win_over_the_config_file(trained_run, tmp_path):
    small_table(tmp_path / "other.csv", seed=3)
    neurode(
        "series",
        "train",
        tmp_path / "other.csv",
        "--config",
        trained_run / "config.yaml",
        "--epochs",
        1,
        "-o",
        tmp_path / "run",
    )
    made = yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())
    assert (made["epochs"], made["data"]) == (1, str(tmp_path / "other.csv"))
    assert len(pd.read_csv(tmp_path / "run" / "metrics.csv")) == 1
