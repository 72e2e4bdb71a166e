import csv
import math
from typing import Any

import pytest
import torch
from torch import nn

from neurode.core.errors import DataError
from neurode.core.protocols import LossParts
from neurode.training.fit import fit
from neurode.training.fit_config import FitConfig
from neurode.training.loop.torch_settings import threads_to_use
from tests.training.tiny_regression import TinyData, TinyModel, compared

COLUMNS = "epoch,step,loss,reconstruction,validation_loss,evaluations,seconds,memory_mb,learning_rate"


def quiet(model, data, run_folder=None, **settings):
    resume = settings.pop("resume", False)
    defaults: dict[str, Any] = {"device": "cpu", "max_epochs": 5}
    config = FitConfig(**defaults | settings)
    return fit(model, data, config, run_folder, resume=resume, progress=False)


def test_training_lowers_the_loss_and_writes_what_it_did(tmp_path):
    result = quiet(TinyModel(), TinyData(), tmp_path / "run", max_epochs=30, learning_rate=0.02)
    assert result.history[-1]["loss"] < 0.5 * result.history[0]["loss"]
    assert result.stopped_because == "All 30 epochs are done."
    rows = list(csv.DictReader((tmp_path / "run" / "metrics.csv").read_text().splitlines()))
    assert ",".join(rows[0]) == COLUMNS
    assert [{name: float(value) for name, value in row.items()} for row in rows] == result.history
    assert rows[-1]["step"] == "120"
    assert rows[-1]["evaluations"] == "12"
    log = (tmp_path / "run" / "train.log").read_text()
    assert "Training TinyModel with 87 parameters on cpu (processes: 1, threads of each: 1, " in log
    assert "epoch 30/30" in log
    assert {path.name for path in (tmp_path / "run").iterdir()} == {"metrics.csv", "train.log", "checkpoints"}
    assert {path.name for path in (tmp_path / "run" / "checkpoints").iterdir()} == {"best.ckpt", "last.ckpt"}


def test_the_loss_of_a_step_is_the_mean_over_observations():
    model, data = TinyModel(), TinyData(size=16)
    with torch.no_grad():
        expected = (model.net(data.x) - data.y).square().mean().item()
    row = quiet(model, data, max_epochs=1).history[0]
    assert row["loss"] == pytest.approx(expected, rel=1e-6)
    assert row["reconstruction"] == row["loss"]


def test_a_step_is_that_of_torchs_own_adamw_and_clipping():
    model, own = TinyModel(), TinyModel()
    data = TinyData(size=16)
    quiet(model, data, max_epochs=3, warmup=0, schedule="constant", clip_norm=0.05, weight_decay=0.0)
    optimiser = torch.optim.AdamW(own.parameters(), lr=1e-3, weight_decay=0.0)
    for _ in range(3):
        optimiser.zero_grad()
        (own.net(data.x) - data.y).square().mean().backward()
        assert nn.utils.clip_grad_norm_(own.parameters(), 0.05) > 0.05
        optimiser.step()
    for name, value in own.state_dict().items():
        assert torch.allclose(model.state_dict()[name], value, atol=1e-6), name


def test_weight_decay_spares_vectors_and_parameters_without_gradient():
    strong, none = TinyModel(), TinyModel()
    quiet(strong, TinyData(), max_epochs=1, weight_decay=5.0)
    quiet(none, TinyData(), max_epochs=1, weight_decay=0.0)
    assert not torch.allclose(strong.first_weight, none.first_weight, atol=1e-4)
    assert torch.equal(strong.unused.weight, none.unused.weight)


def test_the_model_ends_with_the_weights_of_the_best_epoch(tmp_path):
    weights = {}

    def note(model, context, loss):
        if not model.training:
            weights[context.step] = {name: value.clone() for name, value in model.state_dict().items()}
            return loss + 100 * abs(context.step - 12)  # epoch 3 of 4 steps each is best
        return loss

    model = TinyModel(on_loss=note)
    result = quiet(model, TinyData(), tmp_path / "run", max_epochs=6)
    assert result.best_epoch == 3
    assert result.best_loss == result.history[2]["validation_loss"]
    best = torch.load(tmp_path / "run" / "checkpoints" / "best.ckpt", weights_only=True)
    assert best["epoch"] == 3
    for name, value in model.state_dict().items():
        assert torch.equal(value, weights[12][name])
        assert torch.equal(best["model"][name], value)
    assert not model.training


def test_patience_ends_the_run_and_says_so():
    model = TinyModel(on_loss=lambda model, context, loss: loss if model.training else loss * 0 + 1 + context.step)
    result = quiet(model, TinyData(), max_epochs=50, patience=3)
    assert len(result.history) == 4
    assert result.stopped_because == "The validation loss has not improved for 3 epochs (best 0.0833333 at epoch 1)."


def test_validation_comes_every_k_epochs_and_at_the_last():
    result = quiet(TinyModel(), TinyData(), max_epochs=5, validate_every=2)
    validated = [not math.isnan(row["validation_loss"]) for row in result.history]
    assert validated == [False, True, False, True, True]


def test_without_validation_data_the_last_weights_are_the_best(tmp_path):
    result = quiet(TinyModel(), TinyData(validation=False), tmp_path / "run", max_epochs=3)
    assert result.best_epoch == 3
    assert math.isnan(result.best_loss)
    assert torch.load(tmp_path / "run" / "checkpoints" / "best.ckpt", weights_only=True)["epoch"] == 3


def test_validation_sees_the_same_noise_in_every_epoch_and_no_gradients():
    seen = []

    def note(model, context, loss):
        if not model.training:
            assert not torch.is_grad_enabled()
            seen.append((context.seed, context.epoch))
        return loss

    quiet(TinyModel(on_loss=note), TinyData(), max_epochs=3, seed=9)
    assert seen == [(9, 0)] * 3


