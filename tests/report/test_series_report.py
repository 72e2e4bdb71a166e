"""The whole report: self-contained, complete, the same every time, and a sentence where there is nothing to draw."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import matplotlib
import numpy as np
import pytest

import neurode.report
from neurode.report.page import Page
from neurode.report.series_report import write_series_report
from neurode.tasks.series.results import FORECAST, HELD_OUT, Evaluation, SeriesReportData
from tests.report.html_reading import assert_self_contained
from tests.report.made_report_data import made_example, made_report_data

SECTIONS = [
    "The data",
    "Forecast series",
    "Filled series",
    "Made series",
    "Beside the baselines",
    "Errors against horizon",
    "Are the intervals honest?",
    "Codes and phase portrait",
    "Learning curves",
    "The cost",
]


@pytest.fixture(scope="module")
def document(tmp_path_factory) -> str:
    path = tmp_path_factory.mktemp("report") / "report.html"
    assert write_series_report(made_report_data(), path) == path
    return path.read_text(encoding="utf-8")


def test_the_report_needs_nothing_outside_itself(document):
    reading = assert_self_contained(document)
    assert len(reading.svgs) == 10


def test_every_section_is_there_in_order_and_in_the_contents(document):
    reading = assert_self_contained(document)
    assert reading.headings == ["storms", *SECTIONS]
    assert reading.values("href")[: len(SECTIONS)] == [f"#part-{i + 1}" for i in range(len(SECTIONS))]


def test_the_verdict_in_words_and_the_small_table_come_first(document):
    lead = document[document.index('class="lead"') : document.index("<nav")]
    assert "neurode errs by 190 km (RMS)" in lead
    assert lead.index("neurode errs") < lead.index("<table>")
    assert "<b>190</b>" in lead
    assert "<b>238</b>" not in lead


def test_every_picture_has_a_caption_and_words_for_who_cannot_see_it(document):
    reading = assert_self_contained(document)
    assert document.count("<figcaption>") == document.count("<figure>") == len(reading.svgs)
    assert all(len(svg.get("aria-label", "")) > 15 for svg in reading.svgs)


def test_pictures_follow_light_dark_and_paper(document):
    assert "prefers-color-scheme: dark" in document
    assert "@media print" in document
    assert document.count("fill: var(--ink)") > 20
    assert "#1b2530" not in document[document.index("<body>") :]


def test_the_same_data_give_the_same_bytes_whatever_the_users_matplotlib_settings(tmp_path, document):
    with matplotlib.rc_context(
        {"font.size": 30, "axes.facecolor": "red", "svg.fonttype": "path", "lines.linewidth": 9}
    ):
        again = write_series_report(made_report_data(), tmp_path / "again.html").read_text(encoding="utf-8")
        assert matplotlib.rcParams["font.size"] == 30
    assert again == document


def test_story_pages_stand_between_the_verdict_and_the_data(tmp_path):
    story = (Page("First line", ("A sentence.",)), Page("Second line", ("Another.",)))
    path = write_series_report(_empty(), tmp_path / "report.html", story=story)
    reading = assert_self_contained(path.read_text(encoding="utf-8"))
    assert reading.headings == ["nothing", "First line", "Second line", *SECTIONS]


def test_parts_that_are_missing_become_sentences(tmp_path):
    reading = assert_self_contained(write_series_report(_empty(), tmp_path / "r.html").read_text(encoding="utf-8"))
    assert reading.headings == ["nothing", *SECTIONS]
    assert reading.svgs == []
    for sentence in (
        "This model was not scored, so there is no verdict.",
        "no epoch was completed",
        "There is no filled series to show",
        "There is no forecast to show: no series is long enough to be cut.",
        "No series were sampled from this model.",
        "There are no codes to draw for this model.",
        "Forecast: no series is long enough",
        "so there are no errors to set against the horizon",
        "so its coverage is not known",
        "holds no series",
        "no feature that could be modelled",
    ):
        assert sentence in reading.text


def test_numbers_that_are_all_nan_become_sentences_and_dashes(tmp_path):
    data = made_report_data()
    assert data.samples is not None
    assert data.latent is not None
    rows = tuple(replace(row, rmse=np.nan, mae=np.nan, crps=np.nan, coverage=np.nan) for row in data.evaluation.rows)
    by_horizon = tuple(replace(row, rmse=np.nan, crps=np.nan, km=np.nan) for row in data.evaluation.by_horizon)
    curves = tuple(replace(curve, actual=curve.actual * np.nan) for curve in data.evaluation.coverage_curves)
    blank = replace(
        data,
        evaluation=replace(data.evaluation, rows=rows, by_horizon=by_horizon, coverage_curves=curves),
        history=replace(data.history, columns={name: column * np.nan for name, column in data.history.columns.items()}),
        examples=tuple(_blank_example(example) for example in data.examples),
        samples=replace(data.samples, made=data.samples.made * np.nan, real=()),
        latent=replace(data.latent, codes=data.latent.codes * np.nan),
        cost=replace(data.cost, seconds_per_epoch=0.0, evaluations_per_step=float("nan")),
    )
    reading = assert_self_contained(write_series_report(blank, tmp_path / "r.html").read_text(encoding="utf-8"))
    assert len(reading.svgs) == 1  # the data themselves are as they were
    assert "nan" not in reading.text.lower().replace("finance", "")
    assert "–" in reading.text


def test_one_feature_without_a_time_unit_and_with_one_epoch(tmp_path):
    data = made_report_data(("co2",), title="co2")
    data = replace(
        data,
        examples=tuple(replace(example, time_unit="", time_labels=(), key=()) for example in data.examples[:1]),
        history=replace(data.history, columns={name: column[:1] for name, column in data.history.columns.items()}),
        data=replace(data.data, time_unit="", num_series=1, lengths=np.array([521]), spans=np.array([520.0])),
    )
    reading = assert_self_contained(write_series_report(data, tmp_path / "r.html").read_text(encoding="utf-8"))
    assert "the series" in reading.text
    assert "1 feature," in reading.text


def test_forty_features_with_long_names_stay_small(tmp_path):
    names = tuple(f"feature {i} with a name that is far too long for an axis, in mg per decilitre" for i in range(40))
    data = made_report_data(names, title="A title that goes on and on " * 6)
    path = write_series_report(data, tmp_path / "r.html")
    reading = assert_self_contained(path.read_text(encoding="utf-8"))
    assert path.stat().st_size < 1.5e6
    assert reading.text.count("more") >= 3  # long tables open with a click
    assert all(len(text.text or "") < 60 for svg in reading.svgs for text in svg.iter("text"))


def test_tens_of_thousands_of_points_are_rasterised_so_that_the_page_can_be_mailed(tmp_path):
    rng = np.random.default_rng(0)
    times = np.linspace(0, 5000, 20_000)
    wave = np.sin(times / 50) + 0.2 * rng.standard_normal(len(times))
    heavy = tuple(
        replace(
            made_example(task, ("long", i), "lat", i),
            times=times, mean=wave, lo=wave - 1, hi=wave + 1, observed_times=times, observed=wave,
        )
        for task in (HELD_OUT, FORECAST)
        for i in range(2)
    )  # fmt: skip
    data = made_report_data()
    assert data.latent is not None
    codes = rng.standard_normal((20_000, 2))
    latent = replace(data.latent, codes=codes, color=codes[:, 0], keys=tuple((i,) for i in range(len(codes))))
    path = write_series_report(replace(data, examples=heavy, latent=latent), tmp_path / "r.html")
    assert path.stat().st_size < 3e6
    assert path.read_text(encoding="utf-8").count("<image") >= 5


def test_a_folder_that_does_not_exist_is_an_error_and_leaves_nothing(tmp_path):
    with pytest.raises(OSError, match="No such file"):
        write_series_report(_empty(), tmp_path / "missing" / "report.html")
    assert list(tmp_path.iterdir()) == []


def test_the_report_room_loads_neither_matplotlib_nor_jinja_until_something_is_drawn():
    program = (
        "import sys, neurode.report.series_report; "
        "assert not {'matplotlib', 'jinja2'} & set(sys.modules), 'loaded too early'"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_no_picture_is_drawn_through_pyplot_whose_figures_would_have_to_be_closed():
    folder = Path(neurode.report.__file__).parent
    assert [path.name for path in folder.rglob("*.py") if "import pyplot" in path.read_text(encoding="utf-8")] == []
    assert [path.name for path in folder.rglob("*.py") if "matplotlib.pyplot" in path.read_text(encoding="utf-8")] == []


def _blank_example(example):
    gone = {"mean": example.mean * np.nan, "lo": example.lo * np.nan, "hi": example.hi * np.nan}
    return replace(example, **gone, observed=example.observed * np.nan, hidden=example.hidden * np.nan)


def _empty() -> SeriesReportData:
    data = made_report_data()
    nothing = np.zeros(0)
    return replace(
        data,
        title="nothing",
        data=replace(
            data.data, num_series=0, num_rows=0, num_observations=0, features=(), split={}, spans=nothing,
            lengths=nothing, gaps=nothing, notes=(), left_out={},
        ),
        history=replace(data.history, columns={}),
        evaluation=Evaluation(
            0.9, 0.0, "hours", 0.3, 0, (), (), (), (), 0.0, {FORECAST: "no series is long enough to be cut"}
        ),
        examples=(),
        samples=None,
        latent=None,
    )  # fmt: skip
