import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from neurode.core.errors import DataError
from neurode.training.fit import fit
from neurode.training.fit_config import FitConfig
from tests.training.tiny_regression import TinyData, TinyModel, compared

ROOT = Path(__file__).parents[2]
CONFIG = FitConfig(device="cpu", max_epochs=8, learning_rate=0.01, patience=4)


def train(data, folder, config=CONFIG, resume=False):
    model = TinyModel(dropout=0.3)
    return model, fit(model, data, config, folder, resume=resume, progress=False)


def interrupting(epoch, batch):
    """Data that press Ctrl-C once, before this batch."""

    def before_batch(at_epoch, at_batch, rank):
        if (at_epoch, at_batch) == (epoch, batch):
            os.kill(os.getpid(), signal.SIGINT)

    return TinyData(before_batch=before_batch)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """An uninterrupted run."""
    return train(TinyData(), tmp_path_factory.mktemp("whole") / "run")


def assert_same(run, whole):
    (model, result), (whole_model, whole_result) = run, whole
    assert compared(result.history) == compared(whole_result.history)
    assert (result.best_epoch, result.best_loss) == (whole_result.best_epoch, whole_result.best_loss)
    for name, value in whole_model.state_dict().items():
        assert torch.equal(model.state_dict()[name], value), name


@pytest.mark.parametrize("at", [(1, 0), (3, 2), (5, 3)])
def test_ctrl_c_writes_a_checkpoint_and_the_resumed_run_is_that_of_an_uninterrupted_one(at, tmp_path, whole):
    with pytest.raises(KeyboardInterrupt):
        train(interrupting(*at), tmp_path / "run")
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    log = (tmp_path / "run" / "train.log").read_text()
    assert f"Interrupted in epoch {at[0]} after batch {at[1] + 1}: last.ckpt is written" in log
    run = train(TinyData(), tmp_path / "run", resume=True)
    assert_same(run, whole)
    assert len((tmp_path / "run" / "metrics.csv").read_text().splitlines()) == 9


def test_ctrl_c_in_the_last_epochs_validation_still_ends_with_an_interrupt(tmp_path, whole):
    model = TinyModel(
        dropout=0.3, on_loss=lambda m, c, loss: (c.step == 32 and os.kill(os.getpid(), signal.SIGINT)) or loss
    )
    with pytest.raises(KeyboardInterrupt):
        fit(model, TinyData(), CONFIG, tmp_path / "run", progress=False)
    assert_same(train(TinyData(), tmp_path / "run", resume=True), whole)


def test_after_kill_9_in_mid_epoch_the_resumed_run_is_that_of_an_uninterrupted_one(tmp_path, whole):
    script = (
        "import sys, time\n"
        "from tests.training.test_resume import CONFIG, TinyData, train\n"
        "def stop(epoch, batch, rank):\n"
        "    if (epoch, batch) == (6, 2):\n"
        "        print('here', flush=True)\n"
        "        time.sleep(60)\n"
        "train(TinyData(before_batch=stop), sys.argv[1])\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path / "run")], stdout=subprocess.PIPE, env=environment, cwd=ROOT
    )
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == b"here\n"
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()
    checkpoint = torch.load(tmp_path / "run" / "checkpoints" / "last.ckpt", weights_only=True)
    assert 1 <= len(checkpoint["history"]) <= 5
    assert len((tmp_path / "run" / "metrics.csv").read_text().splitlines()) == 6
    assert_same(train(TinyData(), tmp_path / "run", resume=True), whole)
    assert len((tmp_path / "run" / "metrics.csv").read_text().splitlines()) == 9


def test_a_finished_run_is_not_trained_further(tmp_path, whole):
    train(TinyData(), tmp_path / "run")
    assert_same(train(TinyData(), tmp_path / "run", resume=True), whole)


def test_more_epochs_go_on_from_the_end_and_the_change_is_said(tmp_path):
    short = FitConfig(device="cpu", max_epochs=3, schedule="constant", patience=None)
    longer = replace(short, max_epochs=6)
    train(TinyData(), tmp_path / "run", short)
    run = train(TinyData(), tmp_path / "run", longer, resume=True)
    assert_same(run, train(TinyData(), tmp_path / "whole", longer))
    assert "changed settings: max_epochs=6 (was 3)" in (tmp_path / "run" / "train.log").read_text()


def test_a_run_that_was_ended_before_its_first_checkpoint_begins_at_the_start(tmp_path, whole):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "metrics.csv").write_text("epoch,st")
    assert_same(train(TinyData(), tmp_path / "run", resume=True), whole)
    assert len((tmp_path / "run" / "metrics.csv").read_text().splitlines()) == 9


def test_a_resume_of_another_run_is_refused_with_the_reason(tmp_path):
    train(TinyData(), tmp_path / "run", FitConfig(device="cpu", max_epochs=1))
    with pytest.raises(DataError, match="begun with seed=0, but is to be resumed with seed=1. Pass seed=0"):
        train(TinyData(), tmp_path / "run", FitConfig(device="cpu", seed=1), resume=True)
    with pytest.raises(DataError, match="4 batches an epoch, now there are 6"):
        train(TinyData(size=96), tmp_path / "run", FitConfig(device="cpu"), resume=True)
    other = TinyModel()
    other.net.append(torch.nn.Linear(1, 1))
    with pytest.raises(DataError, match="belongs to another model"):
        fit(other, TinyData(), FitConfig(device="cpu"), tmp_path / "run", resume=True, progress=False)
    with pytest.raises(DataError, match="no such run folder to resume"):
        train(TinyData(), tmp_path / "nowhere", resume=True)
