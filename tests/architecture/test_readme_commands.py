"""What README, CONTRIBUTING and the documentation show is run, or at least parsed: a page that lies fails here."""

import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from tests.architecture.floors import ROOT

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(
    r"^(?P<indent> *)```(?P<language>\w+)\n(?P<code>.*?)^(?P=indent)```$", flags=re.MULTILINE | re.DOTALL
)
NOT_RUN = re.compile(r"<!-- not run: .+ -->\s*\Z")


@dataclass(frozen=True)
class Snippet:
    """One fenced block of a page."""

    page: Path
    line: int
    language: str
    code: str
    skipped: bool

    def __str__(self) -> str:
        return f"{self.page.name}:{self.line}"


def snippets(page: Path) -> list[Snippet]:
    """The fenced blocks of a page. `<!-- not run: why -->` before a block says that it is not to be run, and why."""
    text = page.read_text(encoding="utf-8")
    found = []
    for match in FENCE.finditer(text):
        code = "".join(line.removeprefix(match["indent"]) for line in match["code"].splitlines(keepends=True))
        before = text[: match.start()]
        found.append(Snippet(page, before.count("\n") + 1, match["language"], code, NOT_RUN.search(before) is not None))
    return found


def every(*languages: str) -> list[Snippet]:
    return [part for page in PAGES for part in snippets(page) if part.language in languages]


PYTHON = [part for part in every("python") if not part.skipped]
COMMANDS = [
    (part, command)
    for part in every("bash", "console", "sh")
    for command in part.code.replace("\\\n", " ").splitlines()
    if command.strip().removeprefix("$ ").startswith("neurode ")
]


@pytest.mark.parametrize("snippet", PYTHON, ids=str)
def test_a_python_example_runs(snippet, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    exec(compile(snippet.code, str(snippet), "exec"), {"__name__": "example"})


@pytest.mark.parametrize(("snippet", "command"), COMMANDS, ids=lambda value: str(value)[:60])
def test_a_command_that_is_shown_has_only_options_that_exist(snippet, command, tmp_path, monkeypatch):
    import typer.main

    from neurode.cli.app import build_app

    monkeypatch.chdir(tmp_path)
    words = shlex.split(command.strip().removeprefix("$ "), comments=True)[1:]
    words = words[: next((i for i, word in enumerate(words) if word in {">", "|", "&&", "2>"}), len(words))]
    for word in words:
        if re.fullmatch(r"[\w./-]+\.(csv|csv\.gz|tsv|parquet|yaml)", word):
            (tmp_path / word).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / word).touch()
    node = typer.main.get_command(build_app())
    parent = None
    while hasattr(node, "commands") and words and not words[0].startswith("-"):
        assert words[0] in node.commands, f"{snippet}: there is no verb {words[0]!r}, only {sorted(node.commands)}"
        parent = node.context_class(node, info_name=node.name, parent=parent)
        node = node.commands[words.pop(0)]
    if "--help" not in words and not hasattr(node, "commands"):
        node.make_context(node.name, words, parent=parent)


@pytest.mark.slow
def test_the_readmes_way_from_table_to_report_runs(tmp_path):
    way = next(part.code for part in snippets(ROOT / "README.md") if "series train" in part.code)
    assert "--horizon 24h -o storms" in way
    shorter = way.replace("-o storms\n", "-o storms --epochs 1\n")  # what is tested is the way, not the forecast
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", shorter],
        cwd=tmp_path,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    made = {entry.name for entry in tmp_path.iterdir()}
    assert {"storms", "ahead.csv", "filled.csv", "made.csv", "storms.html"} <= made, made


def test_a_relative_link_leads_somewhere():
    broken = []
    for page in PAGES:
        for target in re.findall(r"\]\((?!https?:|#|mailto:)([^)#\s]+)", page.read_text(encoding="utf-8")):
            if not (page.parent / target).exists():
                broken.append(f"{page.relative_to(ROOT)}: {target}")
    assert not broken, broken
