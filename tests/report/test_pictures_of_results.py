"""Each picture of results: what it leaves out of its frame, it says; what its caption counts, is so."""

from dataclasses import replace

import numpy as np
import pytest

from neurode.report.bands import STRETCH, draw_bands, filled_page, forecast_page
from neurode.report.baselines import baselines_page, draw_ratios, feature_table, verdict_table
from neurode.report.calibration import calibration_page, draw_calibration
from neurode.report.data_summary import data_page, draw_data
from neurode.report.horizon import draw_horizon, horizon_page
from neurode.report.latent_map import draw_latent_map, latent_page
from neurode.report.learning_curves import draw_learning_curves, learning_page
from neurode.report.page import Cell, Listing, Page
from neurode.report.picture import Picture
from neurode.report.samples import draw_samples, samples_page
from neurode.report.series_report import series_report
from neurode.report.style import number
from neurode.report.tracks import draw_tracks, find_tracks, track_picture
from neurode.tasks.series.results import AVERAGE, FORECAST, HELD_OUT, LINEAR, MEAN, NEURODE
from tests.report.made_report_data import (
    made_data_summary,
    made_evaluation,
    made_example,
    made_history,
    made_latent,
    made_report_data,
    made_samples,
)


def captions(page: Page) -> list[str]:
    return [item.caption for item in page.items if isinstance(item, Picture)]


def test_verdicts_of_one_subject_make_one_paragraph_with_a_headline():
    data = made_report_data()
    verdicts = (
        "Forecast: neurode wins.",
        "Forecast: a baseline wins on wind.",
        "Held-out points: not scored.",
        "Alone.",
    )
    report = series_report(replace(data, evaluation=replace(data.evaluation, verdicts=verdicts)))
    assert report.lead == (
        ("Forecast: neurode wins.", "A baseline wins on wind."),
        ("Held-out points: not scored.", ""),
        ("Alone.", ""),
    )


def test_a_note_that_names_a_left_out_column_is_not_said_twice():
    summary = replace(made_data_summary(), notes=("Left out (text): status.",))
    listing = next(item for item in data_page(summary).items if isinstance(item, Listing))
    assert listing.lines == ("Left out (text): status.", "Left out (it is blank in 76 % of the rows): category.")


def test_the_data_page_says_the_spacing_of_rows():
    summary = replace(made_data_summary(), gaps=np.full(50, 6.0))
    assert "Nine in ten rows follow each other after 6 hours." in captions(data_page(summary))[0]
    assert len(draw_data(summary).axes) == 3


def test_spacings_that_differ_by_rounding_are_one_spacing():
    """Weeks between dates come back as 1 give or take 1e-13; ticks must not spell that out."""
    gaps = 1 + 1e-13 * np.random.default_rng(0).normal(size=200)
    axes = draw_data(replace(made_data_summary(), gaps=gaps)).axes[2]
    low, high = axes.get_xlim()
    assert high - low > 0.1


def test_the_caption_counts_the_hidden_observations_inside_the_band():
    example = made_example(HELD_OUT, ("a",), "lat", 1)
    line = np.interp(example.hidden_times, example.times, example.hi)
    hidden = np.where(np.arange(len(line)) == 0, line + 1, line - 1e-9)
    said = captions(filled_page([replace(example, hidden=hidden)]))[0]
    assert f"Here {len(line) - 1} of {len(line)} hidden observations lie in the band" in said


def test_a_forecast_shows_a_stretch_before_its_cut_and_says_so():
    example = replace(made_example(FORECAST, ("a",), "lat", 1), cut=90.0, time_labels=())
    axes = draw_bands([example]).axes[0]
    left, right = axes.get_xlim()
    assert left == pytest.approx(90 - STRETCH * 6, abs=1)
    assert right == pytest.approx(96, abs=1)
    assert "the last part is drawn" in captions(forecast_page([example]))[0]
    assert "the last part is drawn" not in captions(forecast_page([replace(example, cut=20.0)]))[0]


def test_times_count_from_the_label_of_their_beginning():
    example = made_example(HELD_OUT, ("a",), "lat", 1)
    moved = {name: getattr(example, name) + 5000 for name in ("times", "observed_times", "hidden_times")}
    late = replace(example, **moved)
    axes = draw_bands([late]).axes[0]
    assert axes.get_xlabel() == "hours since 2012-08-21 12:00"
    assert axes.get_xlim()[0] == pytest.approx(0, abs=3)


def test_a_band_that_dwarfs_the_line_is_cut_rather_than_the_line_flattened():
    example = made_example(HELD_OUT, ("a",), "lat", 1)
    low, high = draw_bands([replace(example, lo=example.lo - 1e6, hi=example.hi + 1e6)]).axes[0].get_ylim()
    assert high - low < 6 * np.ptp(example.mean)


