"""read_table: what is guessed and said, what is left out, and reading by a stored schema."""

import numpy as np
import pandas as pd
import pytest

from neurode.core.errors import DataError
from neurode.data.tables import read_table


def rng():
    return np.random.default_rng(0)


def wide(num=12, rows=5, **more) -> pd.DataFrame:
    """`num` series of `rows` visits with two features."""
    n = num * rows
    columns = {"id": np.repeat(np.arange(1, num + 1), rows), "day": np.tile(np.arange(rows) * 7.5, num)}
    return pd.DataFrame({**columns, "a": rng().normal(size=n), "b": rng().normal(50, 5, n), **more})


def long(num=12) -> pd.DataFrame:
    return wide(num).melt(["id", "day"], ["a", "b"]).sort_values(["id", "day"], ignore_index=True)


def said(table, words: str) -> str:
    """The one note that holds these words."""
    (note,) = [note for note in table.notes if words in note]
    return note


def test_a_wide_table_is_guessed_and_the_guesses_are_said():
    table = read_table(wide())
    assert (table.schema.layout, table.schema.id, table.schema.time) == ("wide", ("id",), ("day",))
    assert (table.schema.time_form, table.schema.time_unit) == ("number", "days")
    assert table.notes == (
        "Guessed: time is day.",
        "Guessed: the id of a series is id.",
        "Guessed: a wide table, one column per feature.",
        "Guessed: the features are a, b.",
    )
    assert len(table.series) == 12
    np.testing.assert_array_equal(table.series[1].values, wide()[["a", "b"]].to_numpy()[5:10])


def test_a_long_table_is_guessed_and_equals_the_wide_one():
    table = read_table(long())
    assert (table.schema.layout, table.schema.variable, table.schema.value) == ("long", "variable", "value")
    assert said(table, "a long table") == "Guessed: a long table, with the variable in variable and the value in value."
    for one, other in zip(table.series, read_table(wide()).series, strict=True):
        np.testing.assert_array_equal(one.values, other.values)


def test_a_long_table_is_known_by_shared_times_where_its_names_say_nothing():
    table = read_table(long().rename(columns={"variable": "what", "value": "how_much"}), id="id", time="day")
    assert (table.schema.layout, table.schema.variable, table.schema.value) == ("long", "what", "how_much")


def test_one_text_column_beside_one_number_does_not_make_a_table_long():
    table = read_table(wide(mood=["low", "high"] * 30).drop(columns="b"))
    assert (table.schema.layout, table.schema.features) == ("wide", ("a",))
    assert said(table, "text") == "Left out (text): mood."


def test_a_table_without_an_id_is_one_series():
    table = read_table(wide(num=1).drop(columns="id"))
    assert (table.schema.layout, len(table.series), table.series[0].key) == ("single", 1, ())
    assert "one single series" in said(table, "Guessed: one")
    assert table.schema.write_id([()]) == {}


def test_named_columns_are_taken_and_the_others_left_out_with_the_reason():
    table = read_table(wide(c=1.5, note="x"), id="id", time="day", values=["b"])
    assert table.schema.features == ("b",)
    assert table.schema.left_out == dict.fromkeys(("a", "c", "note"), "not named among the values")
    assert list(table.frame.columns) == ["id", "day", "b"]


def test_id_and_time_may_be_several_columns_and_share_one():
    frame = pd.DataFrame(
        {"name": "Amy", "year": [1975, 1975, 1981, 1981], "month": 6, "day": [1, 2, 1, 2], "x": range(4)}
    )
    table = read_table(frame, id=["name", "year"], time=["year", "month", "day"])
    assert [one.key for one in table.series] == [("Amy", 1975), ("Amy", 1981)]
    ids = table.schema.write_id([one.key for one in table.series])
    assert ids["year"].dtype == np.int64
    assert ids["name"].tolist() == ["Amy", "Amy"]
    assert table.schema.write_id([("Amy", 1975, 3)])["year"].tolist() == [1975]  # a window's number is left away


