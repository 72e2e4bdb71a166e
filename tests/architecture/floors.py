"""The house as the tests see it: which room stands on which floor, and what a module of the package imports."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "neurode"

FLOORS = {
    "core": 0,
    "methods": 1,
    "data": 1,
    "integration": 2,
    "gradients": 3,
    "fused": 3,
    "solving": 4,
    "torchdiffeq": 5,
    "layers": 5,
    "models": 6,
    "training": 6,
    "tasks": 7,
    "report": 8,
    "web": 8,
    "cli": 9,
}
"""Room (folder or single file) -> floor. A room may import itself and lower floors, never a neighbour on its floor."""


@dataclass(frozen=True)
class Import:
    """One module named by an import statement, and where it stands."""

    target: str
    path: Path
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.path.relative_to(ROOT)}:{self.line}: {self.text}"


def package_files() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def room_of(path: Path) -> str:
    """The room a file of the package belongs to; "" for neurode/__init__.py and neurode/__main__.py."""
    parts = path.relative_to(PACKAGE).parts
    if len(parts) > 1:
        return parts[0]
    return "" if path.stem.startswith("__") else path.stem


def imports_of(path: Path, source: str | None = None) -> Iterator[Import]:
    """Every import of a file, wherever it stands: at the top, inside a function, under TYPE_CHECKING, or by name.

    `from neurode import x` yields "neurode.x", since x may be a room; `import_module("neurode.x")` yields its string.
    """
    source = path.read_text(encoding="utf-8") if source is None else source
    lines = source.splitlines()
    for node in ast.walk(ast.parse(source, str(path))):
        targets: list[str] = []
        if isinstance(node, ast.Import):
            targets = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            targets = [f"neurode.{alias.name}" for alias in node.names] if module == "neurode" else [module]
        elif isinstance(node, ast.Call) and _name(node.func) in {"import_module", "require", "__import__"}:
            first = node.args[0] if node.args else None
            targets = [first.value] if isinstance(first, ast.Constant) and isinstance(first.value, str) else []
        else:
            continue
        for target in targets:
            yield Import(target, path, node.lineno, lines[node.lineno - 1].strip())


def _name(function: ast.expr) -> str:
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


def complaint(found: Import, room: str) -> str | None:
    """Why this import, standing in `room`, breaks the rule; None where it keeps it."""
    parts = found.target.split(".")
    if parts[0] != "neurode":
        return None
    if len(parts) == 1:
        return "inside the package, import from the room that holds a name, not from `neurode`"
    other = parts[1]
    if other == "__version__" or other == room:
        return None
    if other not in FLOORS:
        return f"`{other}` is no room: inside the package, import a name from the room that holds it"
    if FLOORS[other] > FLOORS[room]:
        return f"imports point down: {room} is on floor {FLOORS[room]}, {other} above it on floor {FLOORS[other]}"
    if FLOORS[other] == FLOORS[room]:
        return f"neighbours do not import each other: {room} and {other} are both on floor {FLOORS[room]}"
    return None
