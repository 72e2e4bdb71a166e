import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from neurode.models.anchors import Cells, find_anchors


def by_hand(times, known, asked, each_side, inclusive):
    """The neighbours of one asked time in one feature, by plain loops: rows before (nearest first), rows after."""
    before = [r for r, t in enumerate(times) if known[r] and (t <= asked if inclusive else t < asked)]
    after = [r for r, t in enumerate(times) if known[r] and t > asked]
    return before[::-1][:each_side], after[:each_side]


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_neighbours_agree_with_a_plain_search(data):
    num_series, num_rows, num_features = 2, data.draw(st.integers(1, 6)), 2
    each_side, inclusive = data.draw(st.integers(1, 3)), data.draw(st.booleans())
    step = st.integers(0, 2)
    times = torch.tensor(
        [[float(sum(data.draw(step) for _ in range(1))) for _ in range(num_rows)] for _ in range(num_series)]
    ).cumsum(dim=1)
    mask = torch.tensor(data.draw(st.lists(st.booleans(), min_size=24, max_size=24)))
    mask = mask[: num_series * num_rows * num_features].reshape(num_series, num_rows, num_features)
    queries = torch.tensor([[data.draw(st.integers(-1, 8)) * 0.5 * 2 for _ in range(4)] for _ in range(num_series)])
    cells = Cells.all_of(torch.empty(num_series, 4, num_features))
    anchors = find_anchors(times, mask, queries, cells, each_side=each_side, inclusive=inclusive)
    for b in range(num_series):
        for q in range(4):
            for f in range(num_features):
                sides = by_hand(times[b], mask[b, :, f], queries[b, q], each_side, inclusive)
                for side, rows in enumerate(sides):
                    part = slice(side * each_side, (side + 1) * each_side)
                    present = anchors.present[b, q, f, part]
                    assert anchors.rows[b, q, f, part][present].tolist() == rows
                    assert anchors.times[b, q, f, part][present].tolist() == [times[b, r] for r in rows]


def test_a_target_does_not_see_itself_unless_asked_to():
    times, mask = torch.tensor([[0.0, 1.0, 2.0]]), torch.ones(1, 3, 1, dtype=torch.bool)
    cells = Cells.all_of(torch.empty(1, 3, 1))
    strict = find_anchors(times, mask, times, cells, each_side=1, inclusive=False)
    assert strict.rows[0, 1, 0].tolist() == [0, 2]
    assert find_anchors(times, mask, times, cells, each_side=1, inclusive=True).rows[0, 1, 0].tolist() == [1, 2]


def test_cells_in_a_row_and_cells_of_a_block_find_the_same():
    torch.manual_seed(0)
    times = torch.rand(2, 7).sort(dim=1).values
    mask, asked = torch.rand(2, 7, 3) < 0.5, torch.rand(2, 7, 3) < 0.5
    block = Cells.all_of(torch.empty(2, 7, 3))
    whole = find_anchors(times, mask, times, block, each_side=2, inclusive=False)
    some = find_anchors(times, mask, times, Cells.where(asked), each_side=2, inclusive=False)
    assert torch.equal(whole.rows[asked], some.rows)
    assert torch.equal(whole.present[asked], some.present)
    assert torch.equal(whole.asked[asked], some.asked)
