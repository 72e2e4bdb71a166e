"""engine="auto", "fused" and "eager": which of them runs, and that a solve means the same in all."""

import threading

import pytest
import torch
from torch import nn

from neurode import Checkpointed, Direct, NeuralODE, PerSample, solve
from neurode.fused import library
from neurode.fused.library import LibraryStatus
from neurode.layers.fields import CalendarField, MLPField
from neurode.models.decoder import NeuralODEDecoder
from neurode.models.flow_prior import FlowPrior
from neurode.solving import CannotFuse

needs_kernel = pytest.mark.skipif(not library.status().available, reason=library.status().reason)
TS = torch.linspace(0, 2, 4, dtype=torch.float64)


def a_field(**options):
    torch.manual_seed(0)
    return MLPField(3, (8,), **options).double()


def a_state(rows=5):
    return torch.randn(rows, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def both(f, y0, ts=TS, *, inputs=(), **options):
    """The solution and the gradients of each engine."""
    found = []
    for engine in ("fused", "eager"):
        solution = solve(f, y0, ts, engine=engine, **options)
        assert solution.stats.engine == engine
        found.append((solution, torch.autograd.grad(solution.ys.nan_to_num().sin().sum(), inputs) if inputs else ()))
    return found


def assert_alike(found):
    (ours, our_gradients), (theirs, their_gradients) = found
    torch.testing.assert_close(ours.ys, theirs.ys, rtol=1e-11, atol=1e-12, equal_nan=True)
    torch.testing.assert_close(ours.ts, theirs.ts, rtol=0, atol=1e-12, equal_nan=True)
    assert torch.equal(ours.stats.num_steps, theirs.stats.num_steps)
    for a, b in zip(our_gradients, their_gradients, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-11)


@needs_kernel
@pytest.mark.parametrize("save", ["ts", "end", "steps"])
@pytest.mark.parametrize("batching", ["joint", "per_sample"])
def test_values_times_counts_and_gradients_are_those_of_the_eager_engine(save, batching):
    field, y0, args = a_field(time_input=True, args_dim=2, bound=2.0), a_state(), torch.randn(5, 2).double()
    inputs = (y0.requires_grad_(), args.requires_grad_(), ts := TS.clone().requires_grad_(), *field.parameters())
    assert_alike(both(field, y0, ts, args=PerSample(args), save=save, batching=batching, inputs=inputs))


@needs_kernel
def test_auto_takes_what_it_can_read_and_says_so():
    field = a_field()
    assert solve(field, a_state(), TS).stats.engine == "fused"
    assert solve(lambda t, y: field(t, y) * y, a_state(), TS).stats.engine == "eager"
    assert NeuralODE(field).solve(a_state(), TS).stats.engine == "fused"
    assert NeuralODE(field, engine="eager").solve(a_state(), TS).stats.engine == "eager"


@needs_kernel
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"f": lambda t, y: -(y**5)}, "because it takes another power than the second or third. Use engine='auto'"),
        ({"gradient": "direct"}, "because gradient='direct' is plain autograd"),
        ({"gradient": "adjoint"}, r"because it does not compute Adjoint\("),
        ({"y0": (torch.ones(2), torch.ones(2)), "f": lambda t, y: y}, "because the state is a tuple"),
    ],
    ids=["field", "direct", "adjoint", "tuple"],
)
def test_fused_says_what_it_cannot_do(options, message):
    options = {"f": a_field(), "y0": a_state(), "ts": TS, **options}
    with pytest.raises(CannotFuse, match=message):
        solve(**options, engine="fused")
    assert solve(**options).stats.engine == "eager"


@needs_kernel
def test_under_autocast_the_loop_runs_since_the_kernel_would_not_round_as_asked():
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert solve(a_field(), a_state(), TS).stats.engine == "eager"
        with pytest.raises(CannotFuse, match="because autocast is on"):
            solve(a_field(), a_state(), TS, engine="fused")


