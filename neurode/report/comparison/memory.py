"""Memory of training against depth: blocks of the residual network, steps of the solver."""

from typing import TYPE_CHECKING

from neurode.report.comparison.looks import line_look
from neurode.report.page import Page
from neurode.report.picture import Picture
from neurode.report.style import drawing, legend_above, new_figure, powers_of_ten
from neurode.tasks.comparison.results import Comparison, MemoryPoint
from neurode.tasks.comparison.verdicts import verdicts

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def comparison_memory_page(found: Comparison) -> Page:
    """What a training step needs, as depth grows."""
    said = " ".join(sentence for sentence in verdicts(found) if sentence.startswith("Memory of "))
    return Page(
        "Memory against depth",
        (
            "Backpropagation keeps what every block of a residual network computed, so its memory grows with the "
            "depth. The gradient of a solve need not keep that: steps are made again, or undone, on the way back.",
            Picture(draw_memory(found), _caption(found), "Memory of a training step against depth."),
            said,
        ),
    )


def draw_memory(found: Comparison) -> "Figure":
    """Left: tensors alive at once. Right: growth of the process."""
    lines: dict[str, list[MemoryPoint]] = {}
    for point in found.memory:
        lines.setdefault(point.line, []).append(point)
    with drawing():
        figure = new_figure(3.5)
        left, right = figure.subplots(1, 2)
        number = 0
        for line, points in lines.items():
            look = line_look(line, number)
            number += line != "ResNet"
            depths = [point.depth for point in points]
            left.plot(depths, [p.tensors / 1e6 for p in points], color=look.color, marker=look.mark, label=line)
            right.plot(depths, [p.resident / 1e6 for p in points], color=look.color, marker=look.mark)
        depths = sorted({point.depth for point in found.memory})
        for axes, title in ((left, "Tensors alive at once"), (right, "Growth of the process")):
            axes.set_xscale("log")
            powers_of_ten(axes.xaxis, depths)
            axes.set_xlabel("blocks, or steps of the solver")
            axes.set_ylabel("MB")
            axes.set_ylim(0, None)
            axes.set_title(title)
        legend_above(figure, left, columns=min(3, len(lines)))
    return figure


def _caption(found: Comparison) -> str:
    batch = found.settings["batch_size"]
    return (
        f"A training step of a batch of {batch}. Left: the most bytes of tensors alive at once, beside weights and "
        "inputs; counted in torch's operations, also where native code makes the solve in training. Right: by how much "
        "the resident set of a process of its own grew over what its imports occupied, with weights, optimiser and the "
        "code that was loaded late."
    )
