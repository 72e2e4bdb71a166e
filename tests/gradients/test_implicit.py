"""Gradients through implicit and Rosenbrock steps: of the discrete solution, by direct and checkpointed, in every
arrangement."""

import itertools

import pytest
import torch

from neurode import Checkpointed, ConstantSteps, PerSample, Reversible, solve
from neurode.methods.catalogue import METHODS
from tests.gradients.cases import weighted
from tests.gradients.replay import directional_difference
from tests.kinds import LINEARISING
from tests.problems import SmoothField
from tests.stiff import STIFF

BATCHINGS = pytest.mark.parametrize("batching", ["joint", "per_sample"])


class Case:
    """A field with a network, args of both kinds and time in it, by steps from one time of ts to the next."""

    def __init__(self, batching: str, save: str, backward: bool):
        generator = torch.Generator().manual_seed(4)
        self.batching, self.save, self.field = batching, save, SmoothField(dim=3, hidden=4, seed=1)
        self.y0, self.scale, self.shift = (
            torch.randn(*shape, generator=generator, dtype=torch.float64).requires_grad_()
            for shape in ((3, 3), (3, 1), (3,))
        )
        grid = torch.tensor([0.1, 0.4, 0.9, 1.3], dtype=torch.float64)
        asked = torch.tensor([0.2, 0.75, 1.1], dtype=torch.float64)
        self.ts, self.asked = (x.flip(0) if backward else x for x in (grid, asked))
        self.ts.requires_grad_()

    @property
    def leaves(self) -> list[torch.Tensor]:
        return [self.y0, self.scale, self.shift, self.ts, *self.field.parameters()]

    def f(self, t, y, args):
        scale, (shift,) = args
        return self.field(t, y) * scale - torch.sin(y) + torch.sin(t) * shift

    def loss(self, method: str, gradient) -> torch.Tensor:
        solution = solve(
            self.f,
            self.y0,
            self.ts,
            args=(PerSample(self.scale), [self.shift]),
            method=method,
            controller=ConstantSteps(),
            batching=self.batching,
            save=self.save,
            gradient=gradient,
        )
        return weighted(solution.evaluate(self.asked) if self.save == "dense" else solution.ys)