def test_without_the_library_auto_is_eager_and_fused_says_what_is_missing(monkeypatch):
    missing = LibraryStatus(False, "", library.PATH, "the native library was not built: it brings speed.")
    monkeypatch.setattr(library, "status", lambda: missing)
    assert solve(a_field(), a_state(), TS).stats.engine == "eager"
    with pytest.raises(CannotFuse, match=r"because the native library was not built: it brings speed. Use engine"):
        solve(a_field(), a_state(), TS, engine="fused")


@needs_kernel
def test_gradients_reach_parameters_through_parametrisations_and_arguments_through_the_bias():
    layer = nn.utils.parametrizations.weight_norm(nn.Linear(3, 3)).double()
    y0 = a_state().requires_grad_()
    assert_alike(both(lambda t, y: torch.tanh(layer(y)), y0, inputs=(y0, *layer.parameters())))


@needs_kernel
@pytest.mark.parametrize("batching", ["joint", "per_sample"])
def test_a_calendar_is_carried_along(batching):
    field = CalendarField(MLPField(3, (8,), args_dim=4).double(), (0.7, 3.0))
    phase = torch.rand(5, 2, dtype=torch.float64).requires_grad_()
    assert_alike(both(field, a_state(), args=PerSample(phase), batching=batching, inputs=(phase, *field.parameters())))


@needs_kernel
@pytest.mark.parametrize("batching", ["joint", "per_sample"])
@pytest.mark.parametrize("power", [2, 3])
@pytest.mark.parametrize("where", ["of the state", "of a layer", "of the result"])
def test_powers_are_made_by_the_kernel(where, power, batching):
    chain = nn.Sequential(nn.Linear(3, 9), nn.Tanh(), nn.Linear(9, 3)).double()
    y0, ts = a_state(37).requires_grad_(), TS.clone().requires_grad_()
    fields = {
        "of the state": lambda t, y: chain(y**power) - 0.1 * y,
        "of a layer": lambda t, y: chain[2](torch.tanh(chain[0](y).pow(power))),
        "of the result": lambda t, y: -(torch.tanh(chain(y) + t) ** power),
    }
    assert_alike(both(fields[where], y0, ts, batching=batching, inputs=(y0, ts, *chain.parameters())))


@needs_kernel
def test_activations_behind_a_power_of_the_state_are_kept():
    chain, y0 = nn.Sequential(nn.Linear(3, 9), nn.Tanh(), nn.Linear(9, 3)), torch.ones(40, 3, requires_grad=True)
    found = []
    for limit in (None, 0):
        solution = solve(lambda t, y: chain(y**3), y0, TS.float(), gradient=Checkpointed(graph_bytes=limit))
        bars = torch.autograd.grad(solution.ys.square().sum(), [y0, *chain.parameters()])
        found.append((bars, solution.backward.num_evaluations))
    (kept, calls), (again, more_calls) = found
    assert calls < more_calls
    assert all(torch.equal(*pair) for pair in zip(kept, again, strict=True))


# Derivatives beyond the first gradient.


@needs_kernel
@pytest.mark.parametrize("batching", ["joint", "per_sample"])
def test_second_and_third_derivatives_come_of_themselves(batching):
    field, y0 = a_field(time_input=True), a_state().requires_grad_()
    found = []
    for options in ({"engine": "fused"}, {"engine": "eager", "gradient": "direct"}):
        value = solve(field, y0, TS, batching=batching, **options).ys.pow(2).sum()
        (first,) = torch.autograd.grad(value, y0, create_graph=True)
        (second,) = torch.autograd.grad(first.pow(2).sum(), y0, create_graph=True)
        third = torch.autograd.grad(second.pow(2).sum(), [y0, *field.parameters()])
        found.append((first, second, *third))
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-8, atol=1e-10)


