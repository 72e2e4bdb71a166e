"""ComparisonRun: all candidates in interleaved epochs, repeat after repeat, with checkpoints to go on from."""

import time
from dataclasses import asdict
from typing import Any

import torch

from neurode.core.errors import DataError
from neurode.data.labelled import LabelledData
from neurode.models.odenet import ODENet
from neurode.models.twin_shape import TwinShape
from neurode.tasks.comparison.candidates import Candidate
from neurode.tasks.comparison.config import ComparisonConfig
from neurode.tasks.comparison.measures import confusion, first_samples, latencies, noise_scores, redone
from neurode.tasks.comparison.results import EpochRow, Scene
from neurode.tasks.comparison.samples import prepare
from neurode.tasks.comparison.scenes import scene_of
from neurode.tasks.comparison.twin_training import TwinTraining
from neurode.training.checkpoint import load_checkpoint, save_checkpoint
from neurode.training.processes.interrupt import Interrupt
from neurode.training.progress import Progress
from neurode.training.run_folder import RunFolder

CHECKPOINT_SHARE = 0.02
"""Writing checkpoints may take this share of the time."""


class ComparisonRun:
    """Trains every candidate in every repeat. `rows` and `finished` (a repeat each, a mapping a candidate) grow."""

    def __init__(
        self,
        data: LabelledData,
        candidates: tuple[Candidate, ...],
        shape: TwinShape,
        config: ComparisonConfig,
        *,
        folder: RunFolder | None,
        progress: Progress,
        interrupt: Interrupt,
    ):
        self.data, self.candidates, self.shape, self.config = data, candidates, shape, config
        self.folder, self.progress, self.interrupt = folder, progress, interrupt
        self.rows: list[EpochRow] = []
        self.finished: list[list[dict[str, Any]]] = []
        self.scenes: list[Scene] = []
        self.trainings: list[TwinTraining] = []
        self.prepared = prepare(data, config, config.seed)
        self._tick, self._next_write = 0, 0.0
        self._resumed: list[dict[str, Any]] | None = None

    @property
    def fingerprint(self) -> dict[str, Any]:
        """What has to be the same for a run to go on."""
        return {"settings": self.config.model_dump(mode="json"), "samples": len(self.data), "data": self.data.name}

    def resume(self) -> None:
        """Take up the last checkpoint of the folder, if one was written."""
        if self.folder is None or not self.folder.last.exists():
            return
        content = load_checkpoint(self.folder.last)
        if content.get("fingerprint") != self.fingerprint:
            raise DataError(
                "the run in this folder was begun with other settings or other data. Go on with the same, or choose a "
                "new folder.",
                file=self.folder.path,
            )
        self.rows = [EpochRow(**row) for row in content["rows"]]
        self.finished, self._tick = content["finished"], content["tick"]
        self.scenes = [Scene(**scene | {"extent": tuple(scene["extent"])}) for scene in content["scenes"]]
        self._resumed = content["trainings"]
        self.folder.metrics.rewrite([self._metrics(row) for row in self.rows])

    def run(self) -> None:
        """To the end, or to KeyboardInterrupt, after which `resume` goes on."""
        epochs, repeats = self.config.epochs or 1, self.config.repeats
        batches = 1
        for repeat in range(len(self.finished), repeats):
            self._begin(repeat)
            batches = sum(training.num_batches for training in self.trainings)
            self.progress.start(repeat * epochs + 1 + self._tick // len(self.trainings), repeats * epochs, batches)
            try:
                for epoch in range(self._tick // len(self.trainings), epochs):
                    self._round(epoch, repeat * epochs + epoch + 1, repeats * epochs)
            finally:
                self.progress.stop()
            self.progress.say(f"Repeat {repeat + 1} of {repeats} is trained; measuring it.")
            self.finished.append(self._figures())
            if repeat == 0:
                self.scenes = self._scenes()
            self._tick = 0
            self._save(trained=False)

    def _begin(self, repeat: int) -> None:
        self.prepared = prepare(self.data, self.config, self.config.seed + repeat)
        self.trainings = [
            TwinTraining(number, candidate, self.shape, self.prepared, self.config)
            for number, candidate in enumerate(self.candidates)
        ]
        for number, training in enumerate(self.trainings):
            training.begin(repeat)
            if self._resumed:
                training.load(self._resumed[number])
        self._resumed = None

    def _round(self, epoch: int, number: int, of: int) -> None:
        """One epoch of every candidate, each round begun by the next."""
        count, done = len(self.trainings), 0
        first = len(self.rows)

        def tick() -> None:
            nonlocal done
            done += 1
            self.progress.step(number, done)

        for place in range(self._tick % count, count):
            training = self.trainings[(epoch + place) % count]
            if not training.problem:
                row = training.epoch(tick)
                if row is not None:
                    self._keep(row)
                else:
                    self.progress.say(f"{training.candidate.name} is given up: {training.problem}")
            self._tick += 1
            if self.interrupt.requested:
                self._save(trained=True)
                raise KeyboardInterrupt
            if time.perf_counter() >= self._next_write:
                self._save(trained=True)
        made = self.rows[first:]
        if made:
            self.progress.epoch(_summary(made, number), of, best=False)

    def _keep(self, row: EpochRow) -> None:
        self.rows.append(row)
        if self.folder is not None:
            self.folder.metrics.append(self._metrics(row))

    def _metrics(self, row: EpochRow) -> dict[str, float]:
        return {key: float(value) if key not in ("candidate", "repeat", "epoch") else value
                for key, value in asdict(row).items()}  # fmt: skip

    def _figures(self) -> list[dict[str, Any]]:
        """Of each candidate in this repeat, in plain types."""
        few = first_samples(self.prepared.test)
        batch = self.prepared.test.inputs[: self.config.batch_size]
        whole = [training for training in self.trainings if not training.problem]
        taken = dict(zip((one.number for one in whole), latencies([one.model for one in whole], batch), strict=True))
        found: list[dict[str, Any]] = []
        for training in self.trainings:
            parameters = sum(parameter.numel() for parameter in training.model.parameters())
            if training.problem:
                found.append({"parameters": parameters, "problem": training.problem})
                continue
            model, number = training.model, self.prepared.number
            classes = len(self.data.classes)
            found.append(
                {
                    "parameters": parameters,
                    "problem": "",
                    "score": training.score(),
                    "latency": taken[training.number],
                    "noise": noise_scores(model, few, number=number),
                    "confusion": [] if number else confusion(model, self.prepared.test, classes),
                    "redone": redone(model, few, number=number) if isinstance(model, ODENet) else [],
                }
            )
        return found

    def _scenes(self) -> list[Scene]:
        """Of the residual network and of the ODE-net with the best score, in this repeat."""
        chosen = []
        for ode in (False, True):
            trained = [one for one in self.trainings if not one.problem and one.candidate.is_ode is ode]
            if trained:
                chosen.append(max(trained, key=lambda one: self.finished[-1][one.number]["score"]))
        return [scene_of(one.number, one.model, self.prepared, is_plane=self.data.is_plane) for one in chosen]

    def _save(self, *, trained: bool) -> None:
        """Write last.ckpt. trained: with the weights, within a repeat."""
        if self.folder is None:
            return
        began = time.perf_counter()
        states = [training.state() for training in self.trainings] if trained else None
        content = {
            "fingerprint": self.fingerprint,
            "rows": [asdict(row) for row in self.rows],
            "finished": self.finished,
            "scenes": [asdict(scene) for scene in self.scenes],
            "tick": self._tick,
            "trainings": states,
        }
        save_checkpoint(self.folder.last, content)
        now = time.perf_counter()
        self._next_write = now + (now - began) / CHECKPOINT_SHARE


def _summary(rows: list[EpochRow], number: int) -> dict[str, float]:
    """A round as a line of progress: mean loss, and the mean share that held-out samples are wrong by."""
    return {
        "epoch": number,
        "loss": sum(row.loss for row in rows) / len(rows),
        "validation_loss": 1 - sum(row.score for row in rows) / len(rows),
        "seconds": sum(row.seconds for row in rows),
    }


def set_threads(threads: int) -> int:
    """Set torch's threads; returns what they were."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    return before
