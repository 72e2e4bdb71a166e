"""Random tables: what is read equals what was written, or a DataError says which file, line and column."""

import json
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from neurode.core.errors import DataError
from neurode.data.schema import Schema
from neurode.data.tables import Table, read_table
from tests.data.written_tables import FORMS, PER_STEP, Written, tables


def read(written: Written, packed: bool = False, **more) -> Table:
    with tempfile.TemporaryDirectory() as folder:
        return read_table(written.write(Path(folder), packed), **{**written.arguments(), **more})


def steps_of(written: Written, table: Table, times: np.ndarray) -> np.ndarray:
    """Times as the numbers of steps that the table was written from."""
    if not table.schema.when.is_calendar:
        return times / PER_STEP.get(written.form, 1.0)
    zero = table.schema.parse_time("2024-02-28T00:00")[0]
    per_unit = {"seconds": 1 / 3600, "minutes": 1 / 60, "hours": 1, "days": 24, "weeks": 168, "years": 8766}
    hours = (times - zero) * per_unit[table.schema.time_unit]
    return hours if written.form in ("datetime", "parts") else hours / 24


def assert_equal(written: Written, table: Table) -> None:
    means = written.means()
    assert [tuple(map(str, one.key)) for one in table.series] == list(means)
    for one, times in zip(table.series, means.values(), strict=True):
        np.testing.assert_allclose(steps_of(written, table, one.times), list(times), atol=1e-6)
        expected = np.array([[cells.get(f, np.nan) for f in table.schema.features] for cells in times.values()])
        np.testing.assert_allclose(one.values, expected, rtol=1e-12, atol=1e-300)


def usable(written: Written) -> bool:
    """Enough to read: two observations, and no feature that is blank throughout (a user would be told)."""
    cells = [c for times in written.means().values() for c in times.values()]
    return sum(map(len, cells)) >= 2 and {f for c in cells for f in c} == set(written.features)


@settings(max_examples=40)
@given(tables(), st.booleans())
def test_what_is_read_equals_what_was_written(written, packed):
    assume(usable(written))
    table = read(written, packed)
    assert_equal(written, table)
    merged = [note for note in table.notes if "merged by their mean" in note]
    assert bool(merged) == written.has_duplicates()
    assert len(table.frame) == len(table.frame_times) == len(written.rows)
    assert list(table.frame.columns) == [c for c in written.header if c in table.frame.columns]


@settings(max_examples=20)
@given(tables())
def test_a_stored_schema_reads_the_same_table_the_same_way(written):
    assume(usable(written))
    table = read(written)
    schema = Schema.from_json(json.loads(json.dumps(table.schema.to_json())))
    with tempfile.TemporaryDirectory() as folder:
        again = read_table(written.write(Path(folder)), schema=schema)
    assert again.schema == table.schema
    assert_equal(written, again)


@settings(max_examples=20)
@given(tables())
def test_ids_and_times_are_written_back_as_they_stood_in_the_file(written):
    assume(usable(written))
    table = read(written)
    rows = [k for k, place in enumerate(table.frame_series) if place >= 0]
    keys = [table.series[table.frame_series[k]].key for k in rows]
    columns = table.schema.write_time(table.frame_times[rows]) | table.schema.write_id(keys)
    for name, column in columns.items():
        texts = [written.rows[k][written.header.index(name)] for k in rows]
        if written.form == "number" and name == "t":
            assert column.tolist() == [float(text) for text in texts]
        else:
            assert [str(cell) for cell in column] == texts


@settings(max_examples=15)
@given(tables())
def test_a_data_frame_and_parquet_read_as_the_file_does(written):
    assume(usable(written))
    frame = pd.DataFrame(written.rows, columns=written.header)
    assert_equal(written, read_table(frame, **written.arguments()))
    with tempfile.TemporaryDirectory() as folder:
        frame.to_parquet(Path(folder) / "t.parquet")
        assert_equal(written, read_table(Path(folder) / "t.parquet", **written.arguments()))


@settings(max_examples=20)
@given(tables(), st.data(), st.booleans())
def test_text_where_a_number_is_due_names_file_line_and_column(written, data, packed):
    assume(usable(written) and len(written.rows) > 2)
    row = data.draw(st.integers(0, len(written.rows) - 1))
    column = len(written.header) - 1
    other = [r.copy() for r in written.rows]
    other[row][column] = "n.d."
    text = written.text.splitlines(keepends=True)
    line = written.lines[row]
    old = text[line - 1]
    ending = old[len(old.rstrip("\r\n")) :]
    cell = written.rows[row][column]
    text[line - 1] = old.rstrip("\r\n")[: len(old.rstrip("\r\n")) - len(cell)] + "n.d." + ending
    with tempfile.TemporaryDirectory() as folder:
        path = replace(written, rows=other, text="".join(text)).write(Path(folder), packed)
        with pytest.raises(DataError, match="'n.d.' is text where a number is due") as caught:
            read_table(path, **written.arguments())
    assert caught.value.file == path
    assert caught.value.row == line
    assert caught.value.column == written.header[column]


@settings(max_examples=15)
@given(tables())
def test_strict_reading_refuses_duplicates_and_names_the_second_row(written):
    assume(usable(written))
    if not written.has_duplicates():
        assert_equal(written, read(written, strict=True))
        return
    seen, line = set(), None
    last = len(written.id) + len(written.time) + (written.layout == "long")
    for row, at in zip(written.rows, written.lines, strict=True):
        if written.layout == "long" and not _holds_number(row[-1]):
            continue
        if tuple(row[:last]) in seen:
            line = at
            break
        seen.add(tuple(row[:last]))
    with pytest.raises(DataError, match="strict reading refuses that. Delete one") as caught:
        read(written, strict=True)
    assert caught.value.row == line


def _holds_number(text: str) -> bool:
    try:
        return float(text) == float(text)
    except ValueError:
        return False


@settings(max_examples=100)
@given(
    st.text(st.sampled_from(",;\t\n\"' #0123456789.-:TZeabc\x00é"), max_size=80) | st.binary(max_size=60),
    st.sampled_from([".csv", ".csv.gz", ".tsv", ".txt", ".parquet"]),
    st.booleans(),
)
def test_any_file_gives_a_table_or_a_sentence(content, suffix, headed):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"table{suffix}"
        content = content.encode() if isinstance(content, str) else content
        path.write_bytes(b"id,t,x\n" * headed + content)
        problem, table = "", None
        try:
            table = read_table(path)
        except DataError as error:
            problem = str(error)
    if table is None:
        assert path.name in problem
        assert problem.count(" ") > 4
    else:
        assert table.num_observations >= 2


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_time_is_tried(form):
    assert FORMS[form](1) != FORMS[form](2)
