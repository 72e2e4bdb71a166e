"""Real data that lies beside the repository on a developer's machine, and is absent on most others."""

from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "shared" / "data"


def shared_data(name: str) -> Path:
    """The path of the development file `name`; skips the test, with the reason, where it is not there."""
    path = FOLDER / name
    if not path.is_file():
        pytest.skip(f"needs the development data file {name}, which is not beside this repository")
    return path
