"""What the memory benchmark found, as tables, a picture, and a verdict on each bar."""

import math
from dataclasses import dataclass

from benchmarks.gradient_time import BARS, Timing
from benchmarks.memory_ways import NO_GRADIENT
from neurode.report.style import AMBER, BLUE, GREEN, INK, MUTED, PURPLE, VERMILION, drawing, new_figure, powers_of_ten

FLAT = 0.05
SLOTS, IN_HAND = 10, 3
"""States of Checkpointed(10), and what may lie beside them: the solve's value and what the field gave at its start."""
FLAT_WAYS = ("reversible", "adjoint", "Checkpointed(10)")
LOOKS = {
    NO_GRADIENT: (MUTED, "_", ":"),
    "direct": (VERMILION, "s", "-"),
    "checkpointed": (AMBER, "D", "-"),
    "Checkpointed(10)": (GREEN, "^", "-"),
    'Checkpointed("log")': (GREEN, "<", "--"),
    "reversible": (BLUE, "o", "-"),
    "adjoint": (PURPLE, "v", "-"),
    "adjoint, dense": (PURPLE, "P", "--"),
    "adjoint, checkpoints": (PURPLE, "X", ":"),
    "torchdiffeq odeint": (INK, "s", ":"),
    "torchdiffeq odeint_adjoint": (INK, "v", ":"),
}


@dataclass(frozen=True)
class Row:
    """One way at one number of steps: bytes and seconds. status: measured, extrapolated (a straight line through the
    two largest smaller runs) or skipped; note: why not measured."""

    way: str
    steps: int
    kept: float
    peak: float
    resident: float
    forward: float
    backward: float
    status: str = "measured"
    note: str = ""


def memory_table(rows: list[Row]) -> list[str]:
    """Markdown: a line a way, a column a number of steps; "~" before what is extrapolated."""
    all_steps = sorted({row.steps for row in rows})
    lines = []
    for title, name in (
        ("Peak of tensors, MB (every storage from its making to its end; inputs and weights not counted)", "peak"),
        ("Kept between forward and backward pass, MB", "kept"),
        ("Resident set of a fresh process at its peak, less that after the imports, MB", "resident"),
    ):
        lines += [f"### {title}", "", "| way | " + " | ".join(f"{steps:,}" for steps in all_steps) + " |"]
        lines += ["|---|" + "---|" * len(all_steps)]
        for way in dict.fromkeys(row.way for row in rows):
            found = {row.steps: row for row in rows if row.way == way}
            cells = [_cell(found.get(steps), name) for steps in all_steps]
            lines.append(f"| {way} | " + " | ".join(cells) + " |")
        lines.append("")
    lines += [f"- {row.way}, {row.steps:,} steps: {row.status}, {row.note}" for row in rows if row.note]
    return lines


def _cell(row: Row | None, name: str) -> str:
    if row is None or row.status == "skipped":
        return ""
    value = getattr(row, name) / 1e6
    text = f"{value:,.0f}" if value >= 1000 else f"{value:.3g}" if value >= 100 else f"{value:.2f}"
    return f"~{text}" if row.status == "extrapolated" else text


def time_table(timings: list[Timing], method: str, steps: int) -> list[str]:
    lines = [
        f"### {method}, {steps} steps",
        "",
        "| way | forward, s | backward, s | both, times direct's |",
        "|---|---|---|---|",
    ]
    lines += [f"| {it.way} | {it.forward:.3f} | {it.backward:.3f} | {it.ratio:.2f} |" for it in timings]
    return [*lines, ""]


def verdicts(rows: list[Row], timings: dict[str, list[Timing]], state_bytes: int) -> list[str]:
    """A line for each bar: passed, missed or not measured, with the figure."""
    lines = []
    for name in FLAT_WAYS:
        for what in ("peak", "resident"):
            lines.append(_flat(name, what, _measured(rows, name)))
    slots = [row for row in _measured(rows, "Checkpointed(10)") if row.steps >= 100]
    if slots:
        most = max(row.kept for row in slots) / state_bytes
        words = f"Checkpointed(10) keeps the bytes of {most:.1f} states between the passes (bar: {SLOTS} + {IN_HAND})"
        lines.append(f"{_judge(most <= SLOTS + IN_HAND)}: {words}")
    lines.append(_linear(_measured(rows, "direct")))
    for method, found in timings.items():
        for it in found:
            if it.way in BARS:
                bar = BARS[it.way]
                words = f"{it.way} takes {it.ratio:.2f} times direct's time with {method} (bar: {bar:g})"
                lines.append(f"{_judge(it.ratio <= bar)}: {words}")
    return lines


