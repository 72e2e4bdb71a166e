"""What the way back through a solve cost: filled in by the gradient when a backward pass has run."""

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch

try:
    import resource
except ImportError:  # Windows has none
    resource = None


@dataclass
class BackwardStats:
    """Cost of the last backward pass through a solve; zeros before the first one.

    Good for seeing what a gradient costs beside `Solution.stats`. Not good for gradient="direct": autograd goes back
    there on its own, and `Solution.backward` is None.
    runs: backward passes so far. num_evaluations: calls of the field in the last one, those of states that were made
    again included; each is at most followed by one vector-Jacobian product. seconds: of the last one, on the wall.
    kept_bytes: held between forward pass and way back, beside y0 and the solution's own values. peak_bytes: by how much
    the last pass raised the high-water mark of memory: of the device's allocator, on the CPU of the process's resident
    set; 0 where an earlier peak was higher, None where the system does not tell.
    """

    runs: int = 0
    num_evaluations: int = 0
    seconds: float = 0.0
    kept_bytes: int = 0
    peak_bytes: int | None = 0


@dataclass(frozen=True)
class ChainedStats:
    """The same of a solve that was made in parts, from event to event, each with its own way back: sums, and the
    highest peak."""

    parts: tuple[BackwardStats, ...]

    @property
    def runs(self) -> int:
        return max(part.runs for part in self.parts)

    @property
    def num_evaluations(self) -> int:
        return sum(part.num_evaluations for part in self.parts)

    @property
    def seconds(self) -> float:
        return sum(part.seconds for part in self.parts)

    @property
    def kept_bytes(self) -> int:
        return sum(part.kept_bytes for part in self.parts)

    @property
    def peak_bytes(self) -> int | None:
        known = [part.peak_bytes for part in self.parts if part.peak_bytes is not None]
        return max(known) if known else None


Backward = BackwardStats | ChainedStats


def chained(parts: Sequence[Backward | None]) -> Backward | None:
    """The stats of a solve made in parts; None where none of them has a way back of its own."""
    known: list[BackwardStats] = []
    for part in parts:
        if part is not None:
            known.extend(part.parts if isinstance(part, ChainedStats) else [part])
    return known[0] if len(known) == 1 else ChainedStats(tuple(known)) if known else None


class BackwardMeter:
    """Measures one backward pass: `with BackwardMeter(stats, device): ...`."""

    def __init__(self, stats: BackwardStats, device: torch.device):
        self.stats, self.device = stats, device

    def __enter__(self) -> "BackwardMeter":
        self.peak = _peak_bytes(self.device)
        self.began = time.perf_counter()
        return self

    def __exit__(self, kind, error, trace) -> None:
        if kind is not None:
            return
        stats, peak = self.stats, _peak_bytes(self.device)
        stats.runs += 1
        stats.seconds = time.perf_counter() - self.began
        stats.peak_bytes = None if peak is None or self.peak is None else peak - self.peak


def _peak_bytes(device: torch.device) -> int | None:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    if resource is None:
        return None
    # Linux counts in units of 1,024 bytes, macOS in bytes.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
