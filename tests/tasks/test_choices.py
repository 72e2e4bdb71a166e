import numpy as np
import pytest

from neurode.core.errors import DataError
from neurode.data.sample_data import SAMPLES, sample
from neurode.data.series import Series
from neurode.tasks.series.answers.questions import question
from neurode.tasks.series.choices import choose, choose_window, nice_length, typical_spacing
from neurode.tasks.series.config import SeriesConfig
from tests.shared_data import shared_data
from tests.tasks.tables import many_series


@pytest.mark.parametrize(
    ("length", "unit", "expected"),
    [(7.3, "hours", 6), (40, "hours", 24), (0.9, "days", 0.8), (427, "days", 400), (1999, "", 1500), (3e-5, "", 3e-5)],
)
def test_lengths_are_rounded_down_to_round_ones(length, unit, expected):
    assert nice_length(length, unit) == pytest.approx(expected)


def test_what_is_left_open_is_chosen_from_the_data_and_said():
    choices = choose(SeriesConfig(), many_series(100), "hours", window=None, whole_span=None)
    assert 1 <= choices.horizon <= 5
    assert choices.batch_size == 16
    assert choices.periods == ()
    assert any(sentence.startswith("horizon") for sentence in choices.sentences)


def test_what_was_set_is_kept():
    config = SeriesConfig(
        horizon="12h", history="1 day", latent_dim=7, hidden_dim=9, epochs=3, batch_size=5, patience=2
    )
    choices = choose(config, many_series(20), "hours", window=None, whole_span=None)
    got = (choices.horizon, choices.history, choices.latent_dim, choices.hidden_dim)
    assert got == (12, 24, 7, 9)
    assert (choices.epochs, choices.batch_size, choices.patience) == (3, 5, 2)


def test_a_unit_on_plain_numbers_is_refused():
    with pytest.raises(DataError, match="horizon='12h' has a unit, but this table's times are plain numbers"):
        choose(SeriesConfig(horizon="12h"), many_series(20), "", window=None, whole_span=None)


def test_spacing_is_the_median_between_rows_of_one_series():
    series = [Series((k,), 100 * k + np.array([0.0, 2, 4, 7]), np.ones((4, 1))) for k in range(3)]
    assert typical_spacing(series) == 2


def test_panels_of_very_long_series_are_cut_and_others_are_not():
    long = [Series((k,), np.arange(1000.0), np.ones((1000, 1))) for k in range(3)]
    assert choose_window(SeriesConfig(), long, "", None) == 200
    assert choose_window(SeriesConfig(), many_series(5), "", None) is None
    assert choose_window(SeriesConfig(window=30), long, "", None) == 30


def test_a_long_series_is_asked_in_blocks_that_cover_every_time_once_with_rows_on_both_sides():
    one = Series((), np.arange(1000.0), np.ones((1000, 1)))
    blocks = list(question(0, one, one.times, np.ones((1000, 1), dtype=bool), 200.0))
    assert np.array_equal(np.sort(np.concatenate([block.places for block in blocks])), np.arange(1000))
    for block in blocks[1:-1]:
        assert block.context.times[0] < block.times[0]
        assert block.context.times[-1] > block.times[-1]
        assert block.context.span <= 200


def test_a_block_in_a_wide_gap_still_sees_the_nearest_rows():
    times = np.concatenate([np.arange(100.0), np.arange(5000.0, 5100.0)])
    asked = np.arange(0.0, 5100.0, 50)
    blocks = list(question(0, Series((), times, np.ones((200, 1))), asked, np.ones((len(asked), 1), dtype=bool), 200.0))
    assert min(block.context.num_times for block in blocks) >= 50


@pytest.mark.parametrize("name", ["pbcseq", "storms", "co2"])
def test_presets_read_their_tables(name):
    from neurode.data.tables import read_table
    from neurode.tasks.series.presets import PRESETS

    preset = PRESETS[name]()
    table = read_table(sample(name) if name in SAMPLES else shared_data(f"{name}.csv"), **preset.reading)
    assert table.num_observations > 1000
    assert not {"futime", "status", "rownames"} & set(table.schema.features)
    assert preset.config().horizon is not None
