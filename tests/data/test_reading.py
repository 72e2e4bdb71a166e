"""Files that are no tables, or nearly: one sentence with the remedy, the file, and the line."""

import gzip

import pandas as pd
import pytest

from neurode.core.errors import DataError, MissingExtraError
from neurode.data.reading import read_source
from neurode.data.tables import read_table

GOOD = "id,t,x\n1,0,0.5\n1,1,1.5\n2,0,2.5\n"


def write(folder, content, name="table.csv"):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


FILES = {
    "empty": ("table.csv", b"", "the file is empty"),
    "blank": ("table.csv", b" \n\n", "the file is empty"),
    "header alone": ("table.csv", b"id,t,x\n", "the file has a header and no rows"),
    "comments alone": ("table.csv", b"# a\n# b\n", "the file has a header and no rows"),
    "no header": ("table.csv", b"1,0,0.5\n1,1,0.75\n", "the first line holds numbers only. It must name the columns"),
    "name twice": ("table.csv", b"id,t,x,x\n1,0,1,2\n", "two columns are named 'x'. Give every column its own name"),
    "spreadsheet": ("table.csv", b"PK\x03\x04rest", r"a spreadsheet or a zip archive. Export the sheet as CSV"),
    "UTF-16": ("table.csv", GOOD.encode("utf-16"), "UTF-16 text. Save it as CSV in UTF-8"),
    "binary": ("table.csv", b"id,t,x\n\x00\x01\x02", "no text table. Files that can be read: .csv"),
    "not packed": ("table.csv.gz", GOOD.encode(), "ends in .gz, but the content is not packed"),
    "cut short": ("table.csv.gz", gzip.compress(GOOD.encode() * 50)[:-20], "damaged or cut short. Copy or"),
    "damaged parquet": ("table.parquet", b"PAR1" + b"x" * 40, "this Parquet file cannot be read"),
}  # fmt: skip


@pytest.mark.parametrize(("name", "content", "message"), FILES.values(), ids=FILES)
def test_a_file_that_is_no_table_is_refused_with_the_remedy(tmp_path, name, content, message):
    path = write(tmp_path, content, name)
    with pytest.raises(DataError, match=message) as caught:
        read_table(path)
    assert caught.value.file == path
    assert caught.value.exit_code == 3


def test_a_file_that_is_not_there_or_a_folder_is_refused(tmp_path):
    with pytest.raises(DataError, match="there is no such file. Check the path"):
        read_table(tmp_path / "nothing.csv")
    with pytest.raises(DataError, match="this is a folder. Name the table inside it"):
        read_table(tmp_path)


def test_a_source_of_another_kind_is_a_type_error():
    with pytest.raises(TypeError, match="a path or a pandas DataFrame; got list"):
        read_table([1, 2])


LINES = {
    "text": ("id,t,x\n1,0,1\n1,1,oops\n", 3, "x", "'oops' is text where a number is due"),
    "decimal comma": ('id,t,x\n1,0,1.5\n1,1,"2,75"\n', 3, "x", r"decimal comma. Write decimals with a point \(2.75\)"),
    "thousands": ('id,t,x\n1,0,1.5\n1,1,"1,234.5"\n', 3, "x", "holds a separator of thousands"),
    "unit": ("id,t,x\n1,0,1.5\n1,1,5 mg\n", 3, "x", "a number with a unit. Write the number alone"),
    "limit": ("id,t,x\n1,0,1.5\n1,1,<0.1\n", 3, "x", "a limit and not a number"),
    "infinite": ("id,t,x\n1,0,1.5\n1,1,inf\n", 3, "x", "an infinite number"),
    "too large": ("id,t,x\n1,0,1.5\n1,1,1e999\n", 3, "x", "an infinite number"),
    "blank id": ("id,t,x\n1,0,1.5\n,1,3\n1,2,3\n", 3, "id", "the id is blank. Fill it in, or delete the row"),
    "blank time": ("id,t,x\n1,0,1.5\n1,,3\n1,2,3\n", 3, "t", "the time is blank"),
    "infinite time": ("id,t,x\n1,0,1.5\n1,inf,3\n1,2,3\n", 3, "t", "the time is infinite"),
    "odd time": ("id,t,x\n1,0,1.5\n1,now,3\n1,2,3\n", 3, "t", "'now' is no time that can be read"),
    "too many cells": ("id,t,x\n1,0,1.5\n1,1,2,75\n1,2,3\n", 3, None, "the line has 4 cells, the header names 3"),
    "far too many cells": ("id,t,x\n1,0,1.5\n1,1,2,7,8,9\n", 3, None, "the line has 6 cells, the header names 3"),
    "comments count as lines": ("# c\nid,t,x\n\n1,0,1\n# c\n1,1,oops\n", 6, "x", "'oops' is text"),
    "quoted line breaks": ('id,t,x,note\n1,0,1,"a\nb"\n1,1,oops,c\n', 4, "x", "'oops' is text"),
    "a quoted line break in the row itself": ('id,t,x,note\n1,0,1,a\n1,1,oops,"b\nc"\n', 3, "x", "'oops' is text"),
    "windows line ends": ("id,t,x\r\n1,0,1\r\n1,1,oops\r\n", 3, "x", "'oops' is text"),
    "not UTF-8": (b"id,t,x\n1,0,1\n\xe9,1,2\n", 3, None, "not UTF-8 text. Save it as CSV in UTF-8"),
}  # fmt: skip


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "packed"])
@pytest.mark.parametrize(("content", "line", "column", "message"), LINES.values(), ids=LINES)
def test_a_bad_cell_names_its_line_and_column(tmp_path, content, line, column, message, packed):
    content = content if isinstance(content, bytes) else content.encode()
    path = write(tmp_path, gzip.compress(content) if packed else content, "t.csv.gz" if packed else "t.csv")
    with pytest.raises(DataError, match=message) as caught:
        read_table(path, id="id", time="t", values="x")
    assert (caught.value.file, caught.value.row, caught.value.column) == (path, line, column)
    assert f"line {line}" in str(caught.value)


