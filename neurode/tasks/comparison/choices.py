"""What a comparison leaves open is chosen from the data: widths, epochs, batch size."""

from typing import Any

from neurode.core.errors import DataError
from neurode.data.labelled import LabelledData
from neurode.models.twin_shape import TwinShape
from neurode.tasks.comparison.config import ComparisonConfig

SEEN = 40_000
"""Samples that training sees in all, as a rule, each epoch counting anew."""


def completed(config: ComparisonConfig, data: LabelledData) -> ComparisonConfig:
    """The settings with all that was left open. Raises DataError where a setting does not fit the data."""
    if data.is_images and config.hidden is not None:
        raise DataError("hidden has no effect on images, whose block is two convolutions. Leave it out.")
    if config.distort and not data.is_images:
        raise DataError("distort has no effect on rows of numbers: it moves images. Leave it out.")
    train = len(data) if data.in_test is None else int((~data.in_test).sum())
    train = min(train, config.samples or train)
    stem = config.stem or "learned"
    usual = 24 if data.is_images else 16 if data.is_plane else 32
    width = config.width or (data.inputs.shape[1] if stem == "none" else usual)
    chosen: dict[str, Any] = {
        "stem": stem,
        "width": width,
        "augment": config.augment or 0,
        "distort": config.distort if config.distort is not None else 0.1 if data.is_images else 0.0,
        "epochs": config.epochs or max(8, min(60, round(SEEN / train))),
        "batch_size": config.batch_size or (128 if train >= 3000 else 64),
    }
    if not data.is_images:
        chosen["hidden"] = config.hidden if config.hidden is not None else (64, 64)
    return config.model_copy(update=chosen)


def shape_of(config: ComparisonConfig, data: LabelledData) -> TwinShape:
    """The shape of all models, from completed settings. Raises DataError where they do not fit together."""
    hidden = {} if data.is_images else {"hidden": config.hidden}
    try:
        return TwinShape(
            tuple(data.inputs.shape[1:]),
            data.num_outputs,
            width=config.width,  # type: ignore[arg-type]
            augment=config.augment,  # type: ignore[arg-type]
            order=config.order,
            stem=config.stem,  # type: ignore[arg-type]
            activation=config.activation,
            **hidden,  # type: ignore[arg-type]
        )
    except ValueError as error:
        raise DataError(str(error)) from None
