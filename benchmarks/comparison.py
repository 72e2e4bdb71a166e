"""ResNet against neural ODE: the textbook's row and the one that turns it round, beside two plain classifiers.

    python -m benchmarks.comparison textbook optdigits                 six blocks, dopri5 at 1e-3, the classical adjoint
    python -m benchmarks.comparison turned optdigits --set solvers=midpoint:1 --set weight_decay=0.05 --set epochs=20
    python -m benchmarks.comparison turned spirals --points 4000 --set depths=4,8,16,32,64 --set batch_size=256
    python -m benchmarks.comparison turned PATH/t10k-images-idx3.gz --set width=16 --set epochs=10 --run FOLDER

"turned": few steps with exact gradients. Writes a dated result under benchmarks/results. --run keeps a run folder; the
same line again goes on with it.
"""

import argparse
import sys
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.hardware import description
from benchmarks.plain_classifiers import Forest, linear_accuracy
from neurode.data.labelled import LabelledData
from neurode.data.labelled_reading import read_labelled
from neurode.tasks.comparison.choices import completed
from neurode.tasks.comparison.comparing import compare
from neurode.tasks.comparison.config import ComparisonConfig
from neurode.tasks.comparison.presets import PRESETS
from neurode.tasks.comparison.results import Comparison
from neurode.tasks.comparison.samples import prepare
from neurode.tasks.comparison.tables import figures_frame
from neurode.tasks.comparison.verdicts import duel, points, verdicts

RESULTS = Path(__file__).parent / "results"


def main(arguments: list[str] | None = None) -> None:
    """Train, print, write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.comparison", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("row", choices=[name for name in PRESETS if name != "quick"])
    parser.add_argument("data")
    parser.add_argument("--points", type=int, help="of moons, spirals or rings")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a setting of the comparison")
    parser.add_argument("--run", type=Path, help="run folder, to go on with after an interruption")
    parser.add_argument("--results", type=Path, default=RESULTS)
    chosen = parser.parse_args(arguments)
    about = description()
    data = read_labelled(chosen.data, num=chosen.points)
    config = PRESETS[chosen.row]().config(repeats=chosen.repeats, **settings(chosen.set))
    resume = chosen.run is not None and (chosen.run / "checkpoints").is_dir()
    found = compare(data, config, run_folder=chosen.run, resume=resume)
    lines = report(found, plain_rows(data, config), about, command(chosen))
    print("\n".join(lines))
    path = chosen.results / f"comparison_{data.name}_{chosen.row}_{date.today().isoformat()}.md"
    path.write_text("\n".join(lines) + "\n")
    figures_frame(found).to_csv(path.with_suffix(".csv"), index=False, lineterminator="\n")
    print(f"written: {path}", file=sys.stderr)


def command(chosen: argparse.Namespace) -> str:
    """The command line again, without folders of the machine it ran on."""
    words = [chosen.row, Path(chosen.data).name, f"--repeats {chosen.repeats}"]
    words += [f"--points {chosen.points}"] if chosen.points else []
    return " ".join([*words, *(f"--set {pair}" for pair in chosen.set)])


def settings(pairs: list[str]) -> dict[str, Any]:
    """`["depths=8,16", "kinetic=0.1"]` as settings; what has a comma is a list."""
    found: dict[str, Any] = {}
    for pair in pairs:
        name, _, text = pair.partition("=")
        known = ComparisonConfig.model_fields[name].annotation
        found[name] = text.split(",") if "," in text or "tuple" in str(known) else text
    return found


def plain_rows(data: LabelledData, config: ComparisonConfig) -> list[str]:
    """The two plain classifiers on the first repeat's split; nothing for numbers."""
    if data.kind != "classes":
        return []
    parts = prepare(data, completed(config, data), config.seed)
    train, test = parts.train, parts.test
    linear = linear_accuracy(train.inputs, train.targets, test.inputs, test.targets)
    flat = [part.inputs.flatten(1).numpy() for part in (train, test)]
    forest = Forest().fit(flat[0], train.targets.numpy())
    accuracy = float(np.mean(forest.predict(flat[1]) == test.targets.numpy()))
    return [
        f"| linear model | | | | | {points(linear)} | |",
        f"| random forest, 100 trees | | | | | {points(accuracy)} | |",
    ]


def report(found: Comparison, plain: list[str], about: list[str], command: str) -> list[str]:
    """Markdown: the machine, every model, every duel, the verdicts."""
    lines = [
        f"# ResNet against neural ODE: {found.data}",
        "",
        *about,
        f"- command: `python -m benchmarks.comparison {command}`",
        f"- data: {found.about}; {found.num_train:,} to train, {found.num_test:,} held out",
        f"- seconds: of {'the processor' if found.is_busy else 'the wall'}; on the wall {found.delay:.2f} times the "
        f"processor's passed; {found.machine}",
        "- memory: tensors alive at once in a training step / growth of a fresh process",
        "",
        "| model | parameters | s an epoch (quartiles) | MB | calls forward + backward | score ± s.d. | finer steps |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in figures_frame(found).itertuples():
        lines.append(
            f"| {row.model} | {row.parameters:,} | {row.epoch_seconds:.3g} ({row.epoch_seconds_low:.3g} to "
            f"{row.epoch_seconds_high:.3g}) | {row.tensor_bytes / 1e6:.2f} / {row.resident_bytes / 1e6:.2f} | "
            f"{row.evaluations_forward:.1f} + {row.evaluations_backward:.1f} | {points(row.score)} ± "
            f"{points(row.score_sd)} | {points(row.step_change)} |"
        )
    lines += [*plain, "", "| ODE-net | against | loss | upper 95 % | time | memory |", "|---|---|---|---|---|---|"]
    for ode in found.odenets:
        for resnet in found.resnets:
            one = duel(found, ode, resnet)
            lines.append(
                f"| {ode.candidate.name} | {resnet.candidate.name} | {points(one.loss)} | {points(one.upper)} | "
                f"{one.time:.2f} | {one.memory:.2f} |"
            )
    memory = ["", "| line | depth | MB of tensors | MB of the process |", "|---|---|---|---|"]
    memory += [
        f"| {point.line} | {point.depth} | {point.tensors / 1e6:.2f} | {point.resident / 1e6:.2f} |"
        for point in found.memory
    ]
    return [*lines, *memory, "", *(f"- {sentence}" for sentence in verdicts(found))]


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
