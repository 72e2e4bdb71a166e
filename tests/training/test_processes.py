"""Two processes on this machine train as one does; they end together, whatever happens."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from neurode.core.errors import SolveError, TrainingError
from neurode.training.fit import fit
from neurode.training.fit_config import FitConfig
from neurode.training.processes.placement import Placement, find_placement
from tests.training.tiny_regression import NOT_COMPARED, Points, TinyData, TinyModel

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


def train(model, data, folder=None, resume=False, **settings):
    defaults: dict[str, Any] = {"device": "cpu", "max_epochs": 5, "precision": "float64"}
    config = FitConfig(**defaults | settings)
    return fit(model, data, config, folder, resume=resume, progress=False)


def assert_close(history, other, rel=1e-9):
    assert len(history) == len(other)
    for row, other_row in zip(history, other, strict=True):
        assert list(row) == list(other_row)
        for name, value in row.items():
            assert name in NOT_COMPARED or value == pytest.approx(other_row[name], rel=rel), (row["epoch"], name)


def test_two_processes_give_the_losses_and_weights_of_one(tmp_path):
    one, two = TinyModel(), TinyModel()
    alone = train(one, TinyData(size=61), tmp_path / "one", learning_rate=0.02)
    together = train(two, TinyData(size=61), tmp_path / "two", learning_rate=0.02, processes=2)
    assert alone.history[-1]["step"] == 20
    assert_close(alone.history, together.history)
    for name, value in one.state_dict().items():
        assert torch.allclose(two.state_dict()[name], value, rtol=1e-9), name
    assert not two.training
    lines = (tmp_path / "two" / "metrics.csv").read_text().splitlines()
    assert len(lines) == 6
    assert "processes: 2, threads of each: 1," in (tmp_path / "two" / "train.log").read_text()


def test_a_process_without_a_share_or_with_fewer_batches_hangs_nobody():
    class Uneven(TinyData):
        """In the last batches rank 1 has nothing: one None, then no more."""

        def train_batches(self, epoch, rank, world):
            for number, batch in enumerate(super().train_batches(epoch, 0, 1)):
                assert batch is not None
                if number < 2:
                    yield Points(batch.x[rank::world], batch.y[rank::world])
                elif rank == 0:
                    yield batch
                elif number == 2:
                    yield None

    assert_close(train(TinyModel(), TinyData()).history, train(TinyModel(), Uneven(), processes=2).history)


def test_float32_gradients_of_the_first_step_agree(tmp_path):
    moments = []
    for processes in (1, 2):
        folder = tmp_path / str(processes)
        settings = {"max_epochs": 1, "precision": "float32", "clip_norm": None, "processes": processes}
        train(TinyModel(), TinyData(size=1000, batch_size=1000), folder, **settings)
        state = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)["optimiser"]["state"]
        moments.append([entry["exp_avg"] for entry in state.values()])  # a tenth of the first gradient
    assert len(moments[0]) == len(moments[1]) == 4  # and none for the layer that is never used
    for alone, together in zip(*moments, strict=True):
        assert torch.allclose(alone, together, rtol=1e-4, atol=1e-8)


def test_trouble_in_one_process_rolls_all_back_alike(tmp_path):
    def on_loss(model, context, loss):
        if model.training and context.step == 9 and os.environ.get("RANK") == "1" and left:
            left.pop()
            raise SolveError("the step became too small")
        return loss

    left = [True]
    result = train(TinyModel(on_loss=on_loss), TinyData(), tmp_path / "run", processes=2)
    assert result.roll_backs == 1
    assert len(result.history) == 5
    assert (
        "The loss of another process is not finite in epoch 3, step 2" in (tmp_path / "run" / "train.log").read_text()
    )


def test_an_error_in_one_process_is_raised_here_with_its_origin():
    def on_loss(model, context, loss):
        if os.environ.get("RANK") == "1":
            raise ZeroDivisionError("in the model of rank 1")
        return loss

    began = time.monotonic()
    with pytest.raises(ZeroDivisionError, match="in the model of rank 1") as caught:
        train(TinyModel(on_loss=on_loss), TinyData(), processes=2)
    assert "in on_loss" in caught.value.__notes__[0]
    assert time.monotonic() - began < 30


def test_a_training_error_is_raised_here_as_itself():
    model = TinyModel(on_loss=lambda model, context, loss: loss * float("nan"))
    with pytest.raises(TrainingError, match="also after 5 roll-backs"):
        train(model, TinyData(), processes=2)


def test_a_process_that_is_killed_ends_the_run_with_a_remedy():
    def kill(epoch, batch, rank):
        if (epoch, batch, rank) == (2, 1, 1):
            os.kill(os.getpid(), signal.SIGKILL)

    with pytest.raises(TrainingError, match=r"process 1 of 2 was ended from outside \(signal 9\).*fewer processes"):
        train(TinyModel(), TinyData(before_batch=kill), processes=2)


def test_ctrl_c_stops_all_at_one_step_and_resume_goes_on_from_there(tmp_path):
    def press(epoch, batch, rank):
        if (epoch, batch, rank) == (2, 1, 1):
            os.kill(os.getppid(), signal.SIGINT)
            time.sleep(1.0)

    with pytest.raises(KeyboardInterrupt):
        train(TinyModel(), TinyData(before_batch=press), tmp_path / "run", processes=2)
    assert "Interrupted in epoch" in (tmp_path / "run" / "train.log").read_text()
    resumed = train(TinyModel(), TinyData(), tmp_path / "run", resume=True, processes=2)
    whole = train(TinyModel(), TinyData(), processes=2)
    assert_close(whole.history, resumed.history, rel=1e-15)


def test_a_forked_process_may_use_several_threads_though_its_parent_did():
    def work():
        return torch.tanh(torch.full((2_000_000,), 0.5)).sum()

    def in_child(model, context, loss):
        torch.set_num_threads(2)
        return loss + 0 * work()

    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        work()  # OpenMP's threads are running: a fork loses them
        assert len(train(TinyModel(on_loss=in_child), TinyData(), max_epochs=1, processes=2).history) == 1
    finally:
        torch.set_num_threads(threads)


SCRIPT = """
import os
import sys
from neurode.training.fit import fit
from neurode.training.fit_config import FitConfig
from tests.training.tiny_regression import TinyData, TinyModel

