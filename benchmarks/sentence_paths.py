"""Paths between unseen sentences of a text, scored over several seeds: each trains a model and judges of its own.

    python -m benchmarks.sentence_paths sentences.txt.gz --runs runs        a model takes half an hour on one core

Every seed splits the text anew, trains the documented model (`neurode text train --preset documented`), judges on a
part that it never sees, and, for the first seed, a conventional autoencoder to stand beside it; runs that are complete
are opened again. Writes benchmarks/results/sentence_paths_<text>_<date>.md and .png: means over the seeds, paired
bootstrap over seeds and pairs, the judges' own check, samples, likelihood, times, and ten paths between pairs that were
drawn by seed and hash before anything was trained.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
import torch

from benchmarks.hardware import description
from benchmarks.sentence_tables import Pooled, draw, tables
from neurode.report.picture import write_png
from neurode.tasks.text.evaluating.kinds import DOCUMENTED
from neurode.tasks.text.evaluating.pairs import draw_pairs
from neurode.tasks.text.evaluation_results import TextEvaluation
from neurode.tasks.text.presets import documented
from neurode.tasks.text.text_model import TextModel

RESULTS = Path(__file__).parent / "results"
QUICK_JUDGES = {"language_epochs": 1, "judge_epochs": 1}
"""The autoencoder's judges judge nothing; the part they learn from must be kept apart from it all the same."""
SHOWN = 5
"""Paths that are printed of the first and of the last pairs: at random, and of sentences that share a rare word."""


@dataclass(frozen=True, eq=False)
class SeedFound:
    """What one seed gave. seconds: of the network's training. points, refining: seconds of 50 points of a path, and of
    holding two ends, one pair at a time."""

    seed: int
    evaluation: TextEvaluation
    check: str
    seconds: float
    per_second: float
    refining: list[float]
    points: list[float]
    paths: list[tuple[str, ...]]


def model_of(text: Path, folder: Path, **changes) -> TextModel:
    """The model of a finished run, or a run that is made now."""
    if (folder / "model").is_dir():
        return TextModel.load(folder / "model")
    model = documented().model(**changes)
    print(f"training {folder.name}", flush=True)
    model.fit(text, run_folder=folder, resume=folder.is_dir(), progress=None if sys.stderr.isatty() else False)
    model.save(folder / "model")
    return model


def measure(text: Path, runs: Path, seed: int, pairs: int, beside: bool, changes: dict) -> SeedFound:
    """Train, or open, and score one seed."""
    model = model_of(text, runs / f"{text.name.split('.')[0]}_{seed}", seed=seed, **changes)
    others = {}
    if beside:
        folder = runs / f"{text.name.split('.')[0]}_autoencoder_{seed}"
        plain = {"kind": "autoencoder", "model": {}, "flow_steps": 0, "judging": QUICK_JUDGES}
        others["autoencoder"] = model_of(text, folder, seed=seed, **plain)
    corpus = model.read(text)
    evaluation = model.evaluate(corpus, pairs=pairs, beside=others, seed=seed)
    fitted = model.fitted
    judge = fitted.judge
    assert judge is not None
    fresh = fitted.reader.readable(
        [one for one, new in zip(corpus.sentences, fitted.used.unused(corpus.sentences), strict=True) if new]
    )
    check = judge.check([judge.words(one.text) for one in fresh[:3000]]).table()
    drawn = draw_pairs(fresh, pairs, seed)
    refining, points = timed(model, [(a.text, b.text) for a, b in drawn[:20]])
    shown = [*drawn[:SHOWN], *drawn[-SHOWN:]]
    paths = [model.interpolate(a.text, b.text, steps=11).sentences for a, b in shown]
    cost = fitted.cost
    per_second = fitted.history.num_epochs * fitted.split["train"] / cost.seconds
    return SeedFound(seed, evaluation, check, cost.seconds, per_second, refining, points, paths)


