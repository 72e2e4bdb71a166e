"""Steps made one call: the same values and gradients as stage by stage, and a sentence where that cannot be."""

import gc
import weakref

import pytest
import torch
from torch import nn

from neurode import NeuralODE, solve
from neurode.methods.step_makers import MAKERS, Captured, Compiled
from neurode.solving import CannotCompile

TS = torch.linspace(0, 1, 4, dtype=torch.float64)


class Product(nn.Module):
    """A field that no kernel reads."""

    def __init__(self):
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.weight = nn.Parameter(torch.randn(3, 3, generator=generator, dtype=torch.float64))

    def forward(self, t, y, args=None):
        return torch.sin(y @ self.weight) * (0.1 + y * t) * (1.0 if args is None else args["gain"])


def a_state() -> torch.Tensor:
    return torch.randn(5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1)).requires_grad_()


@pytest.fixture
def untranslated(monkeypatch):
    """torch.compile without a compiler: it follows the step and makes its derivative, and both run as they are."""
    real = torch.compile
    monkeypatch.setattr(torch, "compile", lambda f, **options: real(f, backend="aot_eager", **options))


def assert_same(f, *, inputs=(), ts=TS, engine="compiled", **options):
    y0, found, calls = a_state(), [], []
    for which in (engine, "eager"):
        solution = solve(f, y0, ts, engine=which, **options)
        assert solution.stats.engine == which
        gradients = torch.autograd.grad(solution.ys.sin().sum(), [y0, *inputs])
        found.append((solution.ys, solution.ts, *gradients, solution.stats.num_steps))
        calls.append(int(solution.stats.num_evaluations))
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-12)
    # A method that hands no slope over makes its first one within the step, also where it is known already.
    assert calls[0] >= calls[1]


@pytest.mark.parametrize("gradient", ["checkpointed", "direct"])
@pytest.mark.parametrize("options", [{"method": "bosh3", "rtol": 1e-3}, {"method": "midpoint", "step_size": 0.2}])
def test_a_compiled_step_gives_the_eager_values_and_gradients(options, gradient, untranslated):
    field = Product()
    assert_same(field, inputs=list(field.parameters()), gradient=gradient, **options)


def test_arguments_times_and_dense_output_have_their_gradients(untranslated):
    field, gain, ts = Product(), torch.tensor(0.7, dtype=torch.float64, requires_grad=True), TS.clone().requires_grad_()
    assert_same(
        field,
        args={"gain": gain},
        ts=ts,
        save="dense",
        method="bosh3",
        rtol=1e-3,
        inputs=[gain, ts, *field.parameters()],
    )


def test_a_step_is_made_again_where_no_graph_is_kept(untranslated):
    from neurode import Checkpointed

    field = Product()
    for way in (Checkpointed(graph_bytes=0), Checkpointed(3)):
        assert_same(field, inputs=list(field.parameters()), gradient=way, method="bosh3", rtol=1e-3)


def test_training_changes_what_a_compiled_step_computes(untranslated):
    field, y0 = Product(), a_state()
    before = solve(field, y0, TS, engine="compiled", method="heun").ys
    with torch.no_grad():
        field.weight.mul_(0.5)
    after = solve(field, y0, TS, engine="compiled", method="heun").ys
    assert not torch.allclose(before, after)
    torch.testing.assert_close(after, solve(field, y0, TS, engine="eager", method="heun").ys, rtol=1e-10, atol=1e-12)


def test_states_that_are_tuples_and_layers_take_it(untranslated):
    def turn(t, y):
        return -y[1] * y[0].cos(), y[0]

    y0 = (torch.ones(2, dtype=torch.float64), torch.zeros(2, dtype=torch.float64))
    ours, theirs = (solve(turn, y0, TS, engine=engine, method="heun").ys for engine in ("compiled", "eager"))
    torch.testing.assert_close(ours[0], theirs[0])
    assert NeuralODE(Product(), engine="compiled", method="euler").solve(a_state(), TS).stats.engine == "compiled"


def test_what_was_compiled_goes_with_its_field(untranslated):
    field = Product()
    solve(field, a_state(), TS, engine="compiled", method="euler")
    watch = weakref.ref(field)
    del field
    torch.compiler.reset()
    gc.collect()
    assert watch() is None


def breaking(t, y):
    torch._dynamo.graph_break()
    return -y


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batching": "per_sample"}, "samples with steps of their own leave one by one"),
        ({"method": "radau5"}, "the steps of 'radau5' are not those of a plain explicit Runge-Kutta method"),
        ({"method": "dop853"}, "the steps of 'dop853' are not those of a plain explicit"),
        ({"gradient": "adjoint"}, r"it does not go with Adjoint\("),
        ({"f": breaking}, "because Unsupported: .*Use engine='auto'"),
        ({"y0": torch.ones(2, dtype=torch.complex128)}, "the state is complex"),
    ],
)
def test_it_says_what_it_cannot_make_one_call(options, message, untranslated):
    options = {"f": Product(), "y0": a_state(), "ts": TS, **options}
    with pytest.raises(CannotCompile, match=message):
        solve(**options, engine="compiled")