def test_ids_with_leading_zeros_stay_text(tmp_path):
    (tmp_path / "t.csv").write_text("id,t,x\n007,0,1\n007,1,2\n7,0,3\n")
    table = read_table(tmp_path / "t.csv")
    assert [one.key for one in table.series] == [("007",), ("7",)]


def test_counters_text_blank_constant_and_static_columns_are_left_out_and_said():
    n = 60
    frame = wide(rownames=np.arange(1, n + 1), sex="f", empty=np.nan, same=3.0, age=np.repeat(np.arange(12) + 40.5, 5))
    table = read_table(frame)
    assert table.schema.features == ("a", "b")
    assert table.schema.left_out == {
        "rownames": "merely counts the rows",
        "sex": "text",
        "empty": "wholly blank",
        "same": "the same in every row",
        "age": "the same at all times of every series",
    }
    assert said(table, "counts") == "Left out (merely counts the rows): rownames."
    named = read_table(frame, id="id", time="day", values=["a", "age", "same"])
    assert named.schema.features == ("a", "age", "same")


def test_variables_that_only_describe_a_series_are_left_out_of_a_long_table():
    static = pd.DataFrame({"id": np.arange(1, 13), "day": 0.0, "variable": "Age", "value": np.arange(12) + 40.0})
    table = read_table(pd.concat([long(), static]))
    assert table.schema.features == ("a", "b")
    assert table.schema.left_out == {"Age": "the same at all times of every series"}
    assert len(table.frame) == 132


def test_a_feature_measured_once_but_not_at_the_start_is_kept():
    once = pd.DataFrame({"id": np.arange(1, 13), "day": 15.0, "variable": "scan", "value": np.arange(12) + 40.0})
    assert read_table(pd.concat([long(), once])).schema.features == ("a", "b", "scan")


def test_unsorted_rows_are_sorted_and_said():
    frame = wide().iloc[::-1]
    table = read_table(frame)
    assert said(table, "sorted by time") == (
        "48 rows come earlier than the row before them in their series: sorted by time."
    )
    np.testing.assert_array_equal(table.series[0].times, np.arange(5) * 7.5)
    assert table.series[0].key == (12,)
    assert table.frame_times[0] == 30.0
    assert table.frame_series[0] == 0


def test_duplicates_become_their_mean_cell_by_cell():
    frame = pd.DataFrame({"id": 1, "day": [0, 0, 0, 1], "a": [1.0, 2.0, np.nan, 5.0], "b": [np.nan, np.nan, 7.0, 8.0]})
    table = read_table(frame, id="id", time="day")
    np.testing.assert_array_equal(table.series[0].values, [[1.5, 7.0], [5.0, 8.0]])
    assert said(table, "merged").startswith("2 rows share their time with another row of their series (1 series)")


def test_many_shared_times_without_an_id_show_that_an_id_is_missing():
    with pytest.raises(DataError, match=r"55 of 60 rows share their time .* Name the columns .* with id"):
        read_table(wide().rename(columns={"id": "who"}))


def test_codes_for_unknown_become_blank_and_suspects_are_named():
    frame = wide()
    frame.loc[::10, "b"] = -1
    assert said(read_table(frame), "only negative") == (
        "-1 is the only negative value of b. If it stands for unknown, say so: unknown=-1."
    )
    table = read_table(frame, unknown=-1)
    assert said(table, "code") == "6 cells hold a code for unknown (-1) and are taken as blank."
    assert table.num_observations == 114
    assert not any("only negative" in note for note in table.notes)
    again = read_table(frame, schema=table.schema)
    assert again.num_observations == 114
    assert (table.frame["b"] == -1).sum() == 6  # the user's own table stays as it was


