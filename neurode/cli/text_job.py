"""One training job of `neurode text train`: what it was asked, and how it ends."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from neurode.cli.options import ConfigFile, given_settings, resolve
from neurode.cli.run_folders import check_device, config_text, interruption, run_folder, said
from neurode.cli.streams import Streams
from neurode.cli.text_tables import say_evaluation, say_path
from neurode.tasks.text.config import TextConfig
from neurode.training.processes.placement import process_rank

if TYPE_CHECKING:
    from neurode.tasks.text.text_model import TextModel

_DATA, _COLUMN = "data", "column"

_PAIRS = 100
"""Pairs of sentences that a new model is scored on: half a minute's work."""


@dataclass(frozen=True)
class TextJob:
    """Everything a run needs, and all that its config.yaml holds: the file, its column, and the settings."""

    data: Path
    column: str | None
    settings: TextConfig

    @classmethod
    def from_request(
        cls,
        data: Path | None,
        column: str | None,
        preset: Mapping[str, Any],
        config: ConfigFile,
        flags: Mapping[str, Any],
    ) -> "TextJob":
        """defaults < preset < config file < flags. Raises DataError for the file, BadParameter for a flag."""
        config.refuse_unknown([_DATA, _COLUMN, *TextConfig.model_fields])
        named, own = config.values.get(_DATA), config.only(TextConfig.model_fields)
        own = replace(own, values={**preset, **own.values})
        settings = resolve(TextConfig, own, given_settings(TextConfig, flags))
        if data is None and named is None:
            raise typer.BadParameter(
                "name the file of sentences, here or as 'data:' in the config file.", param_hint="'DATA'"
            )
        if named is not None and not isinstance(named, str):
            raise config.error(_DATA, f"data must be the path of a file of sentences. Got {named!r}")
        if column is None and data is None:
            column = config.values.get(_COLUMN)
        check_device(settings.device)
        return cls(data if data is not None else Path(str(named)).expanduser(), column, settings)

    def to_yaml(self) -> str:
        """The config file that runs this job again from any folder: the file's full path, and every setting."""
        column = {} if self.column is None else {_COLUMN: self.column}
        return config_text({_DATA: str(self.data.resolve()), **column, **said(self.settings)}, "text")


def train(job: TextJob, output: Path, streams: Streams, *, resume: bool) -> None:
    """Train, walk between two sentences that nothing has seen, and say what came of it.

    Under torchrun only rank 0 speaks.
    """
    from neurode.data.text.corpus import read_sentences
    from neurode.tasks.text.text_model import TextModel

    streams = streams if process_rank() == 0 else Streams(-1)
    streams.say(f"Reading {job.data}.")
    settings = job.settings
    corpus = read_sentences(job.data, job.column, min_words=settings.min_words, max_words=settings.max_words)
    model = TextModel(**settings.model_dump())
    try:
        with run_folder(output, job.to_yaml(), resume=resume):
            progress = False if streams.is_quiet else None
            model.fit(corpus, run_folder=output, resume=resume, progress=progress, say=streams.say)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(interruption(output, "text")) from None
    if process_rank() > 0:
        return
    _show(model, streams)
    if settings.judge:
        say_evaluation(streams, model.evaluate(pairs=_PAIRS))
        model.save(output / "model")  # again: the card now holds the scores
    streams.say("")
    streams.say(f"Written: {output / 'model'}")
    streams.say(f'Next: neurode text interpolate {output} "A SENTENCE" "ANOTHER SENTENCE"')


def _show(model: "TextModel", streams: Streams) -> None:
    """A path between two sentences that nothing has seen."""
    unseen = model.unseen()
    if len(unseen) > 1 and not streams.is_quiet:
        streams.say("")
        say_path(streams, model.interpolate(unseen[0], unseen[-1], 7))
        streams.say("")
