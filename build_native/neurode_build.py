"""How pip builds neurode: by scikit-build-core, whose editable installs are made plain.

Those come with an import hook that finds `neurode` before anything on the path does, so that PYTHONPATH could no longer
choose another checkout. A path file does the same job here.
"""

import base64
import csv
import hashlib
import io
import zipfile
from pathlib import Path

from scikit_build_core import build as backend


def __getattr__(name: str):
    """All other hooks are scikit-build-core's own."""
    return getattr(backend, name)


def build_editable(wheel_directory: str, config_settings=None, metadata_directory=None) -> str:
    """The wheel of an editable install."""
    name = backend.build_editable(wheel_directory, config_settings, metadata_directory)
    make_plain(Path(wheel_directory) / name)
    return name


def make_plain(wheel: Path) -> None:
    """Leave the import hook out of an editable wheel; its path file then holds paths only."""
    with zipfile.ZipFile(wheel) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    hooks = [name for name in files if "/" not in name and name.endswith((".py", ".start"))]
    for name in hooks:
        del files[name]
    record = next(name for name in files if name.endswith(".dist-info/RECORD"))
    for name in files:
        if name.endswith(".pth"):
            lines = files[name].decode().splitlines(keepends=True)
            files[name] = "".join(line for line in lines if not line.startswith("import ")).encode()
    files[record] = _record({name: data for name, data in files.items() if name != record}, record)
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)


def _record(files: dict[str, bytes], own: str) -> bytes:
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    for name, data in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        writer.writerow([name, f"sha256={digest}", len(data)])
    writer.writerow([own, "", ""])
    return table.getvalue().encode()
