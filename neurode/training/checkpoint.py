"""Checkpoints: tensors and plain types only, written whole, loaded weights-only."""

import io
import pickle
from pathlib import Path
from typing import Any

import torch

from neurode import __version__
from neurode.core.errors import DataError
from neurode.training.files.atomic_file import RESUME, write_atomically

FORMAT = 1


def save_checkpoint(path: Path, content: dict[str, Any]) -> None:
    """Write `content` (tensors and plain types) atomically; raises DataError on a full disk.

    It is put together in memory first, because torch reports a full disk while it writes as a RuntimeError without a
    reason.
    """
    buffer = io.BytesIO()
    torch.save({"format": FORMAT, "neurode": __version__, **content}, buffer)
    write_atomically(path, buffer.getbuffer(), remedy=RESUME)


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint to the CPU; raises DataError when it is damaged, of a newer format, or no checkpoint."""
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, KeyError, ValueError, pickle.UnpicklingError) as error:
        raise DataError(
            "this checkpoint cannot be read; it is damaged or was made by another program. Train anew in another "
            "folder, or put back a copy of the file.",
            file=path,
        ) from error
    if not isinstance(content, dict) or "format" not in content:
        raise DataError("this file is not a checkpoint of neurode. Train anew in another folder.", file=path)
    if content["format"] > FORMAT:
        raise DataError(
            f"this checkpoint has format {content['format']} (written by neurode {content.get('neurode')}), but this "
            f"version reads up to {FORMAT}. Update with: pip install --upgrade neurode",
            file=path,
        )
    return content
