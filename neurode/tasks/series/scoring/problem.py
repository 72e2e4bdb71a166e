"""A prediction problem: what a method may see of each series, what it must predict, and how far apart the two are.

The same problems are put to the model and to the baselines, for fitting spreads, for calibration and for scores.
Times are in the table's time unit, values in the user's units.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from neurode.data.series import Series
from neurode.tasks.series.results import FORECAST, HELD_OUT
from neurode.tasks.series.splits import key_hash


@dataclass(frozen=True)
class Cells:
    """Cells of many series as flat arrays of one length: number of the series in the problem, time, feature, value.

    Sorted by series, then feature, then time. row: row of the cell in its series.
    """

    series: np.ndarray
    feature: np.ndarray
    time: np.ndarray
    value: np.ndarray
    row: np.ndarray

    def __len__(self) -> int:
        return len(self.time)


def observed_cells(series: Sequence[Series]) -> Cells:
    """The cells of `series` that are not blank."""
    if not series:
        whole, real = np.zeros(0, dtype=np.int64), np.zeros(0)
        return Cells(whole, whole, real, real, whole)
    lengths = np.array([one.num_times for one in series])
    values = np.concatenate([one.values for one in series])
    number = np.repeat(np.arange(len(series)), lengths)
    start = np.cumsum(lengths) - lengths
    times = np.concatenate([one.times for one in series])
    row, feature = np.nonzero(~np.isnan(values))
    order = np.lexsort((row, feature, number[row]))
    row, feature = row[order], feature[order]
    of = number[row]
    return Cells(of, feature, times[row], values[row, feature], row - start[of])


@dataclass(frozen=True)
class Problem:
    """For each entry: the `contexts` a method may see and the `targets` it must predict (blank = not asked).

    owner: number of the series each entry was made from (a forecast makes several entries of one series).
    """

    task: str
    contexts: tuple[Series, ...]
    targets: tuple[Series, ...]
    owner: np.ndarray
    num_features: int

    def __len__(self) -> int:
        return len(self.contexts)

    @cached_property
    def seen(self) -> Cells:
        return observed_cells(self.contexts)

    @cached_property
    def asked(self) -> Cells:
        return observed_cells(self.targets)

    @cached_property
    def neighbours(self) -> tuple[np.ndarray, np.ndarray]:
        """For each asked cell the last seen cell of its series and feature not later, and the first not earlier (-1:
        none).
        """
        return neighbours(self.seen, self.asked)

    @cached_property
    def gap(self) -> np.ndarray:
        """For each asked cell the distance to the nearest seen cell of its series and feature, in time units; inf:
        none.
        """
        before, after = self.neighbours
        back = np.where(before >= 0, self.asked.time - _take(self.seen.time, before), np.inf)
        ahead = np.where(after >= 0, _take(self.seen.time, after) - self.asked.time, np.inf)
        return np.minimum(back, ahead)

    @cached_property
    def lead(self) -> np.ndarray:
        """For each asked cell the time since its series' last seen row of any feature; negative before it."""
        last = np.array([one.times[-1] if one.num_times else -np.inf for one in self.contexts])
        return self.asked.time - last[self.asked.series]


def neighbours(seen: Cells, asked: Cells) -> tuple[np.ndarray, np.ndarray]:
    """Indices into `seen` of the cells of the same series and feature just before (or at) and after (or at) each
    asked cell; -1: none.
    """
    if len(seen) == 0:
        none = np.full(len(asked), -1)
        return none, none.copy()
    group_seen, group_asked = _groups(seen, asked)
    before = last_not_after(group_seen, seen.time, group_asked, asked.time)
    after = _first_not_before(group_seen, seen.time, group_asked, asked.time)
    return before, after


