"""LiveTensors: every storage counts once, from the operation that makes it until its last holder lets go."""

import torch

from neurode.tasks.live_tensors import LiveTensors

SIZE = 1000 * 8


def ones() -> torch.Tensor:
    return torch.ones(1000, dtype=torch.float64)


def test_a_tensor_counts_until_its_last_holder_lets_go():
    with LiveTensors() as alive:
        one = ones()
        holder = [one, one.view(10, 100)]
        assert alive.now == SIZE
        del one
        assert alive.now == SIZE
        holder.clear()
        assert alive.now == 0
    assert alive.peak == SIZE


def test_what_was_there_before_does_not_count_nor_do_its_views():
    there = ones()
    with LiveTensors(there) as alive:
        view = there.detach()[::2]
        assert alive.now == 0
        new = view * 2
        assert alive.now == SIZE // 2
    assert new.shape == (500,)


def test_what_only_a_graph_holds_counts_until_the_backward_pass_frees_it():
    leaf = ones().requires_grad_()
    with LiveTensors(leaf) as alive:
        end = leaf.exp().exp().sum()  # each exp keeps its result
        assert alive.now == 2 * SIZE + 8
        (gradient,) = torch.autograd.grad(end, leaf)
        assert alive.now == SIZE + 8, "the gradient and the sum"
    assert alive.peak > 3 * SIZE
    assert gradient.shape == leaf.shape


def test_tensors_of_a_list_count_too():
    with LiveTensors() as alive:
        parts = torch._foreach_mul([ones(), ones()], 2.0)
        assert alive.now == 2 * SIZE
    assert len(parts) == 2


def test_outside_nothing_is_counted():
    with LiveTensors() as alive:
        pass
    kept = ones()
    assert (alive.now, alive.peak) == (0, 0)
    assert kept.numel() == 1000
