"""Made report data of any size, so that the report's tests need no trained model."""

from itertools import pairwise

import numpy as np

from neurode.tasks.series.results import (
    AVERAGE,
    FORECAST,
    HELD_OUT,
    METHODS,
    NEURODE,
    POSITION,
    Cost,
    CoverageCurve,
    DataSummary,
    Evaluation,
    FeatureSummary,
    History,
    HorizonRow,
    LatentMap,
    SampleExamples,
    ScoreRow,
    SeriesExample,
    SeriesReportData,
)

STORM_FEATURES = ("lat", "long", "wind", "pressure")


def made_history(epochs: int = 60, seed: int = 0) -> History:
    rng = np.random.default_rng(seed)
    epoch = np.arange(1, epochs + 1)
    course = 4.5 * np.exp(-epoch / 6) + 0.4
    columns = {
        "epoch": epoch.astype(float),
        "loss": course + 0.03 * rng.standard_normal(epochs),
        "validation_loss": course + 0.08 + 0.0004 * epoch + 0.03 * rng.standard_normal(epochs),
        "reconstruction": course * 0.9,
        "kl": 0.12 * (1 - np.exp(-epoch / 10)),
        "evaluations": 900 + 6 * epoch + rng.integers(0, 40, epochs),
        "seconds": 1.2 + 0.05 * rng.standard_normal(epochs),
        "memory_mb": np.full(epochs, 420.0),
    }
    return History(
        columns, best_epoch=int(epochs * 0.8), stopped_because="Stopped: no better for 12 epochs.", seconds=71.3
    )


def made_data_summary(features: tuple[str, ...] = STORM_FEATURES, num_series: int = 614, seed: int = 1) -> DataSummary:
    rng = np.random.default_rng(seed)
    lengths = np.maximum(rng.gamma(3.0, 10.0, num_series).astype(int), 3)
    rows = tuple(
        FeatureSummary(
            name,
            int(lengths.sum() * 0.8),
            0.8,
            10.0 * i + 3.2,
            4.1,
            -3.0,
            10.0 * i + 3.0,
            99.5 * (i + 1),
            ("none", "log")[i % 2],
        )
        for i, name in enumerate(features)
    )
    return DataSummary(
        source="storms.csv.gz",
        layout="wide",
        time_unit="hours",
        num_series=num_series,
        num_rows=int(lengths.sum()),
        num_observations=int(lengths.sum() * 0.8 * len(features)),
        features=rows,
        split={"train": 430, "validation": 61, "calibration": 61, "test": 62},
        spans=(lengths - 1) * 6.0,
        lengths=lengths,
        gaps=np.where(rng.random(2000) < 0.92, 6.0, rng.uniform(1, 6, 2000)),
        left_out={"status": "it holds text", "category": "it is blank in 76 % of the rows"},
        notes=(
            "Layout: wide, one row a time, guessed from the columns.",
            "Series: name and year. Time: year, month, day, hour, in hours.",
            "12 rows were out of order and were sorted.",
        ),
        sha256="9f2c" * 16,
    )


def made_example(task: str, key: tuple, feature: str, seed: int, unit: str = "hours") -> SeriesExample:
    rng = np.random.default_rng(seed)
    times = np.linspace(0, 96, 97)
    truth = 20 + 6 * np.sin(times / 18 + seed) + 0.1 * times + 3 * np.cos(times / 7 + 2 * seed) * rng.random()
    own = np.sort(rng.choice(97, 28, replace=False))
    cut = 60.0 if task == FORECAST else None
    hidden = own[times[own] > 60] if cut else own[::4]
    seen = np.setdiff1d(own, hidden)
    width = 0.8 + (np.clip(times - 60, 0, None) * 0.12 if cut else 0.4 * np.abs(np.sin(times / 9)))
    mean = truth + 0.5 * np.sin(times / 5) * (np.clip(times - 55, 0, None) / 20 if cut else 0.5)
    return SeriesExample(
        task=task,
        key=key,
        feature=feature,
        time_unit=unit,
        times=times,
        mean=mean,
        lo=mean - 1.64 * width,
        hi=mean + 1.64 * width,
        observed_times=times[seen],
        observed=truth[seen] + 0.5 * rng.standard_normal(len(seen)),
        hidden_times=times[hidden],
        hidden=truth[hidden] + 0.5 * rng.standard_normal(len(hidden)),
        cut=cut,
        coverage=0.9,
        time_labels=("2012-08-21 12:00", "2012-08-25 12:00"),
    )


