"""Training over a horizon of 10,000 steps in less than 200 MB, where plain backpropagation would need more than 8 GB.

    python -m benchmarks.long_horizon                 20 iterations a way: about 15 minutes on two idle cores
    python -m benchmarks.long_horizon --quick         2,000 steps, 3 iterations: a minute
    python -m benchmarks.long_horizon --ways reversible
    python -m benchmarks.long_horizon --resume benchmarks/results/long_horizon_<date>.jsonl

Each training (benchmarks.long_training) is a process of its own, whose resident set counts from the imports on. What
direct would need is a straight line through two shorter horizons; where direct fits, every way trains there too, and
their loss curves are compared. Writes benchmarks/results/long_horizon_<date>.jsonl, training by training, .md and .png.
"""

import argparse
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path

from benchmarks.hardware import description
from benchmarks.long_training import BATCH, HIDDEN, STEP, WAYS, Training
from neurode.report.picture import write_png
from neurode.report.style import BLUE, GREEN, PURPLE, VERMILION, drawing, new_figure, powers_of_ten, whole_numbers

RESULTS = Path(__file__).parent / "results"
ALLOWED, DIRECT_LIMIT = 200e6, 8e9
"""Bytes above the imports for us, and what direct must not fit into."""
FULL = 10_000
"""Steps for which direct is judged, also where a quick run stops earlier."""
LOOKS: dict[str, dict] = {
    "direct": {"color": VERMILION, "lw": 7.0, "alpha": 0.35},
    "Checkpointed(150)": {"color": GREEN, "lw": 3.4},
    "reversible": {"color": BLUE, "lw": 1.4, "ls": "--"},
    "adjoint": {"color": PURPLE, "lw": 0, "marker": "v", "ms": 5},
}
"""The curves lie on one another: each is drawn so that those below it are still seen."""


@dataclass
class Record:
    """The trainings so far, each of which is in the file as soon as it is done."""

    path: Path
    done: list[Training] = field(default_factory=list)

    @classmethod
    def open(cls, path: Path) -> "Record":
        lines = path.read_text().splitlines() if path.exists() else []
        return cls(path, [Training(**json.loads(line)) for line in lines])

    def find(self, way: str, steps: int, iterations: int, count: bool = False) -> Training | None:
        for one in self.done:
            if (one.way, one.steps) == (way, steps) and len(one.losses) == iterations and (_counted(one) or not count):
                return one
        return None

    def train(self, jobs: list[tuple[str, int, int, bool]], processes: int) -> None:
        """Those of the jobs (way, steps, iterations, count) that are not done yet."""
        missing = [job for job in jobs if self.find(*job) is None]
        with ThreadPoolExecutor(processes) as pool:
            for one in pool.map(_run, missing):
                self.done.append(one)
                with self.path.open("a") as file:
                    file.write(json.dumps(asdict(one)) + "\n")


def _counted(one: Training) -> bool:
    return one.counted == one.counted


def _run(job: tuple[str, int, int, bool]) -> Training:
    way, steps, iterations, count = job
    command = [sys.executable, "-m", "benchmarks.long_training", way, str(steps), str(iterations)]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    done = subprocess.run(
        [*command, *(["count"] if count else [])],
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
        cwd=Path(__file__).parents[1],
        check=True,
    )
    return Training(**json.loads(done.stdout))


@dataclass(frozen=True)
class Horizons:
    """Steps of the long horizon, of the one where direct fits, and of a shorter one, for the line through both."""

    long: int
    fits: int
    shorter: int


@dataclass(frozen=True)
class Found:
    """long: the trainings over the long horizon. short: those where direct fits, direct first. resident, counted: bytes
    that direct would need for `FULL` steps, by the resident set and by its tensors alone."""

    horizons: Horizons
    long: list[Training]
    short: list[Training]
    resident: float
    counted: float


