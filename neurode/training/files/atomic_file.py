"""Files that are whole or absent: temporary file, fsync, rename; and disk errors in words."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from neurode.core.errors import DataError

TEMPORARY_SUFFIX = ".tmp"
AGAIN = "Free some space and try again, or choose another place."
"""What helps where a result that was asked for could not be written."""

RESUME = "Free some space and go on with --resume (resume=True), or choose another output folder."
"""What helps where a run was stopped that can go on."""

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EROFS}


def write_atomically(path: Path, content: bytes | memoryview, *, remedy: str = AGAIN) -> None:
    """Write `content` to `path` so that a reader, also after a crash, finds the old file or the new one, never a part.

    Raises DataError when the disk is full (its sentence ends with `remedy`) or the folder is not writable; the old
    file is then untouched.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}{TEMPORARY_SUFFIX}")
    with disk_errors_in_words(path, remedy=remedy):
        try:
            with open(temporary, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except BaseException:
            with suppress(OSError):
                temporary.unlink()
            raise
        _sync_folder(path.parent)


def append_whole(path: Path, content: bytes, *, remedy: str = AGAIN) -> None:
    """Append `content`, making the file when there is none; of a write that a full disk cut short nothing is left.

    Raises DataError when the disk is full or the place is not writable.
    """
    with disk_errors_in_words(path, remedy=remedy), open(path, "ab", buffering=0) as file:
        before = file.seek(0, os.SEEK_END)
        try:
            written = 0
            while written < len(content):  # a disk that is almost full takes a part, and refuses the next
                written += file.write(content[written:]) or 0
        except OSError:
            os.truncate(path, before)
            raise


@contextmanager
def disk_errors_in_words(path: Path, *, remedy: str = AGAIN) -> Iterator[None]:
    """Turn an OSError of a full or closed disk into a DataError that names the file and what to do."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise DataError(
                "the disk is full (or a quota is used up), so the file could not be written; nothing half-written was "
                f"left. {remedy}",
                file=path,
            ) from error
        if error.errno in _FORBIDDEN:
            raise DataError(
                "this place cannot be written to (permissions, or a read-only disk). Choose another place.",
                file=path,
            ) from error
        raise


def _sync_folder(folder: Path) -> None:
    """The rename itself must reach the disk; some systems cannot sync a folder, and there the rename alone must do."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