def made_evaluation(features: tuple[str, ...] = STORM_FEATURES, seed: int = 2, position: bool = True) -> Evaluation:
    rng = np.random.default_rng(seed)
    rows, horizon, curves = [], [], []
    factor = dict(zip(METHODS, (1.0, 1.7, 1.25, 2.1), strict=True))
    for task in (HELD_OUT, FORECAST):
        for method in METHODS:
            for i, feature in enumerate((AVERAGE, *features)):
                size = (0.3 if feature == AVERAGE else 2.0 + 3 * i) * factor[method] * float(rng.uniform(0.75, 1.3))
                unit = "std" if feature == AVERAGE else ""
                coverage = 0.9 + 0.02 * float(rng.standard_normal())
                rows.append(
                    ScoreRow(task, method, feature, size, 0.7 * size, 0.5 * size, min(coverage, 1.0), 1234, unit)
                )
            if position and task == FORECAST:
                rows.append(
                    ScoreRow(
                        task, method, POSITION, 190 * factor[method], 150 * factor[method], np.nan, np.nan, 600, "km"
                    )
                )
            edges = np.arange(0, 30, 6.0)
            for lower, upper in pairwise(edges):
                size = factor[method] * (0.1 + 0.012 * upper) * float(rng.uniform(0.9, 1.1))
                km = 9 * upper * factor[method] if position and task == FORECAST else float("nan")
                horizon.append(
                    HorizonRow(task, method, lower, upper, size, 0.7 * size, 0.5 * size, 0.9, int(900 - 20 * upper), km)
                )
            nominal = np.linspace(0.1, 0.95, 18)
            bend = {NEURODE: 0.02}.get(method, 0.15 * float(rng.uniform(-1, 1)))
            curves.append(CoverageCurve(task, method, nominal, np.clip(nominal - bend * np.sin(np.pi * nominal), 0, 1)))
    return Evaluation(
        coverage=0.9,
        horizon=24.0,
        time_unit="hours",
        hidden_share=0.3,
        num_series=62,
        rows=tuple(rows),
        by_horizon=tuple(horizon),
        coverage_curves=tuple(curves),
        verdicts=(
            "Forecasts up to 24 hours ahead: neurode errs by 190 km (RMS), the best baseline, linear, by 238 km.",
            "Held-out points: neurode has the smallest RMSE and CRPS, averaged over the standardised features.",
            "The 90 % intervals hold 89 % of the truths on forecasts and 91 % on held-out points.",
        ),
        seconds=8.4,
    )


def made_samples(features: tuple[str, ...] = STORM_FEATURES, seed: int = 3) -> SampleExamples:
    rng = np.random.default_rng(seed)
    times = np.linspace(0, 120, 61)

    def path(t: np.ndarray) -> np.ndarray:
        a, b, c = rng.normal(size=(3, len(features)))
        return 20 + 3 * a + (2 + b) * np.sin(t[:, None] / 25 + 3 * c) + 0.05 * t[:, None] * a

    real = []
    for _ in range(16):
        own = np.sort(rng.choice(times, 22, replace=False))
        values = path(own) + 0.3 * rng.standard_normal((22, len(features)))
        values[rng.random(values.shape) < 0.1] = np.nan
        real.append((own - own[0], values))
    return SampleExamples(features, "hours", times, np.stack([path(times) for _ in range(16)]), tuple(real))


def made_latent(num: int = 400, seed: int = 4) -> LatentMap:
    rng = np.random.default_rng(seed)
    codes = rng.normal(size=(num, 2)) * (1.6, 0.9) + 0.7 * rng.integers(0, 2, (num, 1))
    grid = np.linspace(-4, 4.6, 21)
    x, y = np.meshgrid(grid, grid)
    u, v = -0.25 * x + y - 0.3, -x - 0.25 * y + 0.2 * x * x / 4
    paths = np.zeros((min(6, num), 80, 2))
    paths[:, 0] = codes[:6]
    for t in range(79):
        p = paths[:, t]
        paths[:, t + 1] = p + 0.04 * np.stack(
            [-0.25 * p[:, 0] + p[:, 1] - 0.3, -p[:, 0] - 0.25 * p[:, 1] + 0.05 * p[:, 0] ** 2], -1
        )
    color = codes[:, 0] * 20 + 60 + 10 * rng.standard_normal(num)
    keys = tuple((f"storm{i}", 1975 + i % 40) for i in range(num))
    return LatentMap(codes, keys, color, "mean of wind", np.array([0.52, 0.24]), grid, grid, u, v, paths)


def made_report_data(features: tuple[str, ...] = STORM_FEATURES, title: str = "storms") -> SeriesReportData:
    names = ("Isaac 2012", "Katrina 2005", "Gilbert 1988", "Mitch 1998", "Andrew 1992", "Hugo 1989")
    examples = [
        made_example(task, tuple(name.split()), features[i % len(features)], i + 1)
        for task in (HELD_OUT, FORECAST)
        for i, name in enumerate(names)
    ]
    return SeriesReportData(
        title=title,
        data=made_data_summary(features),
        history=made_history(),
        evaluation=made_evaluation(features),
        examples=tuple(examples),
        samples=made_samples(features),
        latent=made_latent(),
        cost=Cost(24_318, 60, 71.3, 1.19, 63.0, 422.0, 0.8, 52_000, "cpu", 2),
        settings={"latent_dim": 16, "hidden_dim": 64, "learning_rate": 0.003, "seed": 0},
        versions={"neurode": "0.1.0", "torch": "2.13.0"},
    )
