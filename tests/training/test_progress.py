import io

import pytest

from neurode.training.fit import fit
from neurode.training.fit_config import FitConfig
from neurode.training.progress import BarProgress, LineProgress, SilentProgress, choose_progress, epoch_line
from tests.training.tiny_regression import TinyData, TinyModel


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_terminal_gets_a_bar_and_a_file_gets_lines(monkeypatch):
    assert isinstance(choose_progress(quiet=True), SilentProgress)
    monkeypatch.setattr("sys.stderr", io.StringIO())
    assert isinstance(choose_progress(), LineProgress)
    monkeypatch.setattr("sys.stderr", Terminal())
    assert isinstance(choose_progress(), BarProgress)


def test_off_a_terminal_there_is_one_line_an_epoch_on_stderr_and_nothing_on_stdout(capsys):
    fit(TinyModel(), TinyData(), FitConfig(device="cpu", max_epochs=3))
    out, err = capsys.readouterr()
    assert out == ""
    lines = err.splitlines()
    assert len(lines) == 4
    assert lines[0].startswith("epoch 1/3  loss ")
    assert "(best)" in lines[0]
    assert lines[3] == "All 3 epochs are done."


def test_quiet_shows_nothing(capsys):
    fit(TinyModel(), TinyData(), FitConfig(device="cpu", max_epochs=2), progress=False)
    assert capsys.readouterr() == ("", "")


def test_the_bar_shows_epoch_and_losses_and_goes_away(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr("neurode.training.progress.REFRESH_SECONDS", 0.0)
    fit(TinyModel(), TinyData(), FitConfig(device="cpu", max_epochs=2))
    shown = terminal.getvalue()
    assert "epoch 2/2" in shown
    assert "validation" in shown
    assert shown.rstrip().endswith("All 2 epochs are done.")


@pytest.mark.parametrize(
    ("validation", "best", "line"),
    [
        (0.25, True, "epoch  7/10  loss 0.5  validation 0.25 (best)  1.2 s"),
        (0.25, False, "epoch  7/10  loss 0.5  validation 0.25  1.2 s"),
        (float("nan"), False, "epoch  7/10  loss 0.5  1.2 s"),
    ],
)
def test_the_line_of_an_epoch(validation, best, line):
    row = {"epoch": 7, "loss": 0.5, "validation_loss": validation, "seconds": 1.23}
    assert epoch_line(row, 10, best) == line
