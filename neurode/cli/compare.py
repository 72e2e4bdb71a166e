"""`neurode compare`: residual networks against neural ODEs on a user's data. Thin; the work is `compare()`'s."""

import sys
from collections.abc import Mapping
from dataclasses import replace
from inspect import Parameter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from pydantic import Field, JsonValue

from neurode.cli.options import ConfigFile, given_settings, resolve, settings_options
from neurode.cli.output import write_atomically
from neurode.cli.run_folders import config_of, has_checkpoint, run_folder, said
from neurode.cli.streams import Streams
from neurode.core.errors import DataError
from neurode.tasks.comparison.config import ComparisonConfig
from neurode.tasks.comparison.presets import PRESETS
from neurode.tasks.settings import AbstractSettings

if TYPE_CHECKING:
    from neurode.data.labelled import LabelledData
    from neurode.tasks.comparison.results import Comparison

_READING: dict[str, JsonValue] = {"panel": "Reading the data"}
_DATA = "data"


class LabelledOptions(AbstractSettings):
    """How labelled data are read."""

    target: str | None = Field(None, description="Column to tell", json_schema_extra=_READING)
    split: str | None = Field(
        None, description="Column of the words train and test, the data's own test part", json_schema_extra=_READING
    )
    image: str | None = Field(
        None, description="The columns are pixels of an image, HEIGHTxWIDTH, row by row", json_schema_extra=_READING
    )
    labels: str | None = Field(None, description="IDX file of labels", json_schema_extra=_READING)
    kind: Literal["auto", "classes", "number"] = Field(
        "auto", description="What the target is", json_schema_extra=_READING
    )
    points: int | None = Field(None, ge=4, description="Points of moons, spirals or rings", json_schema_extra=_READING)
    noise: float | None = Field(None, ge=0, description="Noise of moons, spirals or rings", json_schema_extra=_READING)

    def read(self, data: str) -> "LabelledData":
        """The samples. Raises DataError where they cannot be used."""
        from neurode.data.labelled_reading import read_labelled

        return read_labelled(
            data,
            target=self.target,
            split=self.split,
            image=self._size(),
            labels=self.labels,
            kind=self.kind,
            num=self.points,
            noise=self.noise,
        )

    def _size(self) -> tuple[int, ...] | None:
        if self.image is None:
            return None
        parts = self.image.lower().split("x")
        if len(parts) != 2 or not all(part.strip().isdecimal() and int(part) for part in parts):
            raise DataError(f"image must be HEIGHTxWIDTH, such as 8x8. Got {self.image!r}")
        return tuple(int(part) for part in parts)


def options() -> list[Parameter]:
    """The settings as options of the verb."""
    return [*settings_options(LabelledOptions, "Reading the data"), *settings_options(ComparisonConfig, "Settings")]


def compare(
    streams: Streams,
    data: Annotated[
        str | None,
        typer.Argument(
            metavar="[DATA]",
            help="A table with a target column, a folder of images by class, a .npz, an IDX file, or optdigits, moons, "
            "spirals, rings. May stand in --config.",
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Run folder to write: settings, log, figures, report.html.")
    ] = None,
    preset: Annotated[
        Literal["auto", "textbook", "turned", "quick"] | None,
        typer.Option(
            "--preset",
            help="Settings to begin with: textbook (six blocks, adjoint), turned (few steps), quick (tests).",
        ),
    ] = None,
    config: Annotated[Path | None, typer.Option("--config", help="YAML file of settings; flags win over it.")] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the interrupted run in the output folder, settings and all.")
    ] = False,
    json_: Annotated[bool, typer.Option("--json", help="Print everything that was found as JSON.")] = False,
    **flags: Any,
) -> None:
    """Train residual networks and neural ODEs of one block on the same data: time, memory, accuracy, at which depth.

    Without a run folder nothing is written. Standard output holds the figures as CSV, where it is not a terminal.
    """
    from neurode.tasks.comparison.comparing import compare as run

    if resume:
        config = _resumed(output, config, data, {**flags, "preset": preset})
    source, reading, settings = _resolved(data, ConfigFile.read(config), flags, preset)
    streams.say(f"Reading {source}.")
    samples = reading.read(source)
    for note in samples.notes:
        streams.say(note)
    progress = False if streams.is_quiet else None
    if output is None:
        found = run(samples, settings, progress=progress)
    else:
        text = _config_text(source, reading, settings)
        try:
            with run_folder(output, text, resume=resume):
                found = run(samples, settings, run_folder=output, resume=resume, progress=progress)
        except KeyboardInterrupt:
            raise KeyboardInterrupt(_interruption(output)) from None
    _show(streams, found, json_=json_)
    if output is not None:
        _write(streams, found, output)


