"""A trained model as a folder that reopens alone: plain JSON, safetensors and a card. No pickle, ever.

config.json         model_type, format_version, library version, the model's and the task's settings
model.safetensors   weights and buffers
preprocessing.json  what stands between the user's data and the network, and which data trained the model
training.json       learning curves and cost
judge/              of sentence models: the judges, a folder of their own
README.md           the card: what it is, what it was trained on (with a hash), how good it is
"""

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from neurode.core.errors import DataError

KINDS = ("series", "text")
FORMAT_VERSION = 1
_JSON = ("config", "preprocessing", "training")
_FILES = ("config.json", "model.safetensors", "preprocessing.json", "training.json", "README.md")
JUDGE = "judge"


@dataclass(frozen=True)
class ModelFolder:
    """What the folder holds, read or to be written. `weights` are CPU tensors, the rest plain types.

    kind: the task the model is for, "series" or "text". write_judge: writes the judges into a folder, None without;
    judge: the folder they were read from, None where there is none.
    """

    kind: str
    config: Mapping[str, Any]
    preprocessing: Mapping[str, Any]
    training: Mapping[str, Any]
    weights: Mapping[str, torch.Tensor]
    card: str
    write_judge: Callable[[Path], object] | None = None
    judge: Path | None = None

    def write(self, folder: str | Path) -> Path:
        """Write atomically: into a folder beside it, renamed when whole. Replaces an older model folder there.

        Raises DataError where `folder` is a file, holds something that is not a model folder of ours, or cannot be
        written (full disk, no permission); nothing half-written is left behind.
        """
        from safetensors.torch import save

        folder = Path(folder)
        _check_free(folder)
        work: Path | None = None
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            work = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
            work.chmod(0o755)
            head = {"model_type": _model_type(self.kind), "format_version": FORMAT_VERSION}
            for name in _JSON:
                values = {**head, **self.config} if name == "config" else getattr(self, name)
                (work / f"{name}.json").write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")
            # Bytes of our own writing: save_file would make a file that only its owner can read.
            (work / "model.safetensors").write_bytes(
                save({name: tensor.contiguous() for name, tensor in self.weights.items()})
            )
            (work / "README.md").write_text(self.card, encoding="utf-8")
            if self.write_judge is not None:
                self.write_judge(work / JUDGE)
            _put_in_place(work, folder)
        except OSError as error:
            raise DataError(
                f"the model cannot be written here: {error.strerror or error}. Free some space, or choose another",
                file=folder,
            ) from error
        finally:
            if work is not None:
                shutil.rmtree(work, ignore_errors=True)
        return folder

    @classmethod
    def read(cls, folder: str | Path, kind: str) -> "ModelFolder":
        """Read and check a folder. Raises DataError where it is missing, damaged, not of this kind, or written by a
        newer neurode.
        """
        folder = Path(folder)
        if not folder.is_dir():
            raise DataError("there is no model folder here. Give the folder that training or 'save' wrote", file=folder)
        inner = folder / "model"
        if not (folder / "config.json").exists() and (inner / "config.json").exists():
            folder = inner  # a run folder was given
        config = _read_json(folder / "config.json")
        _check_kind(config, kind, folder)
        return cls(
            kind=kind,
            config=config,
            preprocessing=_read_json(folder / "preprocessing.json"),
            training=_read_json(folder / "training.json"),
            weights=_read_weights(folder / "model.safetensors"),
            card=_read_text(folder / "README.md"),
            judge=folder / JUDGE if (folder / JUDGE).is_dir() else None,
        )


def damaged(folder: str | Path, why: str) -> DataError:
    """The error for a folder whose parts do not fit together."""
    return DataError(f"this model folder is damaged ({why}). Copy it again, or train the model again", file=folder)


def _model_type(kind: str) -> str:
    return f"neurode-{kind}"


def _check_kind(config: Mapping[str, Any], kind: str, folder: Path) -> None:
    found, needed = config.get("model_type"), _model_type(kind)
    if found != needed:
        other = str(found).removeprefix("neurode-")
        raise DataError(
            f"this is not a {kind} model: its model_type is {found!r}, and {needed!r} is needed"
            + (f". Use it with: neurode {other}" if other in KINDS else ""),
            file=folder / "config.json",
        )
    version = config.get("format_version")
    if not isinstance(version, int) or version < 1:
        raise damaged(folder, f"format_version is {version!r}")
    if version > FORMAT_VERSION:
        raise DataError(
            f"this model was written by a newer neurode ({config.get('library_version', 'unknown version')}, format "
            f"{version}); this one reads format {FORMAT_VERSION}. Run: pip install --upgrade neurode",
            file=folder,
        )


def _check_free(folder: Path) -> None:
    if not folder.exists():
        return
    if not folder.is_dir():
        raise DataError("this is a file, and a model is a folder. Choose another name", file=folder)
    foreign = sorted({item.name for item in folder.iterdir()} - {*_FILES, JUDGE})
    if foreign:
        raise DataError(
            f"this folder is in use: it holds {', '.join(foreign[:3])}, which is no part of a model. "
            "Choose another folder",
            file=folder,
        )


def _put_in_place(work: Path, folder: Path) -> None:
    """Rename `work` to `folder`; an older folder steps aside first and is restored should the rename fail."""
    if not folder.exists():
        os.replace(work, folder)
        return
    aside = Path(tempfile.mkdtemp(prefix=f".{folder.name}.old.", dir=folder.parent))
    os.replace(folder, aside / "old")
    try:
        os.replace(work, folder)
    except OSError:
        os.replace(aside / "old", folder)
        raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise damaged(path.parent, f"{path.name} is missing") from None
    except (OSError, UnicodeDecodeError) as error:
        raise damaged(path.parent, f"{path.name} cannot be read: {error}") from None


def _read_json(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(_read_text(path))
    except json.JSONDecodeError as error:
        raise damaged(path.parent, f"{path.name} is not JSON: line {error.lineno}") from None
    if not isinstance(values, dict):
        raise damaged(path.parent, f"{path.name} holds no settings")
    return values


def _read_weights(path: Path) -> dict[str, torch.Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if not path.exists():
        raise damaged(path.parent, f"{path.name} is missing")
    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise damaged(path.parent, f"{path.name} cannot be read: {error}") from None
