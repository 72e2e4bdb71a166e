"""Memory and time of each way to differentiate a solve, against the number of its steps.

    python -m benchmarks.gradient_memory              10 to 10,000 steps: about 9 minutes on two idle cores
    python -m benchmarks.gradient_memory --quick      10 to 100 steps: a minute
    python -m benchmarks.gradient_memory --resume benchmarks/results/gradient_memory_<date>.csv

Batch 512, state 64, MLP 128, 128 tanh, float64, constant steps on [0, 1]; gradients of y0 and all weights. Memory is
measured by Euler's method, which of all methods keeps least a step where every evaluation is kept, and takes 10,000
steps in minutes; --method rk4 takes four times as long. Every point is a process of its own in which each tensor is
counted (neurode.tasks.live_tensors) and the system's own mark of the resident set is read. Time is measured apart,
without counting, in rounds in which the ways take turns. What would need more than --limit-gb is extrapolated and
marked. Writes benchmarks/results/gradient_memory_<date>.csv (point by point), .md and .png.
"""

import argparse
import csv
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime
from pathlib import Path

import torch

from benchmarks.gradient_time import Timing, time_ways
from benchmarks.hardware import description
from benchmarks.memory_point import MemoryJob
from benchmarks.memory_report import Row, draw, memory_table, time_table, verdicts
from benchmarks.memory_ways import NO_GRADIENT, WAYS, why_not
from neurode.report.picture import write_png

RESULTS = Path(__file__).parent / "results"
STEPS = (10, 30, 100, 300, 1000, 3000, 10_000)
BASE, REPEATS = 100, 3
"""Steps from which flatness is judged: the resident set, which varies by some percent from process to process, is there
the median of so many."""
COLUMNS = ["job", *(field.name for field in fields(Row))]


@dataclass
class Record:
    """The rows so far, each of which is in the file as soon as it is known."""

    path: Path
    job: MemoryJob
    rows: list[Row]

    @classmethod
    def open(cls, path: Path, job: MemoryJob) -> "Record":
        """A new file, or what is there of this job."""
        rows = []
        if path.exists():
            with path.open(newline="") as file:
                for cells in csv.DictReader(file):
                    if cells.pop("job") == job.words and cells["status"] == "measured":
                        rows.append(_row(cells))
        else:
            with path.open("w", newline="") as file:
                csv.writer(file, lineterminator="\n").writerow(COLUMNS)
        return cls(path, job, rows)

    def add(self, row: Row) -> None:
        self.rows.append(row)
        with self.path.open("a", newline="") as file:
            csv.DictWriter(file, COLUMNS, lineterminator="\n").writerow({"job": self.job.words, **asdict(row)})
        print(_line(row), flush=True)

    def of(self, way: str) -> list[Row]:
        """The measured rows of a way, rising."""
        found = [row for row in self.rows if row.way == way and row.status == "measured"]
        return sorted(found, key=lambda row: row.steps)

    def has(self, way: str, steps: int) -> bool:
        return any(row.steps == steps for row in self.of(way))

    def sorted(self, ways: list[str]) -> list[Row]:
        return sorted(self.rows, key=lambda row: (ways.index(row.way), row.steps))


def _row(cells: dict[str, str]) -> Row:
    numbers = {name: float(cells[name]) for name in ("kept", "peak", "resident", "forward", "backward")}
    return Row(cells["way"], int(cells["steps"]), **numbers, status=cells["status"], note=cells["note"])


def _line(row: Row) -> str:
    size = f"peak {row.peak / 1e6:,.2f} MB, resident {row.resident / 1e6:,.1f} MB"
    seconds = f"{row.forward:.2f} + {row.backward:.2f} s"
    return f"{row.way:28s} {row.steps:>6,} steps  {size}  {seconds}  {row.status}" + (
        f" ({row.note})" if row.note else ""
    )


def extrapolated(known: list[Row], steps: int, note: str = "") -> Row:
    """A straight line through the two largest runs, which memory and time of a solve follow."""
    before, last = known[-2:]
    share = (steps - before.steps) / (last.steps - before.steps)

    def at(name: str) -> float:
        low, high = getattr(before, name), getattr(last, name)
        return low + share * (high - low)

    values = {name: at(name) for name in ("kept", "peak", "resident", "forward", "backward")}
    return Row(last.way, steps, **values, status="extrapolated", note=note)


def measure_all(record: Record, ways: list[str], steps: list[int], *, limit: float, processes: int) -> None:
    """Every way at every number of steps, rising, `processes` points at a time; too large ones are extrapolated."""
    for count in steps:
        todo: list[tuple[float, str]] = []
        for way in ways:
            if record.has(way, count):
                continue
            known = record.of(way)
            estimate = extrapolated(known, count) if len(known) > 1 else None
            if estimate is not None and max(estimate.peak, estimate.resident) > limit:
                note = (
                    f"would pass {limit / 1e9:g} GB; a line through {known[-2].steps:,} and {known[-1].steps:,} steps"
                )
                record.add(replace(estimate, note=note))
            else:
                todo.append((0.0 if estimate is None else -(estimate.forward + estimate.backward), way))
        with ThreadPoolExecutor(processes) as pool:
            # The longest first, so that no process is left with it at the end.
            for row in pool.map(_point(record.job, count), [way for _, way in sorted(todo)]):
                record.add(row)


