"""The supervisor: starts our own processes on this machine, as torchrun would, and sees that they end together."""

import ctypes
import multiprocessing
import os
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
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

import torch

from neurode.core.errors import NeurodeError, SolveError, TrainingError
from neurode.training.processes.interrupt import Interrupt
from neurode.training.processes.placement import Placement, find_placement

Work = Callable[[Placement, Interrupt], dict[str, Any]]

GRACE_SECONDS = 10.0
"""How long the others may go on after one process has failed: they notice at their next sum."""


@dataclass
class _Worker:
    """A process, the end of the pipe on which it reports a failure, and the failure."""

    process: Any
    reports: Connection
    failure: BaseException | None = None

    @property
    def alive(self) -> bool:
        return self.process.is_alive()

    def read(self) -> None:
        if self.failure is None and self.reports.poll():
            with suppress(EOFError):
                words = self.reports.recv()
                try:
                    self.failure = self.reports.recv()
                except Exception:  # the exception's class does not pickle: its words must do
                    self.failure = RuntimeError(words)
                if self.failure is not None and not isinstance(self.failure, NeurodeError):
                    self.failure.add_note(f"In the process of training:\n{words}")


def run_in_processes(work: Work, count: int, *, method: str) -> dict[str, Any]:
    """Run `work` in `count` processes and return what that of rank 0 returned (tensors and plain types).

    method: "fork" or "spawn", see `start_method`. An exception of a process is raised here; Ctrl-C is passed on,
    once, to all. Raises TrainingError when a process was ended from outside.
    """
    context: Any = multiprocessing.get_context(method)
    with tempfile.TemporaryDirectory(prefix="neurode-") as name, Interrupt() as interrupt:
        folder, port = Path(name), _free_port()
        workers: list[_Worker] = []
        try:
            for rank in range(count):
                reports, reporter = context.Pipe(duplex=False)
                arguments = (work, rank, count, port, folder, reporter, os.getpid())
                process = context.Process(target=_child, args=arguments)
                with warnings.catch_warnings():
                    # Python 3.12 warns of forks beside threads; _child says why this one is safe.
                    warnings.filterwarnings("ignore", message=".*multi-threaded.*fork", category=DeprecationWarning)
                    process.start()
                reporter.close()
                workers.append(_Worker(process, reports))
            _await(workers, interrupt)
        finally:
            _end(workers)
        if interrupt.requested:
            raise KeyboardInterrupt
        _raise_failure(workers)
        return torch.load(folder / "result", weights_only=True)


def start_method(device: str) -> str:
    """How the processes start: by fork on the CPU of Linux, else by spawn.

    A fork needs no pickling, copies no data, and works from a script without `if __name__ == "__main__"`. It cannot
    use CUDA once torch has touched it, and is not safe on macOS; a spawned process imports the script again.
    """
    uses_cuda = device.startswith("cuda") or (device == "auto" and torch.cuda.is_available())
    return "fork" if sys.platform == "linux" and not uses_cuda else "spawn"


def _await(workers: list[_Worker], interrupt: Interrupt) -> None:
    """Wait until all have ended, or one has failed and the others had their grace; pass an interrupt on."""
    told, deadline = False, float("inf")
    while any(worker.alive for worker in workers) and time.monotonic() < deadline:
        wait([worker.process.sentinel for worker in workers if worker.alive], timeout=0.2)
        for worker in workers:
            worker.read()
        if interrupt.requested and not told:
            told = True
            for worker in workers:
                with suppress(ProcessLookupError):
                    os.kill(worker.process.pid, signal.SIGINT)
        if any(worker.process.exitcode not in (None, 0) for worker in workers):
            deadline = min(deadline, time.monotonic() + GRACE_SECONDS)


def _end(workers: list[_Worker]) -> None:
    for worker in workers:
        if worker.alive:
            worker.process.terminate()
    for worker in workers:
        worker.process.join(timeout=5)
        if worker.alive:
            worker.process.kill()
            worker.process.join()
        worker.read()
        worker.reports.close()


def _raise_failure(workers: list[_Worker]) -> None:
    """Raise what went wrong, if anything: the first cause before the errors of those that lost a partner by it."""
    failures = [worker.failure for worker in workers if worker.failure is not None]
    lost = [(rank, w.process.exitcode) for rank, w in enumerate(workers) if w.failure is None and w.process.exitcode]
    if lost and not any(isinstance(failure, NeurodeError) for failure in failures):
        rank, code = lost[0]
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        raise TrainingError(
            f"process {rank} of {len(workers)} was ended from outside ({how}). When memory ran out, use fewer "
            "processes or smaller batches; then go on with --resume (resume=True)."
        )
    if failures:
        raise min(failures, key=lambda f: (not isinstance(f, NeurodeError), isinstance(f, RuntimeError)))


def _child(work: Work, rank: int, count: int, port: int, folder: Path, reporter: Connection, parent: int) -> None:
    """The life of one process. It leaves the terminal's group, so that Ctrl-C reaches it once, through the parent."""
    if hasattr(os, "setpgid"):
        os.setpgid(0, 0)
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
        _report(failures[0], reporter)
    sys.stderr.flush()
    sys.stdout.flush()
    # Without Python's own end: it would wait for a thread that hangs in a sum after a second Ctrl-C.
    os._exit(0 if not failures else 130 if isinstance(failures[0], KeyboardInterrupt) else 1)


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


def _report(error: BaseException, reporter: Connection) -> None:
    if isinstance(error, SolveError):
        error.solution = None  # tensors that nobody will look at
    reporter.send("".join(traceback.format_exception(error))[-10_000:])
    with suppress(Exception):  # a class that does not pickle
        reporter.send(error)
    reporter.close()


def _end_with(parent: int) -> None:
    """On Linux, be killed when the parent dies, so that nobody writes into a folder whose lock has no owner."""
    if sys.platform != "linux":
        return
    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]
