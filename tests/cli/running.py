"""Call the command line in this process, and see what a shell would see."""

import contextlib
import io
from dataclasses import dataclass

from neurode.cli.main import main


@dataclass(frozen=True)
class Result:
    """What a command left: its exit code and its two streams."""

    code: int
    out: str
    err: str


class _Stream(io.StringIO):
    """Text that also takes bytes at `buffer`, as a real stream does, and is no terminal."""

    def isatty(self) -> bool:
        return False


def neurode(*arguments: object) -> Result:
    """Run `neurode ARGUMENTS`."""
    out, err = _Stream(), _Stream()
    code: object = 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main([str(argument) for argument in arguments])
        except SystemExit as stop:
            code = stop.code or 0
    assert isinstance(code, int)
    return Result(code, out.getvalue(), err.getvalue())
