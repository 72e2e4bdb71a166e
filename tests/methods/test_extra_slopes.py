"""Slopes that only dense output needs: made where a step is read, and only there; what judges a step by two errors."""

from dataclasses import replace
from fractions import Fraction as F

import numpy as np
import pytest
import scipy.integrate
import torch

from neurode import AdaptiveSteps, Adjoint, solve
from neurode.integration.completion import joined
from neurode.methods.catalogue import METHODS
from tests.problems import cosine_growth, van_der_pol
from tests.stubs import Recording

WITH_EXTRA = {"vern7": 5, "dop853": 3, "dopri8": 4}
D = torch.float64


@pytest.mark.parametrize(("method", "extra"), WITH_EXTRA.items())
def test_they_are_made_for_the_steps_that_are_read(method, extra):
    """Of eight steps two are read, one of them twice."""
    problem, counts = cosine_growth(), []
    for inside in ([], [0.4, 0.45, 1.9]):
        field = Recording(problem.f)
        ts = torch.tensor([problem.t0, *inside, problem.t1], dtype=D)
        with torch.no_grad():
            counted = solve(field, problem.y0, ts, method=method, step_size=0.25).stats.num_evaluations
        assert field.calls == counted
        counts.append(field.calls)
    assert counts[1] - counts[0] == 2 * extra


@pytest.mark.parametrize(("method", "extra"), WITH_EXTRA.items())
def test_a_sample_that_is_read_costs_the_others_nothing(method, extra):
    problem = cosine_growth()
    both = torch.tensor([[problem.t0, problem.t0], [0.4, problem.t1], [problem.t1, problem.t1]], dtype=D)
    solution = solve(problem.f, problem.y0, both, method=method, step_size=0.25, batching="per_sample")
    read, other = solution.stats.num_evaluations.tolist()
    assert read - other == extra
    alone = solve(problem.f, problem.y0[:1], both[:, :1], method=method, step_size=0.25, batching="per_sample")
    assert alone.stats.num_evaluations.tolist() == [read]
    torch.testing.assert_close(alone.ys[:, 0], solution.ys[:, 0], rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("trajectory", ["back", "dense", "checkpoints"])
@pytest.mark.parametrize("method", WITH_EXTRA)
def test_the_adjoint_reads_with_them(method, trajectory):
    """Its way back reads the steps of the forward solve, and its quadrature those of its own."""
    y0, rate = torch.tensor([[0.5, -1.0]], dtype=D), torch.tensor(0.7, dtype=D, requires_grad=True)
    ts = torch.tensor([0.0, 0.9, 2.0], dtype=D)

    def gradient(way):
        def f(t, y, rate):
            return torch.sin(rate * y) + torch.cos(t)

        ys = solve(f, y0, ts, args=rate, method=method, rtol=1e-9, atol=1e-11, gradient=way).ys
        return torch.autograd.grad(ys[1:].sum(), rate)[0]

    torch.testing.assert_close(gradient(Adjoint(trajectory=trajectory)), gradient("direct"), rtol=1e-6, atol=1e-7)


def test_two_errors_make_one_that_is_small_where_the_finer_is():
    fine, coarse = torch.tensor([3.0, 1e-3, 0.0, 0.0], dtype=D), torch.tensor([0.0, 1.0, 1.0, 0.0], dtype=D)
    due = [3.0, 1e-6 / np.hypot(1e-3, 0.1), 0.0, 0.0]
    torch.testing.assert_close(joined(fine, coarse), torch.tensor(due, dtype=D))


def test_dop853_judges_a_step_as_scipy_does():
    """The same steps are accepted and rejected when the first step and the law of control are the same."""
    field = van_der_pol(2.0)

    def right(t, y):
        return field(torch.tensor(t), torch.from_numpy(y)).numpy()

    found = scipy.integrate.DOP853(right, 0.0, np.array([2.0, 0.0]), 6.0, rtol=1e-8, atol=1e-10, first_step=0.05)
    while found.status == "running":
        found.step()
    law = AdaptiveSteps(first_step=0.05, safety=0.9, factor_min=0.2, factor_max=10.0)
    y0 = torch.tensor([2.0, 0.0], dtype=D)
    own = solve(field, y0, [0.0, 6.0], method="dop853", rtol=1e-8, atol=1e-10, controller=law)
    assert own.ys[-1].numpy() == pytest.approx(found.y, rel=1e-9)
    # scipy calls f once more for each step that it accepts after a rejection, and never enlarges right behind one.
    assert own.stats.num_evaluations.item() == pytest.approx(found.nfev, rel=0.15)


def test_a_table_whose_extra_slopes_do_not_fit_is_refused():
    table = METHODS["dop853"].tableau
    with pytest.raises(ValueError, match="dense one for each of the 3 extra slopes"):
        replace(table, dense=table.dense[:-1])
    with pytest.raises(ValueError, match="extra_a has 2 rows, extra_c 3"):
        replace(table, extra_a=table.extra_a[:-1])
    with pytest.raises(ValueError, match="row 13 of a has 12 entries"):
        replace(table, extra_a=(table.extra_a[0][:-1], *table.extra_a[1:]))
    row = table.extra_a[0]
    bent = (row[0] + 1e-4, *row[1:5], row[5] - 1e-4, *row[6:])
    with pytest.raises(ValueError, match="dense output breaks"):
        replace(table, extra_a=(bent, *table.extra_a[1:]))
    with pytest.raises(ValueError, match="coarse_error and coarse_order go together"):
        replace(table, coarse_order=None)
    with pytest.raises(ValueError, match="coarse_error breaks a condition of order 1"):
        replace(table, coarse_error=(table.coarse_error[0] + F(1, 1000), *table.coarse_error[1:]))
