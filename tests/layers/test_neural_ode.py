"""NeuralODE: a field and a solver as one module."""

import pickle

import pytest
import torch
from torch import nn

from neurode import Direct, NeuralODE, Solution, SolveError, solve
from neurode.gradients.catalogue import GRADIENTS
from tests.problems import SmoothField

Y0 = torch.tensor([[0.5, -1.0], [1.5, 0.3]], dtype=torch.float64)


def test_without_times_it_returns_the_state_at_one_from_zero():
    field = SmoothField()
    torch.testing.assert_close(NeuralODE(field)(Y0), solve(field, Y0, [0.0, 1.0]).ys[-1], rtol=0, atol=0)


def test_with_times_it_returns_a_row_for_each():
    field, ts = SmoothField(), torch.tensor([0.0, 0.3, 0.9], dtype=torch.float64)
    ys = NeuralODE(field, method="tsit5", rtol=1e-7, atol=1e-9)(Y0, ts)
    assert torch.equal(ys, solve(field, Y0, ts, method="tsit5", rtol=1e-7, atol=1e-9).ys)


@pytest.mark.parametrize("kind", ["tuple", "dict"])
def test_a_tuple_or_dict_state_comes_back_in_its_own_shape(kind):
    y0 = (Y0, Y0[:, 0]) if kind == "tuple" else {"a": Y0, "b": Y0[:, 0]}

    def f(t, y):
        return (-y[0], -y[1]) if kind == "tuple" else {"a": -y["a"], "b": -y["b"]}

    y1 = NeuralODE(f)(y0)
    first, second = y1 if kind == "tuple" else (y1["a"], y1["b"])
    torch.testing.assert_close(first, Y0 * torch.exp(torch.tensor(-1.0)), rtol=1e-5, atol=1e-6)
    assert (first.shape, second.shape) == ((2, 2), (2,))


def test_arguments_reach_the_field():
    layer = NeuralODE(lambda t, y, a: -a * y)
    y1 = layer(Y0, args=torch.tensor(2.0, dtype=torch.float64))
    torch.testing.assert_close(y1, Y0 * torch.exp(torch.tensor(-2.0)), rtol=1e-5, atol=1e-6)


def test_solve_returns_the_solution_and_notes_the_evaluations():
    layer = NeuralODE(SmoothField())
    solution = layer.solve(Y0, [0.0, 1.0], save="dense")
    assert isinstance(solution, Solution)
    assert layer.last_evaluations == solution.stats.num_evaluations.item()
    assert solution.evaluate(0.5).shape == Y0.shape


def test_its_options_reach_the_solver():
    layer = NeuralODE(lambda t, y: y * y, max_steps=7, rtol=1e-9, atol=1e-9)
    with pytest.raises(SolveError, match="after 7 steps"):
        layer(Y0)
    assert layer.solve(Y0, [0.0, 1.0], throw=False).stats.num_steps == 7
    per_sample = NeuralODE(SmoothField(), batching="per_sample").solve(Y0, [0.0, 1.0])
    assert per_sample.status.shape == (2,)


def test_a_wrong_option_is_refused_when_it_solves():
    with pytest.raises(ValueError, match="method 'euler' has no error estimate"):
        NeuralODE(SmoothField(), method="euler", rtol=1e-3)(Y0)


def test_its_state_dict_is_that_of_the_field_and_stable():
    layer = NeuralODE(SmoothField(seed=1), gradient=Direct())
    names = {f"field.{name}" for name, _ in SmoothField().named_parameters()}
    assert set(layer.state_dict()) == names
    other = NeuralODE(SmoothField(seed=2), method="rk4")
    other(Y0)
    assert set(other.state_dict()) == names
    other.load_state_dict(layer.state_dict())
    torch.testing.assert_close(other(Y0), NeuralODE(SmoothField(seed=1), method="rk4")(Y0), rtol=0, atol=0)


def test_it_moves_between_precisions():
    layer = NeuralODE(SmoothField())
    exact = layer(Y0)
    single = layer.float()(Y0.float())
    assert single.dtype == torch.float32
    torch.testing.assert_close(single.double(), exact, rtol=1e-3, atol=1e-3)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("batching", ["joint", "per_sample"])
@pytest.mark.parametrize("gradient", GRADIENTS)
def test_on_a_cuda_device_it_gives_what_it_gives_on_the_cpu(batching, gradient):
    ts = torch.tensor([0.0, 0.4, 1.0], dtype=torch.float64)

    def run(device):
        layer = NeuralODE(SmoothField(), batching=batching, gradient=gradient).to(device)
        y0 = Y0.to(device).requires_grad_()
        times = ts.to(device).requires_grad_()
        ys = layer(y0, times)
        gradients = torch.autograd.grad(ys.square().sum(), (y0, times, *layer.parameters()))
        assert ys.device.type == device
        return [ys.detach().cpu(), *(g.cpu() for g in gradients)]

    for one, other in zip(run("cpu"), run("cuda"), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("gradient", GRADIENTS)
def test_it_trains(gradient):
    """A rotation is learned from its end points, in a stack with other layers."""
    torch.manual_seed(0)
    layer = nn.Sequential(nn.Linear(2, 2), NeuralODE(SmoothField(dtype=torch.float32), gradient=gradient))
    optimizer = torch.optim.Adam(layer.parameters(), lr=0.03)
    x = torch.randn(64, 2)
    target = x @ torch.tensor([[0.0, 1.0], [-1.0, 0.0]])
    losses = []
    for _ in range(40):
        optimizer.zero_grad()
        loss = (layer(x) - target).square().mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.2 * losses[0]


def test_its_description_names_its_options():
    text = repr(NeuralODE(SmoothField(), method="tsit5", rtol=1e-5))
    assert "method='tsit5'" in text
    assert "rtol=1e-05" in text
    assert "SmoothField" in text


def test_it_can_be_pickled_for_worker_processes():
    layer = pickle.loads(pickle.dumps(NeuralODE(SmoothField(), gradient=Direct())))
    torch.testing.assert_close(layer(Y0), NeuralODE(SmoothField())(Y0), rtol=1e-12, atol=1e-12)
