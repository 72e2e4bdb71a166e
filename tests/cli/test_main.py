"""The command starts fast, starts in every install, and says what it lacks."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from neurode import __version__
from tests.cli.running import Result, neurode

ROOT = Path(__file__).resolve().parents[2]
HEAVY = ("torch", "pandas", "matplotlib", "lightning_fabric", "lightning", "pyarrow", "jinja2")

WITHOUT_TOOLS = """
import sys
for name in {blocked!r}:
    sys.modules[name] = None
from neurode.cli.main import main
main({arguments!r})
"""


def python(code: str, **environment: str) -> subprocess.CompletedProcess:
    """Run `code` in a fresh interpreter that sees this source tree."""
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=120,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
    )


def without_tools(*arguments: str) -> subprocess.CompletedProcess:
    blocked = ["typer", "rich", "pydantic", "yaml", "pandas", "matplotlib", "lightning_fabric"]
    return python(WITHOUT_TOOLS.format(blocked=blocked, arguments=list(arguments)))


@pytest.mark.parametrize("arguments", [["--help"], ["series", "--help"], ["series", "train", "--help"]], ids=" ".join)
def test_help_loads_nothing_heavy(arguments):
    code = (
        "import sys\nfrom neurode.cli.main import main\n"
        f"try: main({arguments!r})\nexcept SystemExit as stop: assert not stop.code, stop.code\n"
        f"print('LOADED', [name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = python(code)
    assert done.stdout.endswith("LOADED []\n"), done.stdout[-300:] + done.stderr[-2000:]


def test_help_of_the_whole_command_takes_under_half_a_second():
    # Processor time and the best of five, since this machine may be busy with other tests.
    seconds = []
    for _ in range(5):
        before = os.times()
        done = python("from neurode.cli.main import main; main(['--help'])")
        after = os.times()
        seconds.append(sum(after[2:4]) - sum(before[2:4]))
        assert done.returncode == 0, done.stderr
        if min(seconds) < 0.5:
            break
    assert min(seconds) < 0.5, seconds


def test_the_base_install_names_the_missing_extra_and_the_line_that_installs_it():
    done = without_tools("series", "train", "table.csv")
    assert done.returncode == 3
    assert done.stdout == ""
    assert "pip install 'neurode[tools]'" in done.stderr
    assert "typer, rich, pydantic and yaml, which are not installed" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_base_install_without_arguments_also_names_the_extra():
    done = without_tools()
    assert done.returncode == 3
    assert "pip install 'neurode[tools]'" in done.stderr


def test_the_base_install_still_examines_itself():
    done = without_tools("doctor")
    assert done.returncode == 0, done.stderr
    assert "lacks pandas" in done.stdout
    assert "pip install 'neurode[tools]'" in done.stdout


def test_the_base_install_still_knows_its_version():
    done = without_tools("--version")
    assert (done.returncode, done.stdout) == (0, f"neurode {__version__}\n")


def test_version_is_printed_on_standard_output():
    assert neurode("--version") == Result(0, f"neurode {__version__}\n", "")


def test_an_unknown_verb_is_a_usage_error_with_the_nearest_verb():
    done = neurode("series", "trian")
    assert done.code == 2
    assert "Did you mean" in done.err
    assert "train" in done.err
    assert done.out == ""


def test_an_unknown_option_is_a_usage_error():
    done = neurode("doctor", "--colour")
    assert (done.code, done.out) == (2, "")
    assert "--colour" in done.err


def test_quiet_and_verbose_together_are_refused():
    done = neurode("series", "sample", "model", "-q", "-v")
    assert done.code == 2
    assert "contradict each other" in done.err
