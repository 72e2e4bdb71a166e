"""Implicit steps without a matrix: the same as with one where both can be had, and large states where it cannot."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from neurode import ConstantSteps, Newton, SolveError, SplitField, Status, solve
from neurode.core.state import layout_of
from neurode.methods.catalogue import METHODS
from neurode.methods.jacobian_products import JacobianProducts
from neurode.methods.newton import PAYS
from neurode.methods.stage_operator import StageOperator
from tests.kinds import IMPLICIT
from tests.stiff import STIFF

BATCHINGS = pytest.mark.parametrize("batching", ["joint", "per_sample"])
ITERATING = [name for name in IMPLICIT if name != "rodas5p"]


def some_slow(methods: list[str]) -> list:
    """One of each kind of table is enough for a change elsewhere."""
    fast = {"implicit_euler", "radau5", "kencarp4"}
    return [pytest.param(name, marks=[] if name in fast else pytest.mark.slow) for name in methods]


def with_newton(method: str, **settings):
    return replace(METHODS[method], newton=Newton(**settings))


def reaction_diffusion(t, y, rate):
    """12 cells on a ring, and a source that moves."""
    return rate * (y.roll(1, -1) + y.roll(-1, -1) - 2 * y) - y**3 + torch.sin(t)


def case(batching: str):
    y0 = torch.linspace(-1, 2, 24, dtype=torch.float64).view(2, 12).requires_grad_()
    ts = torch.tensor([0.0, 0.1, 0.25], dtype=torch.float64, requires_grad=True)
    return y0, ts, torch.tensor(15.0, dtype=torch.float64, requires_grad=True), {"batching": batching}


@BATCHINGS
@pytest.mark.parametrize("method", some_slow(ITERATING))
def test_with_products_a_step_and_its_gradients_are_those_with_a_matrix(method, batching):
    y0, ts, rate, options = case(batching)
    found = []
    for free, way in ((False, "checkpointed"), (True, "checkpointed"), (True, "direct")):
        own = with_newton(method, matrix_free=free)
        options |= {"method": own, "gradient": way, "controller": ConstantSteps()}
        ys = solve(reaction_diffusion, y0, ts, args=rate, **options).ys
        weights = torch.cos(torch.arange(ys.numel(), dtype=torch.float64)).view(ys.shape)
        found.append((ys.detach(), *torch.autograd.grad((ys * weights).sum(), (y0, ts, rate))))
    for other in found[1:]:
        torch.testing.assert_close(other[0], found[0][0], rtol=1e-11, atol=1e-12)
        for one, due in zip(other[1:], found[0][1:], strict=True):
            torch.testing.assert_close(one, due, rtol=1e-8, atol=1e-9)


@BATCHINGS
@pytest.mark.parametrize("method", some_slow([name for name in ITERATING if METHODS[name].has_error]))
def test_steps_by_the_error_come_as_near_with_products_as_with_a_matrix(method, batching):
    y0, _, rate, options = case(batching)
    options |= {"rtol": 1e-5, "atol": 1e-7, "save": "end"}
    with torch.no_grad():
        dense = solve(reaction_diffusion, y0, [0.0, 0.25], args=rate, method=METHODS[method], **options)
        free = solve(
            reaction_diffusion, y0, [0.0, 0.25], args=rate, method=with_newton(method, matrix_free=True), **options
        )
    torch.testing.assert_close(free.ys, dense.ys, rtol=1e-5, atol=1e-6)
    assert (free.stats.num_steps - dense.stats.num_steps).abs().max() <= 3
    assert (free.stats.num_evaluations > dense.stats.num_evaluations).all(), "products count as calls"


def test_a_sample_is_solved_without_a_matrix_alone_as_in_a_batch():
    y0, _, rate, _ = case("per_sample")
    own = with_newton("esdirk5", matrix_free=True)
    options = {"args": rate.detach(), "method": own, "batching": "per_sample", "rtol": 1e-5, "atol": 1e-7}
    both = solve(reaction_diffusion, y0.detach(), [0.0, 0.25], **options)
    for i in range(2):
        alone = solve(reaction_diffusion, y0.detach()[i : i + 1], [0.0, 0.25], **options)
        assert torch.equal(alone.stats.num_steps, both.stats.num_steps[i : i + 1])
        torch.testing.assert_close(alone.ys[:, 0], both.ys[:, i], rtol=1e-8, atol=1e-10)


@pytest.mark.slow
def test_a_very_stiff_reaction_comes_to_its_published_end_without_a_matrix():
    problem = STIFF[0]
    own = with_newton("radau5", matrix_free=True)
    solution = solve(problem.f, problem.start, [0.0, problem.t1], method=own, rtol=1e-5, atol=1e-13, save="end")
    assert problem.error(solution.ys[-1]) < 1e-3


CELLS = 128
"""Of the side of a square: 16,384 unknowns, whose Jacobian would take 2 GB, and the matrix of radau5 19 GB."""


def heat(t, y, diffusivity):
    """With the edges held at zero; y (CELLS, CELLS)."""
    edged = torch.nn.functional.pad(y, (1, 1, 1, 1))
    inner = edged[1:-1, 1:-1]
    around = edged[:-2, 1:-1] + edged[2:, 1:-1] + edged[1:-1, :-2] + edged[1:-1, 2:]
    return diffusivity * (CELLS + 1) ** 2 * (around - 4 * inner)


def mode(number: int) -> tuple[torch.Tensor, float]:
    """A wave that keeps its form, and the rate at which it dies for a diffusivity of one."""
    places = torch.arange(1, CELLS + 1, dtype=torch.float64) * torch.pi / (CELLS + 1)
    wave = torch.sin(number * places)
    angle = torch.tensor(number * torch.pi / 2 / (CELLS + 1), dtype=torch.float64)
    return wave.outer(wave), 8 * (CELLS + 1) ** 2 * float(torch.sin(angle)) ** 2


@pytest.mark.parametrize("method", ["esdirk5", "kencarp4"])
def test_the_heat_of_sixteen_thousand_cells_is_solved_and_differentiated_without_their_matrix(method):
    slow, fast = mode(1), mode(20)
    a = torch.tensor(0.5, dtype=torch.float64, requires_grad=True)
    y0 = (slow[0] + 0.1 * fast[0]).requires_grad_()
    options = {"method": method, "rtol": 1e-4, "atol": 1e-6, "save": "end"}
    solution = solve(heat, y0, [0.0, 0.02], args=a, **options)
    factor = [float(torch.exp(torch.tensor(-0.5 * 0.02 * rate))) for _, rate in (slow, fast)]
    exact = factor[0] * slow[0] + 0.1 * factor[1] * fast[0]
    assert (solution.ys[-1] - exact).abs().max() < 1e-4
    by_y0, by_a = torch.autograd.grad((solution.ys[-1] * slow[0]).sum(), (y0, a))
    # The slow wave is an eigenvector of the transposed Jacobian too.
    torch.testing.assert_close(by_y0, factor[0] * slow[0], rtol=1e-3, atol=1e-5)
    assert float(by_a) == pytest.approx(-0.02 * slow[1] * factor[0] * float((slow[0] ** 2).sum()), rel=1e-3)


def test_without_being_asked_it_is_chosen_by_the_width_of_what_the_field_couples():
    made = []

    class Watched(torch.autograd.Function):
        """Notes each pass backwards: a matrix takes as many as it has rows, products a few."""

        @staticmethod
        def forward(ctx, y):
            return y.clone()

        @staticmethod
        def backward(ctx, bar):
            made.append(1)
            return bar.clone()

    def field(t, y):
        return -Watched.apply(y)

    def passes(width: int, batch: int = 1, **settings) -> int:
        made.clear()
        y0 = torch.ones(batch, width, dtype=torch.float64)
        solve(field, y0, [0.0, 0.1], method=with_newton("implicit_euler", **settings))
        return len(made)

    assert passes(40) >= 40
    assert passes(40, matrix_free=True) < 20
    assert passes(PAYS + 1) < 20
    assert passes(40, largest=39) < 20
    assert 40 <= passes(40, batch=PAYS) < 60, "rows that do not act on each other have a matrix each"


def test_only_the_implicit_part_of_a_split_field_has_products():
    seen = []

    def mild(t, y):
        seen.append(y.requires_grad)
        return torch.cos(y)

    field = SplitField(explicit=mild, implicit=lambda t, y: 20 * (y.roll(1, -1) + y.roll(-1, -1) - 2 * y))
    y0 = torch.linspace(0, 1, 10, dtype=torch.float64)
    free = solve(field, y0, [0.0, 0.2], method=with_newton("kencarp4", matrix_free=True), step_size=0.05).ys
    assert not any(seen)
    torch.testing.assert_close(free, solve(field, y0, [0.0, 0.2], method="kencarp4", step_size=0.05).ys)


def test_equations_whose_linear_systems_take_too_many_products_end_a_solve_with_a_status():
    y0 = torch.linspace(-1, 2, 200, dtype=torch.float64)
    own = with_newton("implicit_euler", matrix_free=True, products=3)
    solution = solve(reaction_diffusion, y0, [0.0, 1.0], args=1e4, method=own, throw=False)
    assert int(solution.status) == Status.NEWTON_FAILED
    with pytest.raises(SolveError, match="did not converge.*Newton\\(products=...\\)"):
        solve(reaction_diffusion, y0, [0.0, 1.0], args=1e4, method=own)
    easier = solve(reaction_diffusion, y0, [0.0, 1e-3], args=1e4, method=with_newton("radau5", matrix_free=True))
    assert easier.succeeded


def test_a_gradient_whose_linear_systems_take_too_many_products_says_so():
    """A shift along a ring, on which GMRES makes no headway before it has as many vectors as the ring has places."""
    shift = JacobianProducts(None, lambda w: 1e3 * w.roll(1, -1))
    layout = layout_of(torch.ones(100, dtype=torch.float64), per_sample=False)
    right = torch.zeros(1, 100, dtype=torch.float64)
    right[0, 0] = 1
    stuck = StageOperator([shift], np.ones((1, 1)), 1.0, layout, restart=20, most=10)
    with pytest.raises(SolveError, match=r"behind a gradient were not solved within 25 times Newton\(products=10\)"):
        stuck.solve(right, transposed=True)
    enough = replace(stuck, restart=101).solve(right, transposed=True)
    torch.testing.assert_close(enough - 1e3 * enough.roll(1, -1), right, rtol=1e-9, atol=1e-9)


def test_a_method_that_needs_the_matrix_refuses_to_do_without():
    with pytest.raises(ValueError, match="'rodas5p' needs the matrix.*Take 'esdirk5'"):
        with_newton("rodas5p", matrix_free=True)


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"matrix_free": "yes"}, TypeError, "matrix_free of Newton must be True, False or None"),
        ({"matrix_free": True, "jacobian": lambda t, y: y}, ValueError, "makes no use of a jacobian"),
        ({"restart": 0}, ValueError, "restart of Newton must be a whole number, 1 or more"),
        ({"products": 2.5}, ValueError, "products of Newton must be a whole number"),
    ],
)
def test_settings_that_do_not_fit_are_refused(settings, error, message):
    with pytest.raises(error, match=message):
        Newton(**settings)
