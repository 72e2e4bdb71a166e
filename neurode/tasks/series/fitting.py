"""From a table to a fitted model: split, choose, scale, train, calibrate. The place where data, model and training
meet.
"""

import inspect
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch

from neurode.core.errors import DataError
from neurode.data.batch import Batch, collate
from neurode.data.scaling import Scaling
from neurode.data.series import Series
from neurode.data.tables import Table
from neurode.data.windows import suggest_window
from neurode.models.code_batch import CodeBatches
from neurode.models.ode_vae import ODEVAE
from neurode.tasks.series.choices import Choices, choose, choose_window
from neurode.tasks.series.config import SeriesConfig
from neurode.tasks.series.fitted import Fitted
from neurode.tasks.series.levels import level, typical_levels, without
from neurode.tasks.series.pieces import observed_rows, split_pieces
from neurode.tasks.series.predictor import Predictor
from neurode.tasks.series.scoring.baselines import Baselines
from neurode.tasks.series.scoring.calibration import Calibration
from neurode.tasks.series.scoring.problem import Problem, forecast_problem, held_out_problem
from neurode.tasks.series.series_batches import SeriesBatches
from neurode.tasks.series.splits import Split
from neurode.tasks.training_record import History, TrainingCost
from neurode.training.fit import fit as train_network
from neurode.training.fit_config import FitConfig
from neurode.training.progress import Progress
from neurode.training.run_folder import RunFolder

_ONE_SERIES_SHARE = 0.15
"""Of one long series a tenth holds too few windows to judge by: each held-out set takes at least this share."""

_MOST_ENTRIES = 4000
"""Contexts in one problem: enough for stable figures, few enough to predict in seconds."""

_DENSITY_BATCH = 256

_FLOW_CODES, _FLOW_HELD = 8000, 0.1
"""Codes that an epoch of the flow passes over, each as often as that takes (a hundred times at most), and the share of
them that stops it."""

_BASELINE_SERIES = 1000
"""Training series that the baselines' spreads are fitted to, at most."""


def fit_table(
    table: Table,
    config: SeriesConfig,
    *,
    run_folder: RunFolder | None = None,
    resume: bool = False,
    progress: Progress | bool | None = None,
    say: Callable[[str], None] = lambda sentence: None,
) -> Fitted:
    """Train on `table`. `say` receives sentences: what was chosen, what is being done.

    Raises DataError where the table holds too little, TrainingError where training cannot go on.
    """
    series = observed_rows(table.series)
    if not series:
        raise DataError("the table holds no observation, so there is nothing to learn from", file=table.name)
    split, used, choices = _prepare(series, table, config)
    for sentence in choices.sentences:
        say(f"Chosen: {sentence}.")
    say("Split: " + ", ".join(f"{size} {part}" for part, size in split.sizes.items()) + ".")
    levels = typical_levels(split.train) if choices.levels else None
    scaling = _scaling(split.train, table, config, levels)
    network = _network(config, choices, scaling)
    batches = SeriesBatches(
        split.train, split.validation, scaling=scaling, levels=levels, batch_size=choices.batch_size, seed=config.seed
    )
    result = train_network(
        network,
        batches,
        config.fit_config(
            epochs=choices.epochs, patience=choices.patience, batches=batches.num_train_batches, most_warmup=50
        ),
        run_folder,
        resume=resume,
        progress=progress,
    )
    network.eval()
    predictor = Predictor(
        network, scaling, Calibration.gaussian(len(scaling.features)), config.num_samples, config.seed, levels
    )
    _fit_density(predictor, split.train)
    if network.flow is not None:
        say(f"Training the flow that new series are drawn from, on {len(split.train)} codes.")
        _fit_flow(predictor, split.train, config)
    say("Calibrating intervals on the calibration series.")
    predictor = predictor.calibrated(problems(split.calibration, config, choices))
    return Fitted(
        config=config,
        choices=choices,
        schema=table.schema,
        predictor=predictor,
        baselines=_baselines(split.train, config, choices),
        used=used,
        split=split.sizes,
        history=History.of(result),
        cost=TrainingCost.of(network, sum(one.num_observations for one in split.train), result),
        source=table.name,
        sha256=table_hash(series),
        sample_times=_sample_times(split.train, choices),
        sample_start=float(np.median([one.times[0] for one in split.train])),
    )


