"""Every failure has one sentence and a documented code; a traceback is shown only when it is asked for."""

import errno
import re

import pytest

from neurode.cli.exit_codes import ExitCode, verdict
from neurode.cli.streams import Streams
from neurode.cli.verb import run_guarded
from neurode.core.errors import DataError, MissingExtraError, NeurodeError, SolveError, TrainingError

CASES = [
    (DataError("no rows", file="a.csv", row=7, column="x"), 3, "a.csv, line 7, column 'x': no rows"),
    (MissingExtraError("install it with: pip install 'neurode[tools]'"), 3, "neurode\\[tools\\]"),
    (SolveError("the step size fell below rounding at t=3"), 4, "at t=3"),
    (TrainingError("the loss stays infinite"), 4, "stays infinite"),
    (NeurodeError("odd"), 1, "odd"),
    (OSError(errno.ENOSPC, "No space left", "out.csv"), 3, "out.csv: the disk is full"),
    (OSError(errno.ENOSPC, "No space left"), 3, "^the disk is full"),
    (PermissionError(errno.EACCES, "denied", "out.csv"), 3, "out.csv: permission denied"),
    (FileNotFoundError(errno.ENOENT, "gone", "in.csv"), 3, "in.csv: there is no such file"),
    (IsADirectoryError(errno.EISDIR, "folder", "in"), 3, "in: this is a folder"),
    (MemoryError(), 1, "smaller --batch-size"),
    (KeyboardInterrupt(), 130, "Interrupted"),
    (KeyError("odd"), 1, "unexpected failure, KeyError.*--debug"),
    (RuntimeError(), 1, "no further message"),
]


@pytest.mark.parametrize(("error", "code", "sentence"), CASES, ids=lambda case: type(case).__name__)
def test_a_failure_becomes_its_code_and_one_sentence(error, code, sentence, capsys):
    def fail(streams):
        raise error

    with pytest.raises(SystemExit) as stop:
        run_guarded(fail, Streams())
    shown = capsys.readouterr()
    assert stop.value.code == code
    assert shown.out == ""
    assert shown.err.count("\n") == 1
    assert "Traceback" not in shown.err
    assert re.search(sentence, verdict(error)[1])


def test_debug_shows_the_traceback_of_an_unexpected_failure(capsys):
    def fail(streams):
        raise KeyError("odd")

    with pytest.raises(SystemExit) as stop:
        run_guarded(fail, Streams(), debug=True)
    assert stop.value.code == ExitCode.UNEXPECTED
    assert "Traceback" in capsys.readouterr().err


def test_debug_adds_nothing_to_an_error_of_the_user(capsys):
    def fail(streams):
        raise DataError("no rows")

    with pytest.raises(SystemExit):
        run_guarded(fail, Streams(), debug=True)
    assert capsys.readouterr().err == "Error: no rows\n"
