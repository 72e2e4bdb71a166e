"""An alternating race: every contender waits in its own process, and only one of them runs at a time.

Rounds are interleaved and start with another contender each time, so that a busy machine slows all of them alike;
what counts is the ratio of medians.
"""

import json
import os
import statistics
import subprocess
import sys
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from benchmarks.worker import MODES
from benchmarks.workloads import Workload

SHARE_SECONDS = 6.0


@dataclass
class Lane:
    """One contender's process and what it measured: `seconds[mode]`, `facts` (evaluations, errors)."""

    name: str
    process: subprocess.Popen
    seconds: dict[str, list[float]] = field(default_factory=lambda: {mode: [] for mode in MODES})
    facts: dict = field(default_factory=dict)

    def ask(self, **request):
        """Send one request and wait for its answer."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        # A process that died breaks the pipe; the empty answer below says so.
        with suppress(BrokenPipeError):
            self.process.stdin.write(json.dumps(request) + "\n")
            self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise RuntimeError(f"the process of {self.name!r} ended early; its message is above")
        return json.loads(answer)

    def close(self) -> None:
        """End the process by closing its input, and wait for it."""
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):
            self.process.stdin.close()
        self.process.wait(timeout=30)

    def median(self, mode: str) -> float:
        return statistics.median(self.seconds[mode])

    def is_measured(self, mode: str) -> bool:
        """A slow contender may stop early: it has had its share of time and at least three runs."""
        seconds = self.seconds[mode]
        return len(seconds) >= 3 and sum(seconds) > SHARE_SECONDS


def start_lane(name: str, workload: Workload, threads: int) -> Lane:
    """Start one contender's process."""
    environment = os.environ | {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
    command = [sys.executable, "-m", "benchmarks.worker", name, json.dumps(asdict(workload)), str(threads)]
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
        cwd=Path(__file__).parents[1],
    )
    return Lane(name, process)


def race(
    workload: Workload, names: list[str], *, threads: int, rounds: int, repeats: int, reference: Path
) -> list[Lane]:
    """Run `rounds` interleaved rounds of `repeats` runs a mode for every contender; returns the finished lanes."""
    lanes: list[Lane] = []
    try:
        lanes += [start_lane(name, workload, threads) for name in names]
        for lane in lanes:
            lane.ask(do="warm-up")
            lane.facts = lane.ask(do="describe", reference=str(reference))
        for mode in MODES:
            for turn in range(rounds):
                first = turn % len(lanes)
                for lane in lanes[first:] + lanes[:first]:
                    if lane.is_measured(mode):
                        continue
                    lane.seconds[mode] += lane.ask(do="time", mode=mode, repeats=repeats)
    finally:
        for lane in lanes:
            lane.close()
    return lanes
