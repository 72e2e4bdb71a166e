"""What surrounds the training of an estimator: the run folder it may have, its settings there, and what was said."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from neurode.tasks.settings import AbstractSettings, write_config
from neurode.training.run_folder import RunFolder

Say = Callable[[str], None]


@dataclass
class TrainingRun:
    """folder: where the run writes, None if it writes nothing. notes: every sentence that was told so far."""

    folder: RunFolder | None
    say: Say | None
    notes: list[str] = field(default_factory=list)

    def tell(self, sentence: str) -> None:
        """Keep a sentence, and say it to whoever listens."""
        self.notes.append(sentence)
        if self.say is not None:
            self.say(sentence)

    @property
    def model_folder(self) -> Path | None:
        """Where the model is to lie; None where this process writes nothing."""
        return self.folder.path / "model" if self.folder is not None and self.folder.writes else None


@contextmanager
def training_run(
    config: AbstractSettings, run_folder: str | Path | None, *, resume: bool, say: Say | None, known: Iterable[str]
) -> Iterator[TrainingRun]:
    """A run whose folder is open, with config.yaml in it. known: what there is to say before it begins."""
    with nullcontext(None) if run_folder is None else RunFolder.open(run_folder, resume=resume) as folder:
        run = TrainingRun(folder, say)
        for sentence in known:
            run.tell(sentence)
        if folder is not None and folder.writes:
            write_config(config, folder.path / "config.yaml")
        yield run
