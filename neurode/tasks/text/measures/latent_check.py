"""M10, latent check: whether a path leaves the region where codes of sentences lie."""

import numpy as np

# Distances held at once: 8 million numbers are 64 MB.
_CELLS_AT_ONCE = 8_000_000


def neighbour_radius(points: np.ndarray, codes: np.ndarray, *, k: int = 10) -> np.ndarray:
    """Distance of each point to its k-th nearest training code; of `points`' shape without the last axis.

    Good for any code, with or without a density: a large radius is a hole. points (..., D), codes (N, D), in the codes'
    own unit. Raises ValueError where there are fewer than k codes or widths differ.
    """
    _check(points, codes, k)
    squares = _squared_distances(points.reshape(-1, points.shape[-1]), codes, k)
    return np.sqrt(squares[:, -1]).reshape(points.shape[:-1])


def radius_against_real(points: np.ndarray, codes: np.ndarray, real: np.ndarray, *, k: int = 10) -> np.ndarray:
    """Largest neighbour radius of each path's interior over the median radius of real held-out codes, (P,).

    points (P, S, D): codes along the paths, ends first and last. codes (N, D): of training sentences. real (M, D): of
    held-out ones. About 1: as close to training codes as real sentences are.
    """
    usual = np.median(neighbour_radius(real, codes, k=k))
    return neighbour_radius(points[:, 1:-1], codes, k=k).max(axis=1) / usual


def lowest_density(log_densities: np.ndarray) -> np.ndarray:
    """Lowest log density of each path's interior less the mean of its two ends, (P,), nats; below 0 is a hole.

    log_densities (P, S): of the codes along the paths under a density of codes, such as the flow prior's.
    """
    height = np.asarray(log_densities, dtype=np.float64)
    if height.ndim != 2 or height.shape[1] < 3:
        raise ValueError(f"log_densities must be (paths, points) with at least 3 points, got {height.shape}.")
    return height[:, 1:-1].min(axis=1) - 0.5 * (height[:, 0] + height[:, -1])


def nearest_codes(points: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Row of the training code nearest to each point; of `points`' shape without the last axis."""
    _check(points, codes, 1)
    flat = points.reshape(-1, points.shape[-1])
    found = np.empty(len(flat), dtype=np.int64)
    for rows, table in _blocks(flat, codes):
        found[rows] = table.argmin(axis=1)
    return found.reshape(points.shape[:-1])


def _check(points: np.ndarray, codes: np.ndarray, k: int) -> None:
    if points.shape[-1] != codes.shape[-1]:
        raise ValueError(f"points have {points.shape[-1]} numbers and codes {codes.shape[-1]}; they must agree.")
    if not 1 <= k <= len(codes):
        raise ValueError(f"k={k} must be between 1 and the number of codes, {len(codes)}.")


def _squared_distances(points: np.ndarray, codes: np.ndarray, k: int) -> np.ndarray:
    """Squared distances to the k nearest codes, nearest first, (N, k)."""
    found = np.empty((len(points), k))
    for rows, table in _blocks(points, codes):
        found[rows] = np.sort(np.partition(table, k - 1, axis=1)[:, :k], axis=1)
    return found


def _blocks(points: np.ndarray, codes: np.ndarray):
    """Slices of the points, each with the squared distances of its points to all codes."""
    step = max(_CELLS_AT_ONCE // len(codes), 1)
    codes = codes.astype(np.float64)
    lengths = np.square(codes).sum(axis=1)
    for start in range(0, len(points), step):
        rows = slice(start, min(start + step, len(points)))
        part = points[rows].astype(np.float64)
        # |p - c|^2 by the product is fast; its rounding may dip below 0.
        table = np.square(part).sum(axis=1)[:, None] - 2 * part @ codes.T + lengths
        yield rows, np.maximum(table, 0)
