"""GMRES by itself: many systems at once, each as it is alone, and what is said of those it does not solve."""

import numpy as np
import pytest
import torch

from neurode.methods.krylov import gmres

GENERATOR = torch.Generator().manual_seed(7)
MATRICES = torch.eye(30, dtype=torch.float64) * 3 + torch.randn(4, 30, 30, generator=GENERATOR, dtype=torch.float64) / 4
RIGHT = torch.randn(4, 30, generator=GENERATOR, dtype=torch.float64)


def product(matrices):
    return lambda rows: torch.einsum("lij,lj->li", matrices, rows)


@pytest.mark.parametrize("restart", [40, 7])
def test_systems_are_solved_to_the_tolerance_with_and_without_restarts(restart):
    found = gmres(product(MATRICES), RIGHT, tolerance=1e-12, restart=restart, most=500)
    assert not found.lost.any()
    torch.testing.assert_close(found.x, torch.linalg.solve(MATRICES, RIGHT), rtol=1e-10, atol=1e-11)
    rest = torch.linalg.vector_norm(product(MATRICES)(found.x) - RIGHT, dim=1) / torch.linalg.vector_norm(RIGHT, dim=1)
    assert rest.max() < 2e-12


def test_a_system_is_solved_alone_as_it_is_among_easier_and_harder_ones():
    matrices = torch.stack((torch.eye(30, dtype=torch.float64), MATRICES[0], 100 * MATRICES[1] - 250 * MATRICES[2]))
    together = gmres(product(matrices), RIGHT[:3], tolerance=1e-9, restart=8, most=300)
    for i in range(3):
        alone = gmres(product(matrices[i : i + 1]), RIGHT[i : i + 1], tolerance=1e-9, restart=8, most=300)
        assert alone.lost[0] == together.lost[i]
        torch.testing.assert_close(alone.x[0], together.x[i], rtol=1e-9, atol=1e-10)


def test_what_takes_more_products_than_allowed_and_what_is_singular_is_said_to_be_lost_and_the_rest_is_not():
    singular = torch.diag(torch.arange(30, dtype=torch.float64))
    found = gmres(product(torch.stack((singular, MATRICES[0]))), RIGHT[:2], tolerance=1e-10, restart=30, most=200)
    assert found.lost.tolist() == [True, False]
    assert gmres(product(MATRICES), RIGHT, tolerance=1e-12, restart=5, most=5).lost.all()


def test_a_right_side_of_zeros_costs_nothing_and_one_that_is_not_finite_comes_back():
    calls = []

    def counted(rows):
        calls.append(1)
        return rows

    zero = gmres(counted, torch.zeros(2, 5, dtype=torch.float64), tolerance=1e-9, restart=5, most=50)
    assert not calls
    assert not zero.lost.any()
    assert not zero.x.any()
    broken = torch.full((1, 3), torch.nan)
    assert torch.isnan(gmres(counted, broken, tolerance=1e-5, restart=5, most=50).x).all()


def test_it_takes_as_many_products_as_the_matrix_has_different_eigenvalues():
    calls = []

    def counted(rows):
        calls.append(1)
        return rows * torch.tensor(np.repeat([1.0, 2.0, 5.0], 10))

    found = gmres(counted, RIGHT[:1], tolerance=1e-13, restart=40, most=100)
    assert not found.lost.any()
    assert len(calls) == 3 + 1, "and one for the residual that is looked at"
