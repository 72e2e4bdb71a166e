"""A field that was seen before is known again by a glance, and every change of it is noticed."""

import gc
import weakref
from collections.abc import Callable

import pytest
import torch
from torch import nn

from neurode import MLPField, solve
from neurode.fused import library, reading
from neurode.fused.field import ReadField
from neurode.fused.reading import Place, read
from neurode.fused.snapshot import MOST, Album, Snapshot

Y0 = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
PLACE = Place(Y0, 0.0, 1.0)
FACTOR = 2.0


class Scaled(nn.Module):
    """With a number, a list and a layer of its own."""

    def __init__(self):
        super().__init__()
        self.layer, self.scale, self.shifts = nn.Linear(3, 3), 1.5, [0.25]

    def forward(self, t, y):
        return self.scale * torch.tanh(self.layer(y) + self.shifts[0]) * FACTOR


def read_without_survey(f, monkeypatch) -> ReadField:
    """As known at a glance; the test fails where a survey is made."""
    with monkeypatch.context() as patch:
        patch.setattr(reading, "Survey", None)
        field = read(f, None, PLACE)
    assert isinstance(field, ReadField)
    return field


def test_a_field_that_stayed_what_it_was_is_not_surveyed_again(monkeypatch):
    field = MLPField(3, (5,))
    read(field, None, PLACE)
    first = read_without_survey(field, monkeypatch)
    assert read_without_survey(field, monkeypatch) is first
    with torch.no_grad():
        field.net[0].weight.add_(1.0)  # values are not part of it
    assert read_without_survey(field, monkeypatch).layers[0].weight is field.net[0].weight


def test_a_method_of_an_object_is_known_again_too(monkeypatch):
    owner = Scaled()
    first = read(owner.forward, None, PLACE)
    again = read_without_survey(owner.forward, monkeypatch)
    assert isinstance(first, ReadField)
    assert torch.equal(again.layers[0].weight, first.layers[0].weight)


def _swap_parameter(f: Scaled, patch) -> None:
    f.layer.weight = nn.Parameter(torch.ones(3, 3))


def _add_hook(f: Scaled, patch) -> None:
    f.layer.register_forward_hook(lambda module, inputs, output: output)


def _parametrise(f: Scaled, patch) -> None:
    nn.utils.parametrizations.weight_norm(f.layer)


CHANGES: dict[str, Callable] = {
    "a number": lambda f, patch: setattr(f, "scale", 2.5),
    "an equal number of another kind": lambda f, patch: setattr(f, "scale", 1.5 + 0.0 * f.shifts[0]),
    "an entry of a list": lambda f, patch: f.shifts.__setitem__(0, 0.5),
    "a longer list": lambda f, patch: f.shifts.append(1.0),
    "another parameter": _swap_parameter,
    "another memory of another type": lambda f, patch: f.double(),
    "a hook": _add_hook,
    "a parametrisation": _parametrise,
    "another layer": lambda f, patch: setattr(f, "layer", nn.Linear(3, 3)),
    "a new attribute": lambda f, patch: setattr(f, "more", 1),
    "its mode": lambda f, patch: f.eval(),
    "its class": lambda f, patch: setattr(f, "__class__", type("Other", (Scaled,), {})),
    "a method of its class": lambda f, patch: patch.setattr(Scaled, "forward", lambda self, t, y: -y),
    "a global": lambda f, patch: patch.setitem(globals(), "FACTOR", 3.0),
    "a method of a layer of torch": lambda f, patch: patch.setattr(nn.Linear, "forward", lambda self, x: x),
}


@pytest.mark.parametrize("change", CHANGES)
def test_every_change_is_noticed(change, monkeypatch):
    field = Scaled()
    assert isinstance(read(field, None, PLACE), ReadField)
    read_without_survey(field, monkeypatch)
    CHANGES[change](field, monkeypatch)
    with monkeypatch.context() as patch:
        patch.setattr(reading, "Survey", None)
        with pytest.raises(TypeError, match="'NoneType' object is not callable"):
            read(field, None, PLACE)


def test_a_function_is_what_it_closes_over(monkeypatch):
    layer, scale = nn.Linear(3, 3), 2.0

    def f(t, y):
        return scale * layer(y)

    read(f, None, PLACE)
    read_without_survey(f, monkeypatch)
    scale = 3.0
    found = read(f, None, PLACE)
    assert isinstance(found, ReadField)
    assert torch.equal(found.layers[0].weight, 3.0 * layer.weight)


def test_a_field_and_its_weights_go_when_nobody_holds_them():
    field = MLPField(3, (5,))
    read(field, None, PLACE)
    owner, weight = weakref.ref(field), weakref.ref(field.net[0].weight)
    del field
    assert owner() is None
    assert weight() is None


def test_an_album_holds_so_many_and_no_more():
    album, fields = Album(), [nn.Identity() for _ in range(MOST + 3)]
    for number, field in enumerate(fields):
        album.put(field, number)
    assert album.get(fields[0]) is None
    assert album.get(fields[-1]) == MOST + 2
    assert sum(album.get(field) is not None for field in fields) == MOST


def test_a_snapshot_does_not_hold_its_owner():
    owner = Scaled()
    snapshot = Snapshot(owner)
    snapshot.note_object(owner)
    snapshot.close()
    assert snapshot.holds(owner)
    gone = weakref.ref(owner)
    del owner
    gc.collect()
    assert gone() is None


@pytest.mark.skipif(not library.status().available, reason=library.status().reason)
def test_memory_that_moves_under_a_weight_is_followed():
    field, ts = MLPField(3, (5,)), torch.linspace(0, 1, 3)
    before = solve(field, Y0, ts, engine="fused").ys
    for parameter in field.parameters():
        parameter.data = parameter.data.clone().mul_(0.5)  # other memory, the same tensor
    field.net[0].weight.data = field.net[0].weight.data.T.contiguous().T  # with gaps between its numbers
    after = solve(field, Y0, ts, engine="fused").ys
    torch.testing.assert_close(after, solve(field, Y0, ts, engine="eager").ys)
    assert not torch.allclose(after, before)