def test_the_time_budget_finishes_the_epoch_and_says_so():
    def slow(epoch, batch, rank):
        import time

        time.sleep(0.02)

    result = quiet(TinyModel(), TinyData(before_batch=slow), max_epochs=1000, max_seconds=0.5, patience=None)
    assert 1 <= len(result.history) < 10
    assert result.history[-1]["step"] == 4 * len(result.history)
    assert "The time budget of 0.5 s does not hold another epoch" in result.stopped_because


def test_a_seed_repeats_a_run_and_leaves_the_callers_random_state_alone():
    model = TinyModel(dropout=0.5)
    before = torch.get_rng_state()
    first = quiet(model, TinyData(), seed=1)
    assert torch.equal(torch.get_rng_state(), before)
    second = quiet(TinyModel(dropout=0.5), TinyData(), seed=1)
    other = quiet(TinyModel(dropout=0.5), TinyData(), seed=2)
    assert compared(first.history) == compared(second.history)
    assert first.history[0]["loss"] != other.history[0]["loss"]


def test_deterministic_algorithms_are_asked_for_and_given_back():
    seen = []
    model = TinyModel(
        on_loss=lambda model, context, loss: seen.append(torch.are_deterministic_algorithms_enabled()) or loss
    )
    quiet(model, TinyData(), max_epochs=1, deterministic=True)
    assert all(seen)
    assert not torch.are_deterministic_algorithms_enabled()


@pytest.mark.parametrize(("asked", "used"), [(None, 1), (2, 2)])
def test_a_small_model_trains_with_one_thread_unless_more_are_asked_for(asked, used, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    before, seen = torch.get_num_threads(), set()
    torch.set_num_threads(3)
    try:
        model = TinyModel(on_loss=lambda model, context, loss: seen.add(torch.get_num_threads()) or loss)
        quiet(model, TinyData(), max_epochs=1, threads=asked)
        assert seen == {used}
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


def test_threads_follow_the_size_of_the_model_and_the_number_of_processes(monkeypatch):
    cpu, cuda = torch.device("cpu"), torch.device("cuda")
    monkeypatch.setattr("neurode.training.loop.torch_settings.available_cores", lambda: 8)
    assert threads_to_use(None, cpu, 10_000_000, 2) == torch.get_num_threads()  # OMP_NUM_THREADS is set in tests
    monkeypatch.delenv("OMP_NUM_THREADS")
    assert threads_to_use(None, cpu, 10_000_000, 2) == 4
    assert threads_to_use(None, cpu, 1_000, 2) == 1
    assert threads_to_use(None, cuda, 1_000, 4) == 2
    assert threads_to_use(5, cpu, 1_000, 2) == 5


@pytest.mark.parametrize("precision", ["float64", "bfloat16-mixed"])
def test_precision_reaches_the_model(precision):
    seen = set()

    class Looking(TinyModel):
        def loss(self, batch, context):
            seen.add((self.net(batch.x).dtype, batch.x.dtype, self.net[0].weight.dtype))
            return super().loss(batch, context)

    quiet(Looking(), TinyData(), max_epochs=1, precision=precision)
    f32, f64, b16 = torch.float32, torch.float64, torch.bfloat16
    assert seen == {(f64, f64, f64)} if precision == "float64" else {(b16, f32, f32)}


def test_frozen_parameters_stay(tmp_path):
    model = TinyModel()
    model.first_weight.requires_grad_(False)
    before = model.first_weight.clone()
    quiet(model, TinyData(), max_epochs=2)
    assert torch.equal(model.first_weight, before)


def test_a_batch_without_observations_makes_no_step():
    class Blank(TinyModel):
        def loss(self, batch, context):
            parts = super().loss(batch, context)
            return LossParts(parts.loss * 0, 0.0, parts.parts, 1)

    model = Blank()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    quiet(model, TinyData(validation=False), max_epochs=1)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_wrong_arguments_are_told_apart():
    with pytest.raises(TypeError, match=r"nn.Module with a method loss\(batch, context\)"):
        quiet(nn.Linear(1, 1), TinyData())
    frozen = TinyModel()
    frozen.requires_grad_(False)
    with pytest.raises(ValueError, match="nothing to train"):
        quiet(frozen, TinyData())
    with pytest.raises(DataError, match="no batch to train on"):
        quiet(TinyModel(), TinyData(size=0))
    with pytest.raises(ValueError, match="resume=True needs the run_folder"):
        quiet(TinyModel(), TinyData(), resume=True)
    if not torch.cuda.is_available():
        with pytest.raises(ValueError, match="torch finds no CUDA device here"):
            quiet(TinyModel(), TinyData(), device="cuda")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"max_epochs": 0}, "max_epochs must be a whole number of at least 1, but got 0"),
        ({"patience": 1.5}, "patience must be a whole number"),
        ({"threads": 0}, "threads must be a whole number of at least 1"),
        ({"learning_rate": 0.0}, "learning_rate must be a number above 0"),
        ({"learning_rate": float("nan")}, "learning_rate must be a number above 0"),
        ({"clip_norm": -1}, "clip_norm must be a number above 0"),
        ({"weight_decay": -0.1}, "weight_decay must be 0 or above"),
        ({"schedule": "linear"}, "schedule must be one of cosine, constant"),
        ({"precision": "float16"}, "precision must be one of float32, float64, bfloat16-mixed"),
        ({"device": "gpu"}, "device must be 'auto', 'cpu', 'cuda'"),
        ({"device": "cuda:1", "processes": 2}, "names one device"),
    ],
)
def test_a_setting_out_of_range_is_named_with_what_is_allowed(settings, words):
    with pytest.raises(ValueError, match=words):
        FitConfig(**settings)