def check(method: str, case: Case, ways) -> None:
    generator, leaves = torch.Generator().manual_seed(5), case.leaves
    along = [torch.randn(leaf.shape, generator=generator, dtype=torch.float64) for leaf in leaves]
    slope = directional_difference(lambda: case.loss(method, "checkpointed"), leaves, along, width=1e-4)
    first = None
    for way in ways:
        found = torch.autograd.grad(case.loss(method, way), leaves)
        product = sum((own * direction).sum().item() for own, direction in zip(found, along, strict=True))
        assert product == pytest.approx(slope, rel=2e-8, abs=2e-8)
        first = first or found
        for one, other in zip(found, first, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize("method", LINEARISING)
def test_gradients_agree_with_differences(method):
    number = LINEARISING.index(method)
    save = ("ts", "dense", "steps", "end")[number % 4]
    case = Case(("joint", "per_sample")[number // 2 % 2], save, backward=number % 3 == 0)
    check(method, case, ("direct", "checkpointed"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "batching", "save", "backward"),
    list(itertools.product(LINEARISING, ("joint", "per_sample"), ("ts", "dense", "steps", "end"), (False, True))),
)
def test_gradients_agree_with_differences_in_every_arrangement(method, batching, save, backward):
    check(method, Case(batching, save, backward), ("direct", "checkpointed", Checkpointed(2)))


@BATCHINGS
@pytest.mark.parametrize("method", [name for name in LINEARISING if METHODS[name].has_error])
@pytest.mark.parametrize("problem", [STIFF[0], STIFF[2]], ids=str)
def test_the_ways_agree_on_stiff_solves_by_the_error(problem, method, batching):
    y0 = torch.stack((problem.start, problem.start * 1.01)).requires_grad_()
    ts = torch.tensor([0.0, 0.5, 2.0], dtype=torch.float64)

    def gradient(way):
        solution = solve(problem.f, y0, ts, method=method, gradient=way, batching=batching, rtol=1e-3, atol=1e-8)
        return torch.autograd.grad(weighted(solution.ys), y0)[0]

    due = gradient("direct")
    torch.testing.assert_close(gradient("checkpointed"), due, rtol=1e-8, atol=1e-9)
    assert torch.equal(gradient(Checkpointed(3)), gradient(Checkpointed(graph_bytes=0)))


@pytest.mark.parametrize("method", ["radau5", "rodas5p"])
def test_the_gradient_of_a_stiff_solve_is_that_of_its_solution(method):
    """Robertson's reaction: by the rates, against differences of solves ten times as tight."""
    rates = torch.tensor([0.04, 1e4, 3e7], dtype=torch.float64)

    def f(t, y, log_rates):
        k = rates * log_rates.exp()
        slow, fast, square = k[0] * y[0], k[1] * y[1] * y[2], k[2] * y[1] ** 2
        return torch.stack((fast - slow, slow - fast - square, square))

    def end(log_rates, **options):
        return solve(f, STIFF[0].start, [0.0, 40.0], args=log_rates, method=method, **options).ys[-1, 0]

    log_rates = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    (found,) = torch.autograd.grad(end(log_rates, rtol=1e-6, atol=1e-12), log_rates)
    with torch.no_grad():
        tight = {"rtol": 1e-8, "atol": 1e-14}
        due = [
            (end(1e-3 * unit, **tight) - end(-1e-3 * unit, **tight)).item() / 2e-3
            for unit in torch.eye(3, dtype=torch.float64)
        ]
    assert found.tolist() == pytest.approx(due, rel=2e-4)


@BATCHINGS
@pytest.mark.parametrize("method", ["sdirk2", "gl4", "trapezoid", "rodas5p"])
def test_second_derivatives_by_direct_are_exact(method, batching):
    y0 = torch.tensor([[0.5, -1.0], [-0.3, 0.4]], dtype=torch.float64, requires_grad=True)
    field = SmoothField()

    def outputs(start):
        options = {"method": method, "controller": ConstantSteps(), "gradient": "direct", "batching": batching}
        return solve(lambda t, y: field(t, y) - y**3, start, [0.0, 0.2, 0.4], **options).ys[-1]

    assert torch.autograd.gradgradcheck(outputs, (y0,), atol=1e-6)


@pytest.mark.parametrize("way", ["direct", "checkpointed"])
@pytest.mark.parametrize("method", ["sdirk2", "radau5", "rodas5p"])
@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")
def test_transforms_of_torch_func_go_through(method, way):
    y0 = torch.tensor([[0.7, 0.4], [0.2, -0.5]], dtype=torch.float64)
    matrix = torch.tensor([[0.3, 1.2], [-0.5, 0.8]], dtype=torch.float64)

    def loss(start, a):
        def f(t, y, a):
            return torch.tanh(y @ a.T) * torch.cos(t)

        return solve(f, start, [0.0, 0.3, 0.5], args=a, method=method, gradient=way).ys[-1].sum()

    leaf = matrix.clone().requires_grad_()
    (due,) = torch.autograd.grad(loss(y0, leaf), leaf)
    torch.testing.assert_close(torch.func.grad(loss, 1)(y0, matrix), due)
    torch.testing.assert_close(torch.func.jacfwd(loss, 1)(y0, matrix), due)
    rows = torch.func.vmap(torch.func.grad(loss, 1), (0, None))(torch.stack((y0, y0)), matrix)
    torch.testing.assert_close(rows, torch.stack((due, due)))


@pytest.mark.parametrize("method", LINEARISING)
def test_what_the_other_ways_cannot_is_refused_with_what_can(method):
    y0 = torch.ones(2, dtype=torch.float64, requires_grad=True)
    with pytest.raises(ValueError, match=f"method '{method}' needs the Jacobian.*Use gradient='checkpointed'"):
        solve(lambda t, y: -y, y0, [0.0, 1.0], method=method, gradient="adjoint")
    for way in ("reversible", Reversible(coupling=0.999)):
        with pytest.raises(TypeError, match=f"method '{method}'.*Use gradient='checkpointed'"):
            solve(lambda t, y: -y, y0, [0.0, 1.0], method=method, gradient=way)
