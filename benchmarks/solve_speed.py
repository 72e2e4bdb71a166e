"""Speed of neurode against torchdiffeq, torchode and diffrax, in one alternating run, and against its floor.

    python -m benchmarks.solve_speed --threads 1,2

Equal method (dopri5), tolerance and precision (float32). Forward, and forward + backward with gradients for y0 and all
parameters. The error reached, against a float64 solution at rtol 1e-9, stands beside every time. Writes
benchmarks/results/solve_speed_<date>.csv and .md; --add goes on with an earlier pair, so that a long comparison can be
run in pieces.
"""

import argparse
import csv
import sys
from dataclasses import asdict, fields
from datetime import datetime
from itertools import groupby
from pathlib import Path

from benchmarks.hardware import description
from neurode.tasks.speed.comparison import SpeedJob, compare_speed
from neurode.tasks.speed.race import Pace
from neurode.tasks.speed.results import COLUMNS, SpeedRow, table_rows
from neurode.tasks.speed.workloads import WORKLOADS

RESULTS = Path(__file__).parent / "results"
NOTE = (
    "- medians of interleaved runs, one process a contender; only ratios are to be trusted on a shared machine. "
    "\"of neurode's\" is a time in units of neurode's own (fused where it takes part, else eager). Calls of f, and the "
    "samples in them, are those of the forward solve. Errors are against dopri5 in float64 at rtol 1e-9 "
    "(torchdiffeq's; torchode's for own times or steps; for conv neurode's at 1e-6): of the outputs the largest, and "
    'the median over the samples of the largest of each; of all gradients together the relative one. "floor" is no '
    "solver: it makes the calls of f and its vector-Jacobian products that neurode's eager engine cannot do without, "
    "recomputation counted, and no more. diffrax is compiled before it is timed."
)


def read_rows(path: Path) -> list[SpeedRow]:
    """The rows of a result file."""
    kinds = {field.name: field.type for field in fields(SpeedRow)}
    with path.open(newline="") as file:
        return [SpeedRow(**{name: kinds[name](value) for name, value in row.items()}) for row in csv.DictReader(file)]  # type: ignore[operator]


def write_rows(path: Path, rows: list[SpeedRow]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(SpeedRow)], lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(row) for row in rows)


def markdown(rows: list[SpeedRow]) -> list[str]:
    """A section for each workload and number of threads, in the order of the workloads."""
    order = list(WORKLOADS)
    lines = []
    rows = sorted(rows, key=lambda row: (order.index(row.workload), row.threads))
    for (name, threads), group in groupby(rows, key=lambda row: (row.workload, row.threads)):
        race = list(group)
        lines += [f"## {name}, {threads} thread{'s' if threads > 1 else ''}", "", WORKLOADS[name].about, ""]
        lines += ["| " + " | ".join(COLUMNS) + " |", "|---" * len(COLUMNS) + "|"]
        lines += ["| " + " | ".join(cells) + " |" for cells in table_rows(race)]
        lines += [f"\nNot in it: {row.contender} ({row.absent})." for row in race if row.absent]
        lines.append("")
    return lines


def main(arguments: list[str] | None = None) -> Path:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.solve_speed", description=__doc__.splitlines()[0])
    parser.add_argument("--workloads", default=",".join(WORKLOADS), help="comma-separated; default: all")
    parser.add_argument("--threads", default="1,2", help="numbers of threads, comma-separated")
    parser.add_argument("--rounds", type=int, default=15, help="interleaved rounds a mode")
    parser.add_argument("--repeats", type=int, default=5, help="runs of one contender within a round")
    parser.add_argument("--seconds", type=float, default=6.0, help="a contender's share of each mode")
    parser.add_argument(
        "--gain", type=float, default=1.0, help="multiplies the weights: above 1 the solves need more steps"
    )
    parser.add_argument("--only", default="", help="contenders, comma-separated; default: all")
    parser.add_argument("--add", type=Path, default=None, help="a .csv of an earlier run to go on with")
    options = parser.parse_args(arguments)
    now = datetime.now()
    words = lambda text: tuple(word for word in text.split(",") if word)  # noqa: E731
    try:
        job = SpeedJob(
            words(options.workloads), tuple(map(int, words(options.threads))),
            Pace(options.rounds, options.repeats, options.seconds), words(options.only), options.gain,
        )  # fmt: skip
    except ValueError as error:
        parser.error(str(error))
    path = options.add or RESULTS / f"solve_speed_{now:%Y-%m-%d_%H%M}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = read_rows(path) if options.add and path.exists() else []
    command = " ".join(["python -m benchmarks.solve_speed", *(sys.argv[1:] if arguments is None else arguments)])
    head = [f"# Speed of a solve, {now:%Y-%m-%d}", "", f"- command: `{command}`", *description(), NOTE, ""]
    for found in compare_speed(job, lambda sentence: print(sentence, file=sys.stderr, flush=True)):
        again = {(row.contender, row.workload, row.threads) for row in found.rows}
        rows = [row for row in rows if (row.contender, row.workload, row.threads) not in again] + found.rows
        print("\n".join(markdown(found.rows)), flush=True)
        # After every race, so that a run cut short leaves what it measured.
        write_rows(path, rows)
        path.with_suffix(".md").write_text("\n".join([*head, *markdown(rows)]))
    print(f"written: {path.with_suffix('.md')}")
    return path


if __name__ == "__main__":
    main()
