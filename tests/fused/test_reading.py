"""A field is read, not guessed: what can be read computes the same, and what cannot says which part."""

import copy
import functools
import sys
import types

import pytest
import torch
from torch import nn

from neurode import PerSample
from neurode.fused.evaluation import derivative
from neurode.fused.field import ReadField, Unreadable
from neurode.fused.reading import Place, read
from neurode.layers.fields import CalendarField, MLPField

Y0 = torch.randn(5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
LANES = torch.zeros(5).double().numpy()


def net(*layers):
    torch.manual_seed(1)
    return nn.Sequential(*layers or (nn.Linear(3, 8), nn.SiLU(), nn.Linear(8, 3))).double()


def reading(f, args=None, y0=Y0, *, per_sample=False):
    return read(f, args, Place(y0, LANES if per_sample else 0.0, LANES + 2.0 if per_sample else 2.0))


def assert_read(f, args=None, y0=Y0, *, per_sample=False):
    """The field as it was read, which gives what f gives, and the same gradients for y and all parameters."""
    field = reading(f, args, y0, per_sample=per_sample)
    assert isinstance(field, ReadField), field
    t = (
        torch.linspace(0.3, 1.1, 5, dtype=y0.dtype).reshape(5, *(1,) * (y0.ndim - 1))
        if per_sample
        else y0.new_tensor(0.7)
    )
    y = y0.clone().requires_grad_()
    given = () if args is None else (args.value if isinstance(args, PerSample) else args,)
    due = f(t, y, *given)
    ours = derivative(field, t.reshape(-1, 1) if per_sample else t, y.reshape(-1, y.shape[-1])).reshape(y.shape)
    inputs = [y, *(p for p in parameters_of(f) if p.requires_grad)]
    for a, b in ((due, ours), *zip(gradients(due, inputs), gradients(ours, inputs), strict=True)):
        torch.testing.assert_close(b, a, rtol=1e-11, atol=1e-12)
    return field


def gradients(value, inputs):
    found = torch.autograd.grad(value.sin().sum(), inputs, retain_graph=True, allow_unused=True)
    return [torch.zeros_like(x) if g is None else g for x, g in zip(inputs, found, strict=True)]


def parameters_of(f):
    cells = [cell.cell_contents for cell in getattr(f, "__closure__", None) or ()]
    return [p for thing in (f, *cells) if isinstance(thing, nn.Module) for p in thing.parameters()]


def refused(f, message, args=None, y0=Y0):
    field = reading(f, args, y0)
    assert isinstance(field, Unreadable), "it was read"
    assert message in field.reason


class TimeFirst(nn.Module):
    """A field as users write them: time in front, a block with a skip, layers of their own names."""

    def __init__(self):
        super().__init__()
        self.enter, self.block, self.leave = nn.Linear(4, 8), nn.Linear(8, 8), nn.Linear(8, 3)

    def forward(self, t, y):
        h = torch.relu(self.enter(torch.cat([torch.ones_like(y[:, :1]) * t, y], dim=1)))
        h = h + torch.tanh(self.block(h))
        return self.leave(h)


# What is read.


@pytest.mark.parametrize("activation", ["tanh", "silu", "softplus", "relu", "elu"])
@pytest.mark.parametrize("options", [{}, {"time_input": True}, {"bound": 2.0}, {"time_input": True, "bound": 0.5}])
@pytest.mark.parametrize("per_sample", [False, True])
def test_our_own_field_is_read(activation, options, per_sample):
    torch.manual_seed(0)
    assert_read(MLPField(3, (8, 4), activation=activation, **options).double(), per_sample=per_sample)


@pytest.mark.parametrize("per_sample", [False, True])
@pytest.mark.parametrize("shape", [(5, 2), (2,)])
def test_args_go_into_the_first_layers_bias(per_sample, shape):
    args = torch.randn(*shape, dtype=torch.float64)
    given = PerSample(args) if per_sample and len(shape) == 2 else args
    field = assert_read(MLPField(3, (8,), args_dim=2).double(), given, per_sample=per_sample)
    assert field.layers[0].weight.shape == (8, 3)


@pytest.mark.parametrize("per_sample", [False, True])
def test_a_calendar_becomes_clocks(per_sample):
    args = PerSample(torch.rand(5, 2, dtype=torch.float64))
    field = assert_read(CalendarField(MLPField(3, (8,), args_dim=4).double(), (0.5, 2.0)), args, per_sample=per_sample)
    assert {(term.clock, round(term.rate, 6)) for term in field.layers[0].time} == {
        (clock, round(2 * torch.pi / period, 6)) for clock in ("sin", "cos") for period in (0.5, 2.0)
    }


def _fields():
    chain, plain = net(), net(nn.Linear(3, 8), nn.GELU(), nn.Dropout(0.5), nn.Linear(8, 3), nn.Identity()).eval()
    A, relus = torch.randn(3, 3, dtype=torch.float64), net(nn.Linear(3, 3), nn.ReLU(inplace=True))
    return {
        "a function": lambda t, y: chain(y),
        "relu in place": lambda t, y: relus(y) @ A,
        "with a leak": lambda t, y: chain(y) - 0.5 * y,
        "turned round": lambda t, y: 1.0 - chain(-y) / 3,
        "dropout at rest": lambda t, y: plain(y),
        "gelu by tanh": lambda t, y: nn.functional.gelu(chain(y), approximate="tanh"),
        "sigmoid": lambda t, y: torch.sigmoid(chain(y)),
        "sine and cosine": lambda t, y: torch.sin(y @ A) @ A + torch.zeros_like(y),
        "cosine": lambda t, y: torch.cos(y @ A),
        "linear": lambda t, y: y @ A.T,
        "time added": lambda t, y: torch.tanh(y @ A + t) @ A,
        "waves of time": lambda t, y: torch.tanh(y @ A + torch.sin(3 * t + 1)) @ A + torch.cos(t),
        "a part of the state": lambda t, y: torch.tanh(torch.cat([y[..., 1:], y[..., :1]], -1) @ A) @ A,
        "chunks": lambda t, y: torch.cat(torch.tanh(y @ A).split([1, 2], dim=-1)[::-1], dim=-1) @ A,
        "a cube": lambda t, y: chain(y**3),
        "a square": lambda t, y: torch.tanh(torch.square(y) @ A) @ A,
        "a power of a layer": lambda t, y: -((y @ A + t).pow(3)),
        "addmm": lambda t, y: torch.addmm(A[0], torch.tanh(y @ A), A),
        "partial": functools.partial(lambda t, y, inner: inner(y), inner=chain),
        "a bound method": TimeFirst().double().forward,
        "a user's module": TimeFirst().double(),
    }  # fmt: skip


@pytest.mark.parametrize("name", _fields())
def test_what_is_a_chain_of_layers_is_read(name):
    assert_read(_fields()[name])


def test_a_residual_block_becomes_a_skip():
    assert [layer.skip for layer in assert_read(TimeFirst().double()).layers] == [0, 1, 0]


@pytest.mark.parametrize("shape", [(3,), (2, 4, 3)])
def test_states_of_other_ranks_are_read_along_their_last_axis(shape):
    chain = net()
    assert_read(lambda t, y: chain(y), y0=torch.randn(shape, dtype=torch.float64))


def test_a_subclass_is_read_by_what_it_does():
    class Doubled(TimeFirst):
        def forward(self, t, y):
            return 2 * super().forward(t, y)

    assert_read(Doubled().double())


def test_parametrised_weights_are_read_through_to_their_parameters():
    def normed(f):
        layer = f(nn.Linear(3, 3)).double().eval()
        return lambda t, y: torch.tanh(layer(y))

    assert_read(normed(nn.utils.parametrizations.weight_norm))
    assert_read(normed(nn.utils.parametrizations.spectral_norm))
    assert_read(normed(nn.utils.parametrizations.orthogonal))


def test_weights_are_read_at_each_solve():
    chain = net()
    f = lambda t, y: chain(y)  # noqa: E731
    before = assert_read(f)
    with torch.no_grad():
        chain[0].weight.mul_(2)
    torch.testing.assert_close(assert_read(f).layers[0].weight, chain[0].weight)
    assert before.layers[0].weight is chain[0].weight
    chain[0].weight = nn.Parameter(torch.ones(8, 3, dtype=torch.float64))
    assert assert_read(f).layers[0].weight is chain[0].weight


def test_tied_layers_share_their_gradient_and_untied_ones_do_not():
    chain = net(nn.Linear(3, 3), nn.Tanh(), nn.Linear(3, 3))
    f = lambda t, y: chain(y)  # noqa: E731
    chain[2].weight = chain[0].weight
    assert_read(f)
    chain[2].weight = nn.Parameter(2 * chain[0].weight.detach())
    field = assert_read(f)
    assert field.layers[1].weight is chain[2].weight


def test_frozen_weights_stay_frozen():
    chain = net()
    chain[0].requires_grad_(False)
    field = assert_read(lambda t, y: chain(y))
    assert [layer.weight.requires_grad for layer in field.layers] == [False, True]


# What has changed since it was read.


def test_a_changed_attribute_is_noticed():
    field = MLPField(3, (4,), bound=1.0).double()
    assert assert_read(field).scale == 1.0
    field.bound = 3.0
    assert assert_read(field).scale == 3.0
    field.net[1] = nn.SiLU()
    assert assert_read(field).layers[0].activation == "silu"


FACTOR = 2.0


class Scaled(TimeFirst):
    def forward(self, t, y):
        return FACTOR * super().forward(t, y)


def test_a_changed_global_is_noticed(monkeypatch):
    field = Scaled().double()
    for value in (2.0, 3.0):
        monkeypatch.setattr(sys.modules[__name__], "FACTOR", value)
        torch.testing.assert_close(
            derivative(reading(field), Y0.new_tensor(0.7), Y0), field(Y0.new_tensor(0.7), Y0), rtol=1e-12, atol=1e-12
        )


class Kind:
    """What fields look up in other places than themselves."""

    gain = 2.0


settings = types.ModuleType("settings")
settings.gain = 2.0


class OfItsClass(TimeFirst):
    gain = 2.0

    def forward(self, t, y):
        return self.gain * super().forward(t, y)


class OfAnotherClass(TimeFirst):
    def forward(self, t, y):
        return Kind.gain * super().forward(t, y)


class OfAModule(TimeFirst):
    def forward(self, t, y):
        return settings.gain * super().forward(t, y)


@pytest.mark.parametrize(
    ("kind", "place"),
    [(OfItsClass, OfItsClass), (OfAnotherClass, Kind), (OfAModule, settings)],
    ids=["own", "other", "module"],
)
@pytest.mark.parametrize("wrapped", [False, True])
def test_a_number_that_is_changed_elsewhere_is_noticed(kind, place, wrapped, monkeypatch):
    field = kind().double()
    f = (lambda t, y: place.gain * field(t, y)) if wrapped else field
    for value in (2.0, 3.0, 5.0):
        monkeypatch.setattr(place, "gain", value)
        assert_read(f)


def test_a_method_that_is_replaced_is_noticed(monkeypatch):
    field = OfItsClass().double()
    assert_read(field)
    monkeypatch.setattr(
        TimeFirst,
        "forward",
        lambda self, t, y: self.leave(torch.sin(self.block(self.leave.weight.T[:, 0] + y @ self.leave.weight))),
    )
    assert reading(field).layers[0].activation == "sin"


def test_train_and_eval_are_told_apart():
    chain = net(nn.Linear(3, 8), nn.Dropout(0.5), nn.Linear(8, 3))
    f = lambda t, y: chain(y)  # noqa: E731
    refused(f, "its dropout is in training mode (call eval() on it)")
    chain.eval()
    assert_read(f)


def test_a_copy_is_read_as_itself():
    field = MLPField(3, (4,)).double()
    assert_read(field)
    other = copy.deepcopy(field)
    with torch.no_grad():
        other.net[0].weight.add_(1)
    assert assert_read(other).layers[0].weight is other.net[0].weight


def test_a_structure_that_is_known_is_not_called_again(monkeypatch):
    assert isinstance(reading(MLPField(3, (4,)).double()), ReadField)
    monkeypatch.setattr("neurode.fused.reading._look_closely", None)
    assert isinstance(reading(MLPField(3, (4,)).double()), ReadField)


# What cannot be read.


class Counting(TimeFirst):
    calls = 0

    def forward(self, t, y):
        self.calls += 1
        return super().forward(t, y)


def test_a_field_that_counts_its_calls_is_not_called_for_reading():
    field = Counting().double()
    refused(field, "Counting.forward stores into an attribute")
    assert field.calls == 0


def test_a_field_that_keeps_notes_is_not_called_for_reading():
    notes, chain = [], net()
    refused(lambda t, y: (notes.append(t), chain(y))[1], "it calls list.append")
    assert notes == []


def adds_to(notes, chain):
    def f(t, y):
        own = notes
        own += [t]
        return chain(y)

    return f


class Reversal(torch.autograd.Function):
    """The value of x, and another gradient."""

    @staticmethod
    def forward(ctx, x):
        return x.view_as(x)

    @staticmethod
    def backward(ctx, bar):
        return -bar


def _unreadable():
    chain, odd = net(), net(nn.Linear(3, 3), nn.LayerNorm(3))
    buffer = torch.zeros(3, dtype=torch.float64)
    return {
        "a product": (lambda t, y: chain(y) * y, "multiplies something made of the state"),
        "a power": (lambda t, y: chain(y**4), "it takes another power than the second or third"),
        "a power of time": (lambda t, y: chain(y + t**2), "it takes the square of something that is not made"),
        "a power by a tensor": (lambda t, y: chain(y ** torch.tensor(3)), "it takes another power"),
        "another layer": (lambda t, y: odd(y), "it calls layer_norm on the state"),
        "a branch": (lambda t, y: chain(y) if t > 0.5 else y, "it calls gt on the state or on time"),
        "a longer list": (adds_to([], chain), "adds_to.<locals>.f works in place (+=)"),
        "a number of time": (lambda t, y: float(t) * chain(y), "it calls __float__ on the state or on time"),
        "numpy": (lambda t, y: torch.from_numpy(y.numpy()), "it calls numpy on the state"),
        "noise": (lambda t, y: chain(y) + torch.randn(3), "it draws random numbers (randn)"),
        "in place of a view": (lambda t, y: torch.relu_(chain(y).view(5, 3)), "it changes a tensor in place"),
        "in place of y": (lambda t, y: chain(nn.functional.relu(y, inplace=True)), "it changes a tensor in place"),
        "in place": (lambda t, y: (buffer.add_(1), chain(y))[1], "it changes a tensor in place"),
        "printing": (lambda t, y: (print("called"), chain(y))[1], "it calls print"),
        "a batch's mean": (lambda t, y: chain(y) - y.mean(0), "it calls mean on the state"),
        "no gradient": (lambda t, y: chain(y.detach()), "it calls detach on the state"),
        "without a graph": (torch.no_grad()(lambda t, y: chain(y)), "it switches gradients off"),
        "another gradient": (lambda t, y: Reversal.apply(chain(y)), "it has an autograd.Function of its own"),
        "another setting": (lambda t, y: nn.functional.elu(chain(y), 0.5), "its elu has alpha=0.5"),
        "an older layer": (lambda t, y: chain[2](chain[:2](y) + chain[0](y)), "several activations of different depth"),
        "no state": (lambda t, y: torch.ones_like(y) * t, "its result is not made of the state"),
        "an error": (lambda t, y: chain(y).reshape(2, 2), "calling it raised RuntimeError: shape"),
        "another precision": (lambda t, y: chain(y.float().double()), "it works in torch.float32"),
        "a compiled one": (torch.compile(chain, backend="eager"), "it is compiled"),
        "rows apart": (lambda t, y: y * torch.arange(5.0).double()[:, None], "another number for each row"),
    }  # fmt: skip


@pytest.mark.parametrize("name", _unreadable())
def test_what_cannot_be_read_is_named(name, capsys):
    f, message = _unreadable()[name]
    refused(f, message)
    assert capsys.readouterr().out == ""


def test_hooks_are_not_left_out():
    chain = net()
    f = lambda t, y: chain(y)  # noqa: E731
    for register in ("register_forward_hook", "register_forward_pre_hook", "register_full_backward_hook"):
        handle = getattr(chain[0], register)(lambda *_: None)
        refused(f, "its Linear has hooks")
        handle.remove()
        assert_read(f)


def test_a_field_that_changes_its_mind_is_found_out():
    numbers, chain = iter(range(1, 100)), net()
    refused(lambda t, y: chain(y) * numbers.__next__(), "it gave something else at its second call")

    class Hidden:
        """Gives another number at each look, by no means that could be seen."""

        count = 0

        @property
        def number(self):
            type(self).count += 1
            return float(type(self).count)

    hidden = Hidden()
    refused(lambda t, y: chain(y) * hidden.number, "stores into an attribute")


def test_a_profiler_goes_on_where_it_was():
    chain, seen = net(), []
    sys.setprofile(lambda *event: seen.append(event))
    try:
        assert isinstance(reading(lambda t, y: chain(y) + 1.25), ReadField)
        kept = sys.getprofile()
    finally:
        sys.setprofile(None)
    assert kept is not None
    assert seen


def test_reading_leaves_the_random_numbers_alone():
    chain = net()
    torch.manual_seed(5)
    due = torch.randn(3)
    torch.manual_seed(5)
    reading(lambda t, y: chain(y) + 0.75)
    assert torch.equal(torch.randn(3), due)


def test_forward_mode_goes_the_eager_way():
    chain = net()
    with torch.autograd.forward_ad.dual_level():
        refused(lambda t, y: chain(y), "a transform of torch")
