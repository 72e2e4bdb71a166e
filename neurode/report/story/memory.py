"""The story's fourth line: training at constant memory, and what each way to differentiate a solve costs."""

import math
from typing import TYPE_CHECKING

from neurode.report.page import Cell, Formula, Listing, Page, Table
from neurode.report.picture import Picture
from neurode.report.style import (
    AMBER,
    BLUE,
    GREEN,
    INK,
    MUTED,
    PURPLE,
    VERMILION,
    amount,
    drawing,
    legend_above,
    new_figure,
    powers_of_ten,
    whole_numbers,
)
from neurode.tasks.gradient_memory import SLOTS, GradientMemory, MemoryPoint, WayCost

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FLAT, STEEP = 1.05, 0.9
"""Memory is flat where it grows by less than this factor, in proportion where its slope on logarithmic axes is more."""

BOUNDED = f"Checkpointed({SLOTS})"
_LOOKS = {
    "direct": (VERMILION, "s"),
    "checkpointed": (AMBER, "D"),
    BOUNDED: (GREEN, "^"),
    "reversible": (BLUE, "o"),
    "adjoint": (PURPLE, "v"),
}
_KEEPS = {
    "direct": "every result on the way",
    "checkpointed": "the state at each step",
    BOUNDED: f"{SLOTS} states, the others are made again",
    "reversible": "the last state and a few anchors; steps are undone",
    "adjoint": "the last state; a second solve runs backwards",
}
_CHOICE = {
    "direct": "direct, plain backpropagation: short solves, small fields, and derivatives of second and higher order, "
    "which only this way has.",
    "checkpointed": "checkpointed, the default: training as a rule. It keeps states and makes each step once more on "
    f"the way back. Where even the states are too many, Checkpointed(k) keeps k of them: the line {BOUNDED}.",
    "reversible": "reversible: the longest solves, in float64, of fields that turn or flow without contracting much. "
    "Each step is undone from its end, so no state needs to be kept but a few to compare with; where they differ, the "
    "steps are made again from these.",
    "adjoint": "adjoint, the classical way: where its equation is wanted as such. Its gradient is that of the "
    "continuous problem, so it is off by the errors of both solves. Not for fields that contract strongly, whose "
    "trajectory cannot be solved backwards.",
}


def memory_page(result: GradientMemory) -> Page:
    """Memory against steps, time and gradient of every way, as they were measured."""
    return Page(
        "Training it at constant memory",
        (
            "To train θ the loss is differentiated through the whole solve. Backpropagation keeps what every layer "
            "computed, and a solve has as many layers as it has evaluations of f. The adjoint method instead follows "
            "the gradient a = ∂L/∂h by a second equation, backwards in time, beside the state that it meets again:",
            Formula("da/dt = −aᵀ ∂f/∂h        dL/dθ = ∫ aᵀ ∂f/∂θ dt"),
            "So nothing on the way has to be kept, and memory does not depend on the number of steps. What that costs "
            "in time and in exactness, and that there are other ways to the same end, is shown here as it was measured "
            "on this machine, when this page was written.",
            Picture(draw_memory(result), _caption(result), "Memory against steps, and time, of each way."),
            " ".join(_verdict(result)),
            _table(result),
            "When to choose which:",
            Listing(tuple(words for name, words in _CHOICE.items() if any(way.name == name for way in result.ways))),
        ),
    )


def draw_memory(result: GradientMemory) -> "Figure":
    """Left: most bytes at once against steps, both logarithmic. Right: time as a multiple of direct's."""
    with drawing():
        figure = new_figure(3.7)
        left, right = figure.subplots(1, 2, width_ratios=(1.7, 1))
        for way in result.ways:
            color, marker = _look(way)
            steps, peaks = zip(*((point.steps, point.peak / 1e6) for point in way.points), strict=True)
            left.plot(steps, peaks, color=color, marker=marker, label=way.name)
        left.set_xscale("log")
        left.set_yscale("log")
        powers_of_ten(left.xaxis, [point.steps for point in result.direct.points])
        powers_of_ten(left.yaxis, _marks(result))
        left.set_xlabel("steps of the solve")
        left.set_ylabel("MB")
        left.set_title("Memory of a forward and a backward pass")
        _draw_times(right, result)
        legend_above(figure, left)
    return figure


def _draw_times(axes: "Axes", result: GradientMemory) -> None:
    names = [way.name for way in result.ways]
    for place, way in enumerate(result.ways):
        ratio, (color, _) = result.time_ratio(way), _look(way)
        axes.barh(place, ratio, height=0.55, color=color)
        axes.annotate(
            amount(round(ratio, 1)),
            (ratio, place),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            color=INK,
            fontsize=8,
        )
    axes.axvline(1, color=MUTED, lw=0.8, ls=(0, (4, 3)))
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.grid(False, axis="y")
    axes.set_xlim(0, 1.15 * max(result.time_ratio(way) for way in result.ways))
    whole_numbers(axes.xaxis)
    axes.set_xlabel("times direct's")
    axes.set_title(f"Time of both passes, {result.job.timed_steps:,} steps")


