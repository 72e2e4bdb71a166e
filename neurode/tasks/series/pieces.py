"""From a table's series to the pieces a model works on: whole series, or windows of them, in four disjoint sets."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from neurode.core.errors import DataError
from neurode.data.series import Series
from neurode.data.windows import cut_windows, windows_by_time
from neurode.tasks.series.splits import Split, split_by_key

_OVERLAP = 4
"""Windows start a quarter of their length apart: the model meets every row at several places of a window."""

_MOST_ROWS = 2000
"""Rows of one long series by which a part of it is known again."""

_WINDOWS, _MOST_OVERLAP = 150, 24
"""Of one series about so many windows are made, the closer together the fewer would lie side by side, up to a limit."""


@dataclass(frozen=True)
class Used:
    """Which series a model has seen in training, stopping or calibration, so that figures never come from them.

    fingerprints: of those series (key, first time and first values). border: for one long series, the time from which
    on it is unused; None for many series. rows: of the one long series, {time: fingerprint of its values}, so that a
    part of it is known again whichever row it begins with.
    """

    fingerprints: frozenset[str]
    border: float | None = None
    rows: Mapping[str, str] = field(default_factory=dict)

    def unused(self, series: Sequence[Series]) -> list[Series]:
        """Those of `series`, or the part of the one long series, that the model has not used."""
        fresh = []
        for one in series:
            if fingerprint(one) not in self.fingerprints and not self._is_part(one):
                fresh.append(one)
            elif self.border is not None:
                rest = one.select(one.times >= self.border)
                if rest.num_observations > 1:
                    fresh.append(rest)
        return fresh

    def _is_part(self, one: Series) -> bool:
        """Whether most rows at times of the one long series hold its very values; another station's rarely do."""
        same = [
            self.rows[repr(time)] == _digest(values.tolist())
            for time, values in zip(one.times.tolist(), one.values, strict=True)
            if repr(time) in self.rows
        ]
        return sum(same) > len(same) / 2

    def to_json(self) -> dict:
        return {"fingerprints": sorted(self.fingerprints), "border": self.border, "rows": dict(self.rows)}

    @classmethod
    def from_json(cls, plain: dict) -> "Used":
        return cls(frozenset(plain["fingerprints"]), plain["border"], plain.get("rows", {}))


def fingerprint(series: Series) -> str:
    """Twelve hexadecimal digits that name a series by its key, its first time and its first values."""
    return _digest((tuple(str(part) for part in series.key), series.times[:1].tolist(), series.values[:1].tolist()))


def row_fingerprints(one: Series) -> dict[str, str]:
    """{time: fingerprint of its values} of at most `_MOST_ROWS` rows, the same whichever other rows there are."""
    chosen = sorted(range(one.num_times), key=lambda row: _digest(float(one.times[row])))[:_MOST_ROWS]
    return {repr(float(one.times[row])): _digest(one.values[row].tolist()) for row in sorted(chosen)}


def _digest(content: object) -> str:
    return hashlib.sha256(repr(content).encode()).hexdigest()[:12]


def observed_rows(series: Sequence[Series]) -> list[Series]:
    """The series without rows that hold nothing, and without series that hold nothing."""
    kept = [one if one.observed.any(axis=1).all() else one.keep(one.observed) for one in series]
    return [one for one in kept if one.num_times]


def cut(series: Sequence[Series], window: float | None, *, overlap: int = 1) -> list[Series]:
    """Windows of length `window` that start 1 / overlap of it apart; a series no longer than that stays whole."""
    if window is None:
        return list(series)
    pieces = []
    for one in series:
        if one.span <= window:
            pieces.append(one)
        else:
            pieces += cut_windows(one, length=window, stride=window / overlap)
    return [piece for piece in pieces if piece.num_observations]


def split_pieces(
    series: Sequence[Series], shares: tuple[float, float, float], seed: int, window: float | None
) -> tuple[Split[Series], Used]:
    """Four sets of pieces, and the memory of what was used.

    Several series are split by key, then cut; one series is split by time, then cut.
    """
    if len(series) == 1:
        if window is None:
            raise DataError("a single series is cut into windows. Pass window=, shorter than a tenth of the series")
        return _split_one(series[0], shares, window)
    whole = split_by_key(series, shares, seed)
    used = [*whole.train, *whole.validation, *whole.calibration]
    parts = Split(
        train=tuple(cut(whole.train, window, overlap=_OVERLAP)),
        validation=tuple(cut(whole.validation, window)),
        calibration=tuple(cut(whole.calibration, window)),
        test=tuple(cut(whole.test, window)),
    )
    return parts, Used(frozenset(fingerprint(one) for one in used))


def _split_one(one: Series, shares: tuple[float, float, float], window: float) -> tuple[Split[Series], Used]:
    overlap = max(_OVERLAP, min(_MOST_OVERLAP, round(_WINDOWS * window / one.span)))
    parts = windows_by_time(one, length=window, stride=window / overlap, shares=(1 - sum(shares), *shares))
    split = Split(*(tuple(part) for part in parts))
    empty = [name for name, size in split.sizes.items() if size == 0]
    if empty:
        raise DataError(
            f"the series of {one.num_times} rows leaves no window for {', '.join(empty)}. "
            "Give a longer series, or a shorter window="
        )
    border = float(min(piece.times[0] for piece in split.test))
    return split, Used(frozenset({fingerprint(one)}), border, row_fingerprints(one))
