"""Errors: where it went wrong, the exit code, the sentence of a status."""

import pytest

from neurode.core.errors import DataError, MissingExtraError, NeurodeError, SolveError, Status, TrainingError
from neurode.core.extras import require


def test_a_data_error_names_file_line_and_column_in_front_of_its_message():
    error = DataError("text where a number is due", file="wind.csv", row=17, column="speed")
    assert str(error) == "wind.csv, line 17, column 'speed': text where a number is due"
    assert (error.file, error.row, error.column) == ("wind.csv", 17, "speed")


def test_a_data_error_without_a_place_is_its_message():
    assert str(DataError("the table is empty")) == "the table is empty"


@pytest.mark.parametrize(
    ("kind", "parent", "code"),
    [
        (DataError, ValueError, 3),
        (MissingExtraError, ImportError, 3),
        (SolveError, RuntimeError, 4),
        (TrainingError, RuntimeError, 4),
    ],
)
def test_every_error_is_a_neurode_error_and_has_its_exit_code(kind, parent, code):
    assert issubclass(kind, NeurodeError)
    assert issubclass(kind, parent)
    assert kind.exit_code == code


@pytest.mark.parametrize("status", list(Status))
def test_every_status_has_a_sentence_and_every_failure_a_remedy(status):
    assert status.sentence.endswith(".")
    assert bool(status.remedy) == (not status.is_success and status is not Status.RUNNING)


def test_require_returns_an_installed_module():
    import json

    assert require("json", extra="tools") is json


def test_require_names_the_line_that_installs_a_missing_package():
    with pytest.raises(MissingExtraError, match=r"'no_such_package'.*pip install 'neurode\[tools\]'"):
        require("no_such_package.part", extra="tools")


def test_require_does_not_hide_what_an_installed_module_fails_to_import(tmp_path, monkeypatch):
    (tmp_path / "broken_inside.py").write_text("import a_package_it_lacks\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="a_package_it_lacks") as caught:
        require("broken_inside", extra="tools")
    assert not isinstance(caught.value, MissingExtraError)
