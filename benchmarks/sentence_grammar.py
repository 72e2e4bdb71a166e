"""Sentences of a grammar, where "grammatical" is decidable: the textbook's networks and ours over several seeds.

    python -m benchmarks.sentence_grammar        about 8 minutes a seed on one core

Each seed makes its own text and trains a conventional autoencoder and the VAE of the preset `grammar`, whole; both walk
between the same unseen sentences. Writes benchmarks/results/sentence_grammar_<date>.md.
"""

import argparse
import sys
from dataclasses import fields
from datetime import datetime
from pathlib import Path

import numpy as np
import torch

from benchmarks.hardware import description
from neurode.tasks.text.grammar_paths import OURS, GrammarJob, GrammarReading, GrammarRow, read_grammar

RESULTS = Path(__file__).parent / "results"
BARS = {"exact": 0.995, "grammatical": 0.995, "middle": 0.99, "distinct": 0.75}
MOST_COPIED, MOST_MINUTES = 1.5, 5.0
SHARES = [field.name for field in fields(GrammarRow)][2:]


def bars(found: list[GrammarReading]) -> list[str]:
    """Each bar, on our path, a number a seed."""
    rows = [one.row("VAE", OURS.name) for one in found]
    lines = []
    for key, least in BARS.items():
        values = [getattr(row, key) for row in rows]
        lines.append(_judged(min(values) >= least, f"{key} {_listed(values)} (at least {least})"))
    times = [row.copied / one.fresh_copied for row, one in zip(rows, found, strict=True)]
    copied = f"copied, in times of fresh sentences: {_listed(times)} (at most {MOST_COPIED})"
    lines.append(_judged(max(times) <= MOST_COPIED, copied))
    minutes = [(one.train_seconds["VAE"] + one.train_seconds["flow"]) / 60 for one in found]
    lines.append(
        _judged(max(minutes) <= MOST_MINUTES, f"minutes of training: {_listed(minutes)} (at most {MOST_MINUTES})")
    )
    return lines


def _judged(passed: bool, words: str) -> str:
    return f"- {'passed' if passed else 'missed'}: {words}"


def _listed(values: list[float]) -> str:
    return ", ".join(f"{value:.4g}" for value in values)


def main(arguments: list[str] | None = None) -> None:
    """Train and walk with each seed; write the table."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.sentence_grammar", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--seeds", default="0,1,2", help="comma-separated")
    parser.add_argument("--sentences", type=int, default=45_000)
    parser.add_argument("--pairs", type=int, default=400)
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    found = []
    for seed in map(int, options.seeds.split(",")):
        job = GrammarJob(
            sentences=options.sentences,
            pairs=options.pairs,
            settings={},
            textbook={"kind": "autoencoder", "model": {}, "flow_steps": 0},
            seed=seed,
        )
        found.append(read_grammar(job, progress=None if sys.stderr.isatty() else False))
        print(f"seed {seed}: {found[-1].row('VAE', OURS.name)} {found[-1].seconds:.0f} s", flush=True)
    names = [(row.network, row.path) for row in found[0].rows]
    lines = [
        f"# Paths between sentences of a grammar, {datetime.now():%Y-%m-%d}",
        "",
        *description(),
        f"- {options.sentences:,} sentences of {found[0].num_words} words, at most 12 long; {options.pairs} pairs of "
        f"unseen ones a seed; seeds {options.seeds}; means over the seeds, the worst in brackets",
        f"- of fresh sentences, as long, in the training text: {_listed([one.fresh_copied for one in found])}",
        "",
        "| network | path | " + " | ".join(SHARES) + " |",
        "|---|---|" + "---|" * len(SHARES),
    ]
    for network, path in names:
        rows = [one.row(network, path) for one in found]
        cells = []
        for key in SHARES:
            values = np.array([getattr(row, key) for row in rows])
            worst = values.max() if key in ("copied", "jump") else values.min()
            cells.append(f"{values.mean():.4f} ({worst:.4f})")
        lines.append(f"| {network} | {path} | " + " | ".join(cells) + " |")
    made = {prior: _listed([one.made[prior] for one in found]) for prior in found[0].made}
    lines += ["", *(f"- made from the {name} prior, grammatical: {said}" for name, said in made.items())]
    lines += ["", "## Bars, on our path", "", *bars(found), "", "## Some paths of the first seed", ""]
    for paths in found[0].examples:
        lines += [*(f"    {sentence}" for sentence in paths[-1].sentences), ""]
    (options.results / f"sentence_grammar_{datetime.now():%Y-%m-%d}.md").write_text("\n".join(lines), encoding="utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
