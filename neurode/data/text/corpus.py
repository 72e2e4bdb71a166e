"""Files of sentences: one a line, or one a cell of a column, with the place each came from and what was left out."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from neurode.core.errors import DataError
from neurode.data.cells import as_text, is_text
from neurode.data.layout import require_columns
from neurode.data.opening import FileKind, check_text, read_bytes, unpack
from neurode.data.reading import Source, lines_of_rows, read_source
from neurode.data.text.words import count_words, normalise

_TEXT = FileKind(
    thing="file of sentences",
    known=".txt, .txt.gz, .csv, .csv.gz, .tsv and .parquet",
    again="Write one sentence a line into it.",
    save="plain text in UTF-8",
    packed="this is an office document or a zip archive. Save it as plain text (UTF-8), or unpack it.",
)
_COLUMN_NAMES = ("sentence", "sentences", "text", "texts")


@dataclass(frozen=True)
class LeftOut:
    """Sentences that were not taken: why, how many, and the row (1-based) of the first."""

    reason: str
    count: int
    first_row: int

    def __str__(self) -> str:
        rows = "line" if self.count == 1 else "lines"
        return f"{self.count:,} {rows} left out: {self.reason} (the first is line {self.first_row:,})."


@dataclass(frozen=True, eq=False)
class Corpus:
    """Sentences that were read, in the order of their file.

    sentences: as written, without blanks at their ends. rows: (n,) int64, the 1-based line of the file on which each
    begins, or the number of the row in a DataFrame or list. left_out: what was not taken. notes: sentences for a person
    about what was guessed and left out. name: for titles. file: None for a DataFrame or a list.
    """

    sentences: tuple[str, ...]
    rows: np.ndarray
    left_out: tuple[LeftOut, ...]
    notes: tuple[str, ...]
    name: str
    file: Path | None = None

    def __len__(self) -> int:
        return len(self.sentences)


@dataclass(frozen=True)
class _Raw:
    """Lines or cells as they came."""

    texts: Sequence[str]
    rows: Sequence[int]
    name: str
    file: Path | None = None
    notes: tuple[str, ...] = ()

    @property
    def where(self) -> Path | str:
        return self.file or self.name


def read_sentences(
    source: Any,
    column: str | None = None,
    *,
    min_words: int = 1,
    max_words: int | None = None,
    keep_duplicates: bool = False,
) -> Corpus:
    """Read sentences from a text file (one a line), a column of a table, a DataFrame, or a list of strings.

    Good for files that fit into memory; it does not cut running text into sentences. Packed by gzip or not is seen
    from the content. A file is a table if it is named .csv, .tsv or .parquet (packed or not), or if `column` is given;
    a table with one column of text needs no `column`. Tables need the extra "tools".

    min_words, max_words: shorter and longer sentences are left out; a mark of punctuation counts as a word, and in
    scripts without blanks each character does. keep_duplicates: also sentences that were seen before (they are equal
    where they differ in blanks and the form of quotation marks only).

    Raises DataError, with file, line and remedy, for a file that is missing, empty, damaged, not UTF-8, of one line, a
    table without such a column, or where no two sentences remain; ValueError for limits that cannot be; TypeError for
    a source of another kind.
    """
    if min_words < 1 or (max_words is not None and max_words < min_words):
        raise ValueError(f"min_words must be at least 1 and max_words not below it; got {min_words} and {max_words}.")
    raw = _raw(source, column)
    kept, left_out = _sift(raw, min_words, max_words, keep_duplicates)
    if len(kept) < 2:
        raise DataError(_too_few(raw, kept, left_out), file=raw.where)
    return Corpus(
        sentences=tuple(text for _, text in kept),
        rows=np.array([row for row, _ in kept], np.int64),
        left_out=left_out,
        notes=(*raw.notes, *map(str, left_out)),
        name=raw.name,
        file=raw.file,
    )


def _raw(source: Any, column: str | None) -> _Raw:
    if isinstance(source, (str, Path)):
        path = Path(source)
        table = bool({".csv", ".tsv", ".parquet", ".pq"} & {suffix.lower() for suffix in path.suffixes[-2:]})
        return _cells(read_source(path), column) if table or column is not None else _lines(path)
    if hasattr(source, "columns"):
        return _cells(read_source(source), column)
    if column is not None:
        raise ValueError(f"column={column!r} belongs to a table; a list of sentences has none. Leave it out.")
    if not isinstance(source, Iterable):
        raise TypeError(f"sentences come from a path, a DataFrame or a list of strings; got {type(source).__name__}.")
    texts = list(source)
    for place, text in enumerate(texts):
        if not isinstance(text, str):
            raise TypeError(f"a list of sentences holds strings; item {place} is {type(text).__name__}: {text!r}.")
    return _Raw(texts, range(1, len(texts) + 1), "the list of sentences")


def _lines(path: Path) -> _Raw:
    content = unpack(path, read_bytes(path, _TEXT), _TEXT)
    if content[:5] == b"%PDF-":
        raise DataError("this is a PDF. Save its text as plain text (UTF-8), one sentence a line.", file=path)
    check_text(path, content, _TEXT)
    text = content.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    texts = text.removesuffix("\n").split("\n")  # not splitlines, which also cuts at marks no editor counts as a line
    filled = [one for one in texts if one.strip()]
    if len(filled) == 1:
        raise DataError(
            f"the file has one line with text, of {count_words(filled[0]):,} words and marks. One sentence a line is "
            "needed, and at least two of them: put a line break behind each sentence.",
            file=path,
        )
    if sum("\t" in one for one in filled) > 0.9 * len(filled):
        raise DataError(
            "nearly every line holds a tab, as in a table. If its first line names the columns, name the one with the "
            "sentences (column); if not, cut that column out first.",
            file=path,
        )
    if sum(one.lstrip().startswith("{") and one.rstrip().endswith("}") for one in filled) > 0.9 * len(filled):
        raise DataError("the lines are JSON objects. Write their sentences alone, one a line.", file=path)
    return _Raw(texts, range(1, len(texts) + 1), path.name.split(".")[0], path)


def _cells(source: Source, column: str | None) -> _Raw:
    notes = list(source.notes)
    if column is None:
        column = _text_column(source)
        notes.append(f"the sentences are read from column {column!r}.")
    require_columns(source, [column])
    cells = source.frame[column]
    if not is_text(cells) or source.share(column) > 0.5:
        raise DataError(
            "the column holds numbers, not sentences. Name a column of text.", file=source.where, column=column
        )
    texts = as_text(cells).tolist()
    rows: Sequence[int] = range(1, len(texts) + 1)
    if source.content is not None:
        lines = lines_of_rows(source.content, source.delimiter)
        rows = lines if len(lines) == len(texts) else rows
    return _Raw(texts, rows, source.name, source.file, tuple(notes))


def _text_column(source: Source) -> str:
    """The column that must hold the sentences. Raises DataError where several could."""
    text = [name for name in source.frame.columns if is_text(source.frame[name]) and source.share(name) <= 0.5]
    named = [name for name in text if name.lower() in _COLUMN_NAMES]
    found = named if len(named) == 1 else text
    if len(found) == 1:
        return found[0]
    there = ", ".join(map(repr, source.frame.columns))
    which = f"columns of text are {', '.join(map(repr, text))}" if text else f"no column holds text, only {there}"
    raise DataError(f"which column holds the sentences? {which}. Name one (column).", file=source.where)


def _sift(
    raw: _Raw, min_words: int, max_words: int | None, keep_duplicates: bool
) -> tuple[list[tuple[int, str]], tuple[LeftOut, ...]]:
    """The sentences to keep, with their rows; and what was left out, by reason."""
    short = f"fewer than {min_words} words and marks"
    long = f"more than {max_words} words and marks"
    found: dict[str, list[int]] = {"empty": [], short: [], long: [], "seen before": []}
    kept, seen = [], set()
    for row, text in zip(raw.rows, raw.texts, strict=True):
        plain = normalise(text)
        words = count_words(plain) if max_words is not None or min_words > 1 else min_words
        if not plain:
            found["empty"].append(row)
        elif words < min_words:
            found[short].append(row)
        elif max_words is not None and words > max_words:
            found[long].append(row)
        elif not keep_duplicates and plain in seen:
            found["seen before"].append(row)
        else:
            seen.add(plain)
            kept.append((row, " ".join(text.splitlines()).strip()))
    return kept, tuple(LeftOut(reason, len(rows), rows[0]) for reason, rows in found.items() if rows)


def _too_few(raw: _Raw, kept: list[tuple[int, str]], left_out: tuple[LeftOut, ...]) -> str:
    count = "one sentence remains" if kept else "no sentence remains"
    why = " ".join(map(str, left_out))
    remedy = (
        "Change min_words or max_words."
        if any(one.reason.startswith(("more", "fewer")) for one in left_out)
        else "Add sentences."
    )
    return f"of {len(raw.texts):,} lines {count}, and at least two are needed. {why} {remedy}".replace("  ", " ")
