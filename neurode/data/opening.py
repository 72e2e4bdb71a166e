"""A user's file to text in bytes: read, unpacked, and refused with the remedy where it is something else."""

import gzip
import zlib
from dataclasses import dataclass
from pathlib import Path

from neurode.core.errors import DataError


@dataclass(frozen=True)
class FileKind:
    """The words of an error about a file that should have been of this kind.

    thing: what it holds. known: names of files that can be read. again: what makes it new. save: what it is saved as.
    packed: what is said of an archive or an office document.
    """

    thing: str
    known: str
    again: str
    save: str
    packed: str


TABLE = FileKind(
    thing="table",
    known=".csv, .csv.gz, .tsv, .txt and .parquet",
    again="Export the table again.",
    save="CSV in UTF-8",
    packed="this is a spreadsheet or a zip archive. Export the sheet as CSV (UTF-8), or unpack it.",
)


def read_bytes(path: Path, kind: FileKind = TABLE) -> bytes:
    """The content of a file. Raises DataError for a folder, and for a file that is missing, closed to us or empty."""
    if path.is_dir():
        raise DataError(f"this is a folder. Name the {kind.thing} inside it ({kind.known}).", file=path)
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise DataError(
            "there is no such file. Check the path, and that the command runs in the right folder.", file=path
        ) from None
    except OSError as error:
        raise DataError(f"the file cannot be read ({error.strerror}). Check its permissions.", file=path) from None
    if not content.strip():
        raise DataError(f"the file is empty. {kind.again}", file=path)
    return content


def unpack(path: Path, content: bytes, kind: FileKind = TABLE) -> bytes:
    """The content without gzip, if it was packed. Raises DataError where the name says otherwise, or it is damaged."""
    if content[:2] != b"\x1f\x8b":
        if path.suffix.lower() == ".gz":
            raise DataError(
                "the name ends in .gz, but the content is not packed by gzip. Rename or pack it.", file=path
            )
        return content
    try:
        content = gzip.decompress(content)
    except (OSError, EOFError, zlib.error):
        raise DataError("the packed file is damaged or cut short. Copy or download it again.", file=path) from None
    if not content.strip():
        raise DataError(f"the packed file is empty. {kind.again}", file=path)
    return content


def check_text(path: Path, content: bytes, kind: FileKind = TABLE) -> None:
    """Raises DataError, with the line where it can be told, for content that is not UTF-8 text."""
    if content[:2] == b"PK":
        raise DataError(kind.packed, file=path)
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise DataError(f"this is UTF-16 text. Save it as {kind.save}.", file=path)
    if b"\x00" in content:
        raise DataError(f"this is no text {kind.thing}. Files that can be read: {kind.known}.", file=path)
    try:
        content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise DataError(f"this is not UTF-8 text. Save it as {kind.save}.", file=path, row=line) from None
