"""Time in the forms people write: read to one unit, and written back as it was."""

from datetime import date

import numpy as np
import pandas as pd
import pytest

from neurode.core.errors import DataError
from neurode.data.schema import Schema
from neurode.data.tables import read_table
from neurode.data.times import TimeForm, part_roles, unit_for_gap, unit_from_name


def schema_of(**columns) -> tuple[Schema, np.ndarray]:
    """Read a single series with these time columns; the schema and the times."""
    rows = len(next(iter(columns.values())))
    table = read_table(pd.DataFrame(columns).assign(y=[k * k / 2 for k in range(rows)]), time=list(columns))
    return table.schema, table.series[0].times


def written(schema: Schema, times) -> dict[str, list]:
    return {name: list(column) for name, column in schema.write_time(times).items()}


FORMS = {
    "whole numbers": ({"t": [3, 4, 8]}, "number", [0, 1, 5]),
    "numbers": ({"t": [0.25, 0.5, 2.0]}, "number", [0, 0.25, 1.75]),
    "negative numbers": ({"time_h": [-1.0, 0.5, 2.0]}, "number", [0, 1.5, 3]),
    "dates": ({"d": ["2024-02-28", "2024-02-29", "2024-03-01"]}, "date", [0, 1, 2]),
    "dates with points": ({"d": ["28.02.2024", "29.02.2024", "01.03.2024"]}, "date", [0, 1, 2]),
    "month first": ({"d": ["02/28/2024", "02/29/2024", "03/01/2024"]}, "date", [0, 1, 2]),
    "day first": ({"d": ["28/02/2024", "29/02/2024", "01/03/2024"]}, "date", [0, 1, 2]),
    "named months": ({"d": ["28 Feb 2024", "29 Feb 2024", "01 Mar 2024"]}, "date", [0, 1, 2]),
    "slashes": ({"d": ["2024/02/28", "2024/02/29", "2024/03/01"]}, "date", [0, 1, 2]),
    "months": ({"d": ["2023-01", "2023-02", "2023-03"]}, "date", [0, 31, 59]),
    "compact": ({"d": [19580329, 19580405, 19580412]}, "compact", [0, 1, 2]),
    "compact text": ({"d": ["20240229", "20240301", "20240302"]}, "compact", [0, 1, 2]),
    "compact with clock": ({"d": ["202402290600", "202402291200", "202402291800"]}, "compact", [0, 6, 12]),
    "minutes": ({"d": ["2024-02-29 06:00", "2024-02-29 07:30", "2024-02-29 08:00"]}, "datetime", [0, 1.5, 2]),
    "T and seconds": ({"d": ["2024-02-29T06:00:00", "2024-02-29T06:00:10"]}, "datetime", [0, 10]),
    "milliseconds": ({"d": ["2024-02-29 06:00:00.250", "2024-02-29 06:00:01.500"]}, "datetime", [0, 1.25]),
    "zulu": ({"d": ["2024-02-29T06:00Z", "2024-02-29T09:00Z"]}, "datetime", [0, 3]),
    "offset": ({"d": ["2024-02-29T06:00:00+02:00", "2024-02-29T09:00:00+02:00"]}, "datetime", [0, 3]),
    "clock": ({"clock": ["00:07", "23:30", "47:30"]}, "clock", [0, 23 + 23 / 60, 47 + 23 / 60]),
    "clock with seconds": ({"clock": ["00:00:30", "01:00:30"]}, "clock", [0, 1]),
    "parts": ({"year": [1975, 1975], "month": [6, 7], "day": [30, 1], "hour": [18, 0]}, "parts", [0, 6]),
    "year and month": ({"year": [1975, 1976], "month": [12, 1]}, "parts", [0, 31]),
    "day of the year": ({"year": [2023, 2024], "doy": [365, 1]}, "parts", [0, 1]),
    "date and clock": ({"date": ["2024-02-29", "2024-03-01"], "time": ["23:00", "01:00"]}, "parts", [0, 2]),
}  # fmt: skip


@pytest.mark.parametrize(("columns", "form", "distances"), FORMS.values(), ids=FORMS)
def test_every_form_is_read_and_written_back_as_it_was(columns, form, distances):
    schema, times = schema_of(**columns)
    assert schema.time_form == form
    np.testing.assert_allclose(times - times[0], distances, atol=1e-6)
    assert written(schema, times) == columns
    assert written(Schema.from_json(schema.to_json()), times) == columns


def test_dates_count_from_1970_in_utc():
    schema, times = schema_of(d=["1970-01-02T02:00+02:00", "1970-01-02T06:00+02:00"])
    assert (schema.time_unit, schema.time_zone) == ("hours", "+02:00")
    assert times.tolist() == [24.0, 28.0]


def test_offsets_that_differ_are_read_to_utc_and_written_with_z():
    schema, times = schema_of(d=["2024-03-31T00:00:00+01:00", "2024-03-31T04:00:00+02:00"])
    assert times[1] - times[0] == 3
    assert written(schema, times) == {"d": ["2024-03-30T23:00:00Z", "2024-03-31T02:00:00Z"]}


def test_a_zone_of_a_data_frame_comes_back():
    stamps = pd.to_datetime(["2024-03-30 12:00", "2024-03-31 12:00"]).tz_localize("Europe/Berlin")
    schema, times = schema_of(when=stamps)
    assert times[1] - times[0] == pytest.approx(23 / 24)
    back = schema.write_time(times)["when"]
    assert str(back.dtype.tz) == "Europe/Berlin"
    assert list(back) == list(stamps)


def test_years_far_from_now_are_read():
    _, times = schema_of(d=["1066-10-14", "1215-06-15"])
    assert times[1] - times[0] == pytest.approx((date(1215, 6, 15) - date(1066, 10, 14)).days / 365.25)


