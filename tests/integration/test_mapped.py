"""vmap over a solve: each element is a sample with its own steps, and gets what it gets alone."""

import pytest
import torch
from torch.func import grad, vmap
from torch.utils._pytree import tree_leaves, tree_map

from neurode import NeuralODE, PerSample, SolveError, Status, solve
from tests.problems import SmoothField, van_der_pol

FIELD = SmoothField()
TS = torch.tensor([0.0, 0.5, 1.2], dtype=torch.float64)
YS = torch.tensor([[0.5, -1.0], [1.5, 0.3], [2.5, -0.3]], dtype=torch.float64)
GENERATOR = torch.Generator().manual_seed(6)
BATCHES = torch.randn(3, 4, 2, generator=GENERATOR, dtype=torch.float64)
OWN = torch.rand(3, 4, generator=GENERATOR, dtype=torch.float64)
GRADIENTS = pytest.mark.parametrize("gradient", ["direct", "checkpointed"])


def each(function, *stacks):
    rows = [function(*row) for row in zip(*stacks, strict=True)]
    return tree_map(lambda *parts: torch.stack(parts), *rows)


def assert_as_alone(function, *stacks, **options):
    """vmap(function) gives what a loop over the elements gives."""
    found, due = tree_leaves(vmap(function)(*stacks)), tree_leaves(each(function, *stacks))
    for one, other in zip(found, due, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-11, atol=1e-12, equal_nan=True, **options)


def facts(solution):
    """Everything of a solution that is a tensor."""
    stats = solution.stats
    return {
        "ys": solution.ys,
        "ts": solution.ts,
        "status": solution.status,
        "reached": solution.reached,
        "last_step": solution.last_step,
        "counts": (stats.num_steps, stats.num_accepted, stats.num_rejected),
    }


@GRADIENTS
def test_each_element_has_the_steps_it_has_alone(gradient):
    """Van der Pol: elements differ in stiffness, steps are rejected, those that are done leave."""
    ts = torch.linspace(0, 3, 7, dtype=torch.float64)
    mu = torch.tensor([0.5, 4.0, 12.0], dtype=torch.float64)

    def of(y, mu):
        return facts(solve(lambda t, y: van_der_pol(mu)(t, y), y, ts, gradient=gradient))

    assert_as_alone(of, YS, mu)
    steps, _, rejected = vmap(of)(YS, mu)["counts"]
    assert len(set(steps.tolist())) == 3
    assert rejected.max() > 0


@GRADIENTS
def test_a_per_sample_solve_inside_keeps_its_samples(gradient):
    def of(y, scale, own):
        ts = TS.unsqueeze(1) * (1 + own)
        return facts(
            solve(
                lambda t, y, a: FIELD(t, y) * a["scale"] + a["shift"],
                y, ts, args={"scale": PerSample(scale), "shift": own[:2]}, batching="per_sample", gradient=gradient,
            )
        )  # fmt: skip

    assert_as_alone(of, BATCHES, 0.5 + OWN.unsqueeze(2), OWN)


def test_samples_inside_may_have_lists_of_times_of_their_own():
    def of(y, own):
        lists = [TS[:2] * (1 + own[0]), TS * (1 + own[1]), TS[:1], TS * own[3]]
        solution = solve(FIELD, y, lists, batching="per_sample")
        return solution.ys, solution.lengths

    assert_as_alone(of, BATCHES, OWN)


@pytest.mark.parametrize("batching", ["joint", "per_sample"])
@pytest.mark.parametrize("kind", ["tuple", "dict"])
def test_states_of_several_parts_are_mapped_too(kind, batching):
    def of(y):
        rest = y.sum(-1)
        y0 = (y, rest) if kind == "tuple" else {"a": y, "b": rest}

        def f(t, state):
            a, b = state if kind == "tuple" else (state["a"], state["b"])
            da, db = FIELD(t.unsqueeze(-1), a), -b * t
            return (da, db) if kind == "tuple" else {"a": da, "b": db}

        return solve(f, y0, TS, batching=batching).ys

    assert_as_alone(of, YS if batching == "joint" else BATCHES)


@GRADIENTS
@pytest.mark.parametrize("batching", ["joint", "per_sample"])
def test_dense_output_is_read_element_by_element(batching, gradient):
    def of(y, own):
        solution = solve(FIELD, y, TS, save="dense", batching=batching, gradient=gradient)
        read = (0.3, own[0], own[:2], torch.tensor([0.1, 1.1], dtype=torch.float64))
        more = (torch.stack((own, 1.2 * own)),) if batching == "per_sample" else ()
        return [solution.evaluate(t) for t in (*read, *more)]

    starts = YS if batching == "joint" else BATCHES
    assert_as_alone(of, starts, OWN)

    def loss(y, own):
        return sum(value.square().sum() for value in of(y, own))

    found = vmap(grad(loss, (0, 1)))(starts, OWN)
    due = each(grad(loss, (0, 1)), starts, OWN)
    for one, other in zip(found, due, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-11, atol=1e-11)


def test_what_only_a_loop_can_read_from_dense_output_is_said():
    def of(y, t):
        return solve(FIELD, y, TS, save="dense").evaluate(t)

    with pytest.raises(ValueError, match=r"inside torch.func.vmap t must be a number or \(n,\).*batching='per_sample'"):
        vmap(of, (0, None))(YS, torch.zeros(2, 3))
    with pytest.raises(ValueError, match="outside the interval of sample 0 that was solved"):
        vmap(of, (0, None))(YS, 7.0)


