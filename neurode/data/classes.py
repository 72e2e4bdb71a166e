"""Classes of points in the plane that are made, not measured: moons, spirals and rings."""

from collections.abc import Callable

import numpy as np

from neurode.data.labelled import LabelledData


def moons(num: int = 1000, noise: float = 0.15, seed: int = 0) -> LabelledData:
    """Two half circles of radius 1 that reach into each other: the upper one around (0, 0), the lower around (1, 0.5).

    num: points of both together. noise: standard deviation added to either coordinate. ValueError for num < 4 or
    noise < 0.
    """
    rng, label = _drawn(num, noise, seed)
    angle = rng.uniform(0, np.pi, num)
    turn = np.where(label == 0, 1.0, -1.0)
    points = np.stack([turn * np.cos(angle) + label, turn * np.sin(angle) + 0.5 * label], axis=1)
    return _data("moons", points, label, noise, rng, ("upper", "lower"))


def spirals(num: int = 1000, noise: float = 0.05, seed: int = 0) -> LabelledData:
    """Two arms around the origin, half a turn apart, of one and three quarter turns, with radius up to 2.

    num, noise: as for moons.
    """
    rng, label = _drawn(num, noise, seed)
    # The root spreads the points evenly along the arms, which are longer outside.
    share = np.sqrt(rng.uniform(0.02, 1, num))
    angle = 3.5 * np.pi * share + np.pi * label
    points = 2 * share[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return _data("spirals", points, label, noise, rng, ("first arm", "second arm"))


def rings(num: int = 1000, noise: float = 0.1, seed: int = 0) -> LabelledData:
    """A disc of radius 0.6 inside a ring from 1.2 to 1.8: no flow of the plane can part them (Dupont et al., 2019).

    num, noise: as for moons.
    """
    rng, label = _drawn(num, noise, seed)
    low, high = np.where(label == 0, 0.0, 1.2), np.where(label == 0, 0.6, 1.8)
    radius = np.sqrt(rng.uniform(low**2, high**2))
    angle = rng.uniform(0, 2 * np.pi, num)
    points = radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return _data("rings", points, label, noise, rng, ("disc", "ring"))


PLANES: dict[str, Callable[..., LabelledData]] = {"moons": moons, "spirals": spirals, "rings": rings}
"""Made sets of points by name."""


def _drawn(num: int, noise: float, seed: int) -> tuple[np.random.Generator, np.ndarray]:
    if num < 4 or not noise >= 0:
        raise ValueError(f"num={num}, noise={noise}: at least 4 points, and a noise of 0 or above, are due.")
    rng = np.random.default_rng(seed)
    return rng, rng.permutation(np.arange(num) % 2)


def _data(
    name: str, points: np.ndarray, label: np.ndarray, noise: float, rng: np.random.Generator, classes: tuple[str, ...]
) -> LabelledData:
    noisy = points + noise * rng.standard_normal(points.shape)
    return LabelledData(
        noisy.astype(np.float32),
        label.astype(np.int64),
        classes=classes,
        features=("x", "y"),
        target="class",
        name=name,
    )
