"""Nests of arguments: leaves in a fixed order, PerSample marks kept and taken off."""

from collections import namedtuple

import pytest
import torch

from neurode.core.nest import PerSample, leaf_tensors, map_leaves, per_sample_flags, unwrapped, with_tensors

Pair = namedtuple("Pair", "first second")


def nest():
    a, b, c = torch.zeros(1), torch.ones(2, 3), torch.full((4,), 2.0)
    return {"a": a, "rest": (PerSample(b), [c, "text", 7])}, (a, b, c)


def test_the_tensors_of_a_nest_come_in_a_fixed_order_without_their_marks():
    tree, tensors = nest()
    assert all(found is due for found, due in zip(leaf_tensors(tree), tensors, strict=True))
    assert per_sample_flags(tree) == [False, True, False]


def test_unwrapping_takes_the_marks_off_and_leaves_all_else():
    tree, (a, b, c) = nest()
    plain = unwrapped(tree)
    assert plain["a"] is a
    assert plain["rest"][0] is b
    assert plain["rest"][1] == [c, "text", 7]


def test_tensors_put_back_in_order_keep_their_marks():
    tree, tensors = nest()
    renewed = with_tensors(tree, [tensor + 1 for tensor in tensors])
    assert per_sample_flags(renewed) == [False, True, False]
    assert all(torch.equal(new, old + 1) for new, old in zip(leaf_tensors(renewed), tensors, strict=True))


def test_a_named_tuple_stays_a_named_tuple():
    mapped = map_leaves(lambda leaf: leaf * 2, Pair(1, [2]))
    assert mapped == Pair(2, [4])
    assert type(mapped) is Pair


@pytest.mark.parametrize("value", [3.0, torch.tensor(3.0), None], ids=["float", "0-d", "None"])
def test_per_sample_refuses_what_has_no_rows(value):
    with pytest.raises(TypeError, match=r"PerSample takes a tensor of shape \(batch, ...\)"):
        PerSample(value)
