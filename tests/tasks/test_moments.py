import pandas as pd
import pytest

from neurode.data.times import find_time_form
from neurode.tasks.series.pages.moments import moments

FORMS = {
    "several columns": ({"year": [2023, 2024], "month": [8, 1], "day": [19, 2], "hour": [18, 6]}, "2023-08-19 18:00"),
    "several columns of days": ({"year": [2023, 2024], "month": [8, 1], "day": [19, 2]}, "2023-08-19"),
    "a date and a clock": ({"on": ["2023-08-19", "2024-01-02"], "at": ["18:00", "06:00"]}, "2023-08-19 18:00"),
    "dates": ({"t": ["2023-08-19", "2024-01-02"]}, "2023-08-19"),
    "German dates": ({"t": ["19.08.2023", "31.01.2024"]}, "2023-08-19"),
    "date and time": ({"t": ["2023-08-19T18:00", "2024-01-02T06:00"]}, "2023-08-19 18:00"),
    "with seconds": ({"t": ["2023-08-19T18:00:30", "2024-01-02T06:00:00"]}, "2023-08-19 18:00:30"),
    "with a zone": ({"t": ["2023-08-19T18:00+02:00", "2024-01-02T06:00+02:00"]}, "2023-08-19 18:00+02:00"),
    "compact": ({"t": [20230819, 20240102]}, "2023-08-19"),
    "columns of dates": ({"t": pd.to_datetime(["2023-08-19", "2024-01-02"])}, "2023-08-19"),
    "columns of times": ({"t": pd.to_datetime(["2023-08-19 18:00", "2024-01-02 00:00"])}, "2023-08-19 18:00"),
    "columns of times with a zone": (
        {"t": pd.to_datetime(["2023-08-19 18:00", "2024-01-02 00:00"]).tz_localize("Europe/Berlin")},
        "2023-08-19 18:00",
    ),
}


@pytest.mark.parametrize("name", FORMS)
def test_a_calendar_time_reads_as_iso_however_the_table_writes_it(name):
    cells, expected = FORMS[name]
    columns = {column: pd.Series(values) for column, values in cells.items()}
    form = find_time_form(columns).with_unit("hours")
    assert moments(form, form.read(list(columns.values())))[0] == expected


@pytest.mark.parametrize("cells", [[0.5, 1.5], ["07:30", "31:10"]])
def test_plain_numbers_and_clocks_are_no_points_on_a_calendar(cells):
    columns = {"t": pd.Series(cells)}
    form = find_time_form(columns)
    assert moments(form, form.read(list(columns.values()))) == ()
