"""Every example runs, says what it found, and leaves a picture."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted(path.stem for path in (ROOT / "examples").glob("*.py"))
SAYS = {
    "bouncing_ball": ["bounces each", "gravity", "kept"],
    "cnf": ["kernels", "CNF", "it holds a mass of"],
    "hamiltonian": ["Hamiltonian", "plain", "drift"],
    "long_horizon": ["20 states", "the same to the last bit"],
}


def test_every_example_is_known_here():
    assert set(EXAMPLES) == set(SAYS)


@pytest.mark.slow
@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_runs_from_its_command(name, tmp_path):
    picture = tmp_path / "picture.png"
    command = [sys.executable, str(ROOT / "examples" / f"{name}.py"), "--quick", "--output", str(picture)]
    done = subprocess.run(
        command, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert all(words in done.stdout for words in SAYS[name]), done.stdout
    assert picture.read_bytes().startswith(b"\x89PNG")
