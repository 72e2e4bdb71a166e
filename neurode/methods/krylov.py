"""GMRES for many linear systems at once, each known by products with its matrix only. Y. Saad and M. H. Schultz, SIAM
J. Sci. Stat. Comput. 7 (1986) 856-869, with restarts."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from neurode.core.transforms import host_array

NEARLY = 1.5
"""The residual that a cycle ends with differs from the one it believes in by rounding: up to this times the goal."""
STUCK = 100
"""Up to this times the goal it is what rounding leaves, where a whole cycle does not make it less."""


@dataclass(frozen=True)
class KrylovSolution:
    """x (lanes, n), and which lanes' systems were not solved to the tolerance (bool, on the host)."""

    x: torch.Tensor
    lost: np.ndarray


@torch.no_grad()
def gmres(
    product: Callable[[torch.Tensor], torch.Tensor],
    right: torch.Tensor,
    *,
    tolerance: float,
    restart: int,
    most: int,
) -> KrylovSolution:
    """x with product(x) = right, row by row: until a row's residual is below `tolerance` times its right side.

    product: (lanes, n) to (lanes, n), linear, of each row by itself. right: (lanes, n). restart: vectors that are kept
    before a cycle begins anew. most: products at most. A lane fares alone as it does beside others. A right side that
    is not finite is returned as it is, for the caller to find.
    """
    size = _norms(right)
    goal, finite = tolerance * size, np.isfinite(size)
    found, rest = torch.zeros_like(right), right
    going, lost, spent = finite & (size > 0), np.zeros(len(size), dtype=bool), 0
    while going.any() and spent < most:
        change, taken = _cycle(product, rest, size, goal, going, min(restart, most - spent))
        spent += taken
        found = torch.where(_column(going, right), found + change, found)
        rest = right - product(found)
        before, size = size, _norms(rest)
        with np.errstate(invalid="ignore"):
            good = (size <= NEARLY * goal) | ((size > 0.5 * before) & (size <= STUCK * goal))
        lost |= going & ~np.isfinite(size)
        going = going & ~good & ~lost
    found = torch.where(_column(finite, right), found, right)
    return KrylovSolution(found, lost | going)


def _cycle(product, rest: torch.Tensor, size: np.ndarray, goal: np.ndarray, going: np.ndarray, length: int):
    """The correction of least residual in the span of rest, M rest, M^2 rest ... for each lane, and how many products
    were taken."""
    lanes = len(size)
    basis = rest.new_zeros(length + 1, *rest.shape)
    basis[0] = rest / _column(np.where(going, size, np.inf), rest)
    triangle, turned = np.zeros((lanes, length, length)), np.zeros((lanes, length + 1))
    turned[:, 0] = size
    turns: list[tuple[np.ndarray, np.ndarray]] = []
    used, open_ = np.where(going, length, 0), going.copy()
    count = 0
    for count in range(1, length + 1):
        last, known = count - 1, basis[:count]
        vector, heights = _orthogonal(product(basis[last]), known)
        height = _norms(vector)
        basis[count] = vector / _column(np.where(height > 0, height, np.inf), rest)
        column = np.concatenate((host_array(heights.double()).T, height[:, None]), axis=1)
        for i, (cosine, sine) in enumerate(turns):
            upper, lower = column[:, i].copy(), column[:, i + 1].copy()
            column[:, i], column[:, i + 1] = cosine * upper + sine * lower, cosine * lower - sine * upper
        radius = np.hypot(column[:, last], column[:, count])
        sound = np.isfinite(radius) & (radius > 0)
        safe = np.where(sound, radius, 1.0)
        cosine, sine = np.where(sound, column[:, last] / safe, 1.0), np.where(sound, column[:, count] / safe, 0.0)
        turns.append((cosine, sine))
        column[:, last] = radius
        triangle[:, :count, last] = column[:, :count]
        turned[:, count], turned[:, last] = -sine * turned[:, last], cosine * turned[:, last]
        done = open_ & (~sound | (np.abs(turned[:, count]) <= goal) | (height == 0))
        used[done] = np.where(sound, count, last)[done]
        open_ &= ~done
        if not open_.any():
            break
    inside = np.arange(count) < used[:, None]
    whole = np.where(inside[:, :, None] & inside[:, None, :], triangle[:, :count, :count], np.eye(count))
    weights = np.linalg.solve(whole, np.where(inside, turned[:, :count], 0.0)[:, :, None])[:, :, 0]
    table = torch.from_numpy(weights).to(rest.device, rest.dtype)
    return torch.einsum("lk,kln->ln", table, basis[:count]), count


def _orthogonal(vector: torch.Tensor, known: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """What is left of a vector without its parts along the known ones (k, lanes, n), and these parts (k, lanes). Twice,
    since what rounding leaves of them after one pass spoils the residual."""
    heights = torch.zeros(known.shape[:2], dtype=vector.dtype, device=vector.device)
    for _ in range(2):
        own = torch.einsum("kln,ln->kl", known, vector)
        vector, heights = vector - torch.einsum("kl,kln->ln", own, known), heights + own
    return vector, heights


def _norms(rows: torch.Tensor) -> np.ndarray:
    return host_array(torch.linalg.vector_norm(rows, dim=1).double())


def _column(values: np.ndarray, like: torch.Tensor) -> torch.Tensor:
    column = torch.from_numpy(values).to(like.device).unsqueeze(1)
    return column if column.dtype == torch.bool else column.to(like.dtype)
