"""What happens over the epochs: accuracy against time spent, and how many evaluations a step takes."""

from typing import TYPE_CHECKING

import numpy as np

from neurode.report.comparison.looks import looks, shown
from neurode.report.page import Page
from neurode.report.picture import Picture
from neurode.report.style import drawing, legend_above, new_figure, whole_numbers
from neurode.tasks.comparison.results import Comparison, ModelFigures

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def learning_over_epochs_page(found: Comparison) -> Page:
    """Accuracy against seconds, evaluations against epochs."""
    return Page(
        "Over the epochs",
        (
            "A residual network calls its blocks as often in the last epoch as in the first. An adaptive solver calls "
            "its field as often as the error demands, and fields mostly grow harder as they learn.",
            Picture(draw_learning(found), _caption(found), "Accuracy against seconds, evaluations against epochs."),
            _grown(found),
        ),
    )


def draw_learning(found: Comparison) -> "Figure":
    """Left: held-out score against training seconds. Right: calls of the block a step, both ways."""
    look = looks(found)
    with drawing():
        figure = new_figure(3.6)
        left, right = figure.subplots(1, 2)
        for model in shown(found.trained):
            own = look[model.candidate.name]
            seconds, scores, calls = _courses(found, model)
            left.plot(seconds, 100 * scores, color=own.color, ls=own.dash, label=model.candidate.name)
            right.plot(range(1, len(calls) + 1), calls, color=own.color, ls=own.dash)
        left.set_xlabel("seconds of training")
        left.set_ylabel(f"{found.score_name}, %")
        left.set_ylim(*_view(found))
        left.set_title("Held-out samples")
        right.set_xlabel("epoch")
        right.set_ylabel("calls of the block a step")
        right.set_ylim(0, None)
        right.set_title("Forward and backward")
        whole_numbers(right.xaxis)
        legend_above(figure, left, columns=3)
    return figure


def _courses(found: Comparison, model: ModelFigures) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Seconds spent, score, and calls a step by the end of each epoch, in the mean over repeats."""
    place = found.models.index(model)
    runs = [found.epochs(place, repeat) for repeat in range(len(model.scores))]
    seconds = np.mean([np.cumsum([found.taken(row) for row in run]) for run in runs], axis=0)
    scores = np.mean([[row.score for row in run] for run in runs], axis=0)
    calls = np.mean([[row.forward + row.backward for row in run] for run in runs], axis=0)
    return seconds, scores, calls


def _view(found: Comparison) -> tuple[float, float]:
    """The first epochs, far below, may leave the frame."""
    later = [row.score for row in found.rows if row.epoch > 1] or [row.score for row in found.rows]
    low, high = 100 * float(np.quantile(later, 0.02)), 100 * max(row.score for row in found.rows)
    margin = 0.08 * (high - low) or 1.0
    return low - margin, high + margin


def _grown(found: Comparison) -> str:
    words = []
    for model in found.odenets:
        place = found.models.index(model)
        first, last = (
            float(np.mean([found.epochs(place, repeat)[at].forward for repeat in range(len(model.scores))]))
            for at in (0, -1)
        )
        drawn = model.candidate.regulariser.more_steps > 1
        if drawn:
            words.append(
                f"{model.candidate.name} takes as many as were drawn for a batch, "
                f"{found.evaluations(model)[0]:.1f} forward in the last epoch."
            )
        elif abs(first - last) > 0.05:
            words.append(f"{model.candidate.name} went from {first:.1f} to {last:.1f} evaluations a forward pass.")
    return " ".join(words) or "No field of this comparison changed its number of evaluations while it learned."


def _caption(found: Comparison) -> str:
    left_out = len(found.trained) - len(shown(found.trained))
    said = "Means over repeats. Calls that are made again on the way back are counted too."
    return said + (
        f" {left_out} of the residual networks and ODE-nets are left out of the picture." if left_out else ""
    )
