"""Seconds of a forward and a backward pass of each way to differentiate, in rounds in which the ways take turns."""

import statistics
import time
from dataclasses import dataclass, replace

from benchmarks.memory_point import MemoryJob, backward
from benchmarks.memory_ways import FUSED, WAYS, Way, why_not

BARS = {"checkpointed": 1.4, "reversible": 3.0, "adjoint": 3.0}
"""At most so many times direct's time."""


@dataclass(frozen=True)
class Timing:
    """Median seconds of both passes of one way, and how many times direct's that is: the median over the rounds."""

    way: str
    forward: float
    backward: float
    ratio: float


def time_ways(job: MemoryJob, method: str, *, steps: int, rounds: int, only: list[str]) -> list[Timing]:
    """Each way once for warming up with a few steps, then `rounds` rounds; the first way differs from round to round.

    The ratio is taken within a round, so that a machine that is busy for a while slows both its sides.
    """
    job = replace(job, method=method)
    ways = [way for way in (*(WAYS[name] for name in only), FUSED) if not why_not(way, method)]
    taken: dict[str, list[tuple[float, float]]] = {way.name: [] for way in ways}
    for way in ways:
        _both_passes(way, job, 3)
    for turn in range(rounds):
        first = turn % len(ways)
        for way in ways[first:] + ways[:first]:
            taken[way.name].append(_both_passes(way, job, steps))
    direct = [sum(pair) for pair in taken["direct"]]
    return [
        Timing(
            way.name,
            statistics.median(pair[0] for pair in taken[way.name]),
            statistics.median(pair[1] for pair in taken[way.name]),
            statistics.median(sum(pair) / base for pair, base in zip(taken[way.name], direct, strict=True)),
        )
        for way in ways
    ]


def _both_passes(way: Way, job: MemoryJob, steps: int) -> tuple[float, float]:
    field, y0 = job.field(), job.y0()
    start = time.perf_counter()
    end = way.solve(field, y0, job.method, steps)
    between = time.perf_counter()
    backward(way, end, (y0, *field.parameters()))
    return between - start, time.perf_counter() - between
