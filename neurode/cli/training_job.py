"""One training job of `neurode series train`: what it was asked, the run folder it owns, and how it ends."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

from neurode.cli.options import ConfigFile, given_settings, resolve
from neurode.cli.run_folders import CHECKPOINTS as CHECKPOINTS
from neurode.cli.run_folders import CONFIG as CONFIG
from neurode.cli.run_folders import check_device, config_text, interruption, run_folder, said
from neurode.cli.scores import say_scores
from neurode.cli.streams import Streams
from neurode.cli.table_options import TableOptions
from neurode.tasks.series.config import SeriesConfig
from neurode.training.processes.placement import process_rank

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
        plain = {_DATA: str(self.data.resolve()), **said(self.table), **said(self.settings)}
        return config_text(plain, "series")


def train(job: TrainingJob, output: Path, streams: Streams, *, resume: bool) -> None:
    """Train, score on the test series, and say what came of it. Under torchrun only rank 0 speaks."""
    from neurode.data.tables import read_table
    from neurode.tasks.series.series_model import SeriesModel

    streams = streams if process_rank() == 0 else Streams(-1)
    streams.say(f"Reading {job.data}.")
    table = read_table(job.data, **job.table.reading())
    model = SeriesModel(**job.settings.model_dump())
    try:
        with run_folder(output, job.to_yaml(), resume=resume):
            progress = False if streams.is_quiet else None
            model.fit(table, run_folder=output, resume=resume, progress=progress, say=streams.say)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(interruption(output, "series")) from None
    if process_rank() > 0:
        return
    evaluation = model.evaluate()
    model.save(output / "model")  # again: the card now holds the scores
    streams.say(model.notes[-1])
    say_scores(streams, evaluation)
    streams.say(f"Written: {output / 'model'}")
    streams.say(f"Next: neurode series report {output}")