@pytest.mark.parametrize("asked", ["2024-09-01T06:00", "2024-09-01 06:00:00", np.datetime64("2024-09-01T06:00")])
def test_a_user_may_ask_in_plain_iso_whatever_the_form_of_the_table(asked):
    schema, times = schema_of(year=[2024, 2024], month=[9, 9], day=[1, 1], hour=[0, 6])
    assert schema.parse_time(asked).tolist() == [times[1]]
    compact, days = schema_of(d=[20240901, 20240902])
    assert compact.parse_time("20240902").tolist() == [days[1]]
    assert compact.parse_time(asked).tolist() == [days[0] + 0.25]


def test_numbers_are_asked_as_numbers():
    schema, _ = schema_of(time_h=[0.0, 1.0])
    assert schema.parse_time([1, 2.5]).tolist() == [1, 2.5]
    assert schema.parse_time("48").tolist() == [48]
    with pytest.raises(DataError, match=r"'2024-09-01' is no time that can be read.*written as number"):
        schema.parse_time("2024-09-01")


def test_a_time_that_cannot_be_read_says_how_to_write_it():
    schema, _ = schema_of(d=["2024-09-01", "2024-09-02"])
    with pytest.raises(DataError, match=r"'soon' is no time that can be read. Write 2024-09-01 or 2024-09-01T06:00"):
        schema.parse_time("soon")


def test_times_between_the_steps_of_a_form_get_the_digits_they_need():
    minutes, times = schema_of(d=["2024-02-29 06:00", "2024-02-29 07:00"])
    assert written(minutes, times[:1] + 10 / 3600) == {"d": ["2024-02-29 06:00:10"]}
    parts, times = schema_of(year=[2024, 2024], month=[2, 2], day=[29, 29], hour=[0, 6])
    assert written(parts, times[:1] + 1.5) == {"year": [2024], "month": [2], "day": [29], "hour": [1.5]}
    days, times = schema_of(d=["2024-02-28", "2024-02-29"])
    assert written(days, times[:1] + 0.6) == {"d": ["2024-02-29"]}
    whole, times = schema_of(t=[1, 2])
    assert written(whole, np.array([2.5, 3.0])) == {"t": [2.5, 3.0]}


def test_rows_may_be_coarser_than_others_in_plain_iso():
    _, times = schema_of(d=["2024-02-29", "2024-02-29T12:00", "2024-02-29T18:00:00"])
    assert (times - times[0]).tolist() == [0, 12, 18]


BAD = {
    "a blank": (["2024-01-01", ""], "the time is blank. Fill it in"),
    "no such day": (["2024-02-28", "2024-02-30"], "'2024-02-30' is no date that can be read in the form"),
    "no such month": (["19580329", "19581329", "19580330"], "'19581329' is no date"),
    "two ways": (["03/04/2024", "05/06/2024"], "can be read in two ways, day or month first"),
    "words": (["soon", "later"], "'soon' is no time that can be read. Write a number, a date such as"),
    "infinite": (["1", "inf"], "the time is infinite"),
    "not a number": (["1", "nan"], "the time is blank"),
    "a zone in some rows": (["2024-01-01T00:00Z", "2024-01-01T01:00", "2024-01-01T02:00Z"], "the time has no zone"),
    "decimal comma": (["1,5", "2,5"], "'1,5' is no time"),
    "clock": (["01:00", "02:99", "03:00", "04:00"], "'02:99' is no time such as 07:30"),
}


@pytest.mark.parametrize(("texts", "message"), BAD.values(), ids=BAD)
def test_times_that_cannot_be_read_are_refused_with_the_remedy(texts, message):
    with pytest.raises(DataError, match=message):
        schema_of(d=texts)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"month": [2, 13]}, "13 is no month"),
        ({"day": [1, 32]}, "32 is no day"),
        ({"day": [29, 30]}, "the day 30 does not exist in that month"),
        ({"hour": [0, 25]}, "25 is no hour"),
        ({"year": [75, 2024]}, "75 is no year"),
        ({"hour": [0, np.nan]}, "the time is blank in its hour"),
    ],
)
def test_parts_that_do_not_exist_are_refused(columns, message):
    parts = {"year": [2024, 2024], "month": [2, 2], "day": [1, 1], "hour": [0, 6]} | columns
    with pytest.raises(DataError, match=f"row .* of the table: {message}"):
        schema_of(**parts)


def test_columns_that_tell_no_time_together_are_refused():
    with pytest.raises(DataError, match="do not tell a time together. Name one column, a date and a clock, or"):
        schema_of(a=[1, 2], b=[3, 4])


def test_names_tell_units_and_parts():
    assert [unit_from_name(n) for n in ("time_h", "Year", "days", "t", "time (min)", "MJD")] == [
        "hours", "years", "days", "", "minutes", "days",
    ]  # fmt: skip
    assert part_roles(["obs_year", "MONTH"]) == ("year", "month")
    assert part_roles(["month", "day"]) is None
    assert part_roles(["year", "day"]) is None


@pytest.mark.parametrize(
    ("seconds", "unit"),
    [(1, "seconds"), (600, "minutes"), (6 * 3600, "hours"), (86400, "days"), (7 * 86400, "weeks"), (30 * 86400, "days"),
     (365 * 86400, "years"), (0, "days")],
)  # fmt: skip
def test_the_unit_suits_the_typical_gap(seconds, unit):
    assert unit_for_gap(seconds * 1e6) == unit


def test_a_form_can_be_compared_and_printed():
    assert TimeForm(("t",), "number") == TimeForm(("t",), "number")
    assert "number" in repr(TimeForm(("t",), "number"))