def test_a_field_of_the_wrong_shape_hears_so():
    with pytest.raises(ValueError, match=r"the field returned a derivative of shape \(3,\)"):
        solve(lambda t, y: y.sum(0), a_state(), TS, engine="compiled", method="rk4", step_size=0.5)


def test_an_engine_that_does_not_exist_is_named_beside_those_that_do():
    with pytest.raises(ValueError, match="engine must be one of 'auto', 'fused', 'eager', 'compiled', 'cuda_graph'"):
        solve(Product(), a_state(), TS, engine="turbo")


# CUDA graphs, with a stand-in: buffers that every call writes over, as a replay does.


class Replay(torch.autograd.Function):
    """A captured step: its inputs and outputs, and what the way back needs, stand in the same memory at each call."""

    @staticmethod
    def forward(ctx, store, *inputs):
        store.calls += 1
        leaves = [x.detach().requires_grad_(x.is_floating_point()) for x in inputs]
        with torch.enable_grad():
            store.graph = leaves, store.module(*leaves[: store.count])
        for kept, new in zip(store.outputs, store.graph[1], strict=True):
            kept.copy_(new.detach())
        ctx.store, ctx.number = store, store.calls
        return tuple(kept.detach() for kept in store.outputs)

    @staticmethod
    def backward(ctx, *bars):
        assert ctx.number == ctx.store.calls, "another replay has written over the activations"
        leaves, outputs = ctx.store.graph
        pairs = [(x, bar) for x, bar in zip(outputs, bars, strict=True) if x.requires_grad]
        inputs = [*leaves[: ctx.store.count], *ctx.store.module.field.parameters()]
        return None, *torch.autograd.grad([x for x, _ in pairs], inputs, [bar for _, bar in pairs], allow_unused=True)


class Store:
    def __init__(self, module, samples):
        self.module, self.count, self.calls = module, len(samples), 0
        self.outputs = [x.detach().clone() for x in module(*samples)]

    def __call__(self, *inputs):
        return Replay.apply(self, *inputs, *self.module.field.parameters())


@pytest.fixture
def replayed(monkeypatch):
    """Steps captured by a stand-in; the captures."""
    made = []

    def capture(module, samples):
        made.append(Store(module, samples))
        return made[-1]

    monkeypatch.setattr(torch.cuda, "make_graphed_callables", capture)
    monkeypatch.setattr("neurode.methods.step_makers.CAPTURES_ON", "cpu")
    return made


@pytest.mark.parametrize("options", [{"method": "rk4", "step_size": 0.2}, {"method": "euler"}, {"method": "dopri5"}])
def test_a_replayed_step_gives_the_eager_values_and_gradients(options, replayed):
    field = Product()
    assert_same(field, inputs=list(field.parameters()), engine="cuda_graph", **options)
    assert replayed[0].calls > 2


def test_a_step_is_captured_once_for_a_field_and_a_shape(replayed):
    field = Product()
    for rows in (5, 5, 2, 5):
        solve(field, torch.ones(rows, 3, dtype=torch.float64), TS, engine="cuda_graph", method="rk4")
    assert len(replayed) == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"f": lambda t, y: -y}, "only a module says what its parameters are"),
        ({"args": {"gain": torch.ones(())}}, "f has args, whose tensors a graph would not see change"),
        ({"gradient": "direct"}, r"it does not go with Direct\("),
        (
            {"ts": TS.clone().requires_grad_()},
            "it gives gradients of times only compiled, and with gradient='checkpointed'",
        ),
    ],
)
def test_it_says_what_cannot_be_captured(options, message, replayed):
    options = {"f": Product(), "y0": a_state(), "ts": TS, **options}
    with pytest.raises(CannotCompile, match=message):
        solve(**options, engine="cuda_graph", method="rk4")


def test_a_graph_is_not_captured_on_a_cpu():
    with pytest.raises(CannotCompile, match="the state is on cpu, and graphs are captured on a CUDA device"):
        solve(Product(), a_state(), TS, engine="cuda_graph", method="rk4")


def test_makers_are_found_by_their_names():
    assert {"compiled": Compiled(), "cuda_graph": Captured()} == MAKERS


@pytest.mark.slow
def test_the_compiler_itself_gives_the_same():
    field = Product()
    assert_same(field, inputs=list(field.parameters()), method="bosh3", rtol=1e-3)