config = FitConfig(device="cpu", max_epochs=5, precision="float64", learning_rate=0.02, processes=int(sys.argv[2]))
result = fit(TinyModel(), TinyData(size=61), config, sys.argv[1], progress=False)
# One write: print makes two, and processes that share a pipe come between them.
os.write(1, (str(result.history[-1]["loss"]) + "\\n").encode())
"""


@pytest.fixture(scope="module")
def expected_loss():
    return train(TinyModel(), TinyData(size=61), learning_rate=0.02).history[-1]["loss"]


@pytest.mark.slow
def test_a_script_without_a_main_guard_can_use_processes(tmp_path, expected_loss):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, "-W", "error", script, tmp_path / "run", "2"], env=ENVIRONMENT, capture_output=True, check=True
    )
    assert float(done.stdout) == pytest.approx(expected_loss, rel=1e-9)
    assert done.stderr == b""


@pytest.mark.slow
def test_when_the_parent_is_killed_its_processes_end_and_the_run_can_be_resumed(tmp_path, expected_loss):
    hang = (
        "import os, time\n"
        "def before(epoch, batch, rank):\n"
        "    if (epoch, batch) == (3, 1):\n"
        "        os.write(1, b'%d\\n' % os.getpid())\n"
        "        time.sleep(60)\n"
    )
    script = hang + SCRIPT.replace("size=61", "size=61, before_batch=before")
    parent = subprocess.Popen(
        [sys.executable, "-c", script, tmp_path / "run", "2"], env=ENVIRONMENT, stdout=subprocess.PIPE
    )
    assert parent.stdout is not None
    children = [int(parent.stdout.readline()) for _ in range(2)]
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    deadline = time.monotonic() + 10
    while any(Path(f"/proc/{child}/cmdline").exists() for child in children) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(Path(f"/proc/{child}/cmdline").exists() for child in children)
    resumed = train(TinyModel(), TinyData(size=61), tmp_path / "run", resume=True, learning_rate=0.02, processes=2)
    assert resumed.history[-1]["loss"] == pytest.approx(expected_loss, rel=1e-9)


@pytest.mark.slow
def test_ctrl_c_on_a_terminal_reaches_the_processes_once(tmp_path):
    wait = (
        "import os, time\n"
        "def before(epoch, batch, rank):\n"
        "    if (epoch, batch, rank) == (2, 1, 0):\n"
        "        os.write(1, b'here\\n')\n"
        "        time.sleep(2)\n"
    )
    script = wait + SCRIPT.replace("size=61", "size=61, before_batch=before")
    process = subprocess.Popen(
        [sys.executable, "-c", script, tmp_path / "run", "2"],
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"here\n"
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to its whole foreground group
    _, errors = process.communicate()
    assert errors.endswith(b"KeyboardInterrupt\n")
    assert "Interrupted in epoch 2 after batch 2" in (tmp_path / "run" / "train.log").read_text()


@pytest.mark.slow
def test_torchrun_is_detected_and_not_launched_again(tmp_path, expected_loss):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "torch.distributed.run",
            "--standalone",
            "--nproc-per-node=2",
            script,
            tmp_path / "run",
            "1",
        ],
        env=ENVIRONMENT,
        capture_output=True,
        check=True,
    )
    losses = [float(line) for line in done.stdout.split()]
    assert losses == [pytest.approx(expected_loss, rel=1e-9)] * 2
    assert len((tmp_path / "run" / "metrics.csv").read_text().splitlines()) == 6


@pytest.mark.slow
def test_tasks_of_slurm_train_together(tmp_path, expected_loss):
    slurm = {
        "SLURM_JOB_ID": str(os.getpid()),
        "SLURM_NTASKS": "2",
        "SLURM_STEP_NUM_TASKS": "2",
        "SLURM_STEP_TASKS_PER_NODE": "2",
        "SLURM_STEP_NUM_NODES": "1",
        "SLURM_NODELIST": "localhost",
        "SLURM_NODEID": "0",
        "SLURM_JOB_NAME": "train",
    }
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", SCRIPT, tmp_path / "run", "1"],
            env={**ENVIRONMENT, **slurm, "SLURM_PROCID": str(rank), "SLURM_LOCALID": str(rank)},
            stdout=subprocess.PIPE,
        )
        for rank in range(2)
    ]
    outputs = [process.communicate()[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert [float(output) for output in outputs] == [pytest.approx(expected_loss, rel=1e-9)] * 2


@pytest.mark.slow
def test_spawned_processes_train_a_copy_of_what_is_picklable(monkeypatch):
    monkeypatch.setattr("neurode.training.fit.start_method", lambda device: "spawn")
    model = PicklableModel()
    together = train(model, PicklableData(size=61), learning_rate=0.02, processes=2)
    assert_close(train(TinyModel(), TinyData(size=61), learning_rate=0.02).history, together.history)


class PicklableModel(TinyModel):
    def __init__(self):
        super().__init__(on_loss=_as_it_is)


class PicklableData(TinyData):
    def __init__(self, size):
        super().__init__(size, before_batch=_nothing)


def _as_it_is(model, context, loss):
    return loss


def _nothing(epoch, batch, rank):
    pass


def test_the_placement_is_read_from_torchrun_and_from_srun():
    assert find_placement({}) == Placement()
    torchrun = {"RANK": "5", "LOCAL_RANK": "1", "WORLD_SIZE": "8", "LOCAL_WORLD_SIZE": "4"}
    addresses = {"MASTER_ADDR": "a", "MASTER_PORT": "1"}
    assert find_placement({**torchrun, **addresses}) == Placement(5, 8, 4, 2, "torchrun")
    srun = {"SLURM_PROCID": "3", "SLURM_STEP_NUM_TASKS": "4", "SLURM_STEP_TASKS_PER_NODE": "2(x2)"}
    assert find_placement({**srun, "SLURM_STEP_NUM_NODES": "2"}) == Placement(3, 4, 2, 2, "slurm")
    # A batch script without srun: tasks were asked for, but one process runs.
    assert find_placement({"SLURM_NTASKS": "4", "SLURM_PROCID": "0"}) == Placement()


def test_a_number_of_processes_other_than_torchruns_is_refused(monkeypatch):
    for name, value in {
        "RANK": "0",
        "LOCAL_RANK": "0",
        "WORLD_SIZE": "4",
        "MASTER_ADDR": "a",
        "MASTER_PORT": "1",
    }.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ValueError, match="torchrun has started 4 processes, but processes=2"):
        train(TinyModel(), TinyData(), processes=2)
