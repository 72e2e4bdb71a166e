"""Small runs that the tests of verbs share: trained once a process, never written to."""

from pathlib import Path

import numpy as np
import pytest

from tests.cli.running import neurode
from tests.tasks.text.toy_text import toy_sentences


def small_table(path: Path, *, series: int = 24, rows: int = 8, seed: int = 0) -> Path:
    """Write noisy waves with blanks: id, t, x, y."""
    random = np.random.default_rng(seed)
    lines = ["id,t,x,y"]
    for number in range(series):
        phase = random.uniform(0, 6)
        for t in np.sort(random.uniform(0, 10, rows)).round(2):
            x, y = np.sin(t / 2 + phase) + random.normal(0, 0.1), np.cos(t / 2 + phase) + random.normal(0, 0.1)
            lines.append(f"s{number},{t},{x:.3f},{'' if random.uniform() < 0.2 else f'{y:.3f}'}")
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture(scope="session")
def trained_run(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    table = small_table(folder / "waves.csv")
    done = neurode("series", "train", table, "-o", folder / "run", "--epochs", 2, "--id", "id", "--time", "t", "-q")
    assert done.code == 0, done
    assert (done.out, done.err) == ("", "")
    return folder / "run"


TEXT_SETTINGS = {
    "kind": "noisy",
    "case": "keep",
    "near-duplicates": "apart",
    "code-dim": 12,
    "hidden-dim": 48,
    "embedding-dim": 24,
    "epochs": 20,
    "batch-size": 32,
    "learning-rate": 0.01,
    "flow-steps": 60,
    "flow": "hidden=[32,32]",
    "judge": 0.2,
}
JUDGING = ("hidden_dim=16", "embedding_dim=12", "language_epochs=1", "judge_epochs=1", "order=3")


@pytest.fixture(scope="session")
def text_run(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("text")
    (folder / "toy.txt").write_text("\n".join(toy_sentences()) + "\n")
    options = [word for name, value in TEXT_SETTINGS.items() for word in (f"--{name}", value)]
    options += [word for setting in JUDGING for word in ("--judging", setting)]
    done = neurode("text", "train", folder / "toy.txt", "-o", folder / "run", *options, "-q")
    assert done.code == 0, done
    assert (done.out, done.err) == ("", "")
    return folder / "run"
