"""One training job of `neurode series train`: what it was asked, the run folder it owns, and how it ends."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer
from pydantic import BaseModel

from neurode.cli.options import ConfigFile, given_settings, option_name, resolve
from neurode.cli.output import check_parent, write_atomically
from neurode.cli.scores import say_scores
from neurode.cli.streams import Streams
from neurode.cli.table_options import TableOptions
from neurode.core.errors import DataError
from neurode.tasks.series.config import SeriesConfig
from neurode.training.processes.placement import process_rank
from neurode.training.run_folder import LOCK

CONFIG = "config.yaml"
CHECKPOINTS = "checkpoints"
_DATA = "data"


@dataclass(frozen=True)
class TrainingJob:
    """Everything a run needs, and all that its config.yaml holds: the table, how to read it, and the settings."""

    data: Path
    table: TableOptions
    settings: SeriesConfig

    @classmethod
    def from_request(cls, data: Path | None, config: ConfigFile, flags: Mapping[str, Any]) -> "TrainingJob":
        """defaults < config file < flags. Raises DataError for the file, BadParameter for a flag."""
        config.refuse_unknown([_DATA, *TableOptions.model_fields, *SeriesConfig.model_fields])
        table = resolve(TableOptions, config.only(TableOptions.model_fields), given_settings(TableOptions, flags))
        settings = resolve(SeriesConfig, config.only(SeriesConfig.model_fields), given_settings(SeriesConfig, flags))
        named = config.values.get(_DATA)
        if data is None and named is None:
            raise typer.BadParameter("name the table, here or as 'data:' in the config file.", param_hint="'DATA'")
        if named is not None and not isinstance(named, str):
            raise config.error(_DATA, f"data must be the path of a table. Got {named!r}")
        check_device(settings.device)
        return cls(data if data is not None else Path(str(named)).expanduser(), table, settings)

    def to_yaml(self) -> str:
        """The config file that runs this job again from any folder: the data's full path, and every setting."""
        import yaml

        plain = {_DATA: str(self.data.resolve()), **_said(self.table), **_said(self.settings)}
        head = "# Settings of this run. It runs again with: neurode series train --config THIS_FILE -o NEW_FOLDER\n"
        return head + yaml.safe_dump(plain, sort_keys=False, allow_unicode=True)


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


def refuse_settings(flags: Mapping[str, Any]) -> None:
    """A resumed run ends as if it had never been interrupted, so it keeps its settings: refuse any flag."""
    given = [name for name, value in flags.items() if value is not None]
    if given:
        raise typer.BadParameter(
            f"a resumed run keeps the settings in its {CONFIG}. Leave out {', '.join(map(option_name, given))}."
        )


def config_of(run: Path) -> Path:
    """The config.yaml of a run that is to go on; DataError where there is no such run."""
    if not (run / CONFIG).is_file():
        raise DataError(
            f"there is no run to go on with here: {CONFIG} is missing. Check the path, or leave out --resume", file=run
        )
    return run / CONFIG


def train(job: TrainingJob, output: Path, streams: Streams, *, resume: bool) -> None:
    """Train, score on the test series, and say what came of it. Under torchrun only rank 0 speaks."""
    from neurode.data.tables import read_table
    from neurode.tasks.series.series_model import SeriesModel

    streams = streams if process_rank() == 0 else Streams(-1)
    streams.say(f"Reading {job.data}.")
    table = read_table(job.data, **job.table.reading())
    model = SeriesModel(**job.settings.model_dump())
    try:
        with run_folder(output, job, resume=resume):
            progress = False if streams.is_quiet else None
            model.fit(table, run_folder=output, resume=resume, progress=progress, say=streams.say)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(interruption(output)) from None
    if process_rank() > 0:
        return
    evaluation = model.evaluate()
    model.save(output / "model")  # again: the card now holds the scores
    streams.say(model.notes[-1])
    say_scores(streams, evaluation)
    streams.say(f"Written: {output / 'model'}")
    streams.say(f"Next: neurode series report {output}")


def unfinished(run: Path) -> DataError:
    """The error for a run folder without a model."""
    return DataError(
        f"this run has no model yet. Let it finish, or go on with it: neurode series train -o {run} --resume", file=run
    )


@contextmanager
def run_folder(folder: Path, job: TrainingJob, *, resume: bool) -> Iterator[None]:
    """Put config.yaml into a new run folder, and take it away again if training ends before its first checkpoint.

    A folder that holds anything already is left alone: training itself says why it cannot be used.
    """
    if process_rank() > 0 or resume or not _is_free(folder):
        yield
        return
    is_new = not folder.exists()
    if is_new:
        check_parent(folder)
        folder.mkdir()
    text = job.to_yaml().encode()
    write_atomically(folder / CONFIG, lambda stream: stream.write(text))
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


def interruption(folder: Path) -> str:
    """What Ctrl-C leaves, in a sentence."""
    if not has_checkpoint(folder):
        return "Interrupted before the first checkpoint; nothing was kept."
    last = folder / CHECKPOINTS / "last.ckpt"
    return f"Interrupted; {last} is written. Go on with: neurode series train -o {folder} --resume"


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


def _said(model: BaseModel) -> dict[str, Any]:
    """The settings, as plain types; what is left open stays open, and defaults are written so that they stay."""
    return {name: value for name, value in model.model_dump(mode="json").items() if value not in (None, {}, [])}
