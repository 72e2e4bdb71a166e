"""State layouts: tensor, tuple or dict to a matrix (lanes, width) and back; what is refused, with which sentence."""

import pytest
import torch

from neurode.core.state import layout_of

TENSOR = torch.arange(24.0).reshape(2, 3, 4)
STATES = {
    "tensor": TENSOR,
    "tuple": (TENSOR, torch.ones(2, 5)),
    "dict": {"x": TENSOR, "v": torch.ones(2)},
}


@pytest.mark.parametrize("per_sample", [False, True], ids=["joint", "per_sample"])
@pytest.mark.parametrize("kind", STATES)
def test_a_state_packs_into_a_matrix_and_comes_back(kind, per_sample):
    state = STATES[kind]
    layout = layout_of(state, per_sample=per_sample)
    packed = layout.pack(state)
    total = 24 + {"tensor": 0, "tuple": 10, "dict": 2}[kind]
    assert layout.flat(packed).shape == ((2, total // 2) if per_sample else (1, total))
    torch.testing.assert_close(layout.unpack(packed), state, rtol=0, atol=0)
    torch.testing.assert_close(layout.unpack_rows(layout.flat(packed)), state, rtol=0, atol=0)


@pytest.mark.parametrize("kind", STATES)
def test_leading_axes_of_a_stack_of_states_stay_in_front(kind):
    state = STATES[kind]
    layout = layout_of(state, per_sample=True)
    stack = torch.stack([layout.pack(state)] * 7)
    back = layout.unpack_rows(stack)
    first = back if kind == "tensor" else (back[0] if kind == "tuple" else back["x"])
    assert first.shape == (7, 2, 3, 4)


def test_a_contiguous_tensor_state_is_packed_without_a_copy():
    assert layout_of(TENSOR, per_sample=True).pack(TENSOR).data_ptr() == TENSOR.data_ptr()


@pytest.mark.parametrize(
    ("y0", "error", "message"),
    [
        ([TENSOR], TypeError, "y0 must be a tensor, a tuple or a dict of tensors, but is list"),
        ((TENSOR, 3.0), TypeError, "y0 is float 3.0, where a tensor is expected"),
        ((), ValueError, "y0 holds no tensor"),
        ({}, ValueError, "y0 holds no tensor"),
        ((TENSOR, TENSOR.double()), ValueError, "must share dtype and device"),
        (TENSOR.long(), TypeError, "works in float32 and float64"),
        (TENSOR.bfloat16(), TypeError, "works in float32 and float64"),
    ],
)
def test_a_state_that_cannot_be_solved_is_refused_with_a_sentence(y0, error, message):
    with pytest.raises(error, match=message):
        layout_of(y0, per_sample=False)


@pytest.mark.parametrize("y0", [torch.tensor(1.0), (torch.ones(2, 3), torch.ones(3))], ids=["0-d", "unequal"])
def test_per_sample_needs_one_batch_axis_in_front_of_every_part(y0):
    with pytest.raises(ValueError, match="needs a batch axis in front of every part"):
        layout_of(y0, per_sample=True)
