"""What a race found, as plain rows, and as a table for a person."""

from collections.abc import Iterable
from dataclasses import dataclass

from neurode.tasks.speed.contenders import FLOOR
from neurode.tasks.speed.race import Lane
from neurode.tasks.speed.workloads import MODES


@dataclass(frozen=True)
class SpeedRow:
    """One contender on one workload. forward, both: median seconds of a solve, and of a solve with its gradient, NaN
    where it did not run; calls, rows: of the field in a forward solve; error, median_error: against the reference, the
    largest of all samples and the median over the samples; gradient_error: relative. absent: why it took no part."""

    workload: str
    threads: int
    contender: str
    forward: float
    both: float
    calls: int
    rows: int
    error: float
    median_error: float
    gradient_error: float
    absent: str = ""

    @classmethod
    def of(cls, workload: str, threads: int, lane: Lane) -> "SpeedRow":
        def number(value: float | None) -> float:
            return float("nan") if value is None else value

        facts = lane.facts
        forward, both = (number(lane.median(mode)) for mode in MODES)
        error, median_error, gradient_error = (
            number(facts.get(name)) for name in ("error", "median_error", "gradient_error")
        )
        return cls(
            workload, threads, lane.name, forward, both, facts.get("calls", 0), facts.get("rows", 0), error,
            median_error, gradient_error, lane.absent or "",
        )  # fmt: skip

    @property
    def is_measured(self) -> bool:
        return self.forward == self.forward


COLUMNS = (
    "contender", "forward, ms", "of neurode's", "forward+backward, ms", "of neurode's", "calls of f", "samples in them",
    "largest error", "median error", "gradient error",
)  # fmt: skip
"""Heads of `table_rows`."""


def neurodes_best(rows: Iterable[SpeedRow], mode: str) -> float:
    """The faster of neurode's engines as solve() would choose them: fused where it takes part, else eager."""
    times = {row.contender: getattr(row, mode) for row in rows if row.is_measured}
    return times.get("neurode fused", times.get("neurode eager", float("nan")))


def table_rows(rows: list[SpeedRow]) -> list[list[str]]:
    """The cells of the contenders of one race, the floor last; "of neurode's" is a time in units of neurode's."""
    forward, both = neurodes_best(rows, "forward"), neurodes_best(rows, "both")
    cells = []
    for row in rows:
        if not row.is_measured:
            continue
        errors = map(_small, (row.error, row.median_error, row.gradient_error))
        facts = ["", "", ""] if row.contender == FLOOR else errors
        times = [_ms(row.forward), _ratio(row.forward, forward), _ms(row.both), _ratio(row.both, both)]
        cells.append([row.contender, *times, f"{row.calls:,}", f"{row.rows:,}", *facts])
    return cells


def _ms(seconds: float) -> str:
    if seconds != seconds:
        return "-"
    digits = 2 if seconds < 0.1 else 1 if seconds < 1 else 0
    return f"{seconds * 1e3:.{digits}f}"


def _ratio(seconds: float, unit: float) -> str:
    ratio = seconds / unit
    return "-" if ratio != ratio else f"{ratio:.2f}"


def _small(number: float) -> str:
    return "-" if number != number else f"{number:.1e}"