def measure(record: Record, ways: list[str], horizons: Horizons, iterations: int, processes: int) -> Found:
    """Train whatever is missing. Direct is alone with its memory: the line needs one iteration of the shorter horizon
    and all of the other."""
    direct = [("direct", horizons.shorter, 1, True), ("direct", horizons.fits, iterations, True)]
    record.train(direct, 1)
    record.train([(way, horizons.fits, iterations, False) for way in ways], processes)
    # The slowest first, so that no process is left with it at the end.
    slow_first = sorted(ways, key=lambda way: -_seconds(record, way, horizons.fits, iterations))
    record.train([(way, horizons.long, iterations, False) for way in slow_first], processes)
    before, last = (record.find(*job) for job in direct)
    assert before is not None
    assert last is not None

    def line(name: str) -> float:
        low, high = getattr(before, name), getattr(last, name)
        return high + (high - low) * (FULL - last.steps) / (last.steps - before.steps)

    return Found(
        horizons,
        _all(record, ways, horizons.long, iterations),
        _all(record, ["direct", *ways], horizons.fits, iterations),
        line("resident"),
        line("counted"),
    )


def _seconds(record: Record, way: str, steps: int, iterations: int) -> float:
    one = record.find(way, steps, iterations)
    return 0.0 if one is None else one.seconds


def _all(record: Record, ways: list[str], steps: int, iterations: int) -> list[Training]:
    found = [record.find(way, steps, iterations) for way in ways]
    return [one for one in found if one is not None]


def difference(one: Training, other: Training) -> float:
    """The largest relative difference of two loss curves."""
    return max(abs(a - b) / abs(b) for a, b in zip(one.losses, other.losses, strict=True))


def report(found: Found) -> list[str]:
    horizons, direct = found.horizons, found.short[0]
    lines = [f"## {horizons.long:,} steps", ""]
    lines += ["| way | resident set above the imports, MB | CPU seconds an iteration | first loss | last loss |"]
    lines += ["|---|---|---|---|---|"]
    for one in found.long:
        size, seconds = one.resident / 1e6, one.seconds / len(one.losses)
        lines.append(f"| {one.way} | {size:.0f} | {seconds:.1f} | {one.losses[0]:.4g} | {one.losses[-1]:.4g} |")
    lines += [
        "",
        f"Direct would need {found.resident / 1e9:.1f} GB for {FULL:,} steps, its tensors alone "
        f"{found.counted / 1e9:.1f} GB: a straight line through {horizons.shorter:,} and {horizons.fits:,} steps.",
        "",
        f"## {horizons.fits:,} steps, where direct fits",
        "",
        "| way | resident set above the imports, MB | CPU seconds an iteration | last loss | loss curve off by |",
        "|---|---|---|---|---|",
    ]
    for one in found.short:
        size, seconds, gap = one.resident / 1e6, one.seconds / len(one.losses), difference(one, direct)
        off = "" if one is direct else f"{gap:.1e}"
        lines.append(f"| {one.way} | {size:,.0f} | {seconds:.2f} | {one.losses[-1]:.6g} | {off} |")
    return [
        *lines,
        "",
        "The last column is the largest difference of an iteration's loss from direct's, relative to that.",
        "",
    ]


def verdicts(found: Found) -> list[str]:
    """A line for each bar, as the figures fall."""
    lines = []
    for one in found.long:
        size = one.resident / 1e6
        words = f"{one.way} trains over {one.steps:,} steps within {size:.0f} MB above the imports (bar: 200 MB)"
        lines.append(f"{_judge(one.resident <= ALLOWED)}: {words}")
        fell = one.losses[-1] < one.losses[0]
        lines.append(f"{_judge(fell)}: {one.way}, loss from {one.losses[0]:.4g} to {one.losses[-1]:.4g}")
    counted = found.counted / 1e9
    words = f"direct's tensors at {FULL:,} steps would be {counted:.1f} GB, extrapolated (bar: more than 8 GB)"
    lines.append(f"{_judge(found.counted > DIRECT_LIMIT)}: {words}")
    for one in found.short[1:]:
        gap = difference(one, found.short[0])
        words = f"{one.way}, loss curve within {gap:.1e} of direct's at {one.steps:,} steps (bar: 1e-3)"
        lines.append(f"{_judge(gap <= 1e-3)}: {words}")
    if len(found.long) > 1:
        first = found.long[0]
        gap = max(difference(one, first) for one in found.long[1:])
        lines.append(f"for information: at {first.steps:,} steps the loss curves lie within {gap:.1e} of each other")
    return lines


