"""Everything a trained series model knows, and its way into a model folder and back."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from neurode import __version__
from neurode.core.errors import DataError
from neurode.data.scaling import Scaling
from neurode.data.schema import Schema
from neurode.models.ode_vae import ODEVAE
from neurode.tasks.model_folder import ModelFolder, damaged
from neurode.tasks.series.choices import Choices
from neurode.tasks.series.config import SeriesConfig
from neurode.tasks.series.pieces import Used
from neurode.tasks.series.predictor import Predictor
from neurode.tasks.series.scoring.baselines import Baselines
from neurode.tasks.series.scoring.calibration import Calibration
from neurode.tasks.training_record import History, TrainingCost


@dataclass(frozen=True)
class Fitted:
    """A trained model with all it needs: it predicts, scores and saves without the table it was trained on.

    split: number of pieces in each set. sha256: of the training table's series. source: the table's name.
    sample_times: typical times of a series since its start, for making series, and sample_start where they begin; in
    time units.
    """

    config: SeriesConfig
    choices: Choices
    schema: Schema
    predictor: Predictor
    baselines: Baselines
    used: Used
    split: Mapping[str, int]
    history: History
    cost: TrainingCost
    source: str
    sha256: str
    sample_times: np.ndarray
    sample_start: float

    @property
    def network(self) -> ODEVAE:
        return self.predictor.model

    @property
    def scaling(self) -> Scaling:
        return self.predictor.scaling

    @property
    def time_unit(self) -> str:
        return self.schema.time_unit

    @property
    def features(self) -> tuple[str, ...]:
        return self.schema.features

    def to_folder(self, card: str) -> ModelFolder:
        """The parts of the model folder."""
        weights = {name: tensor.detach().cpu() for name, tensor in self.network.state_dict().items()}
        return ModelFolder(
            kind="series",
            config={
                "library_version": __version__,
                "network": self.network.config(),
                "dtype": str(next(self.network.parameters()).dtype).removeprefix("torch."),
                "settings": self.config.model_dump(mode="json"),
                "choices": {name: _plain(value) for name, value in vars(self.choices).items()},
            },
            preprocessing={
                "schema": self.schema.to_json(),
                "scaling": self.scaling.to_json(),
                "calibration": self.predictor.calibration.to_json(),
                "baselines": self.baselines.to_json(),
                "levels": None if self.predictor.levels is None else self.predictor.levels.tolist(),
                "used": self.used.to_json(),
                "sample_times": self.sample_times.tolist(),
                "sample_start": self.sample_start,
            },
            training={
                "source": self.source,
                "sha256": self.sha256,
                "split": dict(self.split),
                **self.history.to_json(),
                "cost": dict(vars(self.cost)),
            },
            weights=weights,
            card=card,
        )

    @classmethod
    def from_folder(cls, folder: ModelFolder, path: str) -> "Fitted":
        """The model a folder holds; DataError where its parts do not fit together."""
        try:
            return _build(folder)
        except DataError:
            raise
        except (KeyError, TypeError, ValueError, IndexError, AttributeError, RuntimeError) as error:
            text = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise damaged(path, text) from error


def _build(folder: ModelFolder) -> Fitted:
    config, before, training = folder.config, folder.preprocessing, folder.training
    settings = SeriesConfig(**config["settings"])
    network = ODEVAE.from_config(config["network"]).to(getattr(torch, config["dtype"]))
    network.load_state_dict(dict(folder.weights))
    network.eval()
    choices = Choices(**{name: _tuple(value) for name, value in config["choices"].items()})
    cost = TrainingCost(**training["cost"])
    return Fitted(
        config=settings,
        choices=choices,
        schema=Schema.from_json(before["schema"]),
        predictor=Predictor(
            model=network,
            scaling=Scaling.from_json(before["scaling"]),
            calibration=Calibration.from_json(before["calibration"]),
            num_samples=settings.num_samples,
            seed=settings.seed,
            levels=None if before["levels"] is None else np.asarray(before["levels"], dtype=np.float64),
        ),
        baselines=Baselines.from_json(before["baselines"]),
        used=Used.from_json(before["used"]),
        split=training["split"],
        history=History.from_json(training, cost.seconds),
        cost=cost,
        source=training["source"],
        sha256=training["sha256"],
        sample_times=np.asarray(before["sample_times"], dtype=np.float64),
        sample_start=float(before["sample_start"]),
    )


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
