"""The run folder of a `train` verb: its config.yaml comes first, and it goes again if nothing came of the run."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import typer
from pydantic import BaseModel

from neurode.cli.options import ConfigFile, option_name
from neurode.cli.output import check_parent, write_atomically
from neurode.core.errors import DataError
from neurode.training.processes.placement import process_rank
from neurode.training.run_folder import LOCK

CONFIG = "config.yaml"
CHECKPOINTS = "checkpoints"


def check_device(device: str) -> None:
    """Refuse, before a table is read, a device that does not exist or is not here."""
    kind, _, number = device.partition(":")
    if kind not in ("auto", "cpu", "cuda", "mps") or (number and not (kind == "cuda" and number.isdecimal())):
        raise DataError(f"device {device!r} is none. Devices: auto, cpu, cuda, cuda:1, mps")
    if kind in ("cuda", "mps"):
        import torch

        found = torch.cuda.device_count() if kind == "cuda" else int(torch.backends.mps.is_available())
        if int(number or 0) >= found:
            raise DataError(f"device {device!r} is not on this machine (see: neurode doctor). Use --device auto or cpu")


def resumed_config(run: Path, config: Path | None, flags: Mapping[str, Any]) -> Path:
    """The config.yaml of a run that is to go on; a usage error where other settings were given beside it.

    A resumed run ends as if it had never been interrupted, so it keeps its settings.
    """
    if config is not None:
        raise typer.BadParameter("--resume takes the settings of the run itself; leave out --config.")
    given = [name for name, value in flags.items() if value is not None]
    if given:
        raise typer.BadParameter(
            f"a resumed run keeps the settings in its {CONFIG}. Leave out {', '.join(map(option_name, given))}."
        )
    return config_of(run)


def config_of(run: Path) -> Path:
    """The config.yaml of a run that is to go on; DataError where there is no such run."""
    if not (run / CONFIG).is_file():
        raise DataError(
            f"there is no run to go on with here: {CONFIG} is missing. Check the path, or leave out --resume", file=run
        )
    return run / CONFIG


def model_folder(folder: Path, task: str) -> Path:
    """The folder to load a model from; DataError for a run of `task` ("series", "text") that has none yet."""
    if (folder / CONFIG).exists() and not (folder / "model").exists():
        raise DataError(
            f"this run has no model yet. Let it finish, or go on with it: neurode {task} train -o {folder} --resume",
            file=folder,
        )
    return folder


def config_text(settings: Mapping[str, Any], task: str) -> str:
    """A config.yaml that runs a job again from any folder."""
    import yaml

    head = f"# Settings of this run. It runs again with: neurode {task} train --config THIS_FILE -o NEW_FOLDER\n"
    return head + yaml.safe_dump(dict(settings), sort_keys=False, allow_unicode=True)


def trained_on(model: Path, name: str = "data") -> Any:
    """What the config.yaml of the run says under `name`; None for a model folder without a run."""
    for run in (model, model.parent):
        if (run / CONFIG).is_file():
            return ConfigFile.read(run / CONFIG).values.get(name)
    return None


@contextmanager
def run_folder(folder: Path, config: str, *, resume: bool) -> Iterator[None]:
    """Put config.yaml, with the text `config`, into a new run folder, and take it away again if training ends before
    its first checkpoint.

    A folder that holds anything already is left alone: training itself says why it cannot be used.
    """
    if process_rank() > 0 or resume or not _is_free(folder):
        yield
        return
    is_new = not folder.exists()
    if is_new:
        check_parent(folder)
        folder.mkdir()
    write_atomically(folder / CONFIG, lambda stream: stream.write(config.encode()))
    try:
        yield
    except BaseException:
        if not _holds_work(folder) and not (folder / LOCK).exists():
            _clear(folder)
            if is_new and not any(folder.iterdir()):
                folder.rmdir()
        raise


def has_checkpoint(folder: Path) -> bool:
    """Whether there is anything to resume."""
    return (folder / CHECKPOINTS / "last.ckpt").exists()


def interruption(folder: Path, task: str) -> str:
    """What Ctrl-C leaves, in a sentence."""
    if not has_checkpoint(folder):
        return "Interrupted before the first checkpoint; nothing was kept."
    last = folder / CHECKPOINTS / "last.ckpt"
    return f"Interrupted; {last} is written. Go on with: neurode {task} train -o {folder} --resume"


def _is_free(folder: Path) -> bool:
    return not folder.exists() or (folder.is_dir() and not any(folder.iterdir()))


def _holds_work(folder: Path) -> bool:
    """Whether any checkpoint was written: then the run can go on, and stays."""
    return (folder / CHECKPOINTS).is_dir() and any((folder / CHECKPOINTS).iterdir())


def _clear(folder: Path) -> None:
    """Remove what a run writes before its first checkpoint, and nothing else."""
    for name in (CONFIG, "train.log", "metrics.csv"):
        (folder / name).unlink(missing_ok=True)
    checkpoints = folder / CHECKPOINTS
    if checkpoints.is_dir() and not any(checkpoints.iterdir()):
        checkpoints.rmdir()


def said(model: BaseModel) -> dict[str, Any]:
    """The settings, as plain types; what is left open stays open, and defaults are written so that they stay."""
    return {name: value for name, value in model.model_dump(mode="json").items() if value not in (None, {}, [])}
