"""Scores of predictions against truths: RMSE, MAE, CRPS, coverage, and distance on the globe. Numpy in, numpy out.

All functions work on flat arrays, one entry a scored cell, and are vectorised.
"""

import math
from collections.abc import Sequence

import numpy as np
import torch

EARTH_RADIUS_KM = 6371.0088
"""Mean radius of the Earth (IUGG R1)."""

Degrees = np.ndarray | float

_LATITUDE = ("lat", "latitude")
_LONGITUDE = ("lon", "long", "lng", "longitude")


def normal_quantile(level: np.ndarray | float) -> np.ndarray:
    """Quantile of the standard normal, for levels strictly between 0 and 1 (ValueError otherwise)."""
    level = np.asarray(level, dtype=np.float64)
    if np.any((level <= 0) | (level >= 1)):
        raise ValueError(f"a quantile level must lie strictly between 0 and 1, got {level}")
    return torch.special.ndtri(torch.as_tensor(level)).numpy()


def normal_density(x: np.ndarray) -> np.ndarray:
    """Density of the standard normal."""
    return np.exp(-0.5 * np.square(x)) / math.sqrt(2 * math.pi)


def normal_upper(x: np.ndarray) -> np.ndarray:
    """Probability of the standard normal above `x`."""
    return torch.special.ndtr(torch.as_tensor(-np.asarray(x, dtype=np.float64))).numpy()


def crps_gaussian(truth: np.ndarray, mean: np.ndarray, std: np.ndarray) -> np.ndarray:
    """Continuous ranked probability score of normal predictions, in the truth's unit; lower is better.

    Closed form of Gneiting and Raftery, JASA 102 (2007), eq. 21. std = 0 gives the absolute error.
    """
    std = np.asarray(std, dtype=np.float64)
    safe = np.where(std > 0, std, 1.0)
    z = (truth - mean) / safe
    score = safe * (z * (1 - 2 * normal_upper(z)) + 2 * normal_density(z) - 1 / math.sqrt(math.pi))
    return np.where(std > 0, score, np.abs(truth - mean))


def crps_draws(truth: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """CRPS of an ensemble: truth (...,), draws (S, ...). The unbiased ("fair") form, needs S >= 2.

    E|X - y| - 0.5 E|X - X'|, the second term over distinct pairs, from the sorted draws in O(S log S).
    """
    count = draws.shape[0]
    if count < 2:
        raise ValueError(f"CRPS from draws needs at least 2 draws, got {count}; predict with more samples")
    ordered = np.sort(draws, axis=0)
    weight = (2 * np.arange(1, count + 1) - count - 1).reshape(-1, *(1,) * (draws.ndim - 1))
    spread = (weight * ordered).sum(axis=0) / (count * (count - 1))
    return np.abs(draws - truth).mean(axis=0) - spread


def crps_quantiles(truth: np.ndarray, quantiles: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """CRPS of a prediction given by its quantiles: truth (N,), quantiles (N, K), levels (K,) = (k - 0.5) / K.

    Twice the mean pinball loss; the error of the sum is of order 1 / K^2.
    """
    excess = truth[:, None] - quantiles
    return 2 * np.maximum(levels * excess, (levels - 1) * excess).mean(axis=1)


def middle_levels(count: int) -> np.ndarray:
    """`count` quantile levels (k - 0.5) / count, the midpoints `crps_quantiles` integrates with."""
    return (np.arange(count) + 0.5) / count


def inside(truth: np.ndarray, lo: np.ndarray, hi: np.ndarray) -> np.ndarray:
    """Whether each truth lies in its interval, ends included."""
    return (truth >= lo) & (truth <= hi)


def feature_means(values: np.ndarray, feature: np.ndarray, num_features: int) -> np.ndarray:
    """Mean of `values` over the cells of each feature, (num_features,); NaN where a feature has no cell."""
    count = np.bincount(feature, minlength=num_features)
    total = np.bincount(feature, weights=np.asarray(values, dtype=np.float64), minlength=num_features)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def great_circle_km(lat_a: Degrees, lon_a: Degrees, lat_b: Degrees, lon_b: Degrees) -> np.ndarray:
    """Distance on the sphere in km between points given in degrees (haversine formula)."""
    lat_a, lon_a, lat_b, lon_b = (np.radians(angle) for angle in (lat_a, lon_a, lat_b, lon_b))
    half = np.sin((lat_b - lat_a) / 2) ** 2 + np.cos(lat_a) * np.cos(lat_b) * np.sin((lon_b - lon_a) / 2) ** 2
    return 2 * EARTH_RADIUS_KM * np.arcsin(np.sqrt(np.clip(half, 0, 1)))


def find_position(features: Sequence[str]) -> tuple[int, int] | None:
    """Columns of latitude and longitude (names lat, latitude; lon, long, lng, longitude), or None without both."""
    lower = [name.strip().lower() for name in features]
    lat = next((lower.index(name) for name in _LATITUDE if name in lower), None)
    lon = next((lower.index(name) for name in _LONGITUDE if name in lower), None)
    return None if lat is None or lon is None else (lat, lon)
