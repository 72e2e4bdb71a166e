"""What keeps a field cheap to solve: kinetic energy, Jacobian and random end time, each beside going without.

    python -m benchmarks.cheap_fields --repeats 3

Two spirals, dopri5 at 1e-3 in training; what counts is how many evaluations the trained field needs. Writes a dated
result under benchmarks/results.
"""

import argparse
import sys
from datetime import date
from pathlib import Path

import torch

from benchmarks.hardware import description
from neurode.data.classes import spirals
from neurode.models.depth import Regulariser
from neurode.tasks.comparison.candidates import Candidate
from neurode.tasks.comparison.comparing import compare
from neurode.tasks.comparison.results import Comparison
from neurode.tasks.comparison.verdicts import points

RESULTS = Path(__file__).parent / "results"
WAYS = (
    Regulariser(),
    Regulariser(kinetic=0.01),
    Regulariser(kinetic=0.1),
    Regulariser(jacobian=0.01),
    Regulariser(kinetic=0.01, jacobian=0.01),
    Regulariser(end_time=0.5),
)


def main(arguments: list[str] | None = None) -> None:
    """Train, print, write."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.cheap_fields", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--points", type=int, default=2000)
    parser.add_argument("--results", type=Path, default=RESULTS)
    chosen = parser.parse_args(arguments)
    candidates = tuple(Candidate("odenet", None, "dopri5@1e-3", "checkpointed", way) for way in WAYS)
    found = compare(
        spirals(chosen.points),
        candidates=candidates,
        epochs=chosen.epochs,
        repeats=chosen.repeats,
        batch_size=128,
        memory=False,
    )
    text = "\n".join(report(found, description())) + "\n"
    print(text)
    path = chosen.results / f"cheap_fields_{date.today().isoformat()}.md"
    path.write_text(text)
    print(f"written: {path}", file=sys.stderr)


def report(found: Comparison, about: list[str]) -> list[str]:
    """Markdown: a row for each way."""
    lines = [
        "# What keeps a field cheap to solve",
        "",
        *about,
        f"- data: {found.about}; {found.num_train:,} to train, {found.num_test:,} held out; {found.settings['epochs']} "
        f"epochs, means over {found.settings['repeats']} seeds and splits",
        "- evaluations: of a solve in the last epoch of training at 1e-3, whose error is that of the costs too, and of "
        "the trained field by dopri5 at 1e-3 and 1e-5",
        "",
        "| training adds | evaluations in training | at 1e-3 | at 1e-5 | accuracy ± s.d. | s an epoch |",
        "|---|---|---|---|---|---|",
    ]
    for model in found.trained:
        again = {way.words: way.evaluations for way in model.redone}
        lines.append(
            f"| {model.candidate.regulariser.words or 'nothing'} | {found.evaluations(model)[0]:.1f} | "
            f"{again['dopri5 at 1e-3']:.1f} | {again['dopri5 at 1e-5']:.1f} | {points(model.score)} ± "
            f"{points(model.spread)} | {found.epoch_seconds(model)[0]:.3g} |"
        )
    lines += [f"\n{one.candidate.name}: {one.problem}" for one in found.models if one.problem]
    return lines


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