def test_more_examples_than_fit_are_counted():
    examples = [made_example(HELD_OUT, (i,), "lat", i) for i in range(9)]
    assert "1 further example not shown." in captions(filled_page(examples))[0]


def test_panels_and_captions_say_why_a_series_is_shown():
    whys = ("typical length", "long", "worst predicted", "")
    examples = [replace(made_example(FORECAST, (f"s{i}",), "wind", i), why=why) for i, why in enumerate(whys)]
    titles = [axes.get_title(loc="left") for axes in draw_bands(examples).axes]
    assert titles == ["s0 (typical length)", "s1 (long)", "s2 (worst predicted)", "s3"]
    assert "not for their looks: typical length, long, worst predicted." in captions(forecast_page(examples))[0]
    assert "not for their looks" not in captions(forecast_page(examples[3:]))[0]


def test_a_long_name_is_cut_and_the_reason_stays():
    example = replace(made_example(FORECAST, ("x" * 90,), "wind", 1), why="worst predicted")
    title = draw_bands([example]).axes[0].get_title(loc="left")
    assert len(title) <= 44
    assert title.endswith("(worst predicted)")


def test_what_the_map_shows_is_not_drawn_against_time_once_more():
    examples = tuple(
        replace(made_example(FORECAST, ("Isaac", i), name, i), why=why)
        for i, why in enumerate(("typical length", "long", "short", "worst predicted"))
        for name in ("lat", "long", "wind")
    )
    report = series_report(replace(made_report_data(), examples=examples))
    page = next(page for page in report.pages if page.title == "Forecast series")
    tracks, bands = (item for item in page.items if isinstance(item, Picture))
    assert len([axes for axes in tracks.figure.axes if axes.get_visible()]) == 4
    assert {axes.get_ylabel() for axes in bands.figure.axes} == {"wind"}
    assert "worst predicted" in tracks.caption


def test_the_small_table_sets_the_best_in_bold_even_where_a_baseline_is_best():
    evaluation = made_evaluation(position=False)
    rows = tuple(
        replace(row, rmse=0.001) if (row.method, row.feature) == (LINEAR, AVERAGE) else row for row in evaluation.rows
    )
    table = verdict_table(replace(evaluation, rows=rows))
    assert table is not None
    by_method = {row[0]: row[1:] for row in table.rows}
    assert by_method[LINEAR][0] == Cell("0.00100", best=True)
    assert by_method[NEURODE][0] == Cell(number(evaluation.row(HELD_OUT, NEURODE).rmse), best=False)


def test_the_feature_table_names_the_best_baseline():
    evaluation = made_evaluation(("wind",), position=False)
    table = feature_table(evaluation, FORECAST)
    assert [row[0] for row in table.rows] == ["average (std)", "wind"]
    ours = evaluation.row(FORECAST, NEURODE, "wind")
    rivals = [row for row in evaluation.rows if (row.task, row.feature) == (FORECAST, "wind") and row.method != NEURODE]
    best = min(rivals, key=lambda row: row.rmse)
    assert table.rows[1][3] == best.method
    assert isinstance(table.rows[1][1], Cell)
    assert table.rows[1][1].best is (ours.rmse < best.rmse)


def test_the_chart_of_ratios_counts_the_features_won_and_says_what_lies_outside():
    evaluation = made_evaluation(position=False)
    rows = tuple(replace(row, rmse=1.0 if row.method == NEURODE else 2.0) for row in evaluation.rows)
    rows = tuple(replace(row, rmse=500.0) if (row.method, row.feature) == (MEAN, "wind") else row for row in rows)
    rows = tuple(replace(row, rmse=0.5) if (row.method, row.feature) == (LINEAR, "lat") else row for row in rows)
    said = captions(baselines_page(replace(evaluation, rows=rows)))[0]
    assert "Forecast: neurode is ahead of every baseline in 3 of 4 features." in said
    assert "beyond 20×" in said
    assert draw_ratios(evaluation).axes[0].get_xscale() == "log"


def test_errors_against_horizon_say_where_a_baseline_wins():
    evaluation = made_evaluation()
    rows = tuple(
        replace(
            row,
            rmse=0.5 if row.method == NEURODE else (0.1 if row.method == LINEAR and row.lower == 6 else 1.0),
            km=np.nan,
        )
        for row in evaluation.by_horizon
    )
    said = captions(horizon_page(replace(evaluation, by_horizon=rows)))[0]
    assert "smallest RMSE in 3 of 4 ranges; from 6 to 12 hours, for example, 'linear' is better" in said


