"""What the command line returns to the shell, and which sentence goes with a failure."""

import errno
from enum import IntEnum

from neurode.core.errors import NeurodeError


class ExitCode(IntEnum):
    """The codes every verb keeps to; the README lists them."""

    DONE = 0
    UNEXPECTED = 1
    USAGE = 2
    DATA = 3
    NUMERICAL = 4
    INTERRUPTED = 130


_DISK = {
    errno.ENOSPC: "the disk is full. Free some space, or write to another disk, and run the command again",
    errno.EDQUOT: "your disk quota is used up. Free some space, or write to another disk, and run the command again",
    errno.EROFS: "this disk can only be read. Write somewhere else",
    errno.EACCES: "permission denied. Choose a place you may read and write, or change its permissions",
    errno.EPERM: "permission denied. Choose a place you may read and write, or change its permissions",
    errno.ENOENT: "there is no such file or folder. Check the path",
    errno.EISDIR: "this is a folder, and a file is needed. Add a file name",
    errno.ENOTDIR: "a part of this path is a file, not a folder. Choose another path",
    errno.EEXIST: "this exists already. Choose another path, or remove it",
    errno.ENAMETOOLONG: "this name is too long for the file system. Choose a shorter one",
    errno.EMFILE: "too many files are open. Raise the limit (ulimit -n), or use fewer processes",
}


def verdict(error: BaseException) -> tuple[ExitCode, str]:
    """The exit code and the one sentence for `error`, whatever it is. Never raises, never holds a traceback."""
    if isinstance(error, KeyboardInterrupt):
        return ExitCode.INTERRUPTED, str(error) or "Interrupted."
    if isinstance(error, NeurodeError):
        return ExitCode(error.exit_code), str(error)
    if isinstance(error, OSError) and error.errno in _DISK:
        return ExitCode.DATA, _place(error) + _DISK[error.errno] + "."
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return (
            ExitCode.UNEXPECTED,
            "the memory is full. Use a smaller --batch-size, fewer samples, or a larger machine.",
        )
    said = str(error).strip() or "no further message"
    return ExitCode.UNEXPECTED, (
        f"unexpected failure, {type(error).__name__}: {said}. "
        "Run the same command with --debug for the traceback, and please report it."
    )


def _place(error: OSError) -> str:
    named = error.filename if error.filename is not None else error.filename2
    return f"{named}: " if named is not None else ""
