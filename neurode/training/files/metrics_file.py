"""metrics.csv: one row an epoch."""

import csv
import io
from collections.abc import Mapping, Sequence
from math import isnan
from pathlib import Path

from neurode.training.files.atomic_file import RESUME, append_whole, write_atomically

Row = Mapping[str, float]


class MetricsFile:
    """Appends rows to a CSV file with a header; nan is written as blank. The first row decides on the columns."""

    def __init__(self, path: Path):
        self.path = path

    def append(self, row: Row) -> None:
        """Append one row; raises DataError on a full disk, and takes the half-written row back."""
        empty = not self.path.exists() or self.path.stat().st_size == 0
        append_whole(self.path, _lines([row], header=empty), remedy=RESUME)

    def rewrite(self, rows: Sequence[Row]) -> None:
        """Make the file hold exactly `rows`: on a resume, the rows after the checkpoint go."""
        write_atomically(self.path, _lines(rows, header=True) if rows else b"", remedy=RESUME)


def _lines(rows: Sequence[Row], *, header: bool) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    if header:
        writer.writerow(rows[0])
    for row in rows:
        writer.writerow(["" if isnan(value) else repr(value) for value in row.values()])
    return text.getvalue().encode()
