"""Everything a trained sentence model knows, and its way into a model folder and back."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import nn

from neurode import __version__
from neurode.core.errors import DataError
from neurode.data.text.saved_tokenizer import tokenizer_from_dict
from neurode.data.text.tokens import Tokenizer
from neurode.models.code_scale import CodeScale
from neurode.models.flow_prior import FlowPrior
from neurode.models.text.code_metric import CodeMetric
from neurode.models.text.refinement import CodePrior, StandardNormal
from neurode.models.text.sentence_autoencoder import SentenceAutoencoder
from neurode.tasks.model_folder import ModelFolder, damaged
from neurode.tasks.text.choices import Choices
from neurode.tasks.text.config import TextConfig
from neurode.tasks.text.judge import TextJudge
from neurode.tasks.text.phrases import PhraseReader
from neurode.tasks.text.sentence_data import Used
from neurode.tasks.training_record import History, TrainingCost


@dataclass(frozen=True)
class FittedText:
    """A trained sentence model with all it needs: it encodes, walks and saves without the text it was trained on.

    scale: of the codes of the training sentences. flow: None where it was not trained. metric: of the same codes.
    split: number of sentences in each part. statistics: the corpus in sentences. source: its name. sha256: of its
    sentences, in order. flow_history: None without a flow. judged_by: the judges, or the folder they are in, which is
    read when they are first asked; None where they were not trained.
    """

    config: TextConfig
    choices: Choices
    tokenizer: Tokenizer
    network: SentenceAutoencoder
    scale: CodeScale
    metric: CodeMetric
    flow: FlowPrior | None
    used: Used
    split: Mapping[str, int]
    statistics: tuple[str, ...]
    history: History
    flow_history: History | None
    cost: TrainingCost
    source: str
    sha256: str
    judged_by: TextJudge | Path | None = None

    @cached_property
    def judge(self) -> TextJudge | None:
        """The judges of sentences; DataError where their folder is damaged or gone."""
        return TextJudge.load(self.judged_by) if isinstance(self.judged_by, Path) else self.judged_by

    @property
    def device(self) -> torch.device:
        return next(self.network.parameters()).device

    @property
    def longest(self) -> int:
        """Ids of the longest sentence it takes."""
        return self.network.settings.max_words

    @cached_property
    def reader(self) -> PhraseReader:
        return PhraseReader(self.tokenizer, self.longest)

    @property
    def prior(self) -> CodePrior | None:
        """The density that keeps refined codes among the codes of sentences; None where the model has none."""
        if self.flow is not None:
            return self.flow
        return StandardNormal() if self.network.settings.code == "gaussian" else None

    @property
    def modules(self) -> dict[str, nn.Module]:
        """The parts with weights, by the name that the model folder keeps them under."""
        parts = {"network": self.network, "scale": self.scale, "metric": self.metric, "flow": self.flow}
        return {name: module for name, module in parts.items() if module is not None}

    def to_folder(self, card: str) -> ModelFolder:
        """The parts of the model folder."""
        weights = {
            f"{name}.{key}": tensor.detach().cpu()
            for name, module in self.modules.items()
            for key, tensor in module.state_dict().items()
        }
        return ModelFolder(
            kind="text",
            config={
                "library_version": __version__,
                "network": self.network.config(),
                "flow": None if self.flow is None else self.flow.config(),
                "metric": {"num_centres": self.metric.num_centres, "floor": self.metric.floor},
                "judged": self.judged_by is not None,
                "dtype": str(next(self.network.parameters()).dtype).removeprefix("torch."),
                "settings": self.config.model_dump(mode="json"),
                "choices": {"epochs": self.choices.epochs, "batch_size": self.choices.batch_size},
            },
            preprocessing={"tokenizer": self.tokenizer.to_dict()},
            training={
                "source": self.source,
                "sha256": self.sha256,
                "split": dict(self.split),
                "statistics": list(self.statistics),
                **self.history.to_json(),
                "flow": None if self.flow_history is None else self._flow_record(self.flow_history),
                "cost": asdict(self.cost),
            },
            weights={**weights, "used": torch.from_numpy(self.used.hashes)},
            card=card,
            write_judge=None if self.judge is None else self.judge.save,
        )

    @staticmethod
    def _flow_record(history: History) -> dict[str, Any]:
        return {**history.to_json(), "seconds": history.seconds}

    @classmethod
    def from_folder(cls, folder: ModelFolder, path: str) -> "FittedText":
        """The model a folder holds; DataError where its parts do not fit together."""
        try:
            return _build(folder)
        except DataError as error:
            raise damaged(path, str(error)) from error
        except (KeyError, TypeError, ValueError, IndexError, AttributeError, RuntimeError) as error:
            text = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise damaged(path, text) from error


def _build(folder: ModelFolder) -> FittedText:
    config, training = folder.config, folder.training
    settings, dtype = TextConfig(**config["settings"]), getattr(torch, config["dtype"])
    network = SentenceAutoencoder.from_config(config["network"])
    dim = network.settings.code_dim
    cost = TrainingCost(**training["cost"])
    flow = training["flow"]
    fitted = FittedText(
        config=settings,
        choices=Choices(**config["choices"]),
        tokenizer=tokenizer_from_dict(folder.preprocessing["tokenizer"]),
        network=network,
        scale=CodeScale(dim),
        metric=CodeMetric(dim, **config["metric"]),
        flow=None if config["flow"] is None else FlowPrior.from_config(config["flow"]),
        used=Used(folder.weights["used"].numpy()),
        split=training["split"],
        statistics=tuple(training["statistics"]),
        history=History.from_json(training, cost.seconds),
        flow_history=None if flow is None else History.from_json(flow, flow["seconds"]),
        cost=cost,
        source=training["source"],
        sha256=training["sha256"],
        judged_by=folder.judge,
    )
    if config["judged"] != (folder.judge is not None):
        raise ValueError("the judge is missing" if config["judged"] else "it holds a judge that is not its own")
    for name, module in fitted.modules.items():
        own = {
            key.removeprefix(f"{name}."): value for key, value in folder.weights.items() if key.startswith(f"{name}.")
        }
        module.to(dtype).load_state_dict(own)
        module.requires_grad_(False).eval()
    if network.settings.vocabulary_size != fitted.tokenizer.size:
        raise ValueError(
            f"the network has {network.settings.vocabulary_size} ids, its tokenizer {fitted.tokenizer.size}"
        )
    return fitted