def _look(way: WayCost) -> tuple[str, str]:
    return _LOOKS.get(way.name, (MUTED, "P"))


def _marks(result: GradientMemory) -> list[float]:
    """Powers of ten that enclose all measured megabytes."""
    sizes = [point.peak / 1e6 for way in result.ways for point in way.points]
    low, high = math.floor(math.log10(min(sizes))), math.ceil(math.log10(max(sizes)))
    return [10.0**power for power in range(low, high + 1)]


def _caption(result: GradientMemory) -> str:
    job = result.job
    return (
        f"{job.about[:1].upper()}{job.about[1:]}. Left: the most bytes of tensors alive at once during the solve and "
        "its backward pass, each counted from the operation that makes it until its last holder lets go; weights and "
        f"inputs are not counted. Right: seconds as a multiple of direct's, the median of {job.rounds} rounds in turns."
        " With a network as small as this much of the time is Python's own."
    )


def _ends(way: WayCost) -> tuple[MemoryPoint, MemoryPoint]:
    """Between which points growth is judged: from 100 steps where more were measured, since a few states in hand blur
    the beginning."""
    later = [point for point in way.points if point.steps >= 100]
    return (later if len(later) > 1 else list(way.points))[0], way.points[-1]


def _growth(way: WayCost) -> str:
    """ "flat", "proportional" or "slower"."""
    first, last = _ends(way)
    if last.peak <= FLAT * first.peak:
        return "flat"
    slope = math.log(last.peak / first.peak) / math.log(last.steps / first.steps)
    return "proportional" if slope > STEEP else "slower"


def _verdict(result: GradientMemory) -> list[str]:
    """What the figures show, whichever way they fall."""
    first, last = _ends(result.direct)
    span = f"from {first.steps:,} to {last.steps:,} steps"
    words = []
    flat = [way for way in result.ways if _growth(way) == "flat"]
    for way in result.ways:
        if way in flat:
            continue
        before, after = _ends(way)
        growth = f"{_megabytes(before.peak)} to {_megabytes(after.peak)} {span}"
        if _growth(way) == "proportional":
            words.append(f"{_name(way)} grows in proportion to the steps: {growth}.")
        else:
            words.append(f"{_name(way)} grows, by a factor of {amount(after.peak / before.peak)}: {growth}.")
    if flat:
        each = ", ".join(f"{way.name} {_megabytes(way.at(last.steps).peak)}" for way in flat)
        words.append(f"Flat within {100 * (FLAT - 1):.0f}% {span}: {each}.")
    else:
        words.append(f"No way was flat {span}.")
    others = [way for way in result.ways if way is not result.direct]
    least = min(others, key=lambda way: way.at(last.steps).peak)
    share = result.direct.at(last.steps).peak / least.at(last.steps).peak
    if share > 1:
        words.append(f"At {last.steps:,} steps direct needs {amount(share)} times as much as {least.name}.")
    fastest = min(result.ways, key=lambda way: way.seconds)
    if fastest is result.direct:
        times = ", ".join(f"{way.name} {result.time_ratio(way):.1f}" for way in others)
        words.append(f"Memory is bought with time: times as long as direct took {times}.")
    else:
        words.append(f"The fastest was {fastest.name}, in {result.time_ratio(fastest):.2f} times direct's time.")
    return words


def _table(result: GradientMemory) -> Table:
    first, last = _ends(result.direct)
    least = min(way.at(last.steps).peak for way in result.ways)
    fastest = min(way.seconds for way in result.ways)
    rows = tuple(
        (
            way.name,
            _KEEPS.get(way.name, "–"),
            _megabytes(way.at(first.steps).peak),
            Cell(_megabytes(way.at(last.steps).peak), way.at(last.steps).peak == least),
            Cell(f"{1e3 * way.seconds:.0f} ms", way.seconds == fastest),
            "–" if way is result.direct else f"{way.gap:.0e}",
        )
        for way in result.ways
    )
    job = result.job
    header = ("", "keeps", f"{first.steps:,} steps", f"{last.steps:,} steps", "time", "gradient against direct's")
    caption = (
        f"Most memory at once; time and gradient at {job.timed_steps:,} steps. The last column is the norm of the "
        "difference of the gradients by all weights and inputs, relative to direct's: 1e-15 is rounding. A way that "
        "solves by a method of its own, or another equation, differs by the error of the method."
    )
    return Table(header, rows, caption, words=frozenset({1}))


def _name(way: WayCost) -> str:
    return way.name[:1].upper() + way.name[1:]


def _megabytes(size: int) -> str:
    return f"{amount(size / 1e6)} MB"
