"""Which test series and which features a report shows: a spread, the worst among them, not the prettiest."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np

from neurode.tasks.series.fitted import Fitted
from neurode.tasks.series.results import FORECAST, NEURODE, Evaluation
from neurode.tasks.series.scoring.baselines import BASELINES
from neurode.tasks.series.scoring.metrics import find_position
from neurode.tasks.series.scoring.problem import Problem

TYPICAL, LONG, SHORT, WORST = "typical length", "long", "short", "worst predicted"

_RANKS = {TYPICAL: 0.5, LONG: 0.95, SHORT: 0.1}
"""Where, among the lengths of all series, the one that is shown lies."""

_LOOKED_AT = 400
"""Entries among which the worst predicted is sought: predicting all of them again would double the evaluation."""


def choose_features(fitted: Fitted, problem: Problem, evaluation: Evaluation, count: int = 2) -> np.ndarray:
    """The best and the worst scored feature, and the most observed ones to make up `count`, in the table's order.

    Scored: RMSE of the model over that of the best baseline. Features that are asked seldom, or take few values only,
    come last. A forecast of positions shows latitude and longitude, too.
    """
    asked = np.bincount(problem.asked.feature, minlength=problem.num_features)
    telling = np.array([len(np.unique(problem.asked.value[problem.asked.feature == f])) > 4 for f in range(len(asked))])
    position = find_position(fitted.features) if problem.task == FORECAST else None
    pair = [] if position is None else [f for f in position if asked[f]]
    others = [f for f in range(len(asked)) if asked[f] and f not in pair]
    scored = {f: _score(evaluation, problem.task, fitted.features[f]) for f in others}
    often = 0.2 * max((asked[f] for f in others), default=0)
    ranked = [f for f in others if telling[f] and asked[f] >= often and np.isfinite(scored[f])]
    ranked.sort(key=lambda f: scored[f])
    by_number = sorted(others, key=lambda f: (telling[f], asked[f]), reverse=True)
    chosen = list(dict.fromkeys([*ranked[:1], *ranked[-1:], *by_number]))[:count]
    return np.array(sorted([*pair, *chosen]), dtype=np.int64)


def choose_entries(fitted: Fitted, problem: Problem, features: np.ndarray, count: int = 4) -> list[tuple[int, str]]:
    """Up to `count` entries of different series, and why each is shown: TYPICAL, LONG, SHORT, WORST, or ""."""
    cells = np.isin(problem.asked.feature, features)
    asks = np.bincount(problem.asked.series[cells], minlength=len(problem))
    shows = np.array([one.num_observations for one in problem.contexts])
    weight = np.sqrt(asks * shows)
    best = _best_of_each_owner(problem, weight)
    if not best:
        return []
    worst = _worst(fitted, problem, features, asks) if len(best) > 1 else None
    rest = [entry for entry in best if worst is None or problem.owner[entry] != problem.owner[worst]]
    chosen = _by_length(problem, rest, weight, count - (worst is not None))
    return chosen if worst is None else [*chosen, (worst, WORST)]


def _score(evaluation: Evaluation, task: str, feature: str) -> float:
    found = {row.method: row.rmse for row in evaluation.rows if (row.task, row.feature) == (task, feature)}
    best = min((found[method] for method in BASELINES if method in found), default=0.0)
    return found[NEURODE] / best if NEURODE in found and best > 0 else float("nan")


def _best_of_each_owner(problem: Problem, weight: np.ndarray) -> list[int]:
    """For each series the entry that both shows and asks most."""
    best: dict[int, int] = {}
    for entry in np.argsort(-weight, kind="stable"):
        if weight[entry] > 0:
            best.setdefault(int(problem.owner[entry]), int(entry))
    return sorted(best.values())


def _worst(fitted: Fitted, problem: Problem, features: np.ndarray, asks: np.ndarray) -> int | None:
    """The entry with the largest standardised error over `features`, among those that ask about as much as others."""
    known = asks[asks > 0]
    fair = np.flatnonzero(asks >= np.median(known))
    looked = fair[np.unique(np.linspace(0, len(fair) - 1, min(_LOOKED_AT, len(fair))).astype(np.int64))]
    part = replace(
        problem,
        contexts=tuple(problem.contexts[entry] for entry in looked),
        targets=tuple(problem.targets[entry] for entry in looked),
        owner=problem.owner[looked],
    )
    asked, point = part.asked, fitted.predictor.predict(part).point()
    cells = np.isin(asked.feature, features)
    error = np.square((point - asked.value) / fitted.baselines.stds[asked.feature])[cells]
    entry = asked.series[cells]
    mean = np.bincount(entry, error, minlength=len(part)) / np.maximum(np.bincount(entry, minlength=len(part)), 1)
    return int(looked[np.argmax(mean)]) if np.isfinite(mean).all() else None


def _by_length(problem: Problem, entries: Sequence[int], weight: np.ndarray, count: int) -> list[tuple[int, str]]:
    """A series of typical length, a long and a short one; without a reason where all are about as long."""
    length = {entry: len(np.union1d(problem.contexts[entry].times, problem.targets[entry].times)) for entry in entries}
    left, chosen = list(entries), {}
    for why, rank in list(_RANKS.items())[:count]:
        if left:
            wanted = np.quantile(list(length.values()), rank)
            chosen[why] = min(left, key=lambda entry: (abs(length[entry] - wanted), -weight[entry]))
            left.remove(chosen[why])
    lengths = [length[chosen[why]] for why in (SHORT, TYPICAL, LONG) if why in chosen]
    differ = len(lengths) > 1 and all(first < second for first, second in pairwise(lengths))
    return [(entry, why if differ else "") for why, entry in chosen.items()]
