"""Files to raw tables: finding the delimiter and the header, and the line that an error is about."""

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from neurode.core.errors import DataError
from neurode.core.extras import require
from neurode.data.cells import CellError, as_text, coerced, is_text, numeric_share, to_numbers
from neurode.data.opening import check_text, read_bytes, unpack

_DELIMITERS = (",", ";", "\t", "|")
_COMMENT_LINES = re.compile(rb"(?m)^[ \t]*#[^\n]*(\n|\Z)")


@dataclass(frozen=True)
class Source:
    """A table as it came: text cells from a text file, typed columns from Parquet or a DataFrame.

    frame: pandas DataFrame with a plain index. file: its path, None for a DataFrame. content: the bytes of a text
    file, from which the line of a row is counted when an error needs it. notes: what was seen while reading.
    """

    frame: Any
    name: str
    file: Path | None = None
    content: bytes | None = None
    delimiter: str = ","
    notes: tuple[str, ...] = ()
    cache: dict[tuple[str, str], Any] = field(default_factory=dict, repr=False)

    def share(self, name: str) -> float:
        """Which part of a column's cells that are not blank are numbers."""
        if ("share", name) not in self.cache:
            column = self.frame[name]
            sample = column.iloc[:: max(1, len(column) // 200)]
            text = is_text(column) and not (as_text(sample) == "").all() and numeric_share(sample, coerced(sample)) == 0
            share = 0.0 if text else numeric_share(column, self._coerced(name))
            self.cache["share", name] = share
        return self.cache["share", name]

    def numbers(self, name: str) -> np.ndarray:
        """A column as float64 with NaN for blanks, a fresh copy. Raises CellError for text or an infinite number."""
        return to_numbers(self.frame[name], name, self._coerced(name))

    def _coerced(self, name: str) -> np.ndarray:
        if ("values", name) not in self.cache:
            self.cache["values", name] = coerced(self.frame[name])
        return self.cache["values", name]

    @property
    def where(self) -> Path | str:
        """What an error names: the file, or "the table"."""
        return self.file or self.name

    def error(self, problem: CellError) -> DataError:
        """The error a user is shown: with file and line where the table came from a text file."""
        row, sentence = None, problem.sentence
        if problem.position is not None:
            if self.content is not None:
                row = line_of_row(self.content, self.delimiter, problem.position)
            else:
                sentence = f"row {problem.position + 1} of the table: {sentence}"
        return DataError(sentence, file=self.where, row=row, column=problem.column)


def read_source(source: Any) -> Source:
    """Read a path (.csv, .csv.gz, .tsv, .txt, .parquet) or take a DataFrame, without any judgement about its columns.

    Raises DataError, with the remedy, for a file that is missing, empty, damaged, not UTF-8 text, or no table;
    TypeError for a source of another kind.
    """
    pd = require("pandas", extra="tools")
    if not isinstance(source, (str, Path)):
        return _from_frame(source, pd)
    path = Path(source)
    content = read_bytes(path)
    if content[:4] == b"PAR1" or path.suffix.lower() in (".parquet", ".pq"):
        return _from_parquet(path, content, pd)
    content = unpack(path, content)
    check_text(path, content)
    return _from_text(path, content, pd)


def _from_frame(frame: Any, pd: Any) -> Source:
    if not isinstance(frame, pd.DataFrame) and hasattr(frame, "to_pandas"):
        frame = frame.to_pandas()
    if not isinstance(frame, pd.DataFrame):
        raise TypeError(f"a table is a path or a pandas DataFrame; got {type(frame).__name__}.")
    return Source(_plain(frame, pd, "the table"), "the table")


def _plain(frame: Any, pd: Any, name: Path | str) -> Any:
    """Column names as text, index levels that carry names as columns."""
    named = [level for level in frame.index.names if level is not None]
    if named or isinstance(frame.index, (pd.DatetimeIndex, pd.MultiIndex)):
        frame = frame.reset_index()
    frame = frame.reset_index(drop=True)
    frame.columns = [str(column) for column in frame.columns]
    _check_names(list(frame.columns), name)
    if not len(frame):
        raise DataError("the table has no rows. Give one with at least two observations.", file=name)
    return frame


def _from_parquet(path: Path, content: bytes, pd: Any) -> Source:
    require("pyarrow", extra="tools")
    try:
        frame = pd.read_parquet(io.BytesIO(content))
    except Exception as error:  # pyarrow raises many kinds for a damaged file
        raise DataError(f"this Parquet file cannot be read ({error}). Write it again.", file=path) from None
    return Source(_plain(frame, pd, path), path.stem, path)


def _from_text(path: Path, content: bytes, pd: Any) -> Source:
    notes = []
    content = content.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    body = content
    if b"#" in content:
        body, dropped = _COMMENT_LINES.subn(b"", content)
        if dropped:
            notes.append(f"{dropped} comment {'line' if dropped == 1 else 'lines'} (starting with #) left out.")
    body = body.lstrip(b"\n")
    header_line = body.split(b"\n", 1)[0].decode()
    delimiter = find_delimiter(header_line, path)
    header = _split(header_line, delimiter)
    rest = body[len(header_line.encode()) :].lstrip(b"\n")
    if not rest.strip():
        raise DataError("the file has a header and no rows. Export the table again.", file=path)
    if all(_is_number(name) for name in header):
        raise DataError(
            "the first line holds numbers only. It must name the columns (a header behind # counts as a comment).",
            file=path,
            row=line_of_row(content, delimiter, -1),
        )
    frame = _parse(path, rest, header, delimiter, content, pd)
    return Source(frame, path.name.split(".")[0], path, content, delimiter, tuple(notes))


def find_delimiter(header: str, path: Path) -> str:
    """The delimiter that splits the header most often; a tab for .tsv; blanks where nothing else splits it."""
    if ".tsv" in path.suffixes:
        return "\t"
    counts = {mark: len(_split(header, mark)) for mark in _DELIMITERS}
    best = max(_DELIMITERS, key=lambda mark: counts[mark])
    if counts[best] == 1 and len(header.split()) > 1:
        return " "
    return best


def _split(line: str, delimiter: str) -> list[str]:
    if delimiter == " ":
        return [name.strip('"') for name in line.split()]
    return [name.strip() for name in next(csv.reader([line], delimiter=delimiter, skipinitialspace=True), [])]


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _parse(path: Path, rest: bytes, header: list[str], delimiter: str, content: bytes, pd: Any) -> Any:
    """All cells as text. One column more than the header tells rows that are too long from rows that are not."""
    names = _header_names(header, path)
    surplus = "\x00surplus"
    try:
        frame = pd.read_csv(
            io.BytesIO(rest),
            sep=r"\s+" if delimiter == " " else delimiter,
            names=[*names, surplus],
            header=None,
            dtype=str,
            na_filter=False,
            index_col=False,
            skipinitialspace=True,
        )
    except (pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise _ragged(path, content, delimiter, len(names), str(error)) from None
    filled = (frame[surplus] != "").to_numpy()
    if filled.all():  # R writes row names without a header for them
        frame.columns = ["(row names)", *names]
        return frame
    if filled.any():
        raise _ragged(path, content, delimiter, len(names), "")
    frame = frame.drop(columns=surplus)
    empty = [name for name, given in zip(names, header, strict=True) if not given and (frame[name] == "").all()]
    return frame.drop(columns=empty)


def _header_names(header: list[str], path: Path) -> list[str]:
    names = [name or ("(row names)" if place == 0 else f"(column {place + 1})") for place, name in enumerate(header)]
    _check_names(names, path)
    return names


def _check_names(names: list[str], file: Path | str) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(f"two columns are named {twice[0]!r}. Give every column its own name.", file=file)


def _ragged(path: Path, content: bytes, delimiter: str, width: int, reason: str) -> DataError:
    """The error for the first line that has more cells than the header."""
    if delimiter != " ":
        for line, cells in _records(content, delimiter):
            if len(cells) > width and any(cell.strip() for cell in cells[width:]):
                return DataError(
                    f"the line has {len(cells)} cells, the header names {width} columns. A text that holds the "
                    f"delimiter {delimiter!r} must stand in quotation marks; decimals are written "
                    "with a point.",
                    file=path,
                    row=line,
                )
    return DataError(f"the lines of the table do not fit its header ({reason or 'too many cells'}).", file=path)


def line_of_row(content: bytes, delimiter: str, position: int) -> int | None:
    """The 1-based line of the file on which a data row (0-based; -1 is the header) begins."""
    for place, (line, _) in enumerate(_records(content, delimiter), start=-1):
        if place == position:
            return line
    return None


def lines_of_rows(content: bytes, delimiter: str) -> list[int]:
    """The 1-based lines on which the data rows begin, the header left out."""
    return [line for line, _ in _records(content, delimiter)][1:]


def _records(content: bytes, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """The line and the cells of each record, header first; blank and comment lines are passed over."""
    lines = content.decode("utf-8").split("\n")
    numbers: list[int] = []
    blank = " " if delimiter == "\t" else " \t"  # a line of tabs is a row of blanks in a .tsv

    def feed() -> Iterator[str]:
        for number, line in enumerate(lines, start=1):
            if not line.strip(blank) or line.lstrip(" \t").startswith("#"):
                continue
            numbers.append(number)
            yield line + "\n"

    reader = csv.reader(feed(), delimiter=delimiter, skipinitialspace=True)
    seen = 0
    try:
        for cells in reader:
            yield numbers[seen], cells
            seen = len(numbers)
    except csv.Error:
        return
