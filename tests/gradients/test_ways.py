"""What distinguishes the ways to differentiate: derivatives of higher order, memory; and that they agree."""

import pytest
import torch

from neurode import Checkpointed, Direct, solve
from neurode.gradients.catalogue import GRADIENTS, gradient_of
from tests.kinds import CORE
from tests.problems import SmoothField, van_der_pol

STATES = Checkpointed(graph_bytes=0)

Y0 = torch.tensor([[2.0, 0.0], [0.5, -1.0], [-0.3, 0.4]], dtype=torch.float64)


@pytest.mark.parametrize("batching", ["joint", "per_sample"])
@pytest.mark.parametrize("method", [*CORE, "dop853", "implicit_adams", "radau5", "rodas5p"])
def test_direct_and_checkpointed_agree_over_a_long_solve_with_rejected_steps(method, batching):
    """Van der Pol rejects steps; outputs lie densely within steps."""
    ts = torch.linspace(0, 4, 41, dtype=torch.float64)

    def gradients(gradient):
        y0, ts_leaf = Y0.clone().requires_grad_(), ts.clone().requires_grad_()
        mu = torch.tensor(3.0, dtype=torch.float64, requires_grad=True)
        solution = solve(
            lambda t, y, a: van_der_pol(a)(t, y),
            y0,
            ts_leaf,
            args=mu,
            method=method,
            batching=batching,
            gradient=gradient,
        )
        weights = torch.cos(torch.arange(solution.ys.numel(), dtype=torch.float64)).reshape(solution.ys.shape)
        return torch.autograd.grad((solution.ys * weights).sum(), (y0, ts_leaf, mu))

    for one, other in zip(gradients("direct"), gradients("checkpointed"), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10 * max(1.0, other.abs().max().item()))


def test_the_second_derivative_by_direct_is_that_of_the_solution():
    """y' = a y: d2 y(1) / da2 = y0 exp(a)."""
    a = torch.tensor(0.4, dtype=torch.float64, requires_grad=True)
    y0 = torch.tensor([1.5], dtype=torch.float64)
    y1 = solve(lambda t, y, a: a * y, y0, [0.0, 1.0], args=a, gradient="direct", rtol=1e-10, atol=1e-12).ys[-1, 0]
    (first,) = torch.autograd.grad(y1, a, create_graph=True)
    (second,) = torch.autograd.grad(first, a)
    exact = (1.5 * torch.exp(a)).item()
    assert first.item() == pytest.approx(exact, rel=1e-7)
    assert second.item() == pytest.approx(exact, rel=1e-6)


@pytest.mark.parametrize("batching", ["joint", "per_sample"])
def test_gradgradcheck_passes_with_direct(batching):
    field = SmoothField()

    def outputs(start):
        return solve(field, start, [0.0, 0.4], method="rk4", step_size=0.2, gradient="direct", batching=batching).ys[-1]

    assert torch.autograd.gradgradcheck(outputs, (Y0.clone().requires_grad_(),), atol=1e-6)


@pytest.mark.parametrize("gradient", [name for name in GRADIENTS if name != "direct"])
@pytest.mark.parametrize("batching", ["joint", "per_sample"])
def test_a_second_derivative_is_refused_with_the_way_to_it(batching, gradient):
    y0 = Y0.clone().requires_grad_()
    loss = solve(van_der_pol(1.0), y0, [0.0, 1.0], gradient=gradient, batching=batching).ys.sum()
    with pytest.raises(
        RuntimeError, match=f"gradient='{gradient}' gives first derivatives only.*Solve with gradient='direct'"
    ):
        torch.autograd.grad(loss, y0, create_graph=True)


def saved_bytes(gradient, num_steps) -> int:
    """Bytes that autograd keeps between forward and backward, each storage once."""
    field = torch.nn.Sequential(torch.nn.Linear(4, 256), torch.nn.Tanh(), torch.nn.Linear(256, 4))
    parameters = {p.untyped_storage().data_ptr() for p in field.parameters()}
    kept: dict[int, int] = {}

    def pack(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in parameters:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    y0 = torch.ones(64, 4, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        ys = solve(
            lambda t, y: field(y), y0, [0.0, 1.0], method="rk4", step_size=1 / num_steps, gradient=gradient, save="end"
        ).ys
    kept_bytes = sum(kept.values())
    ys.sum().backward()
    return kept_bytes


def test_checkpointed_keeps_far_less_than_direct():
    """Direct keeps the hidden activations of every call: 64 x 256 floats each; checkpointed states not even one."""
    direct, checkpointed = saved_bytes("direct", 50), saved_bytes(STATES, 50)
    assert direct > 4 * 50 * 64 * 256 * 4
    assert checkpointed < direct / 50


def test_direct_keeps_more_with_every_step_and_checkpointed_not_more_than_a_state():
    per_step = (saved_bytes(STATES, 100) - saved_bytes(STATES, 50)) / 50
    assert saved_bytes("direct", 100) > 1.9 * saved_bytes("direct", 50)
    assert per_step <= 2 * 64 * 4 * 4


def test_the_list_of_ways_is_by_name_and_takes_objects():
    assert gradient_of("direct") == Direct()
    assert gradient_of("checkpointed") == Checkpointed()
    own = Checkpointed()
    assert gradient_of(own) is own
    assert set(GRADIENTS) == {"direct", "checkpointed", "reversible", "adjoint"}
