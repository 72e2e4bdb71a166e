"""Asking a trained model for values and intervals of many series, in portions that fit into memory."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from neurode.data.series import Series
from neurode.tasks.series.fitted import Fitted
from neurode.tasks.series.scoring.problem import Problem

_PORTION = 300_000
"""Asked cells in one portion."""

_FEWEST_ROWS = 50
"""A block of a long series sees at least so many of its nearest rows, however wide the gap around it."""


@dataclass(frozen=True)
class Question:
    """What is known of a series, and at which times its features are asked. wanted: (times, features) bool.

    number: the series' place in the table; places: where each of `times` stands among that series' asked times.
    """

    number: int
    context: Series
    times: np.ndarray
    wanted: np.ndarray
    places: np.ndarray


@dataclass(frozen=True)
class Answers:
    """Flat answers in the user's units, one entry an asked cell: series number, place among its times, feature,
    value, interval.
    """

    number: np.ndarray
    place: np.ndarray
    feature: np.ndarray
    value: np.ndarray
    lo: np.ndarray
    hi: np.ndarray


def question(
    number: int, context: Series, times: np.ndarray, wanted: np.ndarray, window: float | None
) -> Iterator[Question]:
    """One question, or, for a series longer than `window`, one for each half window, with a quarter of it known on
    each side.
    """
    places = np.arange(len(times))
    if window is None or max(context.span, np.ptp(times) if len(times) else 0.0) <= window:
        yield Question(number, context, times, wanted, places)
        return
    block = np.floor((times - times[0]) / (window / 2)).astype(np.int64)
    for one in np.unique(block):
        rows = block == one
        near = _surroundings(context, times[rows][0] - window / 4, times[rows][-1] + window / 4)
        yield Question(number, near, times[rows], wanted[rows], places[rows])


def _surroundings(context: Series, start: float, end: float) -> Series:
    """The rows between two times, and at least the nearest `_FEWEST_ROWS`."""
    first, last = np.searchsorted(context.times, [start, end])
    missing = max(0, _FEWEST_ROWS - (last - first))
    first = max(0, first - (missing + 1) // 2)
    last = min(context.num_times, max(last + missing // 2, first + _FEWEST_ROWS))
    return context.select(np.arange(max(0, min(first, last - _FEWEST_ROWS)), last))


def ask(fitted: Fitted, questions: Sequence[Question], coverage: float) -> Answers:
    """Answer all questions; intervals hold a share `coverage` of truths."""
    parts = [_answer(fitted, portion, coverage) for portion in _portions(questions)]
    if not parts:
        whole, real = np.zeros(0, dtype=np.int64), np.zeros(0)
        return Answers(whole, whole, whole, real, real, real)
    columns = zip(*parts, strict=True)
    return Answers(*(np.concatenate(column) for column in columns))


def _portions(questions: Sequence[Question]) -> Iterator[list[Question]]:
    portion, size = [], 0
    for one in questions:
        portion.append(one)
        size += one.wanted.size
        if size >= _PORTION:
            yield portion
            portion, size = [], 0
    if portion:
        yield portion


def _answer(fitted: Fitted, questions: Sequence[Question], coverage: float) -> tuple[np.ndarray, ...]:
    # Asked cells are those of the targets that are not blank; the number there does not matter.
    targets = [Series(one.context.key, one.times, np.where(one.wanted, 0.0, np.nan)) for one in questions]
    contexts = tuple(one.context for one in questions)
    problem = Problem("question", contexts, tuple(targets), np.arange(len(questions)), len(fitted.features))
    predicted = fitted.predictor.predict(problem)
    asked = problem.asked
    number = np.array([one.number for one in questions], dtype=np.int64)
    lengths = np.array([len(one.places) for one in questions])
    places = np.concatenate([one.places for one in questions])
    place = places[(np.cumsum(lengths) - lengths)[asked.series] + asked.row]
    lo, hi = predicted.interval(coverage)
    return number[asked.series], place, asked.feature, predicted.point(), lo, hi
