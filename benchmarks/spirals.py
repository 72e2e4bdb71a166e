"""Chen's spirals, fully specified (neurode.data.toy.chen_spirals): the error beyond what was observed.

    python -m benchmarks.spirals                      30, 50 and 100 observed points at noise 0.1 (up to 5 minutes each)
    python -m benchmarks.spirals --noise 0.3 --points 50
    python -m benchmarks.spirals --seconds 20         a quick look

Prints a row for each and, with --write, a dated file under benchmarks/results. The paper's anchor (noise and sampling
not stated there): 0.1642, 0.1502, 0.1346 with 30, 50, 100 points.
"""

import argparse
import sys
from datetime import date
from pathlib import Path

import torch

from benchmarks.hardware import description
from neurode.tasks.spirals import SpiralJob, fit_spirals

RESULTS = Path(__file__).parent / "results"
PAPER = {30: 0.1642, 50: 0.1502, 100: 0.1346}


def main(arguments: list[str] | None = None) -> None:
    """Train once for each number of points, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.spirals", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--points", default="30,50,100", help="observed points of a window, several with commas")
    parser.add_argument("--noise", type=float, default=0.1, help="standard deviation of the noise")
    parser.add_argument("--epochs", type=int, default=300)
    parser.add_argument("--seconds", type=float, default=270.0, help="training stops after so long")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--write", action="store_true", help="also write a dated file under benchmarks/results")
    chosen = parser.parse_args(arguments)
    torch.set_num_threads(1)
    about = description()
    lines = [
        "| points | noise | RMSE to the truth | RMSE to noisy points | paper | epochs | seconds |",
        "|---|---|---|---|---|---|---|",
    ]
    print("\n".join(lines), flush=True)
    for points in (int(text) for text in chosen.points.split(",")):
        job = SpiralJob(
            num_points=points,
            noise=chosen.noise,
            epochs=chosen.epochs,
            max_seconds=chosen.seconds,
            seed=chosen.seed,
        )
        one = fit_spirals(job, progress=False)
        row = f"| {points} | {chosen.noise:g} | {one.rmse:.4f} | {one.rmse_noisy:.4f} | {PAPER.get(points, '')} "
        lines.append(row + f"| {len(one.result.history)} | {one.result.seconds:.0f} |")
        print(lines[-1], flush=True)
    if chosen.write:
        path = RESULTS / f"spirals_{date.today().isoformat()}.md"
        head = [
            "# Spirals beyond what was observed",
            "",
            *about,
            "- command: `python -m benchmarks.spirals --write`",
            "",
        ]
        path.write_text("\n".join([*head, *lines]) + "\n")
        print(f"written: {path}", file=sys.stderr)


if __name__ == "__main__":
    main()
