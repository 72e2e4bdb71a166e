import numpy as np
import pytest

from neurode.tasks.text.measures.latent_check import (
    lowest_density,
    nearest_codes,
    neighbour_radius,
    radius_against_real,
)


def plainly(points, codes, k):
    return np.sort(np.linalg.norm(points[:, None] - codes[None], axis=-1), axis=1)[:, k - 1]


def test_the_radius_is_the_distance_to_the_kth_code(monkeypatch):
    generator = np.random.default_rng(0)
    points, codes = generator.normal(size=(30, 5)), generator.normal(size=(40, 5))
    for k in (1, 3, 40):
        assert neighbour_radius(points, codes, k=k) == pytest.approx(plainly(points, codes, k))
    monkeypatch.setattr("neurode.tasks.text.measures.latent_check._CELLS_AT_ONCE", 100)
    assert neighbour_radius(points.reshape(5, 6, 5), codes, k=3) == pytest.approx(
        plainly(points, codes, 3).reshape(5, 6)
    )


def test_a_code_among_the_codes_has_radius_zero():
    codes = np.random.default_rng(0).normal(size=(10, 3)).astype(np.float32) + 100
    assert neighbour_radius(codes, codes, k=1) == pytest.approx(np.zeros(10), abs=1e-4)


def test_a_path_through_a_hole_has_a_large_radius():
    generator = np.random.default_rng(1)
    angles = generator.uniform(0, 2 * np.pi, size=2000)
    ring = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    along = np.linspace(-1, 1, 11)
    through = np.stack([along, 0 * along], axis=1)
    turn = np.linspace(np.pi, 0, 11)
    around = np.stack([np.cos(turn), np.sin(turn)], axis=1)
    relative = radius_against_real(np.stack([through, around]), ring[:1000], ring[1000:])
    assert relative[0] > 20
    assert relative[1] < 3


def test_the_lowest_density_is_taken_inside_and_against_the_ends():
    assert lowest_density(np.array([[-1.0, -9.0, -2.0, -3.0], [0.0, 5.0, 6.0, 0.0]])).tolist() == [-7, 5]


def test_the_nearest_code_is_found():
    assert nearest_codes(np.array([[0.1], [4.9]]), np.array([[5.0], [0.0], [2.0]])).tolist() == [1, 0]


def test_widths_that_differ_are_an_error():
    with pytest.raises(ValueError, match="points have 2 numbers and codes 3"):
        nearest_codes(np.zeros((1, 2)), np.zeros((4, 3)))


def test_more_neighbours_than_codes_are_an_error():
    with pytest.raises(ValueError, match="k=5 must be between 1 and the number of codes, 4"):
        neighbour_radius(np.zeros((1, 3)), np.zeros((4, 3)), k=5)


def test_a_path_without_an_interior_has_no_lowest_density():
    with pytest.raises(ValueError, match="at least 3 points"):
        lowest_density(np.zeros((2, 2)))
