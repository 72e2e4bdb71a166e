"""`neurode compare`: a user's table to a verdict with one command, and what is said where it cannot be."""

import csv
import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.cli.running import neurode
from tests.cli.test_series_refusals import assert_refused

ROOT = Path(__file__).resolve().parents[2]
QUICK = ["--epochs", 2, "--repeats", 1, "--depths", "1,2", "--solvers", "midpoint:1", "--no-memory"]


def flowers(path: Path, num: int = 60) -> Path:
    """Two kinds of flower with their sizes, and a few blanks."""
    rng = np.random.default_rng(0)
    lines = ["petal,sepal,colour,kind"]
    for number in range(num):
        petal, sepal = rng.normal(2 + 3 * (number % 2)), rng.normal(4)
        lines.append(
            f"{petal:.2f},{'' if number == 7 else f'{sepal:.2f}'},{'red' if number % 3 else 'blue'},{'AB'[number % 2]}"
        )
    path.write_text("\n".join(lines) + "\n")
    return path


def test_a_users_table_goes_to_a_verdict_with_one_command(tmp_path):
    done = neurode("compare", flowers(tmp_path / "flowers.csv"), "--target", "kind", *QUICK, "-o", tmp_path / "run")
    assert done.code == 0, done
    rows = list(csv.DictReader(io.StringIO(done.out)))
    assert [row["model"] for row in rows] == ["ResNet 1", "ResNet 2", "ODE-net midpoint:1"]
    assert all(0 <= float(row["score"]) <= 1 for row in rows)
    assert "sepal: 1 blanks stand at the column's mean." in done.err
    assert "flowers: 60 rows of 4 numbers in 2 classes; 48 to train, 12 held out" in done.err
    assert "Highest accuracy:" in done.err
    made = {entry.name for entry in (tmp_path / "run").iterdir()}
    assert made >= {"config.yaml", "metrics.csv", "comparison.json", "models.csv", "report.html", "checkpoints"}
    again = neurode("compare", "--config", tmp_path / "run" / "config.yaml", "-q")
    assert again.code == 0, again
    assert again.err == ""
    for one, other in zip(rows, csv.DictReader(io.StringIO(again.out)), strict=True):
        assert one["score"] == other["score"]


def test_without_a_run_folder_nothing_is_written_and_json_holds_everything(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = neurode("compare", "moons", "--points", 60, *QUICK, "--json")
    assert done.code == 0, done
    found = json.loads(done.out)
    assert found["about"] == "60 points in the plane in 2 classes"
    assert len(found["rows"]) == 2 * 3
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["flowers.csv"], "which column is the target"),
        (["flowers.csv", "--target", "weight"], "there is no column 'weight'"),
        (["flowers.csv", "--target", "kind", "--image", "8"], "image must be HEIGHTxWIDTH"),
        (["one.csv", "--target", "kind"], "all 4 samples are of the class 'A'"),
        (["nothing.csv"], "there is no such file or folder"),
        (["pictures"], "bad.png: this image cannot be read"),
        (["moons", "--solvers", "dopri6:2"], "solver 'dopri6:2'"),
        (["moons", "--target", "kind"], "target has no effect on moons"),
    ],
)
def test_data_that_cannot_be_compared_are_refused(tmp_path, monkeypatch, words, message):
    monkeypatch.chdir(tmp_path)
    flowers(tmp_path / "flowers.csv")
    (tmp_path / "one.csv").write_text("x,kind\n1,A\n2,A\n3,A\n4,A\n")
    for name in ("a", "b"):
        (tmp_path / "pictures" / name).mkdir(parents=True)
    (tmp_path / "pictures" / "a" / "bad.png").write_bytes(b"no image")
    done = neurode("compare", *words, "-o", tmp_path / "run")
    assert_refused(done, message)
    assert not (tmp_path / "run").exists()


def test_a_preset_gives_way_to_flags():
    done = neurode("compare", "moons", "--points", 60, "--preset", "quick", "--depths", 3, "-q")
    assert done.code == 0, done
    assert [row["model"] for row in csv.DictReader(io.StringIO(done.out))] == ["ResNet 3", "ODE-net midpoint:1"]


def test_a_run_in_the_way_and_wrong_usage_are_told_apart(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "mine.txt").write_text("mine")
    assert_refused(neurode("compare", "moons", *QUICK, "-o", tmp_path / "run"), "the output folder is not empty")
    for words, message in (
        (["moons", "--solvers", "midpoint 4"], "is no solver"),
        (["--resume"], "--resume needs the run folder"),
        ([], "name the data"),
    ):
        done = neurode("compare", *words)
        assert done.code == 2, done
        assert message in " ".join(done.err.replace("│", " ").split())


def test_ctrl_c_keeps_what_was_trained_and_the_run_goes_on(tmp_path):
    run = tmp_path / "run"
    words = ["compare", "moons", "--points", "60", "-o", run, *QUICK]
    words[words.index("--epochs") + 1] = 100000
    process = subprocess.Popen(
        [sys.executable, "-m", "neurode.cli.main", *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"},
    )
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("epoch"):
            break
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, "")
    assert f"Go on with: neurode compare -o {run} --resume" in err
    assert (run / "checkpoints" / "last.ckpt").is_file()
    assert not (run / "comparison.json").exists()