def _resolved(
    data: str | None, config: ConfigFile, flags: Mapping[str, Any], preset: str | None
) -> tuple[str, LabelledOptions, ComparisonConfig]:
    """defaults < preset < config file < flags."""
    config.refuse_unknown([_DATA, *LabelledOptions.model_fields, *ComparisonConfig.model_fields])
    reading = resolve(
        LabelledOptions, config.only(LabelledOptions.model_fields), given_settings(LabelledOptions, flags)
    )
    known = config.only(ComparisonConfig.model_fields)
    begun = PRESETS[preset or "auto"]().settings
    given = given_settings(ComparisonConfig, flags)
    settings = resolve(ComparisonConfig, replace(known, values={**begun, **known.values}), given)
    source = data if data is not None else config.values.get(_DATA)
    if source is None:
        raise typer.BadParameter("name the data, here or as 'data:' in the config file.", param_hint="'DATA'")
    if not isinstance(source, str):
        raise config.error(_DATA, f"data must be the path of a file or folder, or a name. Got {source!r}")
    return source, reading, settings


def _resumed(output: Path | None, config: Path | None, data: str | None, flags: Mapping[str, Any]) -> Path:
    if output is None:
        raise typer.BadParameter("--resume needs the run folder: -o RUN.")
    if config is not None or data is not None or any(value is not None for value in flags.values()):
        raise typer.BadParameter("a resumed run keeps its data and settings. Leave out everything but -o.")
    return config_of(output)


def _config_text(source: str, reading: LabelledOptions, settings: ComparisonConfig) -> str:
    import yaml

    path = Path(source).expanduser()
    plain = {_DATA: str(path.resolve()) if path.exists() else source, **said(reading), **said(settings)}
    head = "# Settings of this run. It runs again with: neurode compare --config THIS_FILE -o NEW_FOLDER\n"
    return head + yaml.safe_dump(plain, sort_keys=False, allow_unicode=True)


def _interruption(output: Path) -> str:
    if not has_checkpoint(output):
        return "Interrupted before the first checkpoint; nothing was kept."
    return f"Interrupted; what was trained is kept. Go on with: neurode compare -o {output} --resume"


def _show(streams: Streams, found: "Comparison", *, json_: bool) -> None:
    from neurode.tasks.comparison.tables import COLUMNS, figures_frame, figures_rows
    from neurode.tasks.comparison.verdicts import verdicts

    streams.say("")
    title = f"{found.data}: {found.about}; {found.num_train:,} to train, {found.num_test:,} held out"
    streams.table(title, COLUMNS, figures_rows(found))
    streams.say("")
    for sentence in verdicts(found):
        streams.say(sentence)
    if json_:
        sys.stdout.write(found.to_json() + "\n")
    elif streams.is_quiet or not sys.stdout.isatty():
        figures_frame(found).to_csv(sys.stdout, index=False, lineterminator="\n")
    sys.stdout.flush()


def _write(streams: Streams, found: "Comparison", output: Path) -> None:
    from neurode.report.comparison.comparison_report import write_comparison_report
    from neurode.tasks.comparison.tables import figures_frame

    text = figures_frame(found).to_csv(index=False, lineterminator="\n")
    write_atomically(output / "models.csv", lambda stream: stream.write(text.encode()))
    write_comparison_report(found, output / "report.html")
    streams.say("")
    streams.say(f"Written: {output / 'comparison.json'}, {output / 'models.csv'}, {output / 'metrics.csv'}")
    streams.heading(f"Open {output / 'report.html'}")
