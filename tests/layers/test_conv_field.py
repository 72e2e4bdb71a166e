"""ConvField and the fields that wrap another: second order, and the costs of a path."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from neurode.layers.conv_field import ConvField, TimedConvolution, num_groups
from neurode.layers.path_cost import CostedField
from neurode.layers.second_order import SecondOrderField
from neurode.solving import solve


def test_the_time_is_one_more_channel_of_the_convolution():
    layer = TimedConvolution(3, 3).double()
    y, t = torch.randn(2, 3, 5, 4, dtype=torch.float64), 0.7
    whole = torch.cat([torch.full((2, 1, 5, 4), t, dtype=torch.float64), y], dim=1)
    due = functional.conv2d(whole, torch.cat([layer.time_weight, layer.weight], dim=1), layer.bias, padding=1)
    torch.testing.assert_close(layer(t, y), due)


def test_each_sample_may_have_its_own_time():
    field = ConvField(4).double()
    y = torch.randn(3, 4, 6, 6, dtype=torch.float64)
    t = torch.tensor([0.1, 0.5, 0.9], dtype=torch.float64)
    together = field(t.view(3, 1, 1, 1), y)
    for number in range(3):
        torch.testing.assert_close(together[number], field(t[number], y[number : number + 1])[0])
    assert not torch.equal(field(0.0, y), field(0.5, y))
    still = ConvField(4, time_input=False).double()
    assert torch.equal(still(0.0, y), still(0.5, y))


def test_samples_of_a_batch_do_not_see_each_other():
    field = ConvField(4).double()
    y = torch.randn(3, 4, 6, 6, dtype=torch.float64)
    torch.testing.assert_close(field(0.2, y)[1:2], field(0.2, y[1:2]))


def test_groups_divide_the_channels():
    assert [num_groups(channels) for channels in (1, 4, 24, 64, 48, 256, 37)] == [1, 1, 6, 16, 12, 32, 1]
    with pytest.raises(ValueError, match="groups=3 must divide the 4 channels."):
        ConvField(4, groups=3)
    with pytest.raises(ValueError, match="an odd kernel"):
        ConvField(4, kernel=2)
    with pytest.raises(ValueError, match=r"the state has shape \(2, 3\), this field was built for \(batch, 4,"):
        ConvField(4)(0.0, torch.zeros(2, 3))


class Oscillator(nn.Module):
    def forward(self, t, y):
        return torch.cat([torch.full_like(y[:, :1], 99.0), -y[:, :1]], dim=1)


def test_a_second_order_field_moves_positions_by_their_velocity():
    """y'' = -y from (1, 0) is a cosine; what the acceleration says of positions is not used."""
    start = torch.tensor([[1.0, 0.0]], dtype=torch.float64)
    end = solve(SecondOrderField(Oscillator()), start, [0.0, 2.0], rtol=1e-9, atol=1e-11).ys[-1]
    due = torch.tensor([[2.0]], dtype=torch.float64)
    torch.testing.assert_close(end, torch.cat([due.cos(), -due.sin()], dim=1), rtol=0, atol=1e-7)
    with pytest.raises(ValueError, match="has length 3; position and velocity need an even one."):
        SecondOrderField(Oscillator())(0.0, torch.zeros(2, 3))


def test_a_cost_that_is_off_stays_zero_and_a_missing_probe_is_named():
    state = torch.ones(2, 3), torch.zeros(2, 2)
    field = nn.Identity()

    class Field(nn.Module):
        def forward(self, t, y):
            return 2 * field(y)

    dy, costs = CostedField(Field(), jacobian=False)(torch.tensor(0.0), state)
    assert torch.equal(dy, 2 * torch.ones(2, 3))
    assert torch.equal(costs, torch.tensor([[4.0, 0.0], [4.0, 0.0]]))
    with pytest.raises(ValueError, match="set `probe`, of the state's shape, before a solve"):
        CostedField(Field())(torch.tensor(0.0), state)
    with pytest.raises(ValueError, match="neither cost is wanted"):
        CostedField(Field(), kinetic=False, jacobian=False)