def test_a_row_of_a_data_frame_is_named_by_its_place():
    frame = pd.DataFrame({"id": [1, 1], "t": [0, 1], "x": ["1", "oops"]})
    with pytest.raises(DataError, match=r"the table, column 'x': row 2 of the table: 'oops' is text"):
        read_table(frame, id="id", time="t", values="x")


VARIANTS = {
    "semicolons": GOOD.replace(",", ";"),
    "tabs": GOOD.replace(",", "\t"),
    "bars": GOOD.replace(",", "|"),
    "blanks behind the delimiter": GOOD.replace(",", ", "),
    "blanks between": GOOD.replace(",", "   "),
    "a byte order mark": "\ufeff" + GOOD,
    "windows": GOOD.replace("\n", "\r\n"),
    "comments and empty lines": "# one\n\n" + GOOD.replace("1,1", "# two, with commas\n\n1,1"),
    "no last line end": GOOD.rstrip("\n"),
    "quotes": GOOD.replace("id,t,x", '"id","t","x"'),
    "empty columns at the end": GOOD.replace("\n", ",,\n"),
    "shorter rows": "id,t,x,y\n1,0,0.5,\n1,1,1.5\n2,0,2.5\n",
    "row names without a header": "id,t,x\na,1,0,0.5\nb,1,1,1.5\nc,2,0,2.5\n",
    "row names with an empty header": ",id,t,x\n1,1,0,0.5\n2,1,1,1.5\n3,2,0,2.5\n",
}


@pytest.mark.parametrize("content", VARIANTS.values(), ids=VARIANTS)
def test_common_variants_of_text_tables_are_read(tmp_path, content):
    table = read_table(write(tmp_path, content), id="id", time="t")
    assert [one.key for one in table.series] == [(1,), (2,)]
    assert table.schema.features[0] == "x"
    assert [one.times.tolist() for one in table.series] == [[0.0, 1.0], [0.0]]
    assert [one.values[:, 0].tolist() for one in table.series] == [[0.5, 1.5], [2.5]]


def test_a_hash_inside_a_cell_is_no_comment(tmp_path):
    table = read_table(write(tmp_path, "id,t,x\nA#1,0,1\nA#1,1,2\n"), id="id", time="t")
    assert table.series[0].key == ("A#1",)


def test_comment_lines_are_counted_in_the_notes(tmp_path):
    assert read_source(write(tmp_path, "# one\n" + GOOD)).notes == ("1 comment line (starting with #) left out.",)


def test_parquet_and_gz_are_known_by_their_content(tmp_path):
    frame = pd.DataFrame({"id": [1, 1], "t": [0.0, 1.0], "x": [0.5, 1.5]})
    frame.to_parquet(tmp_path / "odd.data")
    assert read_table(tmp_path / "odd.data").num_observations == 2
    assert read_table(write(tmp_path, gzip.compress(GOOD.encode()), "odd2.data")).num_observations == 3


def test_without_pandas_the_extra_is_named(monkeypatch, tmp_path):
    monkeypatch.setitem(__import__("sys").modules, "pandas", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'neurode\[tools\]'"):
        read_table(write(tmp_path, GOOD))
