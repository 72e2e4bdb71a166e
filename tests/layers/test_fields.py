import math

import pytest
import torch

from neurode.layers.fields import ACTIVATIONS, CalendarField, MLPField, calendar_waves


@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
def test_a_field_keeps_the_shape_of_any_batch_of_states(activation):
    field = MLPField(3, (8,), activation=activation)
    for shape in [(3,), (5, 3), (2, 4, 3)]:
        assert field(torch.tensor(0.0), torch.randn(shape)).shape == shape


def test_the_bound_is_never_exceeded_and_is_hardly_felt_near_zero():
    torch.manual_seed(0)
    free, bounded = MLPField(2, (16,)), MLPField(2, (16,), bound=0.5)
    bounded.load_state_dict(free.state_dict())
    with torch.no_grad():
        bounded.net[-1].weight.mul_(100)
    assert bounded(torch.tensor(0.0), 10 * torch.randn(100, 2)).abs().max() <= 0.5
    wide = MLPField(2, (16,), bound=100.0)
    wide.load_state_dict(free.state_dict())
    y = torch.randn(20, 2)
    torch.testing.assert_close(wide(torch.tensor(0.0), y), free(torch.tensor(0.0), y), rtol=1e-4, atol=1e-6)


def test_time_enters_alike_as_one_number_and_per_sample():
    torch.manual_seed(0)
    field = MLPField(2, (8,), time_input=True)
    y = torch.randn(4, 2)
    together = field(torch.tensor(0.7), y)
    torch.testing.assert_close(field(torch.full((4, 1), 0.7), y), together)
    assert not torch.allclose(field(torch.tensor(0.1), y), together)


def test_an_autonomous_field_does_not_know_the_time():
    field, y = MLPField(2), torch.randn(4, 2)
    assert torch.equal(field(torch.tensor(0.0), y), field(torch.tensor(9.0), y))


def test_args_change_the_derivative_and_must_be_announced():
    field, y = MLPField(2, (8,), args_dim=3), torch.randn(4, 2)
    a = field(torch.tensor(0.0), y, torch.zeros(4, 3))
    assert not torch.allclose(a, field(torch.tensor(0.0), y, torch.ones(4, 3)))
    with pytest.raises(ValueError, match="args_dim=3, but none came"):
        field(torch.tensor(0.0), y)
    with pytest.raises(ValueError, match="args_dim=0, but args came"):
        MLPField(2)(torch.tensor(0.0), y, torch.ones(4, 3))


def test_a_calendar_field_repeats_after_its_period_and_differs_within_it():
    torch.manual_seed(0)
    field = CalendarField(MLPField(2, (8,), args_dim=2), [0.25])
    y, phase = torch.randn(3, 2), torch.rand(3, 1)
    now = field(torch.tensor(0.1), y, phase)
    torch.testing.assert_close(field(torch.tensor(0.35), y, phase), now, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(field(torch.tensor(0.2), y, phase), now)


def test_waves_are_sine_and_cosine_of_the_phase():
    waves = calendar_waves(torch.tensor(0.5), torch.tensor([[0.25, 0.0]]), [1.0, 2.0])
    angle = torch.tensor([[2 * math.pi * 0.75, 2 * math.pi * 0.25]])
    torch.testing.assert_close(waves, torch.cat([angle.sin(), angle.cos()], dim=1))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"dim": 0}, "dim=0"),
        ({"dim": 2, "hidden": (4, 0)}, r"hidden=\(4, 0\)"),
        ({"dim": 2, "bound": 0.0}, "bound=0.0 must be a positive finite number"),
        ({"dim": 2, "activation": "step"}, "activation='step' is unknown. Pass one of: elu, relu"),
    ],
)
def test_impossible_fields_are_refused_with_a_sentence(wrong, message):
    with pytest.raises(ValueError, match=message):
        MLPField(**wrong)


def test_a_state_of_another_length_is_refused():
    with pytest.raises(ValueError, match="last axis is 3, this field was built for dim=2"):
        MLPField(2)(torch.tensor(0.0), torch.zeros(5, 3))
