"""The resident set of this process: what it occupies now, and the most since a moment that one chooses."""

from contextlib import suppress
from pathlib import Path

STATUS, RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


class ResidentPeak:
    """Made at the moment from which on the resident set counts; `bytes` is the most since then, less what it was then.

    The system keeps the mark itself (VmHWM), so nothing is missed between two looks. Where it does not let the mark be
    reset, a peak during the imports counts too. NaN on systems without /proc.
    """

    def __init__(self):
        with suppress(OSError):
            RESET.write_text("5")
        self.beginning = _field("VmRSS")

    @property
    def bytes(self) -> float:
        return _field("VmHWM") - self.beginning


def _field(name: str) -> float:
    try:
        lines = STATUS.read_text().splitlines()
    except OSError:
        return float("nan")
    return next((1024.0 * int(line.split()[1]) for line in lines if line.startswith(f"{name}:")), float("nan"))
