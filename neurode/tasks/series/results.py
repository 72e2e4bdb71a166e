"""What a series task hands out: plain frozen dataclasses of numpy arrays and text, which the report and the command
line draw from.

Nothing here imports torch or pandas. All values are in the user's own units and all times in the table's time unit
(`time_unit`; "" for plain numbers), except where a field says "standardised".
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from neurode.tasks.training_record import History as History

HELD_OUT = "held-out points"
"""Task name: a seeded share of the observed cells of each test series is hidden and filled again."""

FORECAST = "forecast"
"""Task name: everything after a cut is hidden and predicted up to the horizon."""

TASKS = (HELD_OUT, FORECAST)

NEURODE, LAST_VALUE, LINEAR, MEAN = "neurode", "last value", "linear", "mean"

METHODS = (NEURODE, LAST_VALUE, LINEAR, MEAN)
"""Method names in the order of every table. "linear" interpolates between observations and extrapolates beyond them."""

AVERAGE = "average"
"""Feature name of the row that averages over the standardised features."""

POSITION = "position"
"""Feature name of the great-circle row (km), present where the table has a latitude and a longitude."""


@dataclass(frozen=True)
class FeatureSummary:
    """One feature of the training table: what share is observed and how its values lie.

    share: observed cells over rows, 0 to 1. transform: "none" or "log". minimum, median, maximum: user's units.
    """

    name: str
    num_observations: int
    share: float
    mean: float
    std: float
    minimum: float
    median: float
    maximum: float
    transform: str


@dataclass(frozen=True)
class DataSummary:
    """What the data are: sizes, features, spacing, split, and the reader's notes.

    split: number of series in "train", "validation", "calibration" and "test". spans, lengths: one entry a series
    (time units; rows). gaps: spacing between successive rows, a seeded subset of at most 10,000. sha256: of the
    series as read. source: name of the file or "DataFrame".
    """

    source: str
    layout: str
    time_unit: str
    num_series: int
    num_rows: int
    num_observations: int
    features: tuple[FeatureSummary, ...]
    split: Mapping[str, int]
    spans: np.ndarray
    lengths: np.ndarray
    gaps: np.ndarray
    left_out: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    sha256: str = ""


@dataclass(frozen=True)
class ScoreRow:
    """One line of the table of scores.

    task: HELD_OUT or FORECAST. method: one of METHODS. feature: a column name, AVERAGE (over standardised features;
    unit "std") or POSITION (great-circle distance; unit "km"). rmse, mae, crps: in `unit`, lower is better; coverage:
    share of truths inside the interval, to compare with `Evaluation.coverage`. crps and coverage are NaN for POSITION.
    count: number of scored cells.
    """

    task: str
    method: str
    feature: str
    rmse: float
    mae: float
    crps: float
    coverage: float
    count: int
    unit: str = ""


@dataclass(frozen=True)
class HorizonRow:
    """Scores of one method for the truths whose distance to the nearest observation it could use lies in (lower,
    upper].

    Distances in time units. For a forecast that is the time since the cut's last observation of the series.
    rmse, mae, crps are averaged over standardised features; km is the root mean square great-circle distance, NaN
    without a position.
    """

    task: str
    method: str
    lower: float
    upper: float
    rmse: float
    mae: float
    crps: float
    coverage: float
    count: int
    km: float = float("nan")


@dataclass(frozen=True)
class CoverageCurve:
    """Share of truths inside the central interval (`actual`) against the interval's nominal level (`nominal`), both 0
    to 1.
    """

    task: str
    method: str
    nominal: np.ndarray
    actual: np.ndarray


@dataclass(frozen=True)
class Evaluation:
    """How good the model is on test series, beside the three baselines.

    coverage: nominal level of the intervals. horizon: how far forecasts were scored, in time units.
    hidden_share: share of cells hidden for HELD_OUT. verdicts: sentences, one for each task, plus one for each baseline
    that wins. skipped: {task: why it was not scored}.
    """

    coverage: float
    horizon: float
    time_unit: str
    hidden_share: float
    num_series: int
    rows: tuple[ScoreRow, ...]
    by_horizon: tuple[HorizonRow, ...]
    coverage_curves: tuple[CoverageCurve, ...]
    verdicts: tuple[str, ...]
    seconds: float
    skipped: Mapping[str, str] = field(default_factory=dict)

    def row(self, task: str, method: str, feature: str = AVERAGE) -> ScoreRow:
        """The line of one task, method and feature; KeyError, naming what exists, where there is none."""
        for row in self.rows:
            if (row.task, row.method, row.feature) == (task, method, feature):
                return row
        have = sorted({(row.task, row.method, row.feature) for row in self.rows})
        raise KeyError(f"no scores for task {task!r}, method {method!r}, feature {feature!r}; there are {have}")

    @property
    def tasks(self) -> tuple[str, ...]:
        return tuple(task for task in TASKS if any(row.task == task for row in self.rows))

    @property
    def features(self) -> tuple[str, ...]:
        """Feature names in the order of the table, without AVERAGE and POSITION."""
        seen = dict.fromkeys(row.feature for row in self.rows)
        return tuple(name for name in seen if name not in (AVERAGE, POSITION))

    @property
    def has_position(self) -> bool:
        return any(row.feature == POSITION for row in self.rows)

    def to_dict(self) -> dict[str, Any]:
        """Plain lists, numbers and text, ready for JSON (NaN becomes None)."""
        return _plain(asdict(self))


@dataclass(frozen=True)
class SeriesExample:
    """One feature of one test series, predicted: a line, a band, what the model saw and what it did not.

    times, mean, lo, hi: (n,) a dense grid. observed_times, observed: what the model was given. hidden_times, hidden:
    the truth it was not given. cut: the forecast begins here; None for HELD_OUT. coverage: level of the band.
    time_labels: the two ends of `times` as 2023-08-19 18:00 or 2023-08-19, () for plain numbers. why: why this series
    is shown, such as "short" or "worst predicted"; "" where there is no reason.
    """

    task: str
    key: tuple
    feature: str
    time_unit: str
    times: np.ndarray
    mean: np.ndarray
    lo: np.ndarray
    hi: np.ndarray
    observed_times: np.ndarray
    observed: np.ndarray
    hidden_times: np.ndarray
    hidden: np.ndarray
    cut: float | None
    coverage: float
    time_labels: tuple[str, ...] = ()
    why: str = ""

    @property
    def title(self) -> str:
        """Name of the series as one short text."""
        return " ".join(str(part) for part in self.key) or "the series"


@dataclass(frozen=True)
class SampleExamples:
    """Made series beside real ones. times: (T,) since the start of a series. made: (n, T, features).

    real: list of (times since the start (m,), values (m, features)) with NaN for blanks.
    """

    features: tuple[str, ...]
    time_unit: str
    times: np.ndarray
    made: np.ndarray
    real: tuple[tuple[np.ndarray, np.ndarray], ...]


@dataclass(frozen=True)
class LatentMap:
    """The codes of the series on the plane of their two main directions, and the learned field on that plane.

    codes: (n, 2). keys: one a code. color: (n,) what the points are coloured by, `color_label` names it.
    explained: (2,) share of the codes' variance along each axis. grid_x (gx,), grid_y (gy,), field_x, field_y (gy,
    gx): the vector field at points of the plane, projected on it. paths: (k, T, 2) latent paths of a few series
    through time, projected. One latent dimension: the second axis is zero.
    """

    codes: np.ndarray
    keys: tuple[tuple, ...]
    color: np.ndarray
    color_label: str
    explained: np.ndarray
    grid_x: np.ndarray
    grid_y: np.ndarray
    field_x: np.ndarray
    field_y: np.ndarray
    paths: np.ndarray


@dataclass(frozen=True)
class Cost:
    """What it took. Seconds are wall clock; evaluations are calls of the vector field, each for a whole batch.

    evaluations_per_step: mean over the training steps of the last epoch, forward and recomputation as training counts
    it. peak_memory_mb: resident memory of the process. predict_seconds: to encode and predict all test series once.
    device: "cpu", or the name of the accelerator. threads: CPU threads that torch used.
    """

    parameters: int
    epochs: int
    train_seconds: float
    seconds_per_epoch: float
    evaluations_per_step: float
    peak_memory_mb: float
    predict_seconds: float
    train_observations: int
    device: str
    threads: int


@dataclass(frozen=True)
class SeriesReportData:
    """Everything a report shows of one trained model. `latent` and `samples` are None where there was nothing to draw.

    title: name of the data. settings: the model's configuration as plain values. versions: {"neurode": ..., "torch":
    ...}.
    """

    title: str
    data: DataSummary
    history: History
    evaluation: Evaluation
    examples: tuple[SeriesExample, ...]
    samples: SampleExamples | None
    latent: LatentMap | None
    cost: Cost
    settings: Mapping[str, Any]
    versions: Mapping[str, str]

    def examples_of(self, task: str) -> tuple[SeriesExample, ...]:
        return tuple(example for example in self.examples if example.task == task)


def _plain(value: Any) -> Any:
    """`value` with arrays as lists, numpy scalars as numbers and NaN as None."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        return _plain(value.item())
    return None if isinstance(value, float) and not np.isfinite(value) else value
