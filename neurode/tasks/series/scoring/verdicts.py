"""The table of scores in words, with no praise where a baseline wins."""

from collections.abc import Mapping, Sequence

from neurode.tasks.series.results import AVERAGE, NEURODE, POSITION, TASKS, ScoreRow
from neurode.tasks.series.scoring.baselines import BASELINES

_FEW = 20
"""Figures of fewer series than this depend much on which ones they are."""

_MEASURES = (("rmse", "RMSE"), ("crps", "CRPS"))


def verdicts(rows: Sequence[ScoreRow], coverage: float, skipped: Mapping[str, str]) -> tuple[str, ...]:
    """One sentence a task and measure, one on coverage, one on single features where a baseline is ahead."""
    found = {(row.task, row.method, row.feature): row for row in rows}
    said = []
    for task in TASKS:
        if task in skipped:
            said.append(f"{_title(task)}: not scored, {skipped[task]}.")
        elif (task, NEURODE, AVERAGE) in found:
            said += [_against_baselines(found, task, *measure) for measure in _MEASURES]
            if (task, NEURODE, POSITION) in found:
                said.append(_against_baselines(found, task, "rmse", "root mean square distance", POSITION))
            row = found[task, NEURODE, AVERAGE]
            said.append(f"{_title(task)}: {coverage:.0%} intervals of neurode hold {row.coverage:.1%} of the truths.")
            said += _single_features(found, task)
    return tuple(said)


def _title(task: str) -> str:
    return task[0].upper() + task[1:]


def _against_baselines(found, task: str, field: str, name: str, feature: str = AVERAGE) -> str:
    """Whether neurode is ahead of all baselines in one measure, and if not, which ones beat it."""
    own = getattr(found[task, NEURODE, feature], field)
    others = {method: getattr(found[task, method, feature], field) for method in BASELINES}
    ahead = {method: score for method, score in others.items() if score <= own}
    unit = " km" if feature == POSITION else ""
    if ahead:
        listed = " and ".join(f"{method} ({_number(score)}{unit})" for method, score in ahead.items())
        verb = "beats" if len(ahead) == 1 else "beat"
        return f"{_title(task)}: {listed} {verb} neurode in {name} ({_number(own)}{unit})."
    best = min(others, key=lambda method: others[method])
    return (
        f"{_title(task)}: neurode is ahead of all three baselines in {name}: {_number(own)}{unit} against "
        f"{_number(others[best])}{unit} of {best}, {1 - own / others[best]:.0%} less."
    )


def few_series(num_series: int) -> tuple[str, ...]:
    """A sentence of caution where so few series were scored that others would give other figures."""
    if num_series >= _FEW:
        return ()
    return (
        f"Only {num_series} test series or windows: with others the figures may be quite different, so take them as a "
        "hint.",
    )


def _single_features(found, task: str) -> list[str]:
    """Features on which the best baseline has the lower RMSE, at most eight by name."""
    names = [feature for (of, method, feature) in found if of == task and method == NEURODE]
    features = [name for name in names if name not in (AVERAGE, POSITION)]
    lost = []
    for feature in features:
        own = found[task, NEURODE, feature].rmse
        best = min(BASELINES, key=lambda method: found[task, method, feature].rmse)
        theirs = found[task, best, feature].rmse
        if theirs < own:
            lost.append(f"{feature} ({best} {_number(theirs)} against {_number(own)})")
    if not lost or len(features) == 1:
        return []
    more = f" and {len(lost) - 8} more" if len(lost) > 8 else ""
    return [f"{_title(task)}: a baseline has the lower RMSE on {', '.join(lost[:8])}{more}."]


def _number(value: float) -> str:
    return f"{value:.3g}"