def test_readings_far_out_become_blank_unless_they_are_to_be_kept():
    frame = wide()
    frame.loc[7, "b"] = 5e6
    frame.loc[8, "a"] = -400.0
    table = read_table(frame)
    assert "a (1, outside" in said(table, "far out")
    assert "b (1, outside" in said(table, "far out")
    assert np.isnan(table.series[1].values[2, 1])
    assert read_table(frame, outliers="keep").num_observations == 120
    one = frame.iloc[5:10]  # judged by the limits of training, though five rows alone could not judge
    assert read_table(one, schema=table.schema).num_observations == 8
    assert read_table(one, schema=table.schema, outliers="keep").num_observations == 10


def test_a_long_tail_is_not_far_out_but_a_slipped_point_is():
    skewed = np.exp(rng().normal(size=60) * 1.2 + 3)
    acidity = rng().normal(7.4, 0.05, 60)
    acidity[3], acidity[9] = 74.1, 0.74
    table = read_table(wide(bili=skewed, pH=acidity))
    assert set(table.schema.limits) == {"pH"}
    assert "pH (2, outside" in said(table, "far out")


def test_series_and_rows_without_observations_are_left_out_of_the_series_only():
    frame = wide()
    frame.loc[frame.id == 3, ["a", "b"]] = np.nan
    frame.loc[0, ["a", "b"]] = np.nan
    table = read_table(frame)
    assert said(table, "hold no observation") == "1 of 12 series hold no observation and are left out."
    assert (len(table.series), table.series[0].num_times) == (11, 4)
    assert len(table.frame) == 60
    assert table.frame_series[[0, 9, 10, 14, 15]].tolist() == [0, 1, -1, -1, 2]


def test_by_schema_missing_features_are_blank_and_unknown_ones_left_out_and_said():
    schema = read_table(wide()).schema
    table = read_table(wide(new=1.0).drop(columns="a"), schema=schema)
    assert table.schema.features == ("a", "b")
    assert np.isnan(table.series[0].values[:, 0]).all()
    assert said(table, "No observation") == "No observation of a: taken as blank throughout."
    assert said(table, "Left out") == "Left out (unknown to the model): new."
    assert list(table.frame.columns) == ["id", "day", "a", "b"]


def test_by_schema_unknown_variables_of_a_long_table_are_named():
    schema = read_table(long()).schema
    odd = long().replace({"variable": {"b": "q"}})
    table = read_table(odd, schema=schema)
    assert said(table, "unknown to the model") == "Left out (unknown to the model): q."
    with pytest.raises(DataError, match=r"holds no observation of a feature that the model knows \(a, b\)"):
        read_table(odd[odd.variable == "q"], schema=schema)


def test_by_schema_what_was_left_out_in_training_is_not_said_again():
    schema = read_table(wide(sex="f")).schema
    assert read_table(wide(sex="f"), schema=schema).notes == ()


def test_by_schema_a_missing_column_is_an_error_and_one_observation_is_enough():
    schema = read_table(wide()).schema
    with pytest.raises(DataError, match=r"there is no column 'day'. Columns of the table: id, a, b"):
        read_table(wide().drop(columns="day"), schema=schema)
    table = read_table(wide()[["id", "day", "a"]].head(1), schema=schema)
    assert table.num_observations == 1


def test_by_schema_dates_may_be_written_in_another_form():
    days = pd.date_range("2024-01-01", periods=60).strftime("%Y-%m-%d")
    table = read_table(wide().assign(day=days))
    other = wide().assign(day=pd.to_datetime(days).strftime("%d.%m.%Y"))
    again = read_table(other, schema=table.schema)
    np.testing.assert_array_equal(again.series[3].times, table.series[3].times)
    assert again.schema.write_time(again.series[0].times[:1])["day"].tolist() == ["01.01.2024"]
    with pytest.raises(DataError, match="is no date that can be read"):
        read_table(wide(), schema=table.schema)


def test_by_schema_no_column_may_be_named():
    schema = read_table(wide()).schema
    with pytest.raises(ValueError, match="read as the schema says: leave out id"):
        read_table(wide(), schema=schema, id="id")


