"""Tables as they should not be, each with the words that must stand in the answer. The list is the contract."""

import gzip
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

HEADER = "id,t,x,y\n"
ROWS = [f"{name},{t},{t + shift}.5,{t * 2}\n" for shift, name in enumerate("abcdef") for t in range(5)]
GOOD = HEADER + "".join(ROWS)


@dataclass(frozen=True)
class BrokenTable:
    """A table that cannot be used: what is in the file, how it is called, and what the answer must say."""

    name: str
    content: str | bytes | None
    says: str
    arguments: Sequence[str] = ("--id", "id", "--time", "t")
    file: str = "table.csv"

    def write(self, folder: Path) -> Path:
        """Put the table into `folder`; None as content means that there is no such file."""
        path = folder / self.file
        if isinstance(self.content, bytes):
            path.write_bytes(self.content)
        elif self.content is not None:
            path.write_text(self.content)
        return path


def with_row(row: str, *, at: int = 10) -> str:
    """The good table with its data row number `at` (1-based; file line at + 1) replaced."""
    return HEADER + "".join([*ROWS[: at - 1], row + "\n", *ROWS[at:]])


def _blank_values(line: str) -> str:
    return ",".join(line.split(",")[:2]) + ",,\n"


BROKEN: list[BrokenTable] = [
    BrokenTable("missing file", None, r"table\.csv: there is no such file"),
    BrokenTable("empty file", "", r"table\.csv.*empty"),
    BrokenTable("only a header", HEADER, r"table\.csv.*no (data )?rows"),
    BrokenTable("only comments", "# one\n# two\n", r"table\.csv.*no rows"),
    BrokenTable("bytes that are no text", bytes(range(128, 256)) * 50, r"table\.csv"),
    BrokenTable("not really packed", GOOD, r"table\.csv\.gz.*gz", file="table.csv.gz"),
    BrokenTable(
        "cut off while packed", gzip.compress(GOOD.encode() * 50)[:-40], r"table\.csv\.gz", file="table.csv.gz"
    ),
    BrokenTable("not really parquet", GOOD, r"table\.parquet.*[Pp]arquet", file="table.parquet"),
    BrokenTable("a workbook", b"PK\x03\x04" + bytes(200), r"table\.xlsx", file="table.xlsx"),
    BrokenTable("unknown id column", GOOD, r"table\.csv.*'?idd'?.*", ("--id", "idd", "--time", "t")),
    BrokenTable("unknown time column", GOOD, r"table\.csv.*'?when'?", ("--id", "id", "--time", "when")),
    BrokenTable("unknown value column", GOOD, r"table\.csv.*'?z'?", ("--id", "id", "--time", "t", "--values", "x,z")),
    BrokenTable("text for a number", with_row("b,4,ten,8"), r"table\.csv, line 11, column 'x'.*'ten'"),
    BrokenTable("unreadable time", with_row("b,later,1,8"), r"table\.csv, line 11, column 't'.*'later'"),
    BrokenTable("blank time", with_row("b,,1,8"), r"table\.csv, line 11, column 't'"),
    BrokenTable("infinite time", with_row("b,inf,1,8"), r"table\.csv, line 11, column 't'.*inf"),
    BrokenTable("infinite value", with_row("b,4,inf,8"), r"table\.csv, line 11, column 'x'.*inf"),
    BrokenTable("blank id", with_row(",4,1,8"), r"table\.csv, line 11, column 'id'"),
    BrokenTable("row too long", with_row("b,4,1,8,9"), r"table\.csv.*line 11"),
    BrokenTable("column named twice", "id,t,x,x\n" + "".join(ROWS), r"table\.csv.*'x'"),
    BrokenTable("no observation", HEADER + "".join(map(_blank_values, ROWS)), r"table\.csv.*no column holds numbers"),
    BrokenTable("one observation", HEADER + "a,0,1,\n", r"table\.csv.*one observation.*at least two"),
    BrokenTable("only text", "id,t,x\n" + "".join(f"{n},{t},word\n" for n in "ab" for t in range(4)), r"table\.csv"),
    BrokenTable(
        "duplicates under --strict",
        GOOD + ROWS[3],
        r"table\.csv, line 32: .*strict",
        ("--id", "id", "--time", "t", "--strict"),
    ),
]
BROKEN += [
    BrokenTable("too few series", HEADER + "".join(ROWS[:15]), r"there are 3 series.*at least 8"),
    BrokenTable("a folder", None, r"(?s)folder", file="."),
]
