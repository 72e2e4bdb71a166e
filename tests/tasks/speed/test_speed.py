"""The speed comparison's own arithmetic: the same field everywhere, errors, counts, and what is left out."""

from importlib.util import find_spec

import numpy as np
import pytest
import torch

from neurode.tasks.speed.comparison import SpeedJob, compare_speed
from neurode.tasks.speed.contenders import CONTENDERS, entrants
from neurode.tasks.speed.floor import Floor
from neurode.tasks.speed.race import Pace
from neurode.tasks.speed.reference import write_reference
from neurode.tasks.speed.results import SpeedRow, table_rows
from neurode.tasks.speed.runner import Setup
from neurode.tasks.speed.worker import describe, relative_error
from neurode.tasks.speed.workloads import WORKLOADS, Workload

SMALL = Workload("small", "gated", 4, (2,), (5,), 6, rtol=1e-4, atol=1e-6)
OSCILLATORS = Workload("oscillators", "van der pol", 6, (2,), (), 5, rtol=1e-4, atol=1e-6, t1=2.0, own_steps=True)


def test_the_workloads_are_those_of_the_design():
    assert list(WORKLOADS)[:7] == [
        "demo", "latent-small", "latent-medium", "mlp-large", "irregular", "conv", "van-der-pol",
    ]  # fmt: skip
    assert WORKLOADS["van-der-pol"].modes == ("forward",)


@pytest.mark.parametrize("name", ["neurode eager", "neurode direct", "neurode per sample"])
def test_errors_are_those_of_the_tolerance_and_not_of_the_bookkeeping(name, tmp_path):
    write_reference(SMALL, tmp_path / "reference.pt")
    facts = describe(CONTENDERS[name].runner(Setup(SMALL)), str(tmp_path / "reference.pt"))
    assert 0 < facts["median_error"] <= facts["error"] < 1e-3
    assert 0 < facts["gradient_error"] < 1e-3
    assert facts["rows"] <= 4 * facts["calls"]


def test_samples_that_are_done_ask_for_no_more_rows_of_the_field():
    found = CONTENDERS["neurode eager"].runner(Setup(OSCILLATORS)).evaluations()
    assert found.rows < 0.9 * 6 * found.calls


def test_the_floor_makes_the_calls_of_the_solve_and_no_more():
    setup = Setup(SMALL)
    floor, eager = (CONTENDERS[name].runner(setup) for name in ("floor", "neurode eager"))
    assert isinstance(floor, Floor)
    assert floor.calls == eager.evaluations().calls
    calls = 0

    def count(*_):
        nonlocal calls
        calls += 1

    setup.field.register_forward_hook(count)
    floor.forward()
    assert calls == floor.calls


@pytest.mark.skipif(find_spec("jax") is None, reason="jax is not installed (extra bench)")
@pytest.mark.parametrize("name", ["demo", "gated", "conv", "van-der-pol"])
def test_the_field_in_jax_is_the_field_in_torch(name):
    import jax.numpy as jnp

    from neurode.tasks.speed.diffrax_runner import jax_field

    setup = Setup(WORKLOADS[name], every=40)
    parameters = [jnp.asarray(x.detach().numpy()) for x in setup.field.parameters()]
    mu = None if setup.mu is None else jnp.asarray(setup.mu.numpy())
    found = jax_field(setup.field)(parameters, 0.3, jnp.asarray(setup.y0.numpy()), mu)
    due = setup.closed_field()(torch.tensor(0.3), setup.y0).detach().numpy()
    np.testing.assert_allclose(np.asarray(found), due, rtol=1e-4, atol=1e-5)


def test_a_relative_error_counts_all_gradients_together():
    reference = [torch.tensor([3.0]), torch.tensor([4.0])]
    assert relative_error((torch.tensor([3.0]), torch.tensor([4.5])), reference) == pytest.approx(0.1)


def test_times_are_shown_in_units_of_neurodes_own_and_what_did_not_run_is_a_dash():
    nothing = float("nan")

    def row(contender, forward, both):
        return SpeedRow("demo", 1, contender, forward, both, 10, 200, 1e-6, 1e-7, nothing)

    cells = table_rows([row("neurode eager", 0.002, nothing), row("torchdiffeq", 0.006, nothing)])
    assert cells[1][1:5] == ["6.00", "3.00", "-", "-"]
    fused = [row("neurode eager", 0.002, 0.004), row("neurode fused", 0.001, 0.001)]
    assert table_rows(fused)[0][2] == "2.00"


def test_who_cannot_take_part_says_why_and_own_times_leave_joint_contenders_out():
    assert "torchdiffeq adjoint" not in entrants(WORKLOADS["irregular"])
    with pytest.raises(ValueError, match=r"unknown contender 'nobody'. There are: neurode eager"):
        SpeedJob(only=("nobody",))


@pytest.mark.slow
def test_a_race_in_processes_of_their_own_gives_a_row_each():
    job = SpeedJob(("gated",), (1,), Pace(1, 1, 0.1), ("neurode eager", "floor"))
    (found,) = compare_speed(job)
    eager, floor = found.rows
    assert 0 < floor.forward < eager.forward < eager.both
    assert eager.error < 1e-4
