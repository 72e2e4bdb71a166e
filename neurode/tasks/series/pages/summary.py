"""What the data are, as numbers for a report's first page."""

from collections.abc import Sequence

import numpy as np

from neurode.data.series import Series
from neurode.data.tables import Table
from neurode.tasks.series.fitted import Fitted
from neurode.tasks.series.fitting import table_hash
from neurode.tasks.series.pieces import observed_rows
from neurode.tasks.series.results import DataSummary, FeatureSummary

_MOST_GAPS = 10_000


def summarise(fitted: Fitted, table: Table) -> DataSummary:
    """Sizes, features, spacing and split of `table`, read with the model's schema."""
    series = observed_rows(table.series)
    gaps = np.concatenate([np.diff(one.times) for one in series]) if series else np.zeros(0)
    if len(gaps) > _MOST_GAPS:
        gaps = np.random.default_rng(0).choice(gaps, _MOST_GAPS, replace=False)
    return DataSummary(
        source=table.name,
        layout=table.schema.layout,
        time_unit=table.schema.time_unit,
        num_series=len(series),
        num_rows=sum(one.num_times for one in series),
        num_observations=sum(one.num_observations for one in series),
        features=_features(fitted, series),
        split=dict(fitted.split),
        spans=np.array([one.span for one in series]),
        lengths=np.array([one.num_times for one in series]),
        gaps=gaps,
        left_out=dict(table.schema.left_out),
        notes=table.notes,
        sha256=table_hash(series),
    )


def _features(fitted: Fitted, series: Sequence[Series]) -> tuple[FeatureSummary, ...]:
    values = np.concatenate([one.values for one in series])
    found = []
    for f, name in enumerate(fitted.features):
        column = values[:, f][~np.isnan(values[:, f])]
        known = column if len(column) else np.array([np.nan])
        found.append(
            FeatureSummary(
                name=name,
                num_observations=len(column),
                share=len(column) / len(values),
                mean=float(known.mean()),
                std=float(known.std()),
                minimum=float(known.min()),
                median=float(np.median(known)),
                maximum=float(known.max()),
                transform=fitted.scaling.transforms[f],
            )
        )
    return tuple(found)
