"""Seconds of an ODE-VAE's training epoch against the number of observations, as a slope on logarithmic axes.

    python -m benchmarks.series_scaling

Every series has times of its own, so a method that puts a batch on the union of its times would show a slope well above
one. Two sweeps: more series of 40 rows, and longer series (64 of them). Sizes take turns within a round. Writes
benchmarks/results/series_scaling_<date>.md and .png.
"""

import argparse
import statistics
import sys
import time
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import numpy as np
import torch

from benchmarks.hardware import description
from neurode.core.protocols import StepContext
from neurode.data.batch import batches
from neurode.data.series import Series
from neurode.models.ode_vae import ODEVAE

RESULTS = Path(__file__).parent / "results"
BATCH_SIZE, FEATURES, ROWS = 64, 3, 40


def made_series(count: int, rows: int, seed: int = 0) -> list[Series]:
    """Phase-shifted sines at times of their own on [0, 1]; four cells in ten are blank."""
    rng = np.random.default_rng(seed)
    series = []
    for number in range(count):
        times = np.sort(rng.uniform(0, 1, rows))
        values = np.sin(6 * times[:, None] + rng.uniform(0, 6, FEATURES)) + rng.normal(0, 0.1, (rows, FEATURES))
        blank = rng.uniform(size=values.shape) < 0.4
        blank[:, 0] &= ~blank.all(axis=1)
        series.append(Series((number,), times, np.where(blank, np.nan, values)))
    return series


@dataclass
class Lane:
    """One size of the data, its own model and optimizer, and the seconds its epochs took."""

    series: list[Series]
    seconds: list[float] = field(default_factory=list)
    epoch: int = 0

    def __post_init__(self):
        torch.manual_seed(0)
        self.model = ODEVAE(FEATURES, hidden_dim=32, latent_dim=8)
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=1e-3)
        self.observations = int(sum(np.isfinite(one.values).sum() for one in self.series))
        self.batches = list(batches(self.series, BATCH_SIZE, seed=0, epoch=0))

    def run_epoch(self) -> float:
        """Train one epoch; returns its seconds."""
        start = time.perf_counter()
        for batch in self.batches:
            self.optimizer.zero_grad()
            parts = self.model.loss(batch, StepContext(seed=0, epoch=self.epoch))
            (parts.loss / parts.weight).backward()
            self.optimizer.step()
        self.epoch += 1
        return time.perf_counter() - start

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)


def measure(lanes: list[Lane], rounds: int) -> None:
    """A first epoch each that does not count, then `rounds` rounds in which every size takes its turn."""
    for lane in lanes:
        lane.run_epoch()
    for _ in range(rounds):
        for lane in lanes:
            lane.seconds.append(lane.run_epoch())


def slope(lanes: list[Lane]) -> float:
    """Of log seconds over log observations, by least squares."""
    observations, seconds = [lane.observations for lane in lanes], [lane.median for lane in lanes]
    return float(np.polyfit(np.log(observations), np.log(seconds), 1)[0])


def sweeps(largest: int) -> dict[str, list[Lane]]:
    """Lanes by sweep, doubling up to about `largest` cells (of which six in ten are observed)."""
    more: list[Lane] = []
    count = 2 * BATCH_SIZE
    while count * ROWS * FEATURES <= largest:
        more.append(Lane(made_series(count, ROWS)))
        count *= 2
    longer: list[Lane] = []
    rows = 20
    while BATCH_SIZE * rows * FEATURES <= largest:
        longer.append(Lane(made_series(BATCH_SIZE, rows)))
        rows *= 2
    return {f"more series of {ROWS} rows": more, f"longer series, {BATCH_SIZE} of them": longer}


def draw(results: dict[str, list[Lane]], path: Path) -> None:
    """Both sweeps on logarithmic axes, with a line of slope one."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot, ticker

    figure, axes = pyplot.subplots(figsize=(6, 4), layout="constrained")
    for name, lanes in results.items():
        label = f"{name}: slope {slope(lanes):.2f}"
        axes.loglog([lane.observations for lane in lanes], [lane.median for lane in lanes], "o-", label=label)
    first = next(iter(results.values()))
    span = np.array([first[0].observations, first[-1].observations])
    axes.loglog(span, first[0].median * span / span[0], "k:", label="slope 1")
    axes.set(xlabel="observations", ylabel="seconds of an epoch")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_minor_formatter(ticker.NullFormatter())
    axes.legend()
    figure.savefig(path, dpi=120)
    pyplot.close(figure)


def table(results: dict[str, list[Lane]]) -> list[str]:
    lines = []
    for name, lanes in results.items():
        lines += [f"## {name}: slope {slope(lanes):.2f}", "", "| observations | seconds an epoch |", "|---|---|"]
        lines += [f"| {lane.observations} | {lane.median:.3f} |" for lane in lanes]
        lines.append("")
    return lines


def main(arguments: list[str] | None = None) -> Path:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.series_scaling", description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5, help="epochs of every size that count")
    parser.add_argument("--largest", type=int, default=256_000, help="cells of the largest table")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the result file and the plot")
    options = parser.parse_args(arguments)
    if options.largest < 4 * BATCH_SIZE * ROWS * FEATURES:
        parser.error(f"--largest must be at least {4 * BATCH_SIZE * ROWS * FEATURES}, for two sizes to compare")
    torch.set_num_threads(options.threads)
    results = sweeps(options.largest)
    for lanes in results.values():
        measure(lanes, options.rounds)
    now = datetime.now()
    options.results.mkdir(parents=True, exist_ok=True)
    path = options.results / f"series_scaling_{now:%Y-%m-%d_%H%M}.md"
    draw(results, path.with_suffix(".png"))
    words = " ".join(["python -m benchmarks.series_scaling", *(sys.argv[1:] if arguments is None else arguments)])
    head = [f"# Training seconds against observations, {now:%Y-%m-%d}", "", f"- command: `{words}`", *description()]
    lines = [*head, f"- threads: {options.threads}; the plot: {path.stem}.png", "", *table(results)]
    path.write_text("\n".join(lines))
    print("\n".join(lines[len(head) :]))
    print(f"written: {path}")
    return path


if __name__ == "__main__":
    main()
