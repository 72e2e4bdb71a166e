"""`neurode bench`: how fast solves are on this machine, beside the libraries that are installed."""

import json
import sys
from dataclasses import asdict

import typer

from neurode.cli.options import split_names
from neurode.cli.streams import Streams
from neurode.tasks.speed.comparison import SHORT, Found, SpeedJob, compare_speed
from neurode.tasks.speed.contenders import CONTENDERS
from neurode.tasks.speed.race import Pace
from neurode.tasks.speed.results import COLUMNS, table_rows


def run_bench(
    streams: Streams, workloads: str | None, threads: str, only: str | None, *, quick: bool, as_json: bool
) -> None:
    """Race, and print what was found on standard output."""
    pace = Pace(1, 1, 0.1) if quick else Pace.short()
    try:
        job = SpeedJob(
            tuple(split_names(workloads) or SHORT), tuple(map(int, threads.split(","))), pace,
            tuple(split_names(only) or ()),
        )  # fmt: skip
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    missing = sorted({it.module for it in CONTENDERS.values() if not it.is_installed})
    if missing and not only:
        streams.say(f"Not installed, so not measured: {', '.join(missing)}. To compare: pip install 'neurode[bench]'")
    found = []
    for one in compare_speed(job, streams.detail):
        found.append(one)
        if not as_json:
            sys.stdout.write(as_text(one) + "\n")
            sys.stdout.flush()
    if as_json:
        sys.stdout.write(json.dumps([_plain(one) for one in found], indent=2) + "\n")


def as_text(found: Found) -> str:
    """A heading, and the table in columns."""
    rows = [list(COLUMNS), *table_rows(found.rows)]
    widths = [max(len(row[place]) for row in rows) for place in range(len(COLUMNS))]
    lines = [f"{found.workload}, {found.threads} thread{'s' if found.threads > 1 else ''}: {found.about}"]
    for row in rows:
        cells = [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        lines.append("  ".join([row[0].ljust(widths[0]), *cells]).rstrip())
    lines += [f"Not in it: {row.contender}, {row.absent}" for row in found.rows if row.absent]
    return "\n".join(lines) + "\n"


def _plain(found: Found) -> dict:
    """For JSON, which knows no NaN."""
    plain = asdict(found)
    for row in plain["rows"]:
        row.update({name: None for name, value in row.items() if value != value})
    return plain
