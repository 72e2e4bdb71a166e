"""The run folder: metrics.csv, train.log and checkpoints/, owned by one process at a time."""

from contextlib import suppress
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from neurode.core.errors import DataError
from neurode.training.files.atomic_file import RESUME, TEMPORARY_SUFFIX, append_whole, disk_errors_in_words
from neurode.training.files.lock_file import LockFile
from neurode.training.files.metrics_file import MetricsFile
from neurode.training.processes.placement import process_rank

LOCK = "run.lock"
NOT_OURS = {"config.yaml", LOCK}
"""Files that may be there before training: the task writes its config first."""


class RunFolder:
    """Where a run writes. Open it with `RunFolder.open` (a context manager); under torchrun and SLURM the processes of
    rank above 0 get a folder that writes nothing."""

    def __init__(self, path: Path, *, writes: bool = True):
        self.path, self.writes = Path(path), writes
        self.checkpoints = self.path / "checkpoints"
        self.last, self.best = self.checkpoints / "last.ckpt", self.checkpoints / "best.ckpt"
        self.metrics = MetricsFile(self.path / "metrics.csv")
        self._log = self.path / "train.log"
        self._lock = LockFile(self.path / LOCK)

    @classmethod
    def open(cls, path: str | Path, *, resume: bool = False) -> Self:
        """Take the folder, making it when it is not there.

        Raises DataError when another process uses it, when it holds files other than config.yaml and `resume` is
        False, when `resume` is True and it does not exist, and when it cannot be written to.
        """
        path = Path(path)
        folder = cls(path, writes=process_rank() == 0)
        if not folder.writes:
            return folder
        if path.exists() and not path.is_dir():
            raise DataError("the output folder is a file. Choose another name.", file=path)
        if resume and not path.is_dir():
            raise DataError(
                "there is no such run folder to resume. Check the path, or train without resume.", file=path
            )
        with disk_errors_in_words(path):
            path.mkdir(parents=True, exist_ok=True)
        folder._lock.acquire()
        try:
            folder._prepare(resume)
        except BaseException:
            folder.close()
            raise
        return folder

    def _prepare(self, resume: bool) -> None:
        present = sorted(entry.name for entry in self.path.iterdir() if entry.name not in NOT_OURS)
        if present and not resume:
            shown = ", ".join(present[:4]) + (", ..." if len(present) > 4 else "")
            raise DataError(
                f"the output folder is not empty (it holds {shown}). Go on with that run by --resume (resume=True), "
                "or choose a new folder.",
                file=self.path,
            )
        with disk_errors_in_words(self.checkpoints):
            self.checkpoints.mkdir(exist_ok=True)
        for left_over in (*self.path.glob(f".*{TEMPORARY_SUFFIX}"), *self.checkpoints.glob(f".*{TEMPORARY_SUFFIX}")):
            with suppress(OSError):  # of a process that was killed while it wrote
                left_over.unlink()

    def log(self, text: str) -> None:
        """Append a line with date and time to train.log."""
        if not self.writes:
            return
        line = f"{datetime.now().isoformat(sep=' ', timespec='seconds')}  {text}\n"
        append_whole(self._log, line.encode(), remedy=RESUME)

    def close(self) -> None:
        """Give the folder free."""
        self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