def last_not_after(group: np.ndarray, time: np.ndarray, asked_group: np.ndarray, asked_time: np.ndarray) -> np.ndarray:
    """For each asked (group, time), the index of the last entry of that group at or before that time; -1: none.

    One sort of both lists together, then a running maximum; `group` and `time` need not be sorted.
    """
    count, wanted = len(time), len(asked_time)
    groups, times = np.concatenate([group, asked_group]), np.concatenate([time, asked_time])
    is_asked = np.repeat([0, 1], [count, wanted])
    order = np.lexsort((is_asked, times, groups))
    place = np.where(is_asked[order] == 0, np.arange(count + wanted), -1)
    latest = np.maximum.accumulate(place)
    found = np.where(latest >= 0, order[np.maximum(latest, 0)], -1)
    result = np.empty(count + wanted, dtype=np.int64)
    result[order] = found
    result = result[count:]
    return np.where((result >= 0) & (_take(group, result) == asked_group), result, -1)


def _first_not_before(group, time, asked_group, asked_time) -> np.ndarray:
    return last_not_after(-group, -time, -asked_group, -asked_time)


def _groups(seen: Cells, asked: Cells) -> tuple[np.ndarray, np.ndarray]:
    features = 1 + max((int(cells.feature.max()) for cells in (seen, asked) if len(cells)), default=0)
    return seen.series * features + seen.feature, asked.series * features + asked.feature


def _take(values: np.ndarray, index: np.ndarray) -> np.ndarray:
    """values[index], and values[0] where index is -1 (the caller masks those)."""
    return values[np.maximum(index, 0)] if len(values) else np.zeros(len(index))


def held_out_problem(series: Sequence[Series], share: float, seed: int, *, draws: int = 1) -> Problem:
    """Hide a seeded `share` of the observed cells of each series; the rest is the context.

    The cells hidden of a series depend on its key and the seed only. draws: entries made of each series, each with
    other cells hidden. A series of one observed cell is left out.
    """
    contexts, targets, owner = [], [], []
    for number, one in enumerate(series):
        observed = ~np.isnan(one.values)
        count = int(observed.sum())
        if count < 2:
            continue
        random = np.random.default_rng([int(key_hash(one.key, seed) * 2**32), seed, 1])
        hide = min(max(1, round(share * count)), count - 1)
        for _ in range(draws):
            hidden = np.zeros(count, dtype=bool)
            hidden[random.permutation(count)[:hide]] = True
            cells = np.zeros_like(observed)
            cells[observed] = hidden
            contexts.append(one.keep(observed & ~cells))
            targets.append(one.keep(cells))
            owner.append(number)
    return _problem(HELD_OUT, contexts, targets, owner, series)


def forecast_problem(
    series: Sequence[Series], horizon: float, seed: int, *, cuts: int = 4, history: float | None = None
) -> Problem:
    """Cut each series at up to `cuts` seeded rows; what follows within `horizon` is asked, what comes before is the
    context.

    A cut leaves at least two rows before it (one, where the series has two rows) and one row after it. The first cut of
    each series lies so that the whole horizon still holds data, where the series is long enough. history: contexts
    reach back this far at most.
    """
    contexts, targets, owner = [], [], []
    for number, one in enumerate(series):
        for row in _cut_rows(one, horizon, seed, cuts):
            cut = one.times[row]
            context = one.until(cut)
            if history is not None:
                context = context.after(cut - history * (1 + 1e-9))
            target = one.after(cut).until(cut + horizon * (1 + 1e-9))
            if context.num_observations and target.num_observations:
                contexts.append(context)
                targets.append(target)
                owner.append(number)
    return _problem(FORECAST, contexts, targets, owner, series)


def _cut_rows(one: Series, horizon: float, seed: int, cuts: int) -> np.ndarray:
    """Rows after which a series is cut: drawn without replacement, those with a full horizon of data after them
    first.
    """
    first, last = min(1, one.num_times - 2), one.num_times - 2
    if last < first or first < 0:
        return np.zeros(0, dtype=np.int64)
    rows = np.arange(first, last + 1)
    random = np.random.default_rng([int(key_hash(one.key, seed) * 2**32), seed, 2])
    rows = random.permutation(rows)
    full = one.times[-1] - one.times[rows] >= horizon * (1 - 1e-9)
    return np.sort(np.concatenate([rows[full], rows[~full]])[:cuts])


def _problem(task: str, contexts, targets, owner, series: Sequence[Series]) -> Problem:
    features = series[0].values.shape[1] if series else 0
    return Problem(task, tuple(contexts), tuple(targets), np.array(owner, dtype=np.int64), features)
