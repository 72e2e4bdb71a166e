"""What a person sees while training runs: a bar on a terminal, else a line an epoch, or nothing. Always on stderr."""

import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from math import isnan
from typing import Any, final

from neurode.core.extras import require

REFRESH_SECONDS = 0.2


class Progress(ABC):
    """Receives what training does; `step` is called at every step and must cost next to nothing."""

    @abstractmethod
    def start(self, epoch: int, max_epochs: int, batches: int) -> None: ...

    @abstractmethod
    def step(self, epoch: int, batch: int) -> None: ...

    @abstractmethod
    def epoch(self, row: Mapping[str, float], max_epochs: int, best: bool) -> None: ...

    @abstractmethod
    def say(self, sentence: str) -> None: ...

    @abstractmethod
    def stop(self) -> None: ...


def choose_progress(quiet: bool = False) -> Progress:
    """Silent when quiet, a bar when stderr is a terminal, else one line an epoch."""
    if quiet:
        return SilentProgress()
    return BarProgress() if sys.stderr.isatty() else LineProgress()


@final
class SilentProgress(Progress):
    """Shows nothing; the log file holds everything all the same."""

    def start(self, epoch: int, max_epochs: int, batches: int) -> None:
        pass

    def step(self, epoch: int, batch: int) -> None:
        pass

    def epoch(self, row: Mapping[str, float], max_epochs: int, best: bool) -> None:
        pass

    def say(self, sentence: str) -> None:
        pass

    def stop(self) -> None:
        pass


@final
class LineProgress(Progress):
    """One line an epoch."""

    def start(self, epoch: int, max_epochs: int, batches: int) -> None:
        pass

    def step(self, epoch: int, batch: int) -> None:
        pass

    def epoch(self, row: Mapping[str, float], max_epochs: int, best: bool) -> None:
        self.say(epoch_line(row, max_epochs, best))

    def say(self, sentence: str) -> None:
        _write(sentence)

    def stop(self) -> None:
        pass


@final
class BarProgress(Progress):
    """Rich's bar over the batches of the epoch, with the last epoch's losses beside it."""

    def __init__(self):
        self._bar: Any = None
        self._task: Any = None
        self._batches, self._next = 1, 0.0
        self._max_epochs, self._losses = 1, ""

    def start(self, epoch: int, max_epochs: int, batches: int) -> None:
        progress = require("rich.progress", extra="tools")
        console = require("rich.console", extra="tools")
        self._batches, self._max_epochs = batches, max_epochs
        self._bar = progress.Progress(
            progress.TextColumn("{task.description}"),
            progress.BarColumn(bar_width=24),
            progress.TimeRemainingColumn(),
            progress.TextColumn("{task.fields[losses]}"),
            console=console.Console(stderr=True),
            auto_refresh=False,  # a refreshing thread would take the interpreter from the steps
            transient=True,
        )
        done = (epoch - 1) * batches
        self._task = self._bar.add_task("training", total=max_epochs * batches, completed=done, losses="")
        self._bar.start()

    def step(self, epoch: int, batch: int) -> None:
        now = time.perf_counter()
        if now < self._next or self._bar is None:
            return
        self._next = now + REFRESH_SECONDS
        self._bar.update(
            self._task,
            completed=(epoch - 1) * self._batches + batch,
            description=f"epoch {epoch}/{self._max_epochs}",
            losses=self._losses,
        )
        self._bar.refresh()

    def epoch(self, row: Mapping[str, float], max_epochs: int, best: bool) -> None:
        self._losses = "  ".join(_numbers(row, best))

    def say(self, sentence: str) -> None:
        if self._bar is None:
            _write(sentence)
        else:
            self._bar.console.print(sentence, markup=False, highlight=False, soft_wrap=True)

    def stop(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


def _write(sentence: str) -> None:
    sys.stderr.write(sentence + "\n")
    sys.stderr.flush()


def epoch_line(row: Mapping[str, float], max_epochs: int, best: bool) -> str:
    """For example: epoch 12/200  loss 0.52341  validation 0.5311 (best)  3.2 s"""
    width = len(str(max_epochs))
    return "  ".join(
        [f"epoch {int(row['epoch']):>{width}}/{max_epochs}", *_numbers(row, best), f"{row['seconds']:.1f} s"]
    )


def _numbers(row: Mapping[str, float], best: bool) -> list[str]:
    numbers = [f"loss {row['loss']:.5g}"]
    if not isnan(row["validation_loss"]):
        numbers.append(f"validation {row['validation_loss']:.5g}{' (best)' if best else ''}")
    return numbers
