import json

import pytest

from neurode.models.text.sentence_config import SentenceConfig


def test_a_config_survives_a_json_file():
    config = SentenceConfig.vae(500, plan="ode", plan_hidden=32, dropout=0.2)
    assert SentenceConfig(**json.loads(json.dumps(config.to_json()))) == config


def test_the_presets_are_one_network_with_other_settings():
    plain, noisy, vae = (
        kind(500, code_dim=32)
        for kind in (SentenceConfig.autoencoder, SentenceConfig.noisy_autoencoder, SentenceConfig.vae)
    )
    assert (plain.code, plain.code_noise, plain.encoder_word_drop, plain.beta) == ("free", 0, 0, 0)
    assert noisy.code == "sphere"
    assert noisy.code_noise > 0
    assert noisy.encoder_word_drop > 0
    assert vae.code == "gaussian"
    assert vae.beta == 1
    assert {one.code_dim for one in (plain, noisy, vae)} == {32}
    assert SentenceConfig.vae(500, beta=0.2).beta == 0.2


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"code": "round"}, "code='round' must be one of: 'free', 'sphere', 'gaussian'"),
        ({"cell": "rnn"}, "cell='rnn' must be one of: 'gru', 'lstm'"),
        ({"plan": "ODE"}, "plan='ODE' must be one of"),
        ({"pooling": "last"}, "pooling='last' must be one of"),
        ({"vocabulary_size": 4}, "vocabulary_size=4 must be at least 5"),
        ({"hidden_dim": 0}, "hidden_dim=0 must be at least 1"),
        ({"dropout": 1.0}, "dropout=1.0 must be at least 0 and below 1"),
        ({"encoder_word_drop": -0.1}, "encoder_word_drop=-0.1 must be at least 0"),
        ({"code_noise": float("nan")}, "code_noise=nan must not be negative"),
        ({"code_noise": 0.3}, "code_noise=0.3 needs code='sphere'"),
        ({"code": "gaussian"}, "code='gaussian' needs beta > 0"),
        ({"beta": 1.0}, "beta=1.0 has no effect with code='free'"),
        ({"code": "sphere", "free_bits": 0.5}, "free_bits=0.5 has no effect with code='sphere'"),
        ({"pretraining_epochs": 2}, "pretraining_epochs=2 has no effect with code='free'"),
        ({"plan": "ode"}, "plan='ode' is made by a network: pass plan_hidden"),
    ],
)
def test_settings_that_cannot_be_or_do_nothing_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        SentenceConfig(**{"vocabulary_size": 500, **settings})
