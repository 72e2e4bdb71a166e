"""The story's fifth line: residual network against neural ODE, on the same data."""

from neurode.report.comparison.front import draw_front, figures_table
from neurode.report.comparison.memory import draw_memory
from neurode.report.comparison.plane import draw_scenes
from neurode.report.page import Listing, Page
from neurode.report.picture import Picture
from neurode.tasks.comparison.results import Comparison
from neurode.tasks.comparison.verdicts import verdicts


def comparison_page(found: Comparison) -> Page:
    """Time, memory and accuracy of both families as they were measured, with the verdict in words."""
    repeats = found.settings["repeats"]
    pictures = [
        Picture(
            draw_front(found),
            f"Each mark is a model, over {repeats} repeats with their quartiles and standard deviations; numbers are "
            "blocks of residual networks. The dashed line joins those that no other beats in both.",
            f"Seconds an epoch against {found.score_name}.",
        )
    ]
    if found.memory:
        pictures.append(
            Picture(
                draw_memory(found),
                "A training step. Left: the most bytes of tensors alive at once. Right: growth of its process.",
                "Memory of a training step against depth.",
            )
        )
    if found.scenes:
        pictures.append(
            Picture(
                draw_scenes(found),
                "Held-out samples on their way through the depth of the best model of each family, from open marks to "
                "squares.",
                "Samples on their way through the depth of either network.",
            )
        )
    return Page(
        "Residual network or neural ODE: the comparison",
        (
            f"Both are built from the same stem, block and head and trained in turns, epoch by epoch, on "
            f"{found.about}. The textbook says that the neural ODE saves memory and costs time. Measured here:",
            Listing(verdicts(found)),
            *pictures,
            figures_table(found),
        ),
    )
