"""`pip install neurode` brings torch and numpy only, and the whole library door works with them."""

import subprocess
import sys
from pathlib import Path

BARE = Path(__file__).with_name("bare_install.py")


def run(snippet: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(BARE), snippet], capture_output=True, text=True, timeout=120, cwd=BARE.parents[2]
    )


def test_without_extras_the_library_door_works():
    done = run("library")
    assert (done.returncode, done.stdout.splitlines()) == (0, ["solved", "trained", "models are there"]), done.stderr


def test_without_extras_the_command_names_the_extra_and_exits_with_three():
    done = run("command")
    assert done.returncode == 3, done.stderr
    assert "pip install 'neurode[tools]'" in done.stderr
    assert "Traceback" not in done.stderr
    assert not done.stdout


def test_without_extras_the_estimator_names_the_extra():
    done = run("estimator")
    assert done.returncode == 1
    assert "pip install 'neurode[tools]'" in done.stderr