def _judge(passed: bool) -> str:
    return "passed" if passed else "MISSED"


MARKS = [digit * 10.0**power for power in range(-12, 4) for digit in (1, 2, 5)]


def draw(found: Found):
    """Loss against iterations: left the long horizon, right the one where direct fits."""
    with drawing():
        figure = new_figure(3.8)
        left, right = figure.subplots(1, 2)
        for axes, trainings in ((left, found.long), (right, found.short)):
            for one in trainings:
                axes.plot(range(1, len(one.losses) + 1), one.losses, label=one.way, **LOOKS.get(one.way, {}))
            axes.set_yscale("log")
            losses = [loss for one in trainings for loss in one.losses]
            powers_of_ten(axes.yaxis, [mark for mark in MARKS if min(losses) <= mark <= max(losses)])
            whole_numbers(axes.xaxis)
            axes.set_xlabel("iteration")
        left.set_ylabel("loss")
        most = max(one.resident for one in found.long) / 1e6
        left.set_title(f"{found.horizons.long:,} steps: at most {most:.0f} MB")
        right.set_title(f"{found.horizons.fits:,} steps: direct {found.short[0].resident / 1e9:.1f} GB")
        handles, labels = right.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper left", ncols=len(handles))
    return figure


def main(arguments: list[str] | None = None) -> Path:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.long_horizon", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a fifth of the horizon, and 3 iterations")
    names = [name for name in WAYS if name != "direct"]
    parser.add_argument("--ways", default=",".join(names), help="comma-separated; default: all")
    parser.add_argument("--iterations", type=int, help="default: 20, or 3 when quick")
    parser.add_argument("--processes", type=int, default=2, help="trainings at a time")
    parser.add_argument("--resume", type=Path, help="the .jsonl of a run to go on with")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the results")
    options = parser.parse_args(arguments)
    ways = options.ways.split(",")
    unknown = [name for name in ways if name not in names]
    if unknown:
        parser.error(f"unknown way {unknown[0]!r}; known: {', '.join(names)}")
    horizons = Horizons(2000, 400, 200) if options.quick else Horizons(10_000, 1000, 500)
    iterations = options.iterations or (3 if options.quick else 20)
    options.results.mkdir(parents=True, exist_ok=True)
    path = options.resume or options.results / f"long_horizon_{datetime.now():%Y-%m-%d_%H%M}.jsonl"
    about = description()
    found = measure(Record.open(path), ways, horizons, iterations, options.processes)
    body = [*report(found), "## Verdicts", "", *(f"- {line}" for line in verdicts(found)), ""]
    words = " ".join(["python -m benchmarks.long_horizon", *(sys.argv[1:] if arguments is None else arguments)])
    head = [
        f"# Training over a long horizon, {datetime.now():%Y-%m-%d}",
        "",
        f"- command: `{words}`",
        *about,
        f"- a pendulum, {BATCH:,} swings seen every unit of time; an oscillator and a perceptron of {HIDDEN} neurons "
        f"with tanh; midpoint rule, step {STEP:g}, float64, Adam, {iterations} iterations; one thread a process, "
        f"{options.processes} at a time",
        f"- trainings: {path.name}; the plot: {path.with_suffix('.png').name}",
        "",
    ]
    path.with_suffix(".md").write_text("\n".join([*head, *body]))
    write_png(draw(found), path.with_suffix(".png"), dpi=120)
    print("\n".join(body))
    print(f"written: {path.with_suffix('.md')}")
    return path


if __name__ == "__main__":
    main()
