"""What a solution holds: values at times, at the end, at every step, or everything; and reading it in between."""

import pytest
import torch

from neurode import Save, solve
from neurode.gradients.catalogue import GRADIENTS
from tests.kinds import ONE_OF_EACH
from tests.problems import forced_decay, oscillator

PROBLEM = forced_decay()
TS = torch.tensor([0.0, 0.5, 0.6, 2.0], dtype=torch.float64)
BATCHINGS = pytest.mark.parametrize("batching", ["joint", "per_sample"])


def run(save, batching="joint", ts=TS, **options):
    return solve(PROBLEM.f, PROBLEM.y0, ts, save=save, batching=batching, **options)


@BATCHINGS
def test_end_is_the_last_row_of_ts(batching):
    end, whole = run("end", batching), run(None, batching)
    assert end.ys.shape == (1, 2, 2)
    assert torch.equal(end.ys[0], whole.ys[-1])
    assert end.ts.reshape(-1)[0] == 2.0


@BATCHINGS
def test_a_save_object_and_its_name_are_the_same(batching):
    assert torch.equal(run(Save("end"), batching).ys, run("end", batching).ys)


def test_steps_are_the_accepted_states_from_t0_to_t1():
    solution = run("steps")
    assert len(solution.ts) == solution.stats.num_accepted + 1
    assert (solution.ts[0], solution.ts[-1]) == (0.0, 2.0)
    assert (solution.ts.diff() > 0).all()
    torch.testing.assert_close(solution.ys, PROBLEM.exact_at(solution.ts), rtol=1e-4, atol=1e-5)
    assert torch.equal(solution.ys[-1], run("end").ys[0])


def test_steps_per_sample_are_padded_beside_lengths():
    ts = torch.tensor([[0.0, 2.0], [2.0, 1.9]], dtype=torch.float64)
    solution = run("steps", "per_sample", ts)
    assert solution.lengths.tolist() == (solution.stats.num_accepted + 1).tolist()
    assert solution.lengths[0] > solution.lengths[1]
    for sample, length in enumerate(solution.lengths.tolist()):
        assert torch.equal(solution.ts[[0, length - 1], sample], ts[:, sample])
        assert torch.isfinite(solution.ys[:length, sample]).all()
        assert torch.isnan(solution.ys[length:, sample]).all()
        assert torch.isnan(solution.ts[length:, sample]).all()


@BATCHINGS
@pytest.mark.parametrize("method", ONE_OF_EACH)
def test_dense_output_agrees_with_the_values_at_ts(method, batching):
    solution = run("dense", batching, method=method)
    torch.testing.assert_close(solution.evaluate(TS), solution.ys, rtol=1e-12, atol=1e-13)
    torch.testing.assert_close(solution.ys, run("ts", batching, method=method).ys, rtol=1e-13, atol=1e-14)


@BATCHINGS
@pytest.mark.parametrize("backward", [False, True], ids=["forward", "backward"])
def test_evaluate_reads_any_time_in_any_order(batching, backward):
    ts = TS.flip(0) if backward else TS
    y0 = PROBLEM.exact(2.0) if backward else PROBLEM.y0
    solution = solve(PROBLEM.f, y0, ts, save="dense", batching=batching, rtol=1e-8, atol=1e-10)
    asked = torch.tensor([1.3, 0.0, 2.0, 0.01, 1.3], dtype=torch.float64)
    values = solution.evaluate(asked)
    torch.testing.assert_close(values, PROBLEM.exact_at(asked), rtol=1e-5, atol=1e-6)
    assert torch.equal(values[0], values[4])
    torch.testing.assert_close(solution.evaluate(1.3), values[0], rtol=0, atol=0)
    torch.testing.assert_close(solution.evaluate(torch.tensor(1.3, dtype=torch.float64)), values[0], rtol=0, atol=0)


@BATCHINGS
def test_evaluate_reads_every_sample_at_its_own_times(batching):
    solution = run("dense", batching, rtol=1e-8, atol=1e-10)
    own = torch.tensor([[0.1, 1.9], [0.2, 0.3], [1.0, 0.0]], dtype=torch.float64)
    values = solution.evaluate(own)
    assert values.shape == (3, 2, 2)
    for sample in range(2):
        common = solution.evaluate(own[:, sample])[:, sample]
        torch.testing.assert_close(values[:, sample], common, rtol=1e-13, atol=1e-14)


def test_own_times_are_read_along_the_first_axis_of_every_part_of_a_joint_state():
    y0 = (torch.ones(3, 2, dtype=torch.float64), torch.arange(3, dtype=torch.float64))
    solution = solve(lambda t, y: (-y[0], torch.cos(t) + 0 * y[1]), y0, [0.0, 2.0], save="dense", rtol=1e-9, atol=1e-10)
    own = torch.tensor([[0.0, 0.5, 1.0], [2.0, 0.1, 0.3]], dtype=torch.float64)
    first, second = solution.evaluate(own)
    torch.testing.assert_close(first, torch.exp(-own).unsqueeze(2).expand(2, 3, 2), rtol=1e-6, atol=1e-7)
    torch.testing.assert_close(second, torch.sin(own) + y0[1], rtol=1e-6, atol=1e-7)


def test_padding_of_own_times_is_read_as_nan():
    solution = run("dense")
    own = torch.tensor([[0.1, 0.2], [1.0, float("nan")]], dtype=torch.float64)
    values = solution.evaluate(own)
    assert torch.isnan(values[1, 1]).all()
    assert torch.isfinite(values[1, 0]).all()


@pytest.mark.parametrize("outside", [-0.1, 2.1])
@BATCHINGS
def test_evaluate_outside_the_interval_is_refused(batching, outside):
    with pytest.raises(ValueError, match=r"lies outside the interval.*that was solved, \[0.0, 2.0\]"):
        run("dense", batching).evaluate(outside)


@BATCHINGS
def test_evaluate_without_dense_is_refused_with_the_way_to_it(batching):
    with pytest.raises(ValueError, match="Solve with save='dense'"):
        run("ts", batching).evaluate(1.0)


@BATCHINGS
def test_evaluate_with_the_wrong_number_of_columns_is_refused(batching):
    with pytest.raises(ValueError, match="t has 3 columns"):
        run("dense", batching).evaluate(torch.zeros(2, 3))


def test_a_tuple_and_a_dict_come_back_from_evaluate():
    y0 = {"x": torch.ones(2, 2, dtype=torch.float64), "v": torch.zeros(2, dtype=torch.float64)}
    solution = solve(lambda t, y: {"x": -y["x"], "v": y["x"][:, 0]}, y0, [0.0, 1.0], save="dense")
    values = solution.evaluate([0.0, 0.5])
    assert values["x"].shape == (2, 2, 2)
    assert values["v"].shape == (2, 2)
    assert solution.evaluate(0.5)["v"].shape == (2,)


@pytest.mark.parametrize("gradient", GRADIENTS)
@BATCHINGS
def test_the_derivative_of_the_dense_output_by_time_is_the_field(batching, gradient):
    problem = oscillator()
    ts = torch.tensor([0.0, 3.0], dtype=torch.float64)
    solution = solve(
        problem.f, problem.y0, ts, save="dense", rtol=1e-9, atol=1e-11, batching=batching, gradient=gradient
    )
    asked = torch.linspace(0.1, 2.9, 7, dtype=torch.float64, requires_grad=True)
    values = solution.evaluate(asked)
    (slope,) = torch.autograd.grad(values[:, 0, 0].sum(), asked)
    torch.testing.assert_close(slope, values[:, 0, 1].detach(), rtol=1e-4, atol=1e-5)
