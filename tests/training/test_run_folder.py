import errno
import json
import os
import resource
import socket
import subprocess
import sys

import pytest
import torch

from neurode.core.errors import DataError
from neurode.training.checkpoint import load_checkpoint, save_checkpoint
from neurode.training.files.metrics_file import MetricsFile
from neurode.training.fit import fit
from neurode.training.fit_config import FitConfig
from neurode.training.run_folder import LOCK, RunFolder
from tests.training.tiny_regression import TinyData, TinyModel


def test_a_folder_in_use_is_refused_and_free_again_afterwards(tmp_path):
    with (
        RunFolder.open(tmp_path / "run"),
        pytest.raises(DataError, match=rf"run.lock: this folder is in use by the running process {os.getpid()}"),
    ):
        RunFolder.open(tmp_path / "run", resume=True)
    RunFolder.open(tmp_path / "run", resume=True).close()
    assert not (tmp_path / "run" / LOCK).exists()


def test_the_lock_of_a_process_that_is_gone_is_taken_over(tmp_path):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    lock = tmp_path / LOCK
    for content in (
        json.dumps({"host": socket.gethostname(), "pid": gone.pid, "started": "5"}),
        json.dumps({"host": socket.gethostname(), "pid": os.getpid(), "started": "another start"}),
        '{"host": "half wri',
    ):
        lock.write_text(content)
        RunFolder.open(tmp_path).close()
        assert not lock.exists()
        (tmp_path / "checkpoints").rmdir()


def test_the_lock_of_another_machine_is_respected(tmp_path):
    (tmp_path / LOCK).write_text(json.dumps({"host": "elsewhere", "pid": 1, "started": "5"}))
    with pytest.raises(DataError, match=r"in use by process 1 on elsewhere. If that run is over, delete this file"):
        RunFolder.open(tmp_path)


def test_a_folder_that_is_not_empty_is_refused_unless_it_is_resumed(tmp_path):
    (tmp_path / "config.yaml").write_text("seed: 0\n")  # the task writes it before
    RunFolder.open(tmp_path).close()
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(DataError, match=r"not empty \(it holds checkpoints, thesis.tex\)"):
        RunFolder.open(tmp_path)
    assert not (tmp_path / LOCK).exists()
    RunFolder.open(tmp_path, resume=True).close()


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path):
    (tmp_path / "run").write_text("")
    with pytest.raises(DataError, match="the output folder is a file"):
        RunFolder.open(tmp_path / "run")


def test_what_a_killed_process_left_half_written_is_cleared_away(tmp_path):
    (tmp_path / "checkpoints").mkdir()
    left = tmp_path / "checkpoints" / ".last.ckpt.123.tmp"
    left.write_bytes(b"half")
    RunFolder.open(tmp_path, resume=True).close()
    assert not left.exists()


def test_an_open_folder_can_be_handed_to_fit(tmp_path):
    with RunFolder.open(tmp_path / "run") as folder:
        fit(TinyModel(), TinyData(), FitConfig(device="cpu", max_epochs=1), folder, progress=False)
        assert (tmp_path / "run" / LOCK).exists()
    assert not (tmp_path / "run" / LOCK).exists()


def test_a_checkpoint_is_loaded_weights_only_and_damage_is_said(tmp_path):
    path = tmp_path / "last.ckpt"
    save_checkpoint(path, {"weights": torch.arange(3.0), "epoch": 2})
    assert load_checkpoint(path)["epoch"] == 2
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(DataError, match=r"last.ckpt: this checkpoint cannot be read; it is damaged"):
        load_checkpoint(path)
    torch.save({"path": tmp_path}, path)  # a class that weights-only loading refuses
    with pytest.raises(DataError, match="cannot be read"):
        load_checkpoint(path)
    torch.save([1], path)
    with pytest.raises(DataError, match="not a checkpoint of neurode"):
        load_checkpoint(path)
    torch.save({"format": 99, "neurode": "9.1"}, path)
    with pytest.raises(DataError, match=r"format 99 \(written by neurode 9.1\).*pip install --upgrade neurode"):
        load_checkpoint(path)


def test_a_full_disk_leaves_the_old_checkpoint_and_nothing_half_written(tmp_path):
    path = tmp_path / "last.ckpt"
    save_checkpoint(path, {"epoch": 1})
    before = path.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4000, hard))  # the nearest thing to a full disk that a test can make
    try:
        with pytest.raises(DataError, match=r"last.ckpt: the disk is full.*--resume"):
            save_checkpoint(path, {"epoch": 2, "weights": torch.zeros(10_000)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["last.ckpt"]


def test_a_full_disk_takes_the_half_written_row_back(tmp_path, monkeypatch):
    metrics = MetricsFile(tmp_path / "metrics.csv")
    metrics.append({"epoch": 1, "loss": 0.5, "validation_loss": float("nan")})
    before = metrics.path.read_text()
    assert before == "epoch,loss,validation_loss\n1,0.5,\n"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 3, hard))
    try:
        with pytest.raises(DataError, match="the disk is full.*--resume"):
            metrics.append({"epoch": 2, "loss": 0.25, "validation_loss": 1.0})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert metrics.path.read_text() == before


def test_a_full_disk_ends_training_with_the_reason_and_frees_the_folder(tmp_path, monkeypatch):
    def full(handle):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("neurode.training.files.atomic_file.os.fsync", full)
    with pytest.raises(DataError, match="the disk is full"):
        fit(TinyModel(), TinyData(), FitConfig(device="cpu"), tmp_path / "run", progress=False)
    assert list((tmp_path / "run" / "checkpoints").iterdir()) == []
    assert not (tmp_path / "run" / LOCK).exists()


def test_a_read_only_place_is_said(tmp_path, monkeypatch):
    def refuse(*args, **kwargs):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("pathlib.Path.mkdir", refuse)
    with pytest.raises(DataError, match="cannot be written to"):
        RunFolder.open(tmp_path / "run")
