"""Writing tables: the format by the file's extension, checked before any work, and never a half-written file."""

import gzip
import io
import os
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from neurode.core.errors import DataError

if TYPE_CHECKING:
    from pandas import DataFrame

FORMATS = (".csv", ".csv.gz", ".parquet")


@dataclass(frozen=True)
class Destination:
    """Where a result goes: a file, or standard output as CSV when `path` is None."""

    path: Path | None

    @classmethod
    def check(cls, path: Path | None, *inputs: Path | None) -> "Destination":
        """Refuse, before anything is computed, a place that cannot be written or that is one of the `inputs`.

        Raises DataError for an extension that is none of FORMATS, a folder, a missing or unwritable folder, an input.
        """
        if path is None:
            return cls(None)
        if path.is_dir():
            raise DataError(f"this is a folder; name a file in it, such as {path / 'result.csv'}", file=path)
        if not _suffix(path):
            raise DataError(f"the extension says the format, and it must be one of {', '.join(FORMATS)}", file=path)
        check_parent(path)
        for source in inputs:
            if source is not None and source.exists() and path.exists() and source.samefile(path):
                raise DataError("this is the input, and it would be overwritten. Name another output file", file=path)
        return cls(path)

    def write(self, frame: "DataFrame") -> None:
        """Write `frame`; a failure on the way leaves what was there before."""
        if self.path is None:
            frame.to_csv(sys.stdout, index=False, lineterminator="\n")
            sys.stdout.flush()
            return
        suffix = _suffix(self.path)
        writers: dict[str, Callable[[BinaryIO], None]] = {
            ".csv": lambda stream: _write_csv(frame, stream),
            ".csv.gz": lambda stream: _write_csv_gz(frame, stream),
            ".parquet": lambda stream: frame.to_parquet(stream, index=False),
        }
        write_atomically(self.path, writers[suffix])


def report_place(output: Path | None, model: Path) -> Path:
    """Where a report of `model` goes: `output`, else report.html in the model's folder. DataError for another kind."""
    path = output if output is not None else model / "report.html"
    if path.is_dir():
        raise DataError(f"this is a folder; name a file in it, such as {path / 'report.html'}", file=path)
    if path.suffix.lower() not in (".html", ".htm"):
        raise DataError("a report is an HTML file; let its name end in .html", file=path)
    return path


def write_atomically(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Let `write` fill a temporary file beside `path`, then put it in its place in one move; clean up on failure."""
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name[:100]}.", suffix=".part", dir=path.parent)
    except OSError as error:
        error.filename = str(path)
        raise
    try:
        with os.fdopen(handle, "wb") as stream:
            write(stream)
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(name, 0o666 & ~_umask())
        os.replace(name, path)
    except BaseException as error:
        Path(name).unlink(missing_ok=True)
        if isinstance(error, OSError):
            error.filename, error.filename2 = str(path), None
        raise


def check_parent(path: Path) -> None:
    """Refuse a path whose folder is missing, is a file, or may not be written."""
    parent = path.parent
    if not parent.exists():
        raise DataError(f"the folder {parent} does not exist. Create it first (mkdir -p {parent})", file=path)
    if not parent.is_dir():
        raise DataError(f"{parent} is a file, not a folder. Choose another path", file=path)
    if not os.access(parent, os.W_OK):
        raise DataError(f"the folder {parent} may not be written. Choose another, or change its permissions", file=path)


def _suffix(path: Path) -> str:
    name = path.name.lower()
    return next((suffix for suffix in FORMATS if name.endswith(suffix) and name != suffix), "")


def _write_csv(frame: "DataFrame", stream: BinaryIO) -> None:
    text = io.TextIOWrapper(stream, encoding="utf-8", newline="")
    frame.to_csv(text, index=False, lineterminator="\n")
    text.flush()
    text.detach()


def _write_csv_gz(frame: "DataFrame", stream: BinaryIO) -> None:
    # No file name and no time inside: the same table gives the same bytes.
    with gzip.GzipFile(filename="", fileobj=stream, mode="wb", mtime=0) as packed:
        _write_csv(frame, packed)  # pyrefly: ignore


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