def _measured(rows: list[Row], way: str) -> list[Row]:
    return [row for row in rows if row.way == way and row.status == "measured"]


def _flat(name: str, what: str, rows: list[Row]) -> str:
    rows = [row for row in rows if row.steps >= 100]
    words = {"peak": "peak of tensors", "resident": "resident set"}[what]
    if len(rows) < 2:
        return f"not measured: {name}, {words} from 100 steps on"
    first, last = rows[0], rows[-1]
    growth = max(getattr(row, what) for row in rows) / getattr(first, what) - 1
    span = f"from {first.steps:,} to {last.steps:,} steps"
    judged = _judge(growth <= FLAT)
    return f"{judged}: {name}, {words} grows by at most {100 * growth:.1f} % {span} (bar: {100 * FLAT:.0f} %)"


def _linear(rows: list[Row]) -> str:
    rows = [row for row in rows if row.steps >= 30]
    if len(rows) < 2:
        return "not measured: direct, growth with the steps from 30 on"
    first, last = rows[0], rows[-1]
    slope = math.log(last.peak / first.peak) / math.log(last.steps / first.steps)
    span = f"from {first.steps:,} to {last.steps:,} steps"
    return f"{_judge(abs(slope - 1) <= 0.05)}: direct, peak of tensors grows as steps to the power {slope:.3f} {span}"


def _judge(passed: bool) -> str:
    return "passed" if passed else "MISSED"


def draw(rows: list[Row], timings: dict[str, list[Timing]], steps: int):
    """Left: peak of tensors against steps, logarithmic, hollow and pale where extrapolated. Right: time against
    direct's."""
    with drawing():
        figure = new_figure(4.6, 11.0)
        left, right = figure.subplots(1, 2, width_ratios=(1.25, 1))
        for way in dict.fromkeys(row.way for row in rows if row.status != "skipped"):
            color, marker, dashes = LOOKS.get(way, (MUTED, ".", "-"))
            own = [row for row in rows if row.way == way]
            solid = [row for row in own if row.status == "measured"]
            left.plot(*_line(solid), color=color, marker=marker, ls=dashes, label=way)
            beyond = [row for row in own if row.status == "extrapolated"]
            if beyond:
                left.plot(*_line(solid[-1:] + beyond), color=color, lw=1.0, ls=dashes, alpha=0.6)
                left.plot(*_line(beyond), color=color, marker=marker, mfc="none", ls="none")
        left.set_xscale("log")
        left.set_yscale("log")
        powers_of_ten(left.xaxis, sorted({row.steps for row in rows}))
        sizes = [row.peak / 1e6 for row in rows if row.status != "skipped"]
        low, high = math.floor(math.log10(min(sizes))), math.ceil(math.log10(max(sizes)))
        powers_of_ten(left.yaxis, [10.0**power for power in range(low, high + 1)])
        left.set_xlabel("steps (hollow: extrapolated)")
        left.set_ylabel("MB")
        left.set_title("Peak of tensors, forward and backward")
        _draw_times(right, timings, steps)
        handles, labels = left.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper left", ncols=6)
    return figure


def _line(rows: list[Row]) -> tuple[list[int], list[float]]:
    return [row.steps for row in rows], [row.peak / 1e6 for row in rows]


def _draw_times(axes, timings: dict[str, list[Timing]], steps: int) -> None:
    names = list(dict.fromkeys(it.way for found in timings.values() for it in found))
    fills = ("full", "none", "left")
    for fill, (method, found) in zip(fills, timings.items(), strict=False):
        ratios, places = [it.ratio for it in found], [names.index(it.way) for it in found]
        axes.plot(ratios, places, "o", fillstyle=fill, color=BLUE, ms=6, label=method)
    for way, bar in BARS.items():
        if way in names:
            place = names.index(way)
            axes.plot([bar, bar], [place - 0.4, place + 0.4], color=VERMILION, lw=2)
    axes.axvline(1, color=MUTED, lw=0.8, ls=(0, (4, 3)))
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.set_xlim(left=0)
    axes.set_xlabel("times direct's (red: the bar)")
    axes.set_title(f"Time of both passes, {steps} steps")
    axes.legend(loc="upper right")
