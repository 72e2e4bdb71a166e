"""The package is built with its native library where there is a compiler, and without it where there is none."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.architecture.floors import ROOT

pytest.importorskip("scikit_build_core")


@pytest.fixture
def sources(tmp_path):
    """What a build needs, without anything that was built before."""
    folder = tmp_path / "sources"
    ignore = shutil.ignore_patterns("__pycache__", "*.so", "*.dylib", "CMakeFiles", ".cmake", "CMakeCache.txt")
    for name in ("neurode", "build_native"):
        shutil.copytree(ROOT / name, folder / name, ignore=ignore)
    for name in ("pyproject.toml", "README.md", "LICENSE", ".gitignore"):
        shutil.copy(ROOT / name, folder / name)
    return folder


def pip(*arguments, cwd, **environment):
    done = subprocess.run(
        [sys.executable, "-m", "pip", *arguments, "-q", "--no-deps", "--no-build-isolation", "--no-cache-dir"],
        cwd=cwd, env=os.environ | environment, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]


def built_wheel(sources: Path, **environment) -> Path:
    pip("wheel", ".", "-w", "wheels", cwd=sources, **environment)
    (wheel,) = (sources / "wheels").glob("neurode-*.whl")
    return wheel


@pytest.mark.slow
def test_without_a_compiler_the_wheel_is_built_without_the_library_and_solves(sources, tmp_path):
    wheel = built_wheel(sources, CXX="/bin/false", CC="/bin/false")
    assert wheel.name.endswith("-py3-none-any.whl")
    zipfile.ZipFile(wheel).extractall(tmp_path / "installed")
    script = (
        "import neurode, torch; from neurode.fused.library import status; assert not status().available; "
        "s = neurode.solve(lambda t, y: torch.tanh(y @ torch.eye(2)), torch.ones(3, 2), [0.0, 1.0]); "
        "print(neurode.__file__, s.stats.engine, status().reason)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(tmp_path / "installed")},
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert str(tmp_path / "installed") in done.stdout
    assert " eager the native library " in done.stdout


@pytest.mark.slow
@pytest.mark.skipif(
    shutil.which("cmake") is None or shutil.which("c++") is None, reason="needs cmake and a C++ compiler"
)
def test_with_a_compiler_the_wheel_is_for_the_platform_and_for_every_python(sources):
    wheel = built_wheel(sources)
    assert "-py3-none-" in wheel.name
    assert "any" not in wheel.name
    names = zipfile.ZipFile(wheel).namelist()
    assert [name for name in names if "_native" in name and not name.endswith(".py")] != []
    for name in ("neurode/data/samples/storms.csv.gz", "neurode/report/templates/report.html.j2", "neurode/py.typed"):
        assert name in names
    assert not [name for name in names if name.startswith("neurode/native/")]


def test_an_editable_wheel_keeps_its_path_file_and_loses_its_import_hook(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "build_native")
    from neurode_build import make_plain

    wheel = tmp_path / "neurode-1-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("_editable_skbc_neurode.py", "hook = 1\n")
        archive.writestr("_editable_skbc_neurode.pth", "import _editable_skbc_neurode\n/some/where\n")
        archive.writestr("neurode-1.dist-info/METADATA", "Name: neurode\n")
        archive.writestr("neurode-1.dist-info/RECORD", "")
    make_plain(wheel)
    with zipfile.ZipFile(wheel) as archive:
        assert archive.namelist() == [
            "_editable_skbc_neurode.pth", "neurode-1.dist-info/METADATA", "neurode-1.dist-info/RECORD",
        ]  # fmt: skip
        assert archive.read("_editable_skbc_neurode.pth") == b"/some/where\n"
        record = archive.read("neurode-1.dist-info/RECORD").decode()
    assert "_editable_skbc_neurode.py," not in record
    assert record.splitlines()[-1] == "neurode-1.dist-info/RECORD,,"
