"""The lock of a run folder: one process writes; a lock whose owner is gone is recognised."""

import json
import os
import socket
from contextlib import suppress
from pathlib import Path

from neurode.core.errors import DataError
from neurode.training.files.atomic_file import disk_errors_in_words


class LockFile:
    """A file that names its owner by host, process id and start time (ids are used again, start times are not)."""

    def __init__(self, path: Path):
        self.path = path
        self._held = False

    def acquire(self) -> None:
        """Take the lock; raises DataError when a living process, or one on another machine, has it."""
        content = json.dumps(_identity(os.getpid())).encode()
        for _ in range(3):
            try:
                with disk_errors_in_words(self.path):
                    handle = os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
            except FileExistsError:
                self._remove_if_stale()
                continue
            with disk_errors_in_words(self.path), os.fdopen(handle, "wb") as file:
                file.write(content)
            self._held = True
            return
        raise DataError(
            "another process is taking this folder right now. Choose another output folder.", file=self.path
        )

    def release(self) -> None:
        if self._held:
            self._held = False
            with suppress(OSError):
                self.path.unlink()

    def _remove_if_stale(self) -> None:
        try:
            owner = json.loads(self.path.read_text())
            host, pid = owner["host"], int(owner["pid"])
        except FileNotFoundError:
            return
        except (ValueError, KeyError, TypeError):
            host, pid, owner = socket.gethostname(), 0, {}  # cut off while it was written: the owner is gone
        if host != socket.gethostname():
            raise DataError(
                f"this folder is in use by process {pid} on {host}. If that run is over, delete this file; else choose "
                "another folder.",
                file=self.path,
            )
        if pid > 0 and _identity(pid) == owner:
            raise DataError(
                f"this folder is in use by the running process {pid}. Wait for it, stop it, or choose another folder.",
                file=self.path,
            )
        with suppress(FileNotFoundError):
            self.path.unlink()


def _identity(pid: int) -> dict:
    return {"host": socket.gethostname(), "pid": pid, "started": _start_time(pid)}


def _start_time(pid: int) -> str:
    """Clock ticks from boot to the start of the process (Linux); elsewhere only "alive" or "gone"."""
    if Path("/proc/self/stat").exists():
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            return "gone" if fields[0] == "Z" else fields[19]  # a zombie writes no more
        except OSError:
            return "gone"
    if os.name == "nt":  # os.kill(pid, 0) would end the process there
        return "alive"
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return "gone"
    except PermissionError:
        pass
    return "alive"
