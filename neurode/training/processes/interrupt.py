"""Ctrl-C: the first one asks training to stop after the step under way, the second stops at once."""

import signal
import threading
from types import FrameType, TracebackType
from typing import Self


class Interrupt:
    """While entered, SIGINT sets `requested`. Outside the main thread, where none is delivered, nothing changes."""

    def __init__(self):
        self.requested = False
        self._before = None

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGINT, self._on_signal)
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)
            self._before = None

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True
