"""The picture of a speed comparison: `python -m benchmarks.speed_plot RESULTS.csv PICTURE.png`."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.solve_speed import read_rows
from neurode.report.picture import write_png
from neurode.report.style import AMBER, BLUE, GREEN, INK, MUTED, PURPLE, VERMILION, drawing, new_figure, powers_of_ten
from neurode.tasks.speed.results import SpeedRow
from neurode.tasks.speed.workloads import WORKLOADS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LOOKS = {
    "neurode fused": (BLUE, "o"),
    "neurode eager": (GREEN, "D"),
    "torchdiffeq": (VERMILION, "s"),
    "torchdiffeq adjoint": (VERMILION, "v"),
    "torchode": (AMBER, "s"),
    "diffrax batch": (PURPLE, "^"),
    "diffrax vmap": (PURPLE, "v"),
    "floor": (MUTED, "|"),
}
MODES = {"forward": "a solve", "both": "a solve and its gradient"}


def draw(rows: list[SpeedRow], threads: int = 1) -> "Figure":
    """Milliseconds of each contender, a line a workload, on a logarithmic axis; forward left, with gradient right."""
    rows = [row for row in rows if row.threads == threads and row.contender in LOOKS]
    names = [name for name in WORKLOADS if any(row.workload == name for row in rows)]
    with drawing():
        figure = new_figure(0.9 + 0.42 * len(names), 10.0)
        panels = figure.subplots(1, 2, sharey=True)
        for axes, (mode, title) in zip(panels, MODES.items(), strict=True):
            for row in rows:
                seconds, place = getattr(row, mode), names.index(row.workload)
                colour, marker = LOOKS[row.contender]
                if seconds == seconds:
                    axes.plot(seconds * 1e3, place, marker, color=colour, markersize=7, markeredgewidth=1.5)
            axes.set_xscale("log")
            axes.set_title(f"milliseconds for {title}", color=INK)
            axes.set_yticks(range(len(names)), names)
            powers_of_ten(axes.xaxis)
            axes.grid(axis="x", which="both", alpha=0.3)
        panels[0].invert_yaxis()
        present = [name for name in LOOKS if any(row.contender == name and row.is_measured for row in rows)]
        marks = [panels[1].plot([], [], LOOKS[name][1], color=LOOKS[name][0], label=name)[0] for name in present]
        figure.legend(marks, present, loc="outside lower center", ncols=len(present), frameon=False)
    return figure


if __name__ == "__main__":
    write_png(draw(read_rows(Path(sys.argv[1]))), Path(sys.argv[2]), dpi=120)
