"""method="auto": explicit where it can be, stiff where it must be, lane by lane; exact gradients across changes."""

import pytest
import torch

from neurode import Checkpointed, PerSample, solve
from neurode.methods.catalogue import METHODS
from neurode.methods.explicit_rk import ExplicitRungeKutta
from neurode.methods.rosenbrock import Rosenbrock
from neurode.methods.switching import Switching
from neurode.methods.tableaus.bosh3 import BOSH3
from neurode.methods.tableaus.kvaerno3 import KVAERNO3
from neurode.methods.tableaus.rodas5p import RODAS5P
from neurode.methods.tableaus.tsit5 import TSIT5
from tests.gradients.cases import weighted
from tests.problems import SmoothField

TOLERANCES = {"rtol": 1e-5, "atol": 1e-7}


def oscillators(t, y, mu):
    """Van der Pol: y'' = mu (1 - y^2) y' - y."""
    del t
    return torch.cat((y[:, 1:], mu * ((1 - y[:, :1] ** 2) * y[:, 1:]) - y[:, :1]), dim=1)


def batch(stiffness) -> tuple[torch.Tensor, torch.Tensor]:
    mu = torch.as_tensor(stiffness, dtype=torch.float64).unsqueeze(1)
    return torch.tensor([[2.0, 0.0]], dtype=torch.float64).repeat(len(mu), 1), mu


def test_a_field_that_is_not_stiff_costs_no_jacobian_and_gives_what_the_explicit_method_does():
    y0 = torch.tensor([[2.0, 0.0], [0.5, -1.0]], dtype=torch.float64)
    for batching in ("joint", "per_sample"):
        found = solve(SmoothField(), y0, [0.0, 3.0], method="auto", batching=batching)
        due = solve(SmoothField(), y0, [0.0, 3.0], method="tsit5", batching=batching, engine="eager")
        assert int(found.stats.num_jacobians.max()) == 0
        assert torch.equal(found.stats.num_steps, due.stats.num_steps)
        torch.testing.assert_close(found.ys, due.ys, rtol=1e-13, atol=1e-14)


def test_a_stiff_sample_changes_over_and_the_others_do_not():
    y0, mu = batch([1.0, 1000.0, 5.0])
    options = {"args": PerSample(mu), "batching": "per_sample", "save": "end", **TOLERANCES}
    stats = solve(oscillators, y0, [0.0, 10.0], method="auto", **options).stats
    explicit = solve(oscillators, y0[::2], [0.0, 10.0], method="tsit5", **(options | {"args": PerSample(mu[::2])}))
    assert stats.num_jacobians[1] > 0
    assert stats.num_jacobians[[0, 2]].tolist() == [0, 0]
    assert stats.num_steps[1] < 150
    assert torch.equal(stats.num_steps[::2], explicit.stats.num_steps)


def test_it_goes_back_where_the_field_is_stiff_no_longer():
    """Stiff until 1, gentle but fast in time from then on: most of the later steps need no Jacobian."""

    def f(t, y):
        return torch.where(t < 1, 1e4, 0.1) * (torch.cos(20 * t) - y)

    y0 = torch.ones(1, dtype=torch.float64)
    early = solve(f, y0, [0.0, 1.0], method="auto", **TOLERANCES).stats
    whole = solve(f, y0, [0.0, 20.0], method="auto", **TOLERANCES).stats
    assert early.num_jacobians > 20
    later = int(whole.num_steps - early.num_steps)
    assert int(whole.num_jacobians - early.num_jacobians) < later / 4


def test_a_thousand_oscillators_of_mixed_stiffness_meet_the_stiff_methods_solution():
    y0, mu = batch(torch.logspace(0, 3.3, 1000))
    options = {"args": PerSample(mu), "batching": "per_sample", "save": "end", **TOLERANCES}
    found = solve(oscillators, y0, [0.0, 5.0], method="auto", **options)
    due = solve(oscillators, y0, [0.0, 5.0], method="rodas5p", **(options | {"rtol": 1e-7, "atol": 1e-9}))
    assert found.succeeded
    assert (found.ys - due.ys).abs().max() < 2e-3
    jacobians = found.stats.num_jacobians
    assert 0.2 < (jacobians == 0).double().mean() < 0.8
    assert int(found.stats.num_steps.max()) < 200
    assert jacobians.double().mean() < 0.7 * due.stats.num_jacobians.double().mean()


def test_alone_a_sample_changes_over_at_the_same_steps_as_in_a_batch():
    y0, mu = batch([1.0, 300.0, 40.0, 1000.0])
    options = {"batching": "per_sample", "method": "auto", "save": "end", **TOLERANCES}
    together = solve(oscillators, y0, [0.0, 4.0], args=PerSample(mu), **options)
    for i in range(4):
        alone = solve(oscillators, y0[i : i + 1], [0.0, 4.0], args=PerSample(mu[i : i + 1]), **options)
        assert alone.stats.num_steps.item() == together.stats.num_steps[i]
        assert alone.stats.num_jacobians.item() == together.stats.num_jacobians[i]
        torch.testing.assert_close(alone.ys[:, 0], together.ys[:, i], rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("save", ["ts", "dense"])
@pytest.mark.parametrize("batching", ["joint", "per_sample"])
def test_gradients_of_all_ways_agree_across_changes(batching, save):
    y0, mu = batch([1.0, 300.0])
    ts = torch.tensor([0.0, 0.05, 0.7, 2.0], dtype=torch.float64, requires_grad=True)
    leaves = [y0.requires_grad_(), mu.requires_grad_(), ts]
    asked = torch.tensor([0.03, 0.4, 1.9], dtype=torch.float64)

    def gradients(way):
        options = {"method": "auto", "batching": batching, "save": save, "gradient": way, **TOLERANCES}
        solution = solve(oscillators, y0, ts, args=PerSample(mu), **options)
        assert int(solution.stats.num_jacobians.max()) > 0
        ys = solution.evaluate(asked) if save == "dense" else solution.ys
        return torch.autograd.grad(weighted(ys), leaves, allow_unused=True)

    due = gradients("direct")
    for way in ("checkpointed", Checkpointed(3)):
        for one, other in zip(gradients(way), due, strict=True):
            assert (one is None) == (other is None)
            if one is not None:
                torch.testing.assert_close(one, other, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("shape", [(), (3,), (2, 3), (2, 1, 3)])
def test_states_of_any_shape_are_handed_over(shape):
    y0 = torch.full(shape, 0.5, dtype=torch.float64)
    found = solve(lambda t, y: -1e4 * (y - torch.cos(t)), y0, [0.0, 1.0], method="auto", **TOLERANCES)
    assert found.ys.shape == (2, *shape)
    assert int(found.stats.num_jacobians) > 0
    assert (found.ys[-1] - torch.cos(torch.tensor(1.0, dtype=torch.float64))).abs().max() < 1e-3


def test_parts_that_do_not_go_together_are_refused():
    stiff = METHODS["rodas5p"]
    assert isinstance(stiff, Rosenbrock)
    with pytest.raises(ValueError, match="stiffness is not told by the stages of 'bosh3'; take dopri5 or tsit5"):
        Switching(ExplicitRungeKutta(BOSH3), stiff)
    assert Switching(ExplicitRungeKutta(TSIT5), Rosenbrock(RODAS5P)).error_order == 5
    assert KVAERNO3.embedded_order == 2