def timed(model: TextModel, pairs: Sequence[tuple[str, str]]) -> tuple[list[float], list[float]]:
    """Seconds of holding the ends, and of 50 points, of each pair by itself."""
    model.interpolate(*pairs[0], steps=50)  # the first call also warms up
    found = []
    for start, end in pairs:
        began = time.perf_counter()
        path = model.interpolate(start, end, steps=50)
        found.append((path.refining_seconds, time.perf_counter() - began - path.refining_seconds))
    return [one for one, _ in found], [other for _, other in found]


def report(text: Path, found: list[SeedFound], command: str) -> list[str]:
    """The markdown of everything."""
    first = found[0]
    pooled = Pooled.of([one.evaluation for one in found])
    lines = [
        f"# Paths between unseen sentences of {text.name}, {datetime.now():%Y-%m-%d}",
        "",
        f"- command: `{command}`",
        *description(),
        f"- {first.evaluation.num_pairs} pairs a seed, {first.evaluation.steps} sentences a path; seeds "
        f"{', '.join(str(one.seed) for one in found)}",
        f"- training the network: {', '.join(f'{one.seconds / 60:.1f}' for one in found)} minutes on one thread"
        f" ({', '.join(f'{one.per_second:,.0f}' for one in found)} sentences a second)",
        f"- at the time of use, one thread: two ends held in {statistics.median(first.refining):.2f} s in the median "
        f"({max(first.refining):.2f} at most), 50 points in {1e3 * statistics.median(first.points):.0f} ms "
        f"({1e3 * max(first.points):.0f} at most)",
        "",
        *tables(pooled, DOCUMENTED.name),
    ]
    for one in found:
        lines += [f"## The judge of seed {one.seed}, on sentences it never saw", "", "```", one.check, "```", ""]
    lines += ["## Samples and likelihood", ""]
    for one in found:
        lines += [f"seed {one.seed}: {_plain(one.evaluation.information)}", ""]
        lines += [
            "| sentences | forward perplexity | reverse | judge passes | distinct | copied |",
            "|---|---|---|---|---|---|",
        ]
        lines += [
            f"| {row.name} | {row.forward:.1f} | {row.reverse:.1f} | {row.accepted:.3f} | {row.distinct:.3f} | "
            f"{row.copied:.3f} |"
            for row in one.evaluation.samples
        ]
        lines.append("")
    lines += [f"## Paths of seed {first.seed}", "", f"Between the first {SHOWN} and the last {SHOWN} pairs drawn.", ""]
    for path in first.paths:
        lines += [*(f"    {sentence}" for sentence in path), ""]
    return lines


def _plain(information) -> str:
    return ", ".join(f"{name} {value:.3g}" if value is not None else f"{name} -" for name, value in information.items())


def main(arguments: list[str] | None = None) -> Path:
    """Train what is missing, score everything, write the table and the picture."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sentence_paths", description=__doc__.splitlines()[0])
    parser.add_argument("text", type=Path, help="one sentence a line, .txt or .txt.gz")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="folder of the trained models")
    parser.add_argument("--seeds", default="0,1,2", help="comma-separated")
    parser.add_argument("--pairs", type=int, default=200)
    parser.add_argument("--no-beside", action="store_true", help="without the conventional autoencoder")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="settings of the model")
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    changes = dict(one.split("=", 1) for one in options.set)
    found = [
        measure(options.text, options.runs, int(seed), options.pairs, place == 0 and not options.no_beside, changes)
        for place, seed in enumerate(options.seeds.split(","))
    ]
    name = f"sentence_paths_{options.text.name.split('.')[0]}_{datetime.now():%Y-%m-%d}"
    path = options.results / f"{name}.md"
    lines = report(options.text, found, " ".join(["python -m benchmarks.sentence_paths", options.text.name]))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    write_png(draw(Pooled.of([one.evaluation for one in found])), path.with_suffix(".png"), dpi=120)
    print("\n".join(lines))
    return path


if __name__ == "__main__":
    np.seterr(all="raise", under="ignore")
    main()
