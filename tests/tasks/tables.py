"""Small tables for the tests of the series task: damped waves, long, wide, dated and single."""

import numpy as np
import pandas as pd

from neurode.data.series import Series


def waves(num: int = 40, seed: int = 0, blank: float = 0.2) -> pd.DataFrame:
    """`num` waves of two features at 6 to 14 irregular times of their own: columns patient, hour, pulse, drift."""
    random = np.random.default_rng(seed)
    rows = []
    for patient in range(num):
        times = np.sort(random.choice(2000, random.integers(6, 15), replace=False)) / 100
        phase = random.uniform(0, 2 * np.pi)
        pulse = 70 + 8 * np.sin(times / 3 + phase) + random.normal(0, 0.5, len(times))
        drift = 5 + 0.3 * times + random.normal(0, 0.3) + random.normal(0, 0.1, len(times))
        rows.append(pd.DataFrame({"patient": patient, "hour": times, "pulse": pulse, "drift": drift}))
    table = pd.concat(rows, ignore_index=True)
    hidden = random.uniform(size=len(table))
    table["pulse"] = table["pulse"].where((hidden >= blank).tolist())
    table["drift"] = table["drift"].where(((hidden < blank) | (hidden >= 2 * blank)).tolist())
    return table


def long_waves(num: int = 40, seed: int = 0) -> pd.DataFrame:
    """The same waves as rows of patient, hour, variable, value."""
    table = waves(num, seed).melt(["patient", "hour"], var_name="variable", value_name="value")
    return table.dropna().sort_values(["patient", "hour"], kind="stable", ignore_index=True)


def many_series(num: int = 30, seed: int = 0) -> list[Series]:
    """Series of two features, straight to the library."""
    found = []
    for patient, part in waves(num, seed).groupby("patient"):
        values = part[["pulse", "drift"]].to_numpy()
        rows = ~np.isnan(values).all(axis=1)
        found.append(Series((patient,), part["hour"].to_numpy()[rows], values[rows]))
    return found
