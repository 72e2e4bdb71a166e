"""What is wrong with a table, a model or a folder: exit code 3, one sentence with the remedy, nothing half-written."""

import errno
import json
import os
import re
import shutil
from pathlib import Path

import pytest

from tests.cli.broken_tables import BROKEN, GOOD, BrokenTable
from tests.cli.conftest import small_table
from tests.cli.running import Result, neurode


def everything_in(folder: Path) -> dict[str, bytes]:
    """The files below `folder` with their contents."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def assert_refused(done: Result, says: str, code: int = 3) -> None:
    """One sentence, the right code, no data, no traceback."""
    assert (done.code, done.out) == (code, ""), done
    assert "Traceback" not in done.err
    assert re.search(says, done.err), done.err
    assert len([line for line in done.err.splitlines() if line.startswith("Error:")]) == 1, done.err


@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: broken.name)
def test_a_broken_table_is_refused_by_training_and_leaves_no_run_folder(tmp_path, broken):
    table = broken.write(tmp_path)
    before = everything_in(tmp_path)
    done = neurode("series", "train", table, "-o", tmp_path / "run", "--epochs", 1, *broken.arguments)
    assert_refused(done, broken.says)
    assert everything_in(tmp_path) == before
    assert not (tmp_path / "run").exists()


def is_broken_for_a_model(broken: BrokenTable) -> bool:
    """A trained model knows its columns, and needs no number of series: then the fault is none, or another one."""
    return not (broken.name.startswith("unknown ") or broken.name in ("only text", "too few series"))


@pytest.mark.parametrize("broken", list(filter(is_broken_for_a_model, BROKEN)), ids=lambda broken: broken.name)
@pytest.mark.parametrize("name", ["impute", "forecast"])
def test_a_broken_table_is_refused_by_a_trained_model_and_nothing_is_written(tmp_path, trained_run, broken, name):
    table = broken.write(tmp_path)
    before = everything_in(tmp_path)
    strict = [word for word in broken.arguments if word == "--strict"]
    done = neurode("series", name, trained_run, table, "-o", tmp_path / "out.csv", *strict)
    if broken.name == "one observation":
        assert done.code == 0, done
        return
    says = r"no observation" if broken.name == "no observation" else broken.says
    assert_refused(done, says)
    assert everything_in(tmp_path) == before


def test_a_feature_unknown_to_the_model_is_left_out_and_said(tmp_path, trained_run):
    lines = GOOD.splitlines()
    (tmp_path / "more.csv").write_text("\n".join([lines[0] + ",z", *(line + ",5" for line in lines[1:])]) + "\n")
    done = neurode("series", "impute", trained_run, tmp_path / "more.csv")
    assert done.code == 0, done.err
    assert "z" in done.err
    assert "unknown to the model" in done.err


def test_a_table_without_any_feature_of_the_model_is_refused(tmp_path, trained_run):
    (tmp_path / "other.csv").write_text("id,t,z\na,0,1\na,1,2\n")
    assert_refused(
        neurode("series", "impute", trained_run, tmp_path / "other.csv"), r"no observation of a feature.*x, y"
    )


def test_a_model_that_is_not_there_is_refused(tmp_path):
    (tmp_path / "table.csv").write_text(GOOD)
    done = neurode("series", "impute", tmp_path / "nowhere", tmp_path / "table.csv")
    assert_refused(done, r"nowhere: there is no model folder here")


def damaged(trained_run: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained_run / "model", tmp_path / "model"))


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "preprocessing.json"])
@pytest.mark.parametrize("harm", ["gone", "cut", "noise"])
def test_a_damaged_model_folder_is_refused(tmp_path, trained_run, name, harm):
    model = damaged(trained_run, tmp_path)
    content = (model / name).read_bytes()
    (model / name).write_bytes(content[: len(content) // 2] if harm == "cut" else b"\x00\xff" * 40)
    if harm == "gone":
        (model / name).unlink()
    assert_refused(neurode("series", "sample", model), r"damaged|no model folder")


def test_a_model_of_a_newer_neurode_is_refused_with_the_line_that_updates(tmp_path, trained_run):
    model = damaged(trained_run, tmp_path)
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps({**config, "format_version": 99}))
    assert_refused(neurode("series", "sample", model), r"newer neurode.*pip install --upgrade neurode")


def test_a_run_that_has_not_finished_is_told_how_to_go_on(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.yaml").write_text("epochs: 1\n")
    assert_refused(neurode("series", "sample", tmp_path / "run"), r"no model yet.*--resume")


def test_an_output_folder_in_use_is_refused_and_left_as_it_was(tmp_path):
    (tmp_path / "table.csv").write_text(GOOD)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.txt").write_text("years of work")
    before = everything_in(tmp_path)
    done = neurode("series", "train", tmp_path / "table.csv", "-o", tmp_path / "run", "--id", "id", "--time", "t")
    assert_refused(done, r"not empty \(it holds thesis.txt\).*--resume")
    assert everything_in(tmp_path) == before


def test_a_finished_run_is_not_trained_over(tmp_path, trained_run):
    before = everything_in(trained_run)
    done = neurode("series", "train", "-o", trained_run, "--config", trained_run / "config.yaml")
    assert_refused(done, r"not empty")
    assert everything_in(trained_run) == before


def test_an_output_path_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "table.csv").write_text(GOOD)
    done = neurode("series", "train", tmp_path / "table.csv", "-o", tmp_path / "table.csv", "--id", "id", "--time", "t")
    assert_refused(done, r"output folder is a file")
    assert (tmp_path / "table.csv").read_text() == GOOD


def test_a_run_folder_below_a_missing_folder_is_refused(tmp_path):
    (tmp_path / "table.csv").write_text(GOOD)
    done = neurode(
        "series", "train", tmp_path / "table.csv", "-o", tmp_path / "no" / "run", "--id", "id", "--time", "t"
    )
    assert_refused(done, r"mkdir -p")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--horizon", "soon"), r"'soon' is not a length of time"),
        (("--device", "toaster"), r"device 'toaster'.*auto, cpu"),
        (("--device", "cuda:77"), r"not on this machine"),
        (("--model", "colour=1"), r"unknown setting 'colour'"),
        (("--transforms", "z=log"), r"transforms: .*z"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_setting_that_cannot_be_met_is_refused_and_leaves_no_run_folder(tmp_path, arguments, says):
    (tmp_path / "table.csv").write_text(GOOD + "".join(f"{n},{t},{t}.25,3\n" for n in "ghijkl" for t in range(6)))
    done = neurode("series", "train", tmp_path / "table.csv", "-o", tmp_path / "run", "--time", "t", *arguments)
    assert_refused(done, says)
    assert not (tmp_path / "run").exists()


USAGE = {
    ("train", "table.csv"): r"Missing option '--output'",
    ("train", "-o", "run"): r"name the table",
    ("train", "table.csv", "-o", "run", "--epochs", "0"): r"--epochs.*greater than or equal to 1",
    ("train", "table.csv", "-o", "run", "--epochs", "many"): r"--epochs",
    ("train", "table.csv", "-o", "run", "--layout", "tall"): r"--layout",
    ("train", "table.csv", "-o", "run", "--id", "a,,b"): r"empty name",
    ("train", "-o", "run", "--resume", "--epochs", "9"): r"keeps the settings.*--epochs",
    ("train", "-o", "run", "--resume", "--config", "c.yaml"): r"leave out --config",
    ("forecast", "model", "table.csv", "--at", "1", "--steps", "2"): r"leave out --horizon and --steps",
    ("forecast", "model", "table.csv", "--steps", "0"): r"--steps",
    ("impute", "model", "table.csv", "--coverage", "1.5"): r"must lie between 0 and 1",
    ("sample", "model", "-n", "0"): r"--number",
    ("evaluate", "model", "--json", "-o", "x.csv"): r"leave out -o",
}


@pytest.mark.parametrize(("arguments", "says"), USAGE.items(), ids=[" ".join(words) for words in USAGE])
def test_a_wrong_call_is_a_usage_error(tmp_path, monkeypatch, arguments, says):
    monkeypatch.chdir(tmp_path)
    done = neurode("series", *arguments)
    assert (done.code, done.out) == (2, ""), done
    words = " ".join(done.err.replace("│", " ").split())
    assert re.search(says, words), words
    assert "Traceback" not in done.err
    assert everything_in(tmp_path) == {}


def test_a_config_with_an_unknown_setting_names_the_line(tmp_path):
    (tmp_path / "c.yaml").write_text("data: table.csv\nepoch: 3\n")
    done = neurode("series", "train", "--config", tmp_path / "c.yaml", "-o", tmp_path / "run")
    assert_refused(done, r"c\.yaml, line 2: unknown setting 'epoch'\. Did you mean 'epochs'")


def test_a_disk_that_fills_up_during_training_leaves_a_run_that_can_go_on(tmp_path, monkeypatch):
    table = small_table(tmp_path / "waves.csv")
    real = os.replace

    def full(source, target):
        if str(target).endswith("last.ckpt"):
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(source, target)

    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", full)
        done = neurode("series", "train", table, "-o", tmp_path / "run", "--epochs", 1, "--id", "id", "--time", "t")
    assert_refused(done, r"last\.ckpt: the disk is full.*--resume")
    assert not list((tmp_path / "run").rglob("*.tmp"))
    assert neurode("series", "train", "-o", tmp_path / "run", "--resume", "-q").code == 0