def problems(series: Sequence[Series], config: SeriesConfig, choices: Choices) -> list[Problem]:
    """The two problems, held-out points and forecasts, of `series` under these settings."""
    cuts = max(1, min(config.cuts, _MOST_ENTRIES // max(1, len(series))))
    return [
        held_out_problem(series, config.hidden_share, config.seed, draws=cuts),
        forecast_problem(series, choices.horizon, config.seed, cuts=cuts, history=choices.history),
    ]


def table_hash(series: Sequence[Series]) -> str:
    """SHA-256 of keys, times and values of all series, in order."""
    import hashlib

    digest = hashlib.sha256()
    for one in series:
        digest.update(repr(tuple(str(part) for part in one.key)).encode())
        digest.update(np.ascontiguousarray(one.times).tobytes())
        digest.update(np.ascontiguousarray(one.values).tobytes())
    return digest.hexdigest()


def _prepare(series: Sequence[Series], table: Table, config: SeriesConfig) -> tuple[Split[Series], Any, Choices]:
    """The four sets, the memory of what was used, and the settings resolved on the training set."""
    unit = table.schema.time_unit
    one = series[0] if len(series) == 1 else None
    suggested = suggest_window(one) if one is not None else None
    window = choose_window(config, series, unit, suggested)
    low, shares = (_ONE_SERIES_SHARE if one is not None else 0.0), config.shares
    split, used = split_pieces(series, tuple(max(low, share) for share in shares), config.seed, window)  # type: ignore[arg-type]
    whole_span = one.span if one is not None else None
    calendar = table.schema.when.is_calendar
    return split, used, choose(config, split.train, unit, window=window, whole_span=whole_span, calendar=calendar)


def _scaling(train: Sequence[Series], table: Table, config: SeriesConfig, levels: np.ndarray | None) -> Scaling:
    transforms = None if config.transforms == "none" else config.transforms
    if levels is not None:
        if config.transforms not in ("none", "auto"):
            raise DataError("transforms contradict levels=relative. Set levels=absolute, or no transforms")
        transforms, train = None, [without(one, level(one), levels) for one in train]
    try:
        return Scaling.fit(train, table.schema.features, transforms=transforms)
    except ValueError as error:
        raise DataError(f"transforms: {error}") from None


def _network(config: SeriesConfig, choices: Choices, scaling: Scaling) -> ODEVAE:
    """The untrained model. Its weights depend on the seed alone, and the caller's random state is left as it was."""
    allowed = set(inspect.signature(ODEVAE).parameters) - {"input_dim", "hidden_dim", "latent_dim", "prior"}
    unknown = sorted(set(config.model) - allowed)
    if unknown:
        raise DataError(f"model: unknown setting {unknown[0]!r}. Settings: {', '.join(sorted(allowed))}")
    scale = scaling.time_scale
    mixture: dict[str, Any] = {"horizon": choices.horizon / scale}
    if choices.history is not None:
        mixture["history"] = choices.history / scale
    settings = dict(config.model)
    mixture |= settings.pop("mixture", {})
    settings.setdefault("calendar_periods", [period / scale for period in choices.periods])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        try:
            return ODEVAE(
                len(scaling.features),
                choices.hidden_dim,
                choices.latent_dim,
                mixture=mixture,
                prior=config.prior,
                **settings,
            )
        except (TypeError, ValueError) as error:
            raise DataError(f"model: {error}") from None


def _fit_density(predictor: Predictor, train: Sequence[Series]) -> None:
    """Fit the density of training codes; the order of training does not matter."""
    predictor.model.fit_latent_density(_scaled_batches(predictor, train), seed=predictor.seed)


def _fit_flow(predictor: Predictor, train: Sequence[Series], config: SeriesConfig) -> None:
    """Train the flow on the posteriors of the training series, on the model's own device and type."""
    flow = predictor.model.flow
    assert flow is not None
    with torch.no_grad():
        codes = [predictor.model.encode(batch) for batch in _scaled_batches(predictor, train)]
    means, stds = torch.cat([code.mean for code in codes]), torch.cat([code.std for code in codes])
    flow.standardise(means, stds).requires_grad_(True)
    data = CodeBatches(
        means,
        stds,
        batch_size=256,
        repeats=min(100, max(1, _FLOW_CODES // len(means))),
        validation=_FLOW_HELD if len(means) >= 20 else 0,
        seed=config.seed,
    )
    settings = FitConfig(
        max_epochs=max(10, 150 * _FLOW_CODES // max(_FLOW_CODES, len(means))),
        learning_rate=3e-3,
        weight_decay=1e-2,
        patience=30,
        seed=config.seed,
        device=str(means.device),
        precision="float64" if means.dtype == torch.float64 else "float32",
        deterministic=config.deterministic,
    )
    train_network(flow, data, settings, progress=False)
    flow.requires_grad_(False)


def _scaled_batches(predictor: Predictor, train: Sequence[Series]) -> Iterator[Batch]:
    """Training series in model units, on the model's own device and type."""
    parameter = next(predictor.model.parameters())
    for first in range(0, len(train), _DENSITY_BATCH):
        part = train[first : first + _DENSITY_BATCH]
        yield collate([predictor.scaled(one) for one in part]).to(parameter.device, parameter.dtype)


def _baselines(train: Sequence[Series], config: SeriesConfig, choices: Choices) -> Baselines:
    """Baselines fitted to training series, in the user's units."""
    cells = np.concatenate([one.values for one in train])
    with np.errstate(invalid="ignore"):
        count = np.maximum((~np.isnan(cells)).sum(axis=0), 1)
        means = np.nansum(cells, axis=0) / count
        stds = np.sqrt(np.nansum(np.square(cells - means), axis=0) / count)
    stds = np.where(stds > 1e-12 * np.maximum(np.abs(means), 1e-300), stds, 1.0)
    step = max(1, math.ceil(len(train) / _BASELINE_SERIES))
    asked = problems(train[::step], config, choices)
    return Baselines.fit([problem for problem in asked if len(problem.asked)], means, stds, choices.spacing)


def _sample_times(train: Sequence[Series], choices: Choices) -> np.ndarray:
    """Times since the start at which made series are read: a typical span in steps of the typical spacing, 2 to 200
    times.
    """
    span = float(np.median([one.span for one in train])) or choices.spacing
    steps = int(np.clip(round(span / choices.spacing), 1, 199))
    return span * np.arange(steps + 1) / steps
