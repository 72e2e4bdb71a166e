"""M8, smoothness: how evenly a path changes its words, and M9, monotony: whether it goes from one end to the other."""

from collections.abc import Sequence

import numpy as np

from neurode.models.text.edit_distance import Words, edit_distances, normalised_distances


def largest_jump(paths: Sequence[Sequence[Words]]) -> np.ndarray:
    """M8: the largest step between neighbours over the sum of all steps, (P,), from 1 / (S - 1) to 1; lower is better.

    Steps are word edit distances over the longer sentence's length, ends included. A path that never moves has 1, the
    worst, unless its two ends are the same sentence, where there is nothing to walk: 0.
    """
    found = []
    for path in paths:
        steps = normalised_distances(path[:-1], path[1:])
        if steps.sum() > 0:
            found.append(steps.max() / steps.sum())
        else:
            found.append(0.0)
    return np.array(found, dtype=np.float64)


def jump_against_ends(paths: Sequence[Sequence[Words]]) -> np.ndarray:
    """The largest step in words over the edit distance in words between the two ends, (P,); 0 for equal ends that hold.

    Unlike `largest_jump` it is no better for a path that makes detours; it can pass 1.
    """
    steps = [int(edit_distances(path[:-1], path[1:]).max()) for path in paths]
    whole = edit_distances([path[0] for path in paths], [path[-1] for path in paths])
    return np.array(steps, dtype=np.float64) / np.maximum(whole, 1)


def directness(paths: Sequence[Sequence[Words]]) -> np.ndarray:
    """Distance of the two ends over the length of the path, (P,), from 0 to 1: 1 for a path without a detour.

    "Interpolation smoothness" of Zhang, Carvalho and Freitas (2024) with normalised word edit distance in place of
    their word mover's distance. A path of equal ends that never moves has 1. Good beside other measures alone: gradual
    nonsense scores high.
    """
    found = []
    for path in paths:
        whole = normalised_distances([path[0]], [path[-1]])[0]
        length = normalised_distances(path[:-1], path[1:]).sum()
        found.append(min(whole / length, 1.0) if length > 0 else 1.0)
    return np.array(found, dtype=np.float64)


def monotony(paths: Sequence[Sequence[Words]], *, times: Sequence[float] | None = None) -> np.ndarray:
    """M9: Spearman correlation of t with d(s_t, A) - d(s_t, B) along each path, (P,); 1 is a straight way from A to B.

    A and B: the path's first and last sentence. d: word edit distance. times: of the sentences, evenly spaced if None.
    0 where the difference never changes, as of a path that stands still.
    """
    found = []
    for path in paths:
        at = np.arange(len(path)) if times is None else np.asarray(times)
        from_a = edit_distances(path, [path[0]] * len(path))
        from_b = edit_distances(path, [path[-1]] * len(path))
        found.append(spearman(at, from_a - from_b))
    return np.array(found, dtype=np.float64)


def length_departure(paths: Sequence[Sequence[Words]], *, times: Sequence[float] | None = None) -> np.ndarray:
    """Mean over the interior of |words - words expected on a straight line between the two ends' lengths|, (P,)."""
    found = []
    for path in paths:
        at = np.linspace(0, 1, len(path)) if times is None else np.asarray(times, dtype=np.float64)
        lengths = np.array([len(sentence) for sentence in path], dtype=np.float64)
        line = lengths[0] + (at - at[0]) / (at[-1] - at[0]) * (lengths[-1] - lengths[0])
        found.append(np.abs(lengths - line)[1:-1].mean())
    return np.array(found, dtype=np.float64)


def spearman(x: Sequence[float] | np.ndarray, y: Sequence[float] | np.ndarray) -> float:
    """Rank correlation of two lists, ties sharing their mean rank; 0 where one is constant (undefined there)."""
    a, b = ranks(x), ranks(y)
    if len(a) != len(b):
        raise ValueError(f"two lists of one length are needed, got {len(a)} and {len(b)} values.")
    a, b = a - a.mean(), b - b.mean()
    scale = np.sqrt((a * a).sum() * (b * b).sum())
    return float(np.clip((a * b).sum() / scale, -1, 1)) if scale > 0 else 0.0


def ranks(values: Sequence[float] | np.ndarray) -> np.ndarray:
    """Rank of each value from 1 on, ties sharing their mean rank, (N,)."""
    _, inverse, counts = np.unique(np.asarray(values), return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2)[inverse.reshape(-1)]
