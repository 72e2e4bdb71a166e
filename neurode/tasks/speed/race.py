"""An alternating race: every contender waits in its own process, and only one of them runs at a time.

Rounds are interleaved and start with another contender each time, so that a busy machine slows all of them alike;
what counts is the ratio of medians.
"""

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from neurode.tasks.speed.workloads import MODES, Workload


@dataclass(frozen=True)
class Pace:
    """How long a race takes. rounds: interleaved, of each mode; repeats: runs of a contender within a round. seconds: a
    contender's share of each mode; when it is used up, three runs are enough."""

    rounds: int = 15
    repeats: int = 5
    seconds: float = 6.0

    @classmethod
    def short(cls) -> "Pace":
        """Some seconds a race."""
        return cls(rounds=5, repeats=5, seconds=3.0)


@dataclass
class Lane:
    """One contender's process and what it measured: `seconds[mode]`, `facts` (evaluations, errors)."""

    name: str
    process: subprocess.Popen
    seconds: dict[str, list[float]] = field(default_factory=lambda: {mode: [] for mode in MODES})
    facts: dict = field(default_factory=dict)
    absent: str | None = None

    def ask(self, **request):
        """Send one request and wait for its answer."""
        assert self.process.stdin is not None
        # A process that died breaks the pipe; the empty answer below says so.
        with suppress(BrokenPipeError):
            self.process.stdin.write(json.dumps(request) + "\n")
            self.process.stdin.flush()
        return self.answer()

    def answer(self):
        assert self.process.stdout is not None
        answer = self.process.stdout.readline()
        if not answer:
            raise RuntimeError(f"the process of {self.name!r} ended early; its message is above.")
        return json.loads(answer)

    def close(self) -> None:
        """End the process by closing its input, and wait for it."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        with suppress(BrokenPipeError):
            self.process.stdin.close()
        self.process.wait(timeout=60)
        self.process.stdout.close()

    def median(self, mode: str) -> float | None:
        """Seconds; None where it did not run."""
        return statistics.median(self.seconds[mode]) if self.seconds[mode] else None

    def is_measured(self, mode: str, pace: Pace) -> bool:
        """A slow contender may stop early: it has had its share of time and at least three runs."""
        seconds = self.seconds[mode]
        return len(seconds) >= 3 and sum(seconds) > pace.seconds


def start_lane(name: str, workload: Workload, threads: int) -> Lane:
    """Start one contender's process."""
    environment = os.environ | {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
    command = [sys.executable, "-m", "neurode.tasks.speed.worker", name, json.dumps(asdict(workload)), str(threads)]
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
        cwd=Path(__file__).parents[3],
    )
    return Lane(name, process)


def race(
    workload: Workload,
    names: list[str],
    *,
    threads: int,
    pace: Pace,
    reference: Path,
    tell: Callable[[str], None] = lambda sentence: None,
) -> list[Lane]:
    """Run interleaved rounds of every contender; returns the finished lanes, those that cannot take part included."""
    lanes: list[Lane] = []
    try:
        for name in names:
            tell(f"{workload.name}: warming up {name}")
            lane = start_lane(name, workload, threads)
            lanes.append(lane)
            lane.absent = lane.answer()["absent"]
            if lane.absent is None:
                lane.ask(do="warm-up")
                lane.facts = lane.ask(do="describe", reference=str(reference))
        present = [lane for lane in lanes if lane.absent is None]
        for mode in workload.modes:
            tell(f"{workload.name}: {mode}")
            for turn in range(pace.rounds):
                first = turn % len(present)
                for lane in present[first:] + present[:first]:
                    if not lane.is_measured(mode, pace):
                        lane.seconds[mode] += lane.ask(do="time", mode=mode, repeats=pace.repeats)
    finally:
        for lane in lanes:
            lane.close()
    return lanes
