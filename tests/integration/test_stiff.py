"""Stiff problems to their published solutions, and at what cost beside SciPy's Radau and BDF."""

import pytest
import torch
from scipy.integrate import solve_ivp

from neurode import PerSample, Status, solve
from neurode.methods.catalogue import METHODS
from tests.kinds import LINEARISING
from tests.stiff import STIFF

TIGHT = {"robertson": (1e-9, 1e-22), "van der pol": (1e-9, 1e-12), "hires": (1e-8, 1e-12), "oregonator": (1e-8, 1e-8)}
LOOSE = {"robertson": (1e-6, 1e-15), "van der pol": (1e-6, 1e-9), "hires": (1e-6, 1e-10), "oregonator": (1e-6, 1e-6)}


def cost(problem, method, rtol, atol) -> tuple[float, int]:
    """The error at the end, and evaluations with each column of a Jacobian counted as one."""
    solution = solve(problem.f, problem.start, [0.0, problem.t1], method=method, rtol=rtol, atol=atol, save="end")
    stats = solution.stats
    return problem.error(solution.ys[-1]), int(stats.num_evaluations + len(problem.y0) * stats.num_jacobians)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["rodas5p", "radau5", "bdf"])
@pytest.mark.parametrize("problem", STIFF, ids=str)
def test_published_solutions_are_met_to_six_digits(problem, method):
    share = 0.1 if method == "bdf" else 1.0
    error, _ = cost(problem, method, *(share * tolerance for tolerance in TIGHT[problem.name]))
    assert error < 1e-6


@pytest.mark.parametrize(
    ("problem", "method", "theirs"),
    [
        *((problem, "radau5", "Radau") for problem in STIFF),
        *((problem, "bdf", "BDF") for problem in STIFF[::2]),
        *(pytest.param(problem, "bdf", "BDF", marks=pytest.mark.slow) for problem in STIFF[1::2]),
    ],
    ids=str,
)
def test_a_solve_costs_at_most_twice_what_scipys_does_for_as_good_an_end(problem, method, theirs):
    rtol, atol = LOOSE[problem.name]
    calls = 0

    def f(t, y):
        nonlocal calls
        calls += 1
        return problem.f(t, torch.from_numpy(y)).numpy()

    peer = solve_ivp(f, (0, problem.t1), problem.y0, method=theirs, rtol=rtol, atol=atol)
    error, evaluations = cost(problem, method, rtol, atol)
    assert evaluations < 2 * calls
    assert error < 3 * max(problem.error(torch.from_numpy(peer.y[:, -1].copy())), 1e-8)


def test_an_explicit_method_gives_up_where_a_stiff_one_arrives():
    problem = STIFF[1]
    options = {"rtol": 1e-4, "atol": 1e-7, "max_steps": 2000, "throw": False}
    status = {
        method: int(solve(problem.f, problem.start, [0.0, problem.t1], method=method, **options).status)
        for method in ("dopri5", "rodas5p", "radau5")
    }
    assert status == {"dopri5": Status.MAX_STEPS, "rodas5p": Status.SUCCESS, "radau5": Status.SUCCESS}


@pytest.mark.parametrize("method", [name for name in LINEARISING if METHODS[name].has_error])
def test_every_sample_of_a_stiff_batch_has_its_own_steps(method):
    """Van der Pol oscillators of stiffness 1 to 1000, each as it is alone."""
    mu = torch.tensor([[1.0], [30.0], [1000.0]], dtype=torch.float64)
    y0 = torch.tensor([[2.0, 0.0]] * 3, dtype=torch.float64)

    def f(t, y, mu):
        return torch.cat((y[:, 1:], mu * (1 - y[:, :1] ** 2) * y[:, 1:] - y[:, :1]), dim=1)

    options = {"method": method, "batching": "per_sample", "rtol": 1e-4, "atol": 1e-6, "save": "end"}
    together = solve(f, y0, [0.0, 5.0], args=PerSample(mu), **options)
    assert together.succeeded
    steps = together.stats.num_accepted.tolist()
    assert len(set(steps)) > 1
    alone = solve(f, y0[2:], [0.0, 5.0], args=PerSample(mu[2:]), **options)
    assert alone.stats.num_accepted.tolist() == steps[2:]
    torch.testing.assert_close(alone.ys[:, 0], together.ys[:, 2], rtol=1e-8, atol=1e-10)
