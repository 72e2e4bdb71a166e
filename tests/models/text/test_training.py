import torch

from neurode.data.text.sentence_batch import sentence_batches
from neurode.models.text.sentence_autoencoder import SentenceAutoencoder
from neurode.training.fit import fit
from neurode.training.fit_config import FitConfig
from tests.models.text.made_sentences import a_config, sentences

TRAIN, HELD_OUT = sentences(*[3, 4, 5, 6] * 30), sentences(*[3, 5] * 10, seed=1)


class Data:
    num_train_batches = 6

    def train_batches(self, epoch, rank, world):
        return sentence_batches(TRAIN, 20, epoch=epoch, rank=rank, world=world)

    def validation_batches(self, rank, world):
        return sentence_batches(HELD_OUT, 20, shuffle=False, rank=rank, world=world)


def trained(epochs: int, folder=None, **options) -> SentenceAutoencoder:
    torch.manual_seed(0)
    model = SentenceAutoencoder(a_config(pretraining_epochs=2, dropout=0.1))
    config = FitConfig(max_epochs=epochs, learning_rate=5e-3, schedule="constant", patience=None)
    history = fit(model, Data(), config, folder, progress=False, **options).history
    assert len(history) == epochs
    assert history[-1]["validation_loss"] < history[0]["validation_loss"]
    return model


def test_fit_trains_through_the_pretraining_and_a_resumed_run_ends_the_same(tmp_path):
    whole = trained(6, tmp_path / "whole")
    trained(3, tmp_path / "cut")
    resumed = trained(6, tmp_path / "cut", resume=True)
    assert whole.decoder_is_fresh
    for one, other in zip(whole.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(one, other)
