"""Made series, drawn from the density of the training codes, as a table in the user's own columns."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch

from neurode.core.errors import DataError
from neurode.tasks.series.durations import duration
from neurode.tasks.series.fitted import Fitted

_REACH = 10
"""How many times the length of a typical series made ones may be: nothing was learned of what lies further out."""


def sample_values(fitted: Fitted, n: int, times: np.ndarray, seed: int, prior: str | None = None) -> np.ndarray:
    """(n, times, features) made values in the user's units; times since the start, in time units."""
    network, scaling = fitted.network, fitted.scaling
    parameter = next(network.parameters())
    tau = torch.as_tensor(times / scaling.time_scale, dtype=parameter.dtype, device=parameter.device)
    offset = (fitted.sample_start - scaling.calendar_zero) / scaling.time_scale
    made = network.sample(n, tau, seed=seed, offset=offset, prior=prior)
    values = scaling.values_to_user(made.double().cpu().numpy())
    return values if fitted.predictor.levels is None else values + fitted.predictor.levels


def sample(
    fitted: Fitted, n: int, times: Sequence[float | str] | None, seed: int, prior: str | None = None
) -> pd.DataFrame:
    """`n` made series at `times` since their start: numbers in the table's time unit, or texts such as 0 and 24h.

    The id columns hold 1, 2, ... ("sample 1" where ids are texts); times begin where training series typically begin.
    prior: what codes are drawn from, "mixture" or "flow"; None, what the model was trained with.
    ValueError for n below 1, negative times or an unknown prior; DataError for a flow that was not trained, texts that
    are no length of time, and times beyond ten typical series.
    """
    if n < 1:
        raise ValueError(f"n={n} must be at least 1: the number of series to make.")
    if prior == "flow" and fitted.network.flow is None:
        raise DataError("this model has no flow to draw from. Train it with prior=flow, or leave the prior out")
    since = fitted.sample_times if times is None else _since_start(fitted, times)
    schema = fitted.schema
    values = sample_values(fitted, n, since, seed, prior)
    number = np.repeat(np.arange(1, n + 1), len(since))
    columns = {}
    for name, dtype in zip(schema.id, schema.id_dtypes, strict=True):
        columns[name] = number if dtype != "str" else np.array([f"sample {k}" for k in number], dtype=object)
    if not schema.id:
        columns["sample"] = number
    columns |= schema.write_time(np.tile(fitted.sample_start + since, n))
    if schema.layout != "long":
        columns |= {name: values[:, :, f].reshape(-1) for f, name in enumerate(schema.features)}
        return pd.DataFrame(columns)
    assert schema.variable is not None
    assert schema.value is not None
    features = len(schema.features)
    columns = {name: np.repeat(column, features) for name, column in columns.items()}
    columns[schema.variable] = np.tile(np.array(schema.features, dtype=object), n * len(since))
    columns[schema.value] = values.reshape(-1)
    return pd.DataFrame(columns)


def _since_start(fitted: Fitted, times: Sequence[float | str]) -> np.ndarray:
    lengths = [
        float(one) if isinstance(one, (int, float)) else duration(one, fitted.time_unit, "times", zero=True)
        for one in (times.tolist() if isinstance(times, np.ndarray) else times)
    ]
    since = np.unique(np.asarray(lengths, dtype=np.float64))
    if not len(since) or not np.isfinite(since).all() or since[0] < 0:
        raise ValueError("times of made series count from their start: give finite numbers of at least 0.")
    typical = max(float(fitted.sample_times[-1]), fitted.choices.horizon)
    if since[-1] > _REACH * typical:
        raise DataError(
            f"times reach {since[-1]:g} {fitted.time_unit}".rstrip()
            + f", more than {_REACH} times a typical series. "
            f"Ask for at most {_REACH * typical:g} {fitted.time_unit}".rstrip()
        )
    return since