@needs_kernel
@pytest.mark.parametrize("batching", ["joint", "per_sample"])
def test_second_derivatives_of_what_is_read_densely_come_too(batching):
    field, y0, found = a_field(time_input=True), a_state().requires_grad_(), []
    ts, own = torch.stack([0 * torch.ones(5), torch.linspace(1, 2, 5)]).double(), torch.linspace(0.1, 0.9, 3).double()
    for options in ({"engine": "fused"}, {"engine": "eager", "gradient": "direct"}):
        times = ts if batching == "per_sample" else TS
        value = solve(field, y0, times, batching=batching, save="dense", **options).evaluate(own).pow(2).sum()
        (first,) = torch.autograd.grad(value, y0, create_graph=True)
        found.append((first, *torch.autograd.grad(first.pow(2).sum(), [y0, *field.parameters()])))
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-8, atol=1e-10)


@needs_kernel
def test_many_gradients_at_once_are_each_their_own():
    field, y0 = a_field(), a_state(2).requires_grad_()
    value = solve(field, y0, TS, save="end", engine="fused").ys
    bars = torch.eye(6, dtype=torch.float64).view(6, 1, 2, 3)
    (together,) = torch.autograd.grad(value, y0, bars, is_grads_batched=True, retain_graph=True)
    alone = torch.stack([torch.autograd.grad(value, y0, bar, retain_graph=True)[0] for bar in bars])
    torch.testing.assert_close(together, alone, rtol=0, atol=0)


@needs_kernel
@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")
def test_transforms_of_torch_func_go_the_eager_way():
    field, y0 = a_field(), a_state()

    def end(y):
        return solve(field, y, TS, save="end", batching="per_sample").ys[0].sin().sum()

    due = torch.autograd.grad(end(leaf := y0.clone().requires_grad_()), leaf)[0]
    torch.testing.assert_close(torch.func.grad(end)(y0), due, rtol=1e-10, atol=1e-12)
    _, tangent = torch.func.jvp(end, (y0,), (torch.ones_like(y0),))
    torch.testing.assert_close(tangent, due.sum(), rtol=1e-9, atol=1e-11)


@needs_kernel
def test_hooks_on_parameters_and_on_the_state_are_called():
    field, y0, seen = a_field(), a_state().requires_grad_(), []
    y0.register_hook(lambda bar: seen.append("y0"))
    next(field.parameters()).register_hook(lambda bar: bar * 2)
    solution = solve(field, y0, TS, engine="fused")
    plain = a_field()
    solution.ys.sum().backward()
    solve(plain, a_state(), TS, engine="fused").ys.sum().backward()
    torch.testing.assert_close(next(field.parameters()).grad, 2 * next(plain.parameters()).grad)
    assert seen == ["y0"]


@needs_kernel
def test_a_weight_that_was_changed_before_the_way_back_is_noticed():
    field = a_field()
    value = solve(field, a_state(), TS, engine="fused").ys.sum()
    with torch.no_grad():
        field.net[0].weight.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        value.backward()


@needs_kernel
def test_training_moves_the_weights_that_the_next_solve_uses():
    field, y0 = a_field(), a_state()
    optimiser = torch.optim.SGD(field.parameters(), lr=0.1)
    for _ in range(3):
        optimiser.zero_grad()
        solution = solve(field, y0, TS, engine="fused")
        torch.testing.assert_close(solution.ys, solve(field, y0, TS, engine="eager").ys, rtol=1e-11, atol=1e-12)
        solution.ys.pow(2).mean().backward()
        optimiser.step()


