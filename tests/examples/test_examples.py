"""Every example runs, says what it found, and leaves a picture."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted(path.stem for path in (ROOT / "examples").glob("*.py"))
SHARED = {"torchdiffeq_training"}
"""What programs import, and no program itself."""
SAYS = {
    "bouncing_ball": ["bounces each", "gravity", "kept"],
    "cnf": ["kernels", "CNF", "it holds a mass of"],
    "hamiltonian": ["Hamiltonian", "plain", "drift"],
    "long_horizon": ["20 states", "the same to the last bit"],
}

PRINTS = {
    "torchdiffeq_flow": ["nats a point", "ms a step"],
    "torchdiffeq_latent_spirals": ["negative evidence lower bound", "ms a step"],
    "torchdiffeq_spiral": ["mean absolute error", "the whole path is off by"],
}
"""Programs of another library, which leave no picture."""


def test_every_example_is_known_here():
    assert set(EXAMPLES) == {*SAYS, *PRINTS, *SHARED}


@pytest.mark.slow
@pytest.mark.parametrize("name", PRINTS)
def test_a_program_of_another_library_gives_the_same_by_either(name):
    last = []
    for library in ("torchdiffeq", "neurode.torchdiffeq"):
        command = [sys.executable, str(ROOT / "examples" / f"{name}.py"), "--library", library, "--steps", "3"]
        done = subprocess.run(
            command, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=300
        )
        assert done.returncode == 0, done.stderr
        assert all(words in done.stdout for words in PRINTS[name]), done.stdout
        last.append(float(re.findall(r"^step +3 .*?(\d+\.\d+)", done.stdout, re.MULTILINE)[0]))
    assert last[0] == pytest.approx(last[1], rel=1e-2)


@pytest.mark.slow
@pytest.mark.parametrize("name", SAYS)
def test_an_example_runs_from_its_command(name, tmp_path):
    picture = tmp_path / "picture.png"
    command = [sys.executable, str(ROOT / "examples" / f"{name}.py"), "--quick", "--output", str(picture)]
    done = subprocess.run(
        command, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert all(words in done.stdout for words in SAYS[name]), done.stdout
    assert picture.read_bytes().startswith(b"\x89PNG")