def test_a_method_far_above_the_others_leaves_the_frame_by_name():
    evaluation = made_evaluation()
    rows = tuple(
        replace(row, km=2500.0) if row.method == MEAN and row.task == FORECAST else row for row in evaluation.by_horizon
    )
    far = replace(evaluation, by_horizon=rows)
    assert draw_horizon(far, FORECAST).axes[0].get_ylim()[1] < 600
    assert "Distance: 'mean' lies above the frame (2,500 km or more)." in captions(horizon_page(far))[0]


def test_the_coverage_picture_says_how_far_it_is_from_its_promise():
    evaluation = made_evaluation()
    assert "Forecast: never further than 2.0 points from the diagonal." in captions(calibration_page(evaluation))[0]
    texts = [text.get_text() for text in draw_calibration(evaluation).axes[0].texts]
    assert texts == ["90% interval holds 89%"]


def test_made_and_real_series_share_their_frames():
    samples = made_samples()
    longer = tuple((np.append(times, 999.0), np.vstack([values, 1e9 * np.ones(4)])) for times, values in samples.real)
    figure = draw_samples(replace(samples, real=longer))
    assert figure.axes[0].get_xlim() == figure.axes[1].get_xlim() == (0, 120)
    assert figure.axes[0].get_ylim() == figure.axes[1].get_ylim()
    assert figure.axes[0].get_ylim()[1] < 1e6
    assert "go on outside the frame" in captions(samples_page(replace(samples, real=longer)))[0]


def test_streamlines_are_few_paths_instead_of_thousands_of_pieces():
    axes = draw_latent_map(made_latent()).axes[1]
    lines = max((len(collection.get_paths()) for collection in axes.collections), default=0)
    assert 5 < lines < 200


def test_codes_without_colour_or_field_are_still_drawn():
    latent = made_latent(5)
    still = {"field_x": latent.field_x * 0, "field_y": latent.field_y * 0, "paths": np.zeros((0, 80, 2))}
    plain = replace(latent, color=np.full(5, np.nan), **still)
    said = captions(latent_page(plain))[0]
    assert "Colour" not in said
    assert "Blue" not in said
    flat = replace(
        plain, grid_y=np.zeros(1), field_x=np.ones((1, 21)), field_y=np.zeros((1, 21)), codes=plain.codes * [1, 0]
    )
    assert len(captions(latent_page(flat))) == 1


def test_learning_curves_leave_out_what_was_not_measured():
    history = made_history()
    figure = draw_learning_curves(
        replace(history, columns={"epoch": history.columns["epoch"], "loss": history.columns["loss"]})
    )
    assert [axes.get_title(loc="left") for axes in figure.axes if axes.get_visible()] == ["Loss"]


def test_steep_first_epochs_leave_the_frame_and_the_caption_says_so():
    history = made_history()
    steep = {**history.columns, "loss": np.concatenate([[1e6], history.columns["loss"][1:]])}
    assert draw_learning_curves(replace(history, columns=steep)).axes[0].get_ylim()[1] < 100
    assert "The first epochs lie above the frame." in captions(learning_page(replace(history, columns=steep)))[0]


def test_tracks_need_a_latitude_and_a_longitude_of_the_same_series():
    north, east = (made_example(FORECAST, ("Isaac", 2012), name, 3) for name in ("lat", "long"))
    other = made_example(FORECAST, ("Katrina", 2005), "lat", 4)
    tracks = find_tracks([north, other, east])
    assert [(track.latitude, track.longitude) for track in tracks] == [(north, east)]
    assert track_picture([north, other]) is None
    picture = track_picture([north, east])
    assert picture is not None
    assert "the forecast of the next 36 hours" in picture.caption
    with pytest.raises(ValueError, match="no forecast of a latitude and a longitude was given"):
        draw_tracks([])


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda: draw_bands([]), "no example holds a finite prediction"),
        (lambda: draw_data(_no_series()), "no finite length"),
        (lambda: draw_learning_curves(replace(made_history(), columns={})), "no finite number"),
        (lambda: draw_horizon(replace(made_evaluation(), by_horizon=()), FORECAST), "no score of task 'forecast'"),
        (lambda: draw_calibration(replace(made_evaluation(), coverage_curves=())), "no coverage curve holds"),
        (lambda: draw_ratios(replace(made_evaluation(), rows=())), "no feature was scored"),
        (lambda: draw_latent_map(replace(made_latent(), codes=np.full((400, 2), np.nan))), "no code is finite"),
        (lambda: draw_samples(replace(made_samples(), made=np.zeros((0, 61, 4)), real=())), "neither made nor real"),
    ],
)  # fmt: skip
def test_a_picture_of_nothing_is_refused_in_words(draw, message):
    with pytest.raises(ValueError, match=message):
        draw()


def _no_series():
    return replace(made_data_summary(), lengths=np.zeros(0), spans=np.zeros(0), gaps=np.zeros(0))