@needs_kernel
def test_many_threads_read_and_solve_at_once():
    field = a_field()
    states = [a_state(rows) for rows in range(1, 9)]
    due = [solve(field, y0, TS, engine="eager").ys for y0 in states]
    found = [None] * len(states)

    def work(number):
        for _ in range(20):
            found[number] = solve(lambda t, y: field(t, y), states[number], TS, engine="fused").ys

    threads = [threading.Thread(target=work, args=(number,)) for number in range(len(states))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for ours, theirs in zip(found, due, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-11, atol=1e-12)


# The models.


@needs_kernel
@pytest.mark.parametrize("periods", [(), (0.4, 1.0)])
@pytest.mark.parametrize("options", [{}, {"batching": "per_sample", "step_size": None, "method": "dopri5"}])
def test_a_decoder_reads_the_same_path_with_either_engine(periods, options):
    torch.manual_seed(0)
    decoder = NeuralODEDecoder(2, 16, 4, periods=periods, **options).double()
    z, times = torch.randn(6, 4).double().requires_grad_(), torch.rand(6, 9).double() * 2 - 0.2
    phase = torch.rand(6, len(periods)).double() if periods else None
    found = []
    for engine in ("fused", "eager"):
        decoder.ode.options["engine"] = engine
        path = decoder.path(z, times, phase)
        found.append((path.z, *torch.autograd.grad(path.z.sin().sum(), [z, *decoder.ode.parameters()])))
        assert path.evaluations > 0
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-8)


@needs_kernel
def test_a_flow_carries_codes_the_same_way_with_either_engine():
    torch.manual_seed(0)
    flow = FlowPrior(3, (16, 16)).double().standardise(torch.randn(50, 3).double())
    fused = flow.sample(7)
    flow.engine = "eager"
    torch.testing.assert_close(fused, flow.sample(7), rtol=1e-11, atol=1e-12)
    assert FlowPrior.from_config(flow.config()).engine == "eager"


@needs_kernel
def test_direct_lets_a_kernel_stand_in_only_when_told():
    field = a_field()
    assert solve(field, a_state(), TS, gradient=Direct(kernel=True)).stats.engine == "fused"
    assert solve(field, a_state(), TS, gradient=Direct()).stats.engine == "eager"


@needs_kernel
@pytest.mark.parametrize("batching", ["joint", "per_sample"])
@pytest.mark.parametrize("method", ["vern7", "dopri8"])
def test_a_method_whose_dense_output_needs_further_calls_is_fused_where_none_is_read(method, batching):
    chain = torch.nn.Sequential(torch.nn.Linear(3, 8), torch.nn.Tanh(), torch.nn.Linear(8, 3)).double()
    y0 = torch.linspace(-1, 1, 15, dtype=torch.float64).view(5, 3)

    def ends(engine, times=(0.0, 2.0), save="end"):
        start = y0.clone().requires_grad_()
        options = {"method": method, "batching": batching, "rtol": 1e-8, "atol": 1e-10, "engine": engine, "save": save}
        solution = solve(lambda t, y: chain(y), start, list(times), **options)
        return solution, torch.autograd.grad(solution.ys[-1].square().sum(), (start, *chain.parameters()))

    (fused, own), (eager, due) = ends("fused"), ends("eager")
    torch.testing.assert_close(fused.ys, eager.ys, rtol=1e-10, atol=1e-11)
    for one, other in zip(own, due, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-8, atol=1e-9)
    for times, save in (((0.0, 0.3, 2.0), "ts"), ((0.0, 2.0), "dense")):
        with pytest.raises(CannotFuse, match=f"'{method}' needs further calls of f to be read between its steps"):
            ends("fused", times, save)
    assert ends("auto", (0.0, 0.3, 2.0), "ts")[0].stats.engine == "eager"


@needs_kernel
def test_a_method_that_judges_its_steps_by_two_errors_is_not_fused():
    chain = torch.nn.Sequential(torch.nn.Linear(3, 8), torch.nn.Tanh(), torch.nn.Linear(8, 3)).double()
    with pytest.raises(CannotFuse, match="'dop853' judges its steps by two estimates of the error"):
        solve(chain_field(chain), torch.ones(2, 3, dtype=torch.float64), [0.0, 1.0], method="dop853", engine="fused")


def chain_field(chain):
    return lambda t, y: chain(y)
