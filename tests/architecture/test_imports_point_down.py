"""A room imports itself and the floors below it, and nothing else of the package."""

import sys

import pytest

from tests.architecture.floors import FLOORS, PACKAGE, complaint, imports_of, package_files, room_of

BASE_ROOMS = {"core", "methods", "integration", "gradients", "fused", "solving", "torchdiffeq", "layers", "models"}
"""The library door: torch and numpy are all it may ask for. Batches belong to it, since models read them."""
BASE_FILES = {
    PACKAGE / "data" / "batch.py",
    PACKAGE / "data" / "text" / "tokens.py",
    PACKAGE / "data" / "text" / "sentence_batch.py",
}

WHERE_ASKED_FOR = {
    **{PACKAGE / room / "outside.py": {"scipy"} for room in ("integration", "torchdiffeq")},
    **{path: {"triton"} for path in (PACKAGE / "fused" / "triton").glob("*.py")},
}
"""What a user of the library door has to ask for by name: SciPy's methods and the kernels for a GPU; they import it, or
name the extra."""


def test_every_room_stands_on_a_floor():
    rooms = {room_of(path) for path in package_files()} - {""}
    assert rooms <= set(FLOORS), f"give these rooms a floor in tests/architecture/floors.py: {rooms - set(FLOORS)}"


def test_imports_point_down():
    broken = [
        f"{found}\n    {why}"
        for path in package_files()
        if room_of(path)
        for found in imports_of(path)
        if (why := complaint(found, room_of(path)))
    ]
    assert not broken, "\n" + "\n".join(broken)


def test_importing_the_package_imports_only_the_standard_library():
    top = PACKAGE / "__init__.py"
    foreign = [str(found) for found in imports_of(top) if found.target.split(".")[0] not in sys.stdlib_module_names]
    assert not foreign, "neurode/__init__.py is lazy, so that `neurode --help` starts without torch:\n" + "\n".join(
        foreign
    )


def test_the_library_door_asks_for_torch_and_numpy_only():
    allowed = {"torch", "numpy", "neurode", *sys.stdlib_module_names}
    foreign = [
        str(found)
        for path in package_files()
        if room_of(path) in BASE_ROOMS or path in BASE_FILES
        for found in imports_of(path)
        if found.target.split(".")[0] not in allowed | WHERE_ASKED_FOR.get(path, set())
    ]
    assert not foreign, "these modules are part of the base install (torch and numpy only):\n" + "\n".join(foreign)


@pytest.mark.parametrize(
    ("source", "room", "rule"),
    [
        ("from neurode.integration.loop import run", "methods", "imports point down: methods is on floor 1"),
        ("from neurode.data.batch import Batch", "methods", "neighbours do not import each other"),
        ("def late():\n    import neurode.cli.main", "tasks", "cli above it on floor 9"),
        ("if TYPE_CHECKING:\n    from neurode.report import page", "tasks", "report above it on floor 8"),
        ("import_module('neurode.cli.main')", "core", "cli above it on floor 9"),
        ("from neurode import report", "tasks", "report above it on floor 8"),
        ("from neurode import solve", "models", "import a name from the room that holds it"),
        ("import neurode", "models", "import from the room that holds a name"),
    ],
)
def test_an_import_that_breaks_the_rule_is_found_and_the_rule_named(source, room, rule):
    complaints = [complaint(found, room) for found in imports_of(PACKAGE / room / "x.py", source)]
    assert [why for why in complaints if why and rule in why], complaints


@pytest.mark.parametrize(
    ("source", "room"),
    [
        ("from neurode.core.errors import DataError", "tasks"),
        ("from neurode.methods.tableau import Tableau", "methods"),
        ("from neurode import __version__", "tasks"),
        ("import torch", "core"),
    ],
)
def test_an_import_that_keeps_the_rule_passes(source, room):
    assert [complaint(found, room) for found in imports_of(PACKAGE / room / "x.py", source)] == [None]