WRONG = {
    "unknown column": ({"id": "patient"}, r"there is no column 'patient'. Columns of the table: id, day, a, b"),
    "other case": ({"time": "Day"}, r"there is no column 'Day'. Did you mean 'day'\?"),
    "two roles": ({"id": "id", "time": "day", "values": ["day"]}, "the column 'day' is given two roles"),
    "twice": ({"id": ["id", "id"]}, "the id names a column twice"),
    "single with id": ({"layout": "single", "id": "id"}, "single layout has no id column"),
    "wide with a variable": ({"layout": "wide", "variable": "a"}, "variable and value belong to the long layout"),
    "long without variables": ({"layout": "long"}, "a long table needs a column for the variable. Name it"),
}


@pytest.mark.parametrize(("arguments", "message"), WRONG.values(), ids=WRONG)
def test_columns_that_cannot_be_meant_are_refused(arguments, message):
    with pytest.raises(DataError, match=message):
        read_table(wide(), **arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"layout": "tall"}, "one of long, wide, single; got 'tall'"),
        ({"outliers": "drop"}, 'must be "blank" or "keep"'),
    ],
)
def test_arguments_outside_their_choices_are_value_errors(arguments, message):
    with pytest.raises(ValueError, match=message):
        read_table(wide(), **arguments)


TOO_LITTLE = {
    "nothing observed": (pd.DataFrame({"t": [0, 1], "x": [np.nan, np.nan]}), "no column holds numbers to learn from"),
    "one observation": (pd.DataFrame({"t": [0, 1], "x": [1.0, np.nan]}), "holds one observation that can be used"),
    "text alone": (pd.DataFrame({"t": [0, 1], "x": ["a", "b"]}), "no column holds numbers to learn from"),
    "no time": (pd.DataFrame({"u": [0.5, 1.5], "x": [1.0, 2.0]}), "no column looks like time. Name it with time"),
    "no row": (pd.DataFrame({"t": [], "x": []}), "the table has no rows"),
    "no variable": (pd.DataFrame({"t": [0, 1], "variable": ["a", ""], "value": [1, 2]}), "the variable is blank"),
}


@pytest.mark.parametrize(("frame", "message"), TOO_LITTLE.values(), ids=TOO_LITTLE)
def test_tables_that_hold_too_little_are_refused(frame, message):
    with pytest.raises(DataError, match=message):
        read_table(frame)


def test_a_blank_feature_that_was_named_is_refused(tmp_path):
    (tmp_path / "t.csv").write_text("id,t,x,y\n1,0,1,\n1,1,2,NA\n")
    with pytest.raises(DataError, match="column 'y': the column is wholly blank. Leave it out of the values"):
        read_table(tmp_path / "t.csv", values=["x", "y"])
    with pytest.raises(DataError, match="there is no variable 'c'. Variables of the table: a, b"):
        read_table(long(), values=["c"])


def test_values_that_are_no_columns_are_variables_of_a_long_table():
    table = read_table(long(), values=["b"])
    assert (table.schema.layout, table.schema.features) == ("long", ("b",))
    assert table.schema.left_out == {"a": "not named among the values"}
    with pytest.raises(DataError, match="there is no column 'c'"):
        read_table(wide(), values=["c"])


def test_a_column_mostly_of_numbers_is_not_silently_left_out_as_text(tmp_path):
    (tmp_path / "t.csv").write_text("id,t,x\n1,0,1\n1,1,2\n1,2,oops\n")
    with pytest.raises(DataError, match="'oops' is text where a number is due") as caught:
        read_table(tmp_path / "t.csv")
    assert caught.value.row == 4


def test_the_users_own_frame_is_never_changed():
    frame = wide()
    frame.loc[7, "b"] = 5e6
    before = frame.copy()
    read_table(frame, unknown=[frame.a[0]])
    pd.testing.assert_frame_equal(frame, before)


def test_an_index_with_names_counts_as_columns():
    table = read_table(wide().set_index(["id", "day"]))
    assert (table.schema.id, table.schema.time, table.schema.features) == (("id",), ("day",), ("a", "b"))
