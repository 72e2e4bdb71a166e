"""Ctrl-C and a reader that goes away, in a process of its own, as a shell would have it."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.cli.conftest import small_table
from tests.cli.running import neurode

ROOT = Path(__file__).resolve().parents[2]
COMMAND = [sys.executable, "-m", "neurode.cli.main", "series"]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}


def test_ctrl_c_writes_the_last_checkpoint_returns_130_and_the_run_goes_on(tmp_path):
    table, run = small_table(tmp_path / "waves.csv"), tmp_path / "run"
    words = [
        "train",
        str(table),
        "-o",
        str(run),
        "--id",
        "id",
        "--time",
        "t",
        "--epochs",
        "100000",
        "--patience",
        "100000",
    ]
    process = subprocess.Popen(
        [*COMMAND, *words, "--max-minutes", "2"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT,
    )
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("epoch"):
            break
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert out == ""
    assert "Traceback" not in err
    assert f"Go on with: neurode series train -o {run} --resume" in err
    assert (run / "checkpoints" / "last.ckpt").is_file()
    assert not (run / "model").exists()
    config = (run / "config.yaml").read_text().replace("epochs: 100000", "epochs: 1")
    (run / "config.yaml").write_text(config)
    done = neurode("series", "train", "-o", run, "--resume")
    assert done.code == 0, done.err
    assert (run / "model" / "config.json").is_file()


def test_ctrl_c_before_the_first_step_leaves_nothing(tmp_path):
    table = small_table(tmp_path / "waves.csv")
    process = subprocess.Popen(
        [*COMMAND, "train", str(table), "-o", str(tmp_path / "run")], stderr=subprocess.PIPE, text=True, env=ENVIRONMENT
    )
    assert process.stderr is not None
    assert process.stderr.readline().startswith("Reading")
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert not (tmp_path / "run" / "model").exists()


def test_a_reader_that_goes_away_ends_the_command_in_silence(trained_run):
    words = ["sample", str(trained_run), "-n", "3000", "-q"]
    process = subprocess.Popen(
        [*COMMAND, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT
    )
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.readline().startswith("id,t,")
    process.stdout.close()
    err = process.stderr.read()
    process.stderr.close()
    assert process.wait(timeout=60) == 0
    assert err == ""
