import pytest
from pydantic import ValidationError

from neurode.core.errors import DataError
from neurode.tasks.series.config import SeriesConfig
from neurode.tasks.series.durations import duration, period_lengths


def test_every_setting_has_a_help_text_and_a_panel():
    for name, info in SeriesConfig.model_fields.items():
        assert info.description, name
        assert not info.description.endswith("."), name
        assert isinstance(info.json_schema_extra, dict), name


def test_an_unknown_setting_is_refused_with_the_list_of_settings():
    with pytest.raises(DataError, match="unknown setting 'latent'. Settings: .*latent_dim"):
        SeriesConfig.checked({"latent": 3})


def test_a_value_out_of_range_is_refused_by_name():
    with pytest.raises(DataError, match="learning_rate: .*greater than 0.*Got -1"):
        SeriesConfig.checked({"learning_rate": -1})


def test_shares_that_leave_nothing_to_train_on_are_refused():
    with pytest.raises(ValidationError, match="leaves less than a fifth of the series for training"):
        SeriesConfig(validation=0.3, calibration=0.3, test=0.3)


def test_a_config_comes_back_from_its_own_dump():
    config = SeriesConfig(horizon="24h", periods=("1y", 24.0), transforms={"bili": "log"}, model={"beta": 0.2})
    assert SeriesConfig(**config.model_dump(mode="json")) == config


def test_a_horizon_written_as_text_of_a_number_is_that_number():
    assert SeriesConfig(horizon="12").horizon == 12.0
    assert SeriesConfig(horizon="12h").horizon == "12h"


@pytest.mark.parametrize(
    ("text", "unit", "expected"),
    [
        ("24h", "hours", 24.0),
        ("24h", "days", 1.0),
        ("2 weeks", "days", 14.0),
        ("2 years", "days", 730.5),
        ("90min", "hours", 1.5),
        ("6 months", "years", 0.5),
        ("7", "hours", 7.0),
        (7, "", 7.0),
        ("1e2", "", 100.0),
    ],
)
def test_lengths_of_time_are_read_in_the_tables_unit(text, unit, expected):
    assert duration(text, unit, "horizon") == pytest.approx(expected)


@pytest.mark.parametrize(
    ("text", "unit", "message"),
    [
        ("soon", "hours", "horizon='soon' is not a length of time. Write a number"),
        ("3 moons", "hours", "is not a length of time"),
        ("0", "hours", "must be above zero"),
        ("-3", "hours", "is not a length of time"),
        ("24h", "", "this table's times are plain numbers. Write the number alone"),
    ],
)
def test_what_is_no_length_of_time_is_refused(text, unit, message):
    with pytest.raises(DataError, match=message):
        duration(text, unit, "horizon")


@pytest.mark.parametrize("nothing", ["0", "0h", "0 days", 0, 0.0])
@pytest.mark.parametrize("unit", ["hours", ""])
def test_zero_is_a_length_where_it_makes_sense_and_refused_elsewhere(nothing, unit):
    assert duration(nothing, unit, "times", zero=True) == 0.0
    with pytest.raises(DataError, match=r"horizon=.* must be above zero, and finite. Write a length of time: 24h"):
        duration(nothing, unit, "horizon")


def test_a_weekly_series_of_forty_years_knows_the_year_alone():
    assert period_lengths("days", spacing=7.0, span=40 * 365.25) == (365.25,)


def test_an_hourly_series_of_three_years_knows_year_week_and_day():
    assert period_lengths("hours", spacing=1.0, span=3 * 8766.0) == (8766.0, 168.0, 24.0)


def test_plain_numbers_have_no_calendar():
    assert period_lengths("", spacing=1.0, span=1e6) == ()
