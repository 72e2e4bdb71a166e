from typing import Any

import pytest
import torch

from neurode.core.errors import SolveError, TrainingError
from neurode.training.fit import fit
from neurode.training.fit_config import FitConfig
from neurode.training.guard import Guard, Position
from tests.training.tiny_regression import TinyData, TinyModel, compared


def train(model, folder=None, **settings):
    defaults: dict[str, Any] = {"device": "cpu", "max_epochs": 4}
    config = FitConfig(**defaults | settings)
    return fit(model, TinyData(), config, folder, progress=False)


def failing_once(at_step, trouble):
    """A model whose loss is in trouble at one step, the first time only."""
    left = [True]

    def on_loss(model, context, loss):
        if model.training and context.step == at_step and left:
            left.pop()
            return trouble(loss)
        return loss

    return TinyModel(on_loss=on_loss)


def solve_fails(loss):
    raise SolveError("the step became too small at t=0.3")


TROUBLES = {
    "loss": (lambda loss: loss * float("nan"), "The loss is not finite"),
    "gradient": (lambda loss: loss + (loss.detach() - loss).sqrt(), "The gradient is not finite"),
    "solve": (solve_fails, r"A solve failed (the step became too small at t=0.3)"),
}


@pytest.mark.parametrize("kind", TROUBLES)
def test_trouble_goes_back_to_the_last_good_epoch_and_halves_the_rate(kind, tmp_path):
    trouble, words = TROUBLES[kind]
    result = train(failing_once(9, trouble), tmp_path / "run", schedule="constant", warmup=0)
    assert result.roll_backs == 1
    assert [row["epoch"] for row in result.history] == [1, 2, 3, 4]
    assert [row["learning_rate"] for row in result.history] == [1e-3, 1e-3, 5e-4, 5e-4]
    log = (tmp_path / "run" / "train.log").read_text()
    assert f"{words} in epoch 3, step 2: went back to the state of epoch 2 and lowered the learning rate to 0.5" in log


def test_the_epochs_before_the_trouble_are_as_if_it_had_not_been():
    plain, troubled = train(TinyModel()), train(failing_once(9, TROUBLES["loss"][0]))
    assert compared(plain.history)[:2] == compared(troubled.history)[:2]


def test_trouble_in_the_first_epoch_goes_back_to_the_start():
    result = train(failing_once(2, TROUBLES["gradient"][0]))
    assert result.roll_backs == 1
    assert len(result.history) == 4


def test_trouble_that_stays_ends_with_a_remedy(tmp_path):
    model = TinyModel(on_loss=lambda model, context, loss: loss / 0 if context.step == 6 else loss)
    with pytest.raises(TrainingError, match=r"epoch 2, step 3, also after 5 roll-backs.*smaller learning_rate"):
        train(model, tmp_path / "run")
    assert (tmp_path / "run" / "train.log").read_text().count("went back") == 5


def test_a_validation_that_is_never_finite_ends_with_a_remedy():
    model = TinyModel(on_loss=lambda model, context, loss: loss if model.training else loss * float("nan"))
    with pytest.raises(TrainingError, match="The validation loss is not finite"):
        train(model)


def test_the_guard_restores_weights_buffers_and_optimiser():
    model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.BatchNorm1d(2))
    optimiser = torch.optim.AdamW(model.parameters(), lr=0.1)
    said = []
    guard = Guard(model, optimiser, said.append)

    def step():
        optimiser.zero_grad()
        model(torch.randn(4, 2)).square().sum().backward()
        optimiser.step()

    guard.keep(Position())
    fresh = [value.clone() for value in model.state_dict().values()]
    step()
    assert guard.roll_back("Trouble", Position()) == Position()
    assert all(torch.equal(a, b) for a, b in zip(fresh, model.state_dict().values(), strict=True))
    assert not optimiser.state
    step()
    guard.keep(Position(epoch=2, step=1))
    weights = [value.clone() for value in model.state_dict().values()]
    moments = [state["exp_avg"].clone() for state in optimiser.state.values()]
    step()
    assert guard.roll_back("Trouble", Position(epoch=2, step=2, batch=1)).step == 1
    assert all(torch.equal(a, b) for a, b in zip(weights, model.state_dict().values(), strict=True))
    assert all(torch.equal(a, s["exp_avg"]) for a, s in zip(moments, optimiser.state.values(), strict=True))
    assert guard.rate_factor == 0.25
    assert "at the start" in said[0]
    assert "of epoch 1" in said[1]