def test_accepted_steps_of_elements_are_padded():
    def of(y):
        solution = solve(FIELD, y, TS, save="steps")
        return solution.ys, solution.ts, solution.lengths

    starts = YS * torch.tensor([[1.0], [1.0], [5.0]], dtype=torch.float64)
    ys, ts, lengths = vmap(of)(starts)
    assert len(set(lengths.tolist())) > 1
    for element, start in enumerate(starts):
        alone = solve(FIELD, start, TS, save="steps")
        length = lengths[element]
        torch.testing.assert_close(ys[element, :length], alone.ys, rtol=1e-12, atol=1e-12)
        assert torch.equal(ts[element, :length], alone.ts)
        assert torch.isnan(ys[element, length:]).all()


@pytest.mark.parametrize("batching", ["joint", "per_sample"])
def test_tolerances_may_differ_from_element_to_element(batching):
    atol = torch.tensor([1e-6, 1e-3], dtype=torch.float64)

    def of(y, rtol):
        return facts(solve(FIELD, y, TS, rtol=rtol, atol=atol, batching=batching))

    rtol = torch.tensor([1e-2, 1e-4, 1e-6], dtype=torch.float64)
    assert_as_alone(of, YS if batching == "joint" else BATCHES, rtol)


def test_a_number_of_ts_may_be_a_tensor():
    assert_as_alone(lambda y, end: solve(FIELD, y, [0.0, end], save="end").ys, YS, OWN[:, 0])
    end = torch.tensor(0.8, dtype=torch.float64, requires_grad=True)
    ys = solve(lambda t, y: -y, YS, [0.0, end], rtol=1e-10, atol=1e-12).ys
    (slope,) = torch.autograd.grad(ys[-1].sum(), end)
    torch.testing.assert_close(slope, -ys[-1].sum().detach(), rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("options", [{"method": "euler"}, {"method": "rk4", "step_size": 0.13}, {"controller": "PI"}])
def test_constant_steps_and_other_controllers_are_mapped(options):
    assert_as_alone(lambda y, ts: solve(FIELD, y, ts, **options).ys, YS, TS + OWN[:, :3].cumsum(1))


def test_axes_and_chunks_are_those_of_vmap():
    due = solve(FIELD, YS, TS, batching="per_sample").ys
    of = lambda y: solve(FIELD, y, TS).ys  # noqa: E731
    for found in (vmap(of, 1, 1)(YS.T), vmap(of, out_dims=1, chunk_size=2)(YS)):
        torch.testing.assert_close(found, due, rtol=1e-12, atol=1e-12)


def test_a_failure_names_the_element_and_throw_false_leaves_the_others():
    def of(y, throw):
        solution = solve(lambda t, y: y**2, y, [0.0, 1.0], throw=throw, max_steps=200)
        assert not solution.succeeded
        return solution.ys, solution.status

    starts = torch.tensor([[0.5], [1.5], [0.1]], dtype=torch.float64)
    with pytest.raises(SolveError, match=r"sample 1 \(1 of 3 failed\)"):
        vmap(of, (0, None))(starts, True)
    ys, status = vmap(of, (0, None))(starts, False)
    assert status.tolist()[::2] == [Status.SUCCESS] * 2
    assert status[1] != Status.SUCCESS
    torch.testing.assert_close(ys[::2, -1], starts[::2] / (1 - starts[::2]), rtol=1e-4, atol=1e-6)
    assert torch.isnan(ys[1, -1]).all()


def test_a_layer_notes_the_evaluations_of_the_dearest_element():
    layer = NeuralODE(FIELD)
    vmap(layer)(YS)
    most = max(solve(FIELD, y, [0.0, 1.0], save="end").stats.num_evaluations.item() for y in YS)
    assert abs(layer.last_evaluations - most) <= 1  # a lane asks once more than a joint solve, or not


def test_a_wrong_derivative_is_described_as_that_of_one_element():
    with pytest.raises(ValueError, match=r"shape \(1,\), but the state it was called with has shape \(2,\)"):
        vmap(lambda y: solve(lambda t, y: y[:1], y, TS).ys)(YS)


def test_a_step_size_for_each_element_is_refused_with_what_to_do():
    with pytest.raises(TypeError, match="step_size is mapped over by torch.func.vmap, but it is one number for all"):
        vmap(lambda y, size: solve(FIELD, y, TS, method="rk4", step_size=size).ys)(YS, OWN[:, 0])


def test_random_numbers_in_a_field_follow_the_setting_of_vmap():
    def of(y):
        return solve(lambda t, y: torch.rand(2, dtype=y.dtype), y, TS, method="euler").ys

    with pytest.raises(RuntimeError, match="randomness error mode"):
        vmap(of)(YS)
    torch.manual_seed(0)
    same = vmap(of, randomness="same")(YS) - YS.unsqueeze(1)
    torch.testing.assert_close(same[0], same[1], rtol=1e-12, atol=1e-12)
    different = vmap(of, randomness="different")(YS) - YS.unsqueeze(1)
    assert (different[0] - different[1]).abs().max() > 0.01
