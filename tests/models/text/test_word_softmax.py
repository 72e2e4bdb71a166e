import pytest
import torch
from torch.nn import functional

from neurode.models.text.word_softmax import summed_surprisal, surprisals


def made(rows: int):
    torch.manual_seed(rows)
    states = torch.randn(rows, 5, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(11, 5, dtype=torch.float64, requires_grad=True)
    bias = torch.randn(11, dtype=torch.float64, requires_grad=True)
    return states, weight, bias, torch.randint(0, 11, (rows,))


@pytest.mark.parametrize("rows", [1, 256, 600])  # below, at and above what is held at once
def test_the_sum_and_its_gradients_are_those_of_the_cross_entropy(rows):
    states, weight, bias, targets = made(rows)
    want = functional.cross_entropy(functional.linear(states, weight, bias), targets, reduction="sum")
    got = summed_surprisal(states, weight, bias, targets)
    torch.testing.assert_close(got, want)
    torch.testing.assert_close(surprisals(states, weight, bias, targets).sum(), want)
    inputs = (states, weight, bias)
    for one, other in zip(torch.autograd.grad(3 * got, inputs), torch.autograd.grad(3 * want, inputs), strict=True):
        torch.testing.assert_close(one, other)


def test_gradients_that_are_not_wanted_are_not_made():
    states, weight, bias, targets = made(30)
    loss = summed_surprisal(states.detach(), weight, bias.detach(), targets)
    assert torch.autograd.grad(loss, weight)[0].shape == weight.shape
    with torch.no_grad():
        assert not summed_surprisal(states, weight, bias, targets).requires_grad


def test_second_derivatives_are_refused_rather_than_wrong():
    states, weight, bias, targets = made(8)
    loss = summed_surprisal(states, weight, bias, targets)
    with pytest.raises(RuntimeError, match=r"no second derivatives: use surprisals"):
        torch.autograd.grad(loss, states, create_graph=True)


def test_it_works_under_autocast():
    states, weight, bias, targets = (one.float() if one.is_floating_point() else one for one in made(8))
    want = summed_surprisal(states, weight, bias, targets)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        torch.testing.assert_close(summed_surprisal(states, weight, bias, targets), want)