def _point(job: MemoryJob, steps: int) -> Callable[[str], Row]:
    def run(way: str) -> Row:
        found = [run_once(way) for _ in range(REPEATS if steps == BASE else 1)]
        return replace(found[-1], resident=statistics.median(row.resident for row in found))

    def run_once(way: str) -> Row:
        environment = os.environ | {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
        command = [sys.executable, "-m", "benchmarks.memory_point", way, str(steps), json.dumps(asdict(job))]
        root = Path(__file__).parents[1]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=root, check=False)
        if done.returncode:
            raise RuntimeError(f"{way} at {steps:,} steps failed:\n{done.stderr}")
        if done.stderr:
            print(done.stderr, file=sys.stderr)
        return Row(way, steps, **json.loads(done.stdout.splitlines()[-1]))

    return run


def write(record: Record, ways: list[str], timings: dict[str, list[Timing]], timed_steps: int, command: str) -> None:
    """The markdown file and the picture beside the CSV, and both tables on standard output."""
    job, path = record.job, record.path
    rows = record.sorted(ways)
    state = job.batch * job.dim * 8
    body = ["## Memory", "", *memory_table(rows), ""]
    if timings:
        body += ["## Time", "", "Medians of rounds in which the ways took turns; ratios are taken within a round.", ""]
    for method, found in timings.items():
        body += time_table(found, method, timed_steps)
    body += ["## Verdicts", "", *(f"- {line}" for line in verdicts(rows, timings, state)), ""]
    head = [
        f"# Memory and time of a solve's gradient, {datetime.now():%Y-%m-%d}",
        "",
        f"- command: `{command}`",
        *description(),
        f"- {job.words}; gradients by y0 and all weights; one thread a process",
        f"- `{NO_GRADIENT}` is a forward pass alone, the floor; a state is {state / 1e6:.3f} MB; `~`: extrapolated",
        f"- points: {path.name}; the plot: {path.with_suffix('.png').name}",
        "",
    ]
    path.with_suffix(".md").write_text("\n".join([*head, *body]))
    write_png(draw(rows, timings, timed_steps), path.with_suffix(".png"), dpi=120)
    print("\n".join(["", *body]))
    print(f"written: {path.with_suffix('.md')}")


def main(arguments: list[str] | None = None) -> Path:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gradient_memory", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="up to 100 steps, and a short race")
    parser.add_argument("--steps", default="", help="numbers of steps, comma-separated; default: 10 to 10,000")
    parser.add_argument("--method", default="euler", help="the method whose memory is measured")
    parser.add_argument("--time-methods", default="rk4,dopri5", help="methods that are timed; empty for none")
    parser.add_argument("--timed-steps", type=int, help="of each race; default: 50, or 10 when quick")
    parser.add_argument("--rounds", type=int, default=4, help="rounds of each race")
    parser.add_argument("--ways", default="", help="names separated by semicolons; default: all")
    parser.add_argument("--limit-gb", type=float, default=3.0, help="what would need more is extrapolated")
    parser.add_argument("--processes", type=int, default=2, help="points measured at a time")
    parser.add_argument("--resume", type=Path, help="the CSV of a run to go on with")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the results")
    options = parser.parse_args(arguments)
    names = [name for name in options.ways.split(";") if name] or list(WAYS)
    unknown = [name for name in names if name not in WAYS]
    if unknown:
        parser.error(f"unknown way {unknown[0]!r}; known: {'; '.join(WAYS)}")
    steps = [int(count) for count in options.steps.split(",") if count] or [
        count for count in STEPS if not options.quick or count <= 100
    ]
    torch.set_num_threads(1)
    options.results.mkdir(parents=True, exist_ok=True)
    path = options.resume or options.results / f"gradient_memory_{datetime.now():%Y-%m-%d_%H%M}.csv"
    job = MemoryJob(method=options.method)
    record = Record.open(path, job)
    reasons = {name: why_not(WAYS[name], job.method) for name in names}
    measured = [name for name in names if not reasons[name]]
    for name, reason in reasons.items():
        if reason:
            print(f"skipped: {name}: {reason}")
    measure_all(record, measured, steps, limit=1e9 * options.limit_gb, processes=options.processes)
    timed_steps = options.timed_steps or (10 if options.quick else 50)
    raced = ["direct", *(name for name in names if name not in ("direct", NO_GRADIENT))]
    timings = {
        method: time_ways(job, method, steps=timed_steps, rounds=options.rounds, only=raced)
        for method in options.time_methods.split(",")
        if method
    }
    words = " ".join(["python -m benchmarks.gradient_memory", *(sys.argv[1:] if arguments is None else arguments)])
    write(record, names, timings, timed_steps, words)
    return path


if __name__ == "__main__":
    main()
