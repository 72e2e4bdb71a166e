"""The supervisor: starts our own processes on this machine, as torchrun would, and sees that they end together."""

import ctypes
import multiprocessing
import os
import pickle
import signal
import socket
import sys
import tempfile
import threading
import time
import traceback
import warnings
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

import torch

from neurode.core.errors import NeurodeError, TrainingError
from neurode.training.processes.interrupt import Interrupt
from neurode.training.processes.placement import Placement, find_placement

Work = Callable[[Placement, Interrupt], dict[str, Any]]

GRACE_SECONDS = 10.0
"""How long the others may go on after one process has failed: they notice at their next sum."""


def run_in_processes(work: Work, count: int, device: str) -> dict[str, Any]:
    """Run `work` in `count` processes and return what that of rank 0 returned (tensors and plain types).

    On Linux's CPU the processes are forks: nothing is pickled, the data are not copied, and a script needs no
    `if __name__ == "__main__"`. Elsewhere, and for CUDA, they are spawned, so model and data must be picklable.
    An exception of a process is raised here; Ctrl-C is passed on once to all.
    """
    context = multiprocessing.get_context(start_method(device))
    with tempfile.TemporaryDirectory(prefix="neurode-") as folder, Interrupt() as interrupt:
        port = _free_port()
        processes: list[Any] = []
        try:
            for rank in range(count):
                process = context.Process(target=_child, args=(work, rank, count, port, Path(folder), os.getpid()))
                with warnings.catch_warnings():
                    # Python 3.12 warns of forks beside threads; see _child for why that is safe here.
                    warnings.filterwarnings("ignore", message=".*multi-threaded.*fork", category=DeprecationWarning)
                    process.start()
                processes.append(process)
            _await(processes, interrupt)
        finally:
            _end(processes)
        if interrupt.requested:
            raise KeyboardInterrupt
        _raise_failure(processes, Path(folder))
        return torch.load(Path(folder) / "result", weights_only=True)


def start_method(device: str) -> str:
    """How processes start: a fork cannot use CUDA once torch has touched it, and is not safe on macOS."""
    uses_cuda = device.startswith("cuda") or (device == "auto" and torch.cuda.is_available())
    return "fork" if sys.platform == "linux" and not uses_cuda else "spawn"


def _await(processes: list[Any], interrupt: Interrupt) -> None:
    """Wait until all have ended, or one has failed and the others had their grace; pass an interrupt on."""
    told, deadline = False, float("inf")
    while any(process.is_alive() for process in processes) and time.monotonic() < deadline:
        wait([process.sentinel for process in processes if process.is_alive()], timeout=0.2)
        if interrupt.requested and not told:
            told = True
            for process in processes:
                with suppress(ProcessLookupError):
                    os.kill(process.pid, signal.SIGINT)
        if any(process.exitcode not in (None, 0) for process in processes):
            deadline = min(deadline, time.monotonic() + GRACE_SECONDS)


def _end(processes: list[Any]) -> None:
    for process in processes:
        if process.is_alive():
            process.terminate()
    for process in processes:
        process.join(timeout=5)
        if process.is_alive():
            process.kill()
            process.join()


def _raise_failure(processes: list[Any], folder: Path) -> None:
    """Raise what went wrong, if anything: our own errors before those that follow from a lost process."""
    errors = [pickle.loads(path.read_bytes()) for path in sorted(folder.glob("error-*"))]
    errors.sort(key=lambda error: (isinstance(error, RuntimeError), not isinstance(error, NeurodeError)))
    lost = [(rank, process.exitcode) for rank, process in enumerate(processes) if process.exitcode < 0]
    if lost and not any(isinstance(error, NeurodeError) for error in errors):
        rank, code = lost[0]
        raise TrainingError(
            f"process {rank} of {len(processes)} was ended from outside (signal {-code}). When memory ran out, use "
            "fewer processes or smaller batches; then go on with --resume (resume=True)."
        )
    if errors:
        raise errors[0]


def _child(work: Work, rank: int, count: int, port: int, folder: Path, parent: int) -> None:
    """The life of one process. It leaves the terminal's group, so that Ctrl-C reaches it once, through the parent."""
    os.setpgid(0, 0) if hasattr(os, "setpgid") else None
    _end_with(parent)
    os.environ.update(
        {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(count), "LOCAL_WORLD_SIZE": str(count)}
        | {"GROUP_RANK": "0", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    )
    failures: list[BaseException] = []
    with Interrupt() as interrupt:
        # A fresh thread: OpenMP's worker threads did not survive the fork, but the pool of the main thread still
        # counts on them and would wait for ever. A new thread has no pool yet, and makes its own.
        thread = threading.Thread(target=_guarded, args=(work, interrupt, folder, failures), daemon=True)
        thread.start()
        try:
            thread.join()
        except KeyboardInterrupt as error:
            failures.append(error)
    if failures:
        _report(failures[0], folder / f"error-{rank}")
        sys.stderr.flush()
        os._exit(130 if isinstance(failures[0], KeyboardInterrupt) else 1)


def _guarded(work: Work, interrupt: Interrupt, folder: Path, failures: list[BaseException]) -> None:
    try:
        placement = find_placement()
        result = work(placement, interrupt)
        if placement.rank == 0:
            torch.save(result, folder / "result")
        torch.distributed.barrier()
        torch.distributed.destroy_process_group()
    except BaseException as error:
        failures.append(error)


def _report(error: BaseException, path: Path) -> None:
    trace = "".join(traceback.format_exception(error))
    try:
        content = pickle.dumps(error)
        pickle.loads(content)
    except Exception:  # an exception class that does not pickle: its words must do
        error = RuntimeError(f"{type(error).__name__}: {error}")
        content = pickle.dumps(error)
    del trace
    path.write_bytes(content)


def _end_with(parent: int) -> None:
    """On Linux, be interrupted when the parent dies: training then writes last.ckpt and ends."""
    if sys.platform != "linux":
        return
    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGINT)
    if os.getppid() != parent:
        os._exit(1)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]
