"""Files have a noun for a name and a readable size; functions too; nothing names a developer's machine."""

import ast
import re

import pytest

from tests.architecture.floors import PACKAGE, ROOT, package_files

MAX_LINES = 400
MAX_FUNCTION_LINES = 60
LONG_FUNCTIONS: dict[str, int] = {}
"""Functions that may be longer, each with its own limit: "integration/loop.py:run" -> lines."""
NO_NOUNS = {"util", "utils", "misc", "common", "helper", "helpers"}
DEVELOPERS_FOLDERS = re.compile(
    r"""shared["']?\s*[/\\,]\s*["']?data|\.\./shared|/home/\w|/root/|""" + re.escape(str(ROOT) + "/")
)


def relative(path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def test_no_room_lacks_a_noun():
    paths = [path for folder in ("neurode", "tests", "benchmarks") for path in (ROOT / folder).rglob("*")]
    nameless = [str(path.relative_to(ROOT)) for path in paths if path.stem.lower() in NO_NOUNS]
    assert not nameless, f"a helper lives with the noun it serves, or gets a noun of its own: {nameless}"


def test_no_file_is_longer_than_it_can_be_read():
    long = {relative(path): lines for path in package_files() if (lines := line_count(path)) > MAX_LINES}
    assert not long, f"split these by noun (limit {MAX_LINES} lines; tables of numbers are exempt): {long}"


def line_count(path) -> int:
    """Lines of a file; 0 for a table of numbers, which may be as long as its source."""
    return 0 if path.parent.name == "tableaus" else len(path.read_text(encoding="utf-8").splitlines())


def test_no_function_is_longer_than_it_can_be_read():
    long = []
    for path in package_files():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                name = f"{relative(path)}:{node.name}"
                if code_lines(node) > LONG_FUNCTIONS.get(name, MAX_FUNCTION_LINES):
                    long.append(f"{name} ({code_lines(node)} lines)")
    assert not long, f"three headings inside a function are three functions (limit {MAX_FUNCTION_LINES}): {long}"


def code_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of the body, without the docstring; a long list of arguments is not a long function."""
    first = node.body[0]
    start = first.lineno
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
        start = (first.end_lineno or first.lineno) + 1
    return (node.end_lineno or node.lineno) - start + 1


def test_nothing_that_ships_names_a_folder_of_a_developers_machine():
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()[:120]}"
        for path in sorted(PACKAGE.rglob("*"))
        if path.suffix in {".py", ".html", ".css", ".js", ".jinja", ".j2", ".md", ".txt", ".yaml", ".toml"}
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if DEVELOPERS_FOLDERS.search(line)
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    "line", ['ROOT / "shared" / "data"', "../shared/data/storms.csv.gz", "/home/jo/x", f"{ROOT}/neurode/x.py"]
)
def test_a_developers_folder_is_recognised(line):
    assert DEVELOPERS_FOLDERS.search(line)


@pytest.mark.parametrize("line", ["the noise is shared between draws", "a network / data", "homework/1"])
def test_plain_words_are_not_taken_for_a_developers_folder(line):
    assert not DEVELOPERS_FOLDERS.search(line)
