import pytest
import torch

from neurode.models.code_batch import CodeBatches
from neurode.training.training_data import TrainingData


def codes(count: int = 100) -> torch.Tensor:
    return torch.arange(count, dtype=torch.float32)[:, None] * torch.tensor([1.0, 10.0])


def test_an_epoch_shows_each_training_code_once_and_none_of_the_held_out():
    data = CodeBatches(codes(), batch_size=32, validation=0.2, seed=1)
    assert isinstance(data, TrainingData)
    shown = torch.cat([batch.codes[:, 0] for batch in data.train_batches(0)])
    held = torch.cat([batch.codes[:, 0] for batch in data.validation_batches()]).unique()
    assert len(shown) == len(shown.unique()) == 80
    assert len(held) == 20
    assert sorted(torch.cat([shown, held]).tolist()) == codes()[:, 0].tolist()


def test_batches_differ_in_size_by_one_at_most():
    data = CodeBatches(codes(), batch_size=30, validation=0)
    sizes = [len(batch) for batch in data.train_batches(3)]
    assert sizes == [25, 25, 25, 25]
    assert data.num_train_batches == 4


def test_processes_share_the_batches_that_one_would_see():
    data = CodeBatches(codes(), batch_size=32, std=codes() * 0.1)
    alone = list(data.train_batches(5))
    shared = [list(data.train_batches(5, rank, 2)) for rank in (0, 1)]
    for whole, *parts in zip(alone, *shared, strict=True):
        assert sorted(torch.cat([part.index for part in parts]).tolist()) == sorted(whole.index.tolist())
        assert torch.equal(whole.std, whole.codes * 0.1)


def test_repeats_fill_an_epoch_and_key_their_noise_apart():
    data = CodeBatches(codes(10), batch_size=64, validation=0, repeats=5)
    (batch,) = data.train_batches(0)
    assert len(batch) == len(batch.index.unique()) == 50
    assert batch.codes[:, 0].unique(return_counts=True)[1].tolist() == [5] * 10


def test_batches_are_a_function_of_seed_and_epoch():
    first, again, other = (CodeBatches(codes(), batch_size=50, seed=seed) for seed in (0, 0, 1))
    order = [torch.cat([batch.index for batch in data.train_batches(2)]).tolist() for data in (first, again, other)]
    assert order[0] == order[1] != order[2]
    assert torch.cat([batch.index for batch in first.train_batches(3)]).tolist() != order[0]


def test_impossible_requests_are_refused():
    with pytest.raises(ValueError, match=r"codes must be \(N, D\)"):
        CodeBatches(torch.zeros(3))
    with pytest.raises(ValueError, match="leave none to train on"):
        CodeBatches(codes(1), validation=0.5)
    with pytest.raises(ValueError, match=r"std must be of the codes' shape \(100, 2\); got \(3, 2\)"):
        CodeBatches(codes(), torch.ones(3, 2))
    with pytest.raises(ValueError, match="validation=1 a share"):
        CodeBatches(codes(), validation=1)
