"""The benchmark of the comparison: plain classifiers that are what they say, and a result file that holds every row."""

import numpy as np
import pytest
import torch

from benchmarks.comparison import main, settings
from benchmarks.plain_classifiers import Forest, linear_accuracy


def ringed(num: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    inputs = rng.uniform(-1, 1, (num, 4))
    return inputs, (np.hypot(inputs[:, 0], inputs[:, 1]) < 0.7).astype(np.int64)


def test_a_forest_learns_what_is_round_and_a_linear_model_cannot():
    (inputs, targets), (tests, answers) = ringed(600, 0), ringed(400, 1)
    said = Forest(trees=20).fit(inputs, targets).predict(tests)
    assert (said == answers).mean() > 0.9
    tensors = (torch.from_numpy(part) for part in (inputs, targets, tests, answers))
    assert linear_accuracy(*tensors) < 0.75


def test_a_linear_model_learns_what_is_linear():
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(500, 5))
    targets = (inputs @ rng.normal(size=(5, 3))).argmax(1)
    x, y = torch.from_numpy(inputs), torch.from_numpy(targets)
    assert linear_accuracy(x[:400], y[:400], x[400:], y[400:]) > 0.9


def test_settings_are_read_from_words():
    assert settings(["depths=8,16", "gradients=direct", "kinetic=0.1"]) == {
        "depths": ["8", "16"],
        "gradients": ["direct"],
        "kinetic": "0.1",
    }
    with pytest.raises(KeyError):
        settings(["depth=3"])


def test_the_result_file_holds_every_model_and_duel(tmp_path, capsys):
    small = ["--set", "epochs=1", "--set", "memory=false", "--set", "depths=1,2", "--set", "samples=60"]
    main(["turned", "moons", "--repeats", "2", *small, "--results", str(tmp_path)])
    (path,) = tmp_path.glob("comparison_moons_turned_*.md")
    text = path.read_text()
    assert text in capsys.readouterr().out
    for name in ("ResNet 1", "ResNet 2", "ODE-net midpoint:1", "linear model", "random forest, 100 trees"):
        assert f"| {name}" in text
    assert text.count("| ResNet 2 |") == 1 + 2
    assert "Highest accuracy" in text
    assert path.with_suffix(".csv").is_file()
