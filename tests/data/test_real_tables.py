"""Real tables: each reads as its description says."""

import time

import numpy as np
import pytest

from neurode.data.sample_data import SAMPLES, sample
from neurode.data.tables import read_table
from tests.shared_data import shared_data


def test_storms_are_named_by_name_and_year_and_timed_by_four_columns():
    table = read_table(sample("storms"), **SAMPLES["storms"].arguments)
    assert (table.schema.layout, table.schema.time_form, table.schema.time_unit) == ("wide", "parts", "hours")
    assert len(table.series) == 693
    assert len(table.frame) == 20778
    assert table.schema.left_out == {"rownames": "merely counts the rows", "status": "text"}
    assert "26 rows share their time with another row of their series (26 series): merged by their mean." in table.notes
    assert sum(one.num_times for one in table.series) == 20778 - 26
    amy = table.series[0]
    assert amy.key == ("Amy", 1975)
    assert np.diff(amy.times[:4]).tolist() == [6.0, 6.0, 6.0]
    assert [int(c[0]) for c in table.schema.write_time(amy.times[1:2]).values()] == [1975, 6, 27, 6]


def test_co2_is_one_weekly_series_with_compact_dates():
    table = read_table(sample("co2"))
    assert (table.schema.layout, table.schema.time_form, table.schema.time_unit) == ("single", "compact", "weeks")
    assert table.num_observations == 2284 - 59
    assert len(table.frame) == 2284
    assert table.schema.write_time(table.series[0].times[:2])["date"].tolist() == ["19580329", "19580405"]


def test_lynx_and_hare_survive_comments_and_blanks_behind_commas():
    table = read_table(sample("lynx_hare"))
    assert table.schema.features == ("Lynx", "Hare")
    assert (table.schema.time_unit, table.series[0].times[0], len(table.series[0])) == ("years", 1900.0, 21)
    assert table.notes[0] == "2 comment lines (starting with #) left out."


def test_pbcseq_is_wide_with_blanks_and_its_outcome_is_left_out():
    table = read_table(shared_data("pbcseq.csv"))
    assert (len(table.series), len(table.frame), table.schema.time_unit) == (312, 1945, "days")
    assert not {"futime", "status", "trt", "age", "sex", "rownames"} & set(table.schema.features)
    assert {"bili", "chol", "albumin", "alk.phos", "ast", "platelet", "protime"} < set(table.schema.features)


def test_prsa_is_one_hourly_series():
    table = read_table(shared_data("prsa_aotizhongxin.csv.gz"))
    assert (table.schema.layout, table.schema.time, table.schema.time_unit) == (
        "single",
        ("year", "month", "day", "hour"),
        "hours",
    )
    assert table.series[0].span == 35063
    assert set(table.schema.left_out) == {"No", "wd", "station"}


@pytest.mark.slow
def test_physionet_is_long_and_read_in_seconds():
    path = shared_data("physionet2012_set_a_long.csv.gz")
    start = time.process_time()
    table = read_table(path, unknown=-1)
    seconds = time.process_time() - start
    assert (table.schema.layout, table.schema.time_unit, len(table.frame)) == ("long", "hours", 1_753_980)
    assert len(table.series) == 3997
    assert len(table.schema.features) == 36
    assert seconds < 12  # about 3 on a free core


def test_samples_come_with_their_sources():
    folder = sample("storms").parent
    sources = (folder / "SOURCES").read_text()
    for one in SAMPLES.values():
        assert sample(one.name).is_file()
        assert one.file in sources
    assert {path.name for path in folder.iterdir()} == {one.file for one in SAMPLES.values()} | {"SOURCES"}
    with pytest.raises(ValueError, match="no sample named 'storm'. Samples: storms, co2, lynx_hare"):
        sample("storm")
