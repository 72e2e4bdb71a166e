"""`fit`: train a model on data, here or in several processes."""

from contextlib import AbstractContextManager, nullcontext
from copy import deepcopy
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from neurode.core.errors import DataError
from neurode.core.extras import require
from neurode.training.checkpoint import load_checkpoint
from neurode.training.fit_config import FitConfig
from neurode.training.loop.torch_settings import torch_settings
from neurode.training.loop.training_run import TrainingRun
from neurode.training.processes.interrupt import Interrupt
from neurode.training.processes.placement import Placement, find_placement
from neurode.training.processes.session import Session
from neurode.training.processes.supervisor import run_in_processes, start_method
from neurode.training.progress import Progress, SilentProgress, choose_progress
from neurode.training.run_folder import RunFolder
from neurode.training.training_data import FitResult, TrainingData


def fit(
    model: nn.Module,
    data: TrainingData,
    config: FitConfig | None = None,
    run_folder: str | Path | RunFolder | None = None,
    *,
    resume: bool = False,
    progress: Progress | bool | None = None,
) -> FitResult:
    """Train `model` in place; at the end it has the weights of the best epoch and is in eval mode.

    Good for: any nn.Module with `loss(batch, context) -> LossParts`. The loss of a step is the sum of all processes'
    losses divided by the sum of their weights. Not good for: several optimisers, or gradient accumulation.

    model: moved to the device, and for precision="float64" converted; with processes > 1 it stays where it is.
    data: see TrainingData. run_folder: where metrics.csv, train.log and checkpoints/{last,best}.ckpt are written (a
    path, or an open RunFolder); None writes nothing. resume: go on from last.ckpt there; the result is that of an
    uninterrupted run to the last digit, at an equal number of processes (among several, the logged loss of an epoch
    that Ctrl-C cut in two is the same up to rounding). progress: None chooses (a bar on a terminal,
    else a line an epoch, on stderr), False shows nothing.

    Raises DataError for a folder in use, not empty, without space, or of another model; TrainingError when the loss
    stays non-finite after several roll-backs; KeyboardInterrupt on Ctrl-C, after last.ckpt is written; ValueError and
    TypeError for wrong arguments; MissingExtraError without the extra "tools".
    """
    config = config if config is not None else FitConfig()
    placement = find_placement()
    _check(model, data, config, run_folder, resume, placement)
    require("lightning_fabric", extra="tools")  # here, so that forked processes need not import it again
    shown = progress if isinstance(progress, Progress) else choose_progress(quiet=progress is False)
    with _opened(run_folder, resume) as folder:
        if config.processes > 1 and placement.world == 1:
            done = run_in_processes(
                partial(_train_and_pack, model, data, config, folder, resume, shown),
                config.processes,
                method=start_method(config.device),
            )
            if config.precision == "float64":
                model.double()
            model.load_state_dict(done["model"])
            model.eval()
            return FitResult(**done["result"])
        with Interrupt() as interrupt:
            return _train_here(model, data, config, folder, resume, shown, placement, interrupt)


def _train_here(
    model: nn.Module,
    data: TrainingData,
    config: FitConfig,
    folder: RunFolder | None,
    resume: bool,
    progress: Progress,
    placement: Placement,
    interrupt: Interrupt,
) -> FitResult:
    """This process's part of the run."""
    if placement.rank > 0:
        progress = SilentProgress()
        folder = RunFolder(folder.path, writes=False) if folder is not None else None
    session = Session(config, placement)
    count = sum(parameter.numel() for parameter in model.parameters())
    with torch_settings(config, session.device, count, placement.local_world):
        model.to(session.device, session.dtype if config.precision == "float64" else None)
        session.share_weights(model)
        run = TrainingRun(model, data, config, session=session, folder=folder, progress=progress, interrupt=interrupt)
        run.log(_opening(model, config, session, run.step.parameters))
        if resume:
            content = session.from_first(_last_checkpoint(folder) if session.rank == 0 else None)
            if content is None:
                run.say("No checkpoint was written yet: training begins at the start.")
                if folder is not None and folder.writes:
                    folder.metrics.rewrite([])
            else:
                run.resume(content)
        return run.run()


def _train_and_pack(
    model: nn.Module,
    data: TrainingData,
    config: FitConfig,
    folder: RunFolder | None,
    resume: bool,
    progress: Progress,
    placement: Placement,
    interrupt: Interrupt,
) -> dict[str, Any]:
    """In a process of ours: train a copy, and return what the parent needs as tensors on the CPU and plain types.

    A copy, because spawned processes receive tensors in memory that they share.
    """
    model = deepcopy(model)
    result = _train_here(model, data, config, folder, resume, progress, placement, interrupt)
    weights = {k: v.cpu() if isinstance(v, torch.Tensor) else v for k, v in model.state_dict().items()}
    return {"result": asdict(result), "model": weights}


def _last_checkpoint(folder: RunFolder | None) -> dict[str, Any] | None:
    return load_checkpoint(folder.last) if folder is not None and folder.last.exists() else None


def _opened(run_folder: str | Path | RunFolder | None, resume: bool) -> AbstractContextManager[RunFolder | None]:
    if run_folder is None or isinstance(run_folder, RunFolder):
        return nullcontext(run_folder)
    return RunFolder.open(run_folder, resume=resume)


def _opening(model: nn.Module, config: FitConfig, session: Session, parameters: list[nn.Parameter]) -> str:
    count = sum(parameter.numel() for parameter in parameters)
    settings = ", ".join(f"{name}={value!r}" for name, value in asdict(config).items())
    return (
        f"Training {type(model).__name__} with {count} parameters on {session.device} (processes: {session.world}, "
        f"threads of each: {torch.get_num_threads()}, torch {torch.__version__}): {settings}"
    )


def _check(
    model: nn.Module, data: TrainingData, config: FitConfig, run_folder: Any, resume: bool, placement: Placement
) -> None:
    if not isinstance(model, nn.Module) or not callable(getattr(model, "loss", None)):
        raise TypeError(
            "model must be an nn.Module with a method loss(batch, context) -> LossParts, but got "
            f"{type(model).__name__}."
        )
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise ValueError("no parameter of the model needs a gradient, so there is nothing to train.")
    if data.num_train_batches < 1:
        raise DataError("there is no batch to train on. Check that the table holds observations for training.")
    if resume and run_folder is None:
        raise ValueError("resume=True needs the run_folder of the run to go on with.")
    if placement.world > 1 and config.processes not in (1, placement.world):
        raise ValueError(
            f"{placement.started_by} has started {placement.world} processes, but processes={config.processes}. "
            "Leave processes at 1 there."
        )
