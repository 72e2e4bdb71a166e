"""Speed of neurode against torchdiffeq and torchode, in one alternating run.

    python -m benchmarks.solve_speed --threads 1,2

Equal method (dopri5), tolerance and precision (float32). Forward, and forward + backward with gradients for y0 and all
parameters. The error reached, against a float64 solution at rtol 1e-9, stands beside every time. Writes
benchmarks/results/solve_speed_<date>.md.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from benchmarks.contenders import entrants
from benchmarks.hardware import description
from benchmarks.race import Lane, race
from benchmarks.reference import write_reference
from benchmarks.workloads import WORKLOADS, Workload

RESULTS = Path(__file__).parent / "results"


def table(lanes: list[Lane]) -> list[str]:
    """A markdown table: medians, ratios to torchdiffeq (above 1: faster than it) or to the first, cost and errors."""
    rival = next((lane for lane in lanes if lane.name == "torchdiffeq"), lanes[0])

    def ratio(lane: Lane, mode: str) -> str:
        return f"{rival.median(mode) / lane.median(mode):.2f}"

    lines = [
        f"| contender | forward, ms | times as fast as {rival.name} | forward+backward, ms | times as fast "
        "| evaluations | largest error | gradient error |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for lane in lanes:
        forward, both = lane.median("forward") * 1e3, lane.median("forward+backward") * 1e3
        lines.append(
            f"| {lane.name} | {forward:.2f} | {ratio(lane, 'forward')} "
            f"| {both:.2f} | {ratio(lane, 'forward+backward')} "
            f"| {lane.facts['evaluations']} | {lane.facts['error']:.1e} | {lane.facts['gradient_error']:.1e} |"
        )
    return lines


def heading(workload: Workload, threads: int) -> str:
    own = ", own times for every sample" if workload.own_times else ""
    gain = "" if workload.gain == 1 else f", weights times {workload.gain:g}"
    return (
        f"## {workload.name}, {threads} thread{'s' if threads > 1 else ''}\n\n"
        f"Batch {workload.batch}, state {workload.dim}, MLP {', '.join(map(str, workload.hidden))} tanh{gain}, "
        f"{workload.num_outputs} outputs on [0, {workload.t1:g}]{own}, "
        f"rtol {workload.rtol:g}, atol {workload.atol:g}.\n"
    )


def compare(
    workloads: list[Workload], threads: list[int], rounds: int, repeats: int, only: list[str]
) -> Iterator[list[str]]:
    """Race every workload at every number of threads; yields the markdown lines of each race."""
    with tempfile.TemporaryDirectory() as folder:
        for workload in workloads:
            reference = Path(folder) / f"{workload.name}.pt"
            write_reference(workload, reference)
            names = [name for name in entrants(workload) if not only or name in only]
            for count in threads:
                lanes = race(workload, names, threads=count, rounds=rounds, repeats=repeats, reference=reference)
                yield [heading(workload, count), *table(lanes), ""]


def head_lines(command: str, now: datetime) -> list[str]:
    """The head of a result file: when, how, on what, and how to read it."""
    note = (
        "- medians of interleaved runs, one process a contender; only ratios are to be trusted on a shared machine. "
        "Evaluations are those of the forward solve; largest error over all outputs and gradient error (relative, "
        "all gradients together) are against dopri5 in float64 at rtol 1e-9 (torchdiffeq's; torchode's for own times)."
    )
    return [f"# Speed of a solve, {now:%Y-%m-%d}", "", f"- command: `{command}`", *description(), note, ""]


def main(arguments: list[str] | None = None) -> Path:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.solve_speed", description=__doc__.splitlines()[0])
    parser.add_argument("--workloads", default=",".join(WORKLOADS), help="comma-separated; default: all")
    parser.add_argument("--threads", default="1,2", help="numbers of threads, comma-separated")
    parser.add_argument("--rounds", type=int, default=15, help="interleaved rounds a mode")
    parser.add_argument("--repeats", type=int, default=5, help="runs of one contender within a round")
    parser.add_argument(
        "--gain", type=float, default=1.0, help="multiplies the weights: above 1 the solves need more steps"
    )
    parser.add_argument("--only", default="", help="contenders, comma-separated; default: all")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the result file")
    options = parser.parse_args(arguments)
    unknown = [name for name in options.workloads.split(",") if name not in WORKLOADS]
    if unknown:
        parser.error(f"unknown workload {unknown[0]!r}; known: {', '.join(WORKLOADS)}")
    workloads = [replace(WORKLOADS[name], gain=options.gain) for name in options.workloads.split(",")]
    threads = [int(count) for count in options.threads.split(",")]
    only = [name for name in options.only.split(",") if name]
    words = sys.argv[1:] if arguments is None else arguments
    now = datetime.now()
    options.results.mkdir(parents=True, exist_ok=True)
    path = options.results / f"solve_speed_{now:%Y-%m-%d_%H%M}.md"
    lines = head_lines(" ".join(["python -m benchmarks.solve_speed", *words]), now)
    for section in compare(workloads, threads, options.rounds, options.repeats, only):
        print("\n".join(section), flush=True)
        lines += section
        path.write_text("\n".join(lines))  # after every race, so that a run cut short leaves what it measured
    print(f"written: {path}")
    return path


if __name__ == "__main__":
    main()
