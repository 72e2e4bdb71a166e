"""A few test series, predicted on a dense grid beside what was seen and what was hidden; and made series beside real
ones.
"""

from collections.abc import Sequence

import numpy as np

from neurode.data.series import Series
from neurode.tasks.series.answers.questions import Question, ask
from neurode.tasks.series.answers.sampling import sample_values
from neurode.tasks.series.fitted import Fitted
from neurode.tasks.series.pages.moments import moments
from neurode.tasks.series.pages.spread import choose_entries, choose_features
from neurode.tasks.series.results import FORECAST, Evaluation, SampleExamples, SeriesExample
from neurode.tasks.series.scoring.problem import Problem

_GRID = 120
_MADE = 24


def examples(fitted: Fitted, problem: Problem, evaluation: Evaluation) -> list[SeriesExample]:
    """Bands of a few entries for a few features, chosen as `pages.spread` says: a spread, with the worst among them."""
    chosen = choose_features(fitted, problem, evaluation)
    entries = choose_entries(fitted, problem, chosen)
    questions = []
    for place, (entry, _) in enumerate(entries):
        times = _grid(problem.contexts[entry], problem.targets[entry])
        wanted = np.zeros((len(times), problem.num_features), dtype=bool)
        wanted[:, chosen] = True
        questions.append(Question(place, problem.contexts[entry], times, wanted, np.arange(len(times))))
    answers = ask(fitted, questions, evaluation.coverage)
    found = []
    for place, (entry, why) in enumerate(entries):
        context, target, times = problem.contexts[entry], problem.targets[entry], questions[place].times
        cut = float(context.times[-1]) if problem.task == FORECAST else None
        for f in chosen:
            cells = (answers.number == place) & (answers.feature == f)
            seen, hidden = ~np.isnan(context.values[:, f]), ~np.isnan(target.values[:, f])
            found.append(
                SeriesExample(
                    task=problem.task,
                    key=fitted_key(fitted, context),
                    feature=fitted.features[f],
                    time_unit=fitted.time_unit,
                    times=times - context.times[0],
                    mean=answers.value[cells],
                    lo=answers.lo[cells],
                    hi=answers.hi[cells],
                    observed_times=context.times[seen] - context.times[0],
                    observed=context.values[seen, f],
                    hidden_times=target.times[hidden] - context.times[0],
                    hidden=target.values[hidden, f],
                    cut=None if cut is None else cut - float(context.times[0]),
                    coverage=evaluation.coverage,
                    time_labels=moments(fitted.schema.when, times[[0, -1]]),
                    why=why,
                )
            )
    return found


def fitted_key(fitted: Fitted, series: Series) -> tuple:
    """The part of a piece's key that the user knows: its id, without the number of the window."""
    return series.key[: len(fitted.schema.id)]


def made_series(fitted: Fitted, test: Sequence[Series], seed: int) -> SampleExamples:
    """Made series and as many real test series."""
    times = fitted.sample_times
    chosen = sorted(test, key=lambda one: -one.num_observations)[:_MADE]
    return SampleExamples(
        features=fitted.features,
        time_unit=fitted.time_unit,
        times=times,
        made=sample_values(fitted, _MADE, times, seed),
        real=tuple((one.times - one.times[0], one.values) for one in chosen),
    )


def _grid(context: Series, target: Series) -> np.ndarray:
    """Dense times over context and target, with the rows of both among them, so that bands touch the points."""
    first = min(context.times[0], target.times[0])
    last = max(context.times[-1], target.times[-1])
    return np.unique(np.concatenate([np.linspace(first, last, _GRID), context.times, target.times]))
