"""Every setting of a comparison, checked, with the help text the command line shows.

None means: chosen from the data when the comparison starts.
"""

import re
from typing import Literal

from pydantic import Field, JsonValue, field_validator, model_validator

from neurode.tasks.settings import DATA, MODEL, TRAINING, AbstractSettings

FIELD: dict[str, JsonValue] = {"panel": "Keeping the field cheap"}
SOLVER = re.compile(r"(?P<method>[a-z_0-9]+)(?::(?P<steps>[1-9]\d*)|@(?P<rtol>\d+(?:\.\d+)?(?:e-?\d+)?))?")
"""METHOD:STEPS, METHOD@TOLERANCE, or METHOD, which is at 1e-3."""


class ComparisonConfig(AbstractSettings):
    """Settings of `compare` and of `neurode compare`; a name that is not listed here is an error."""

    # Data and split
    test: float = Field(
        0.2,
        gt=0,
        lt=0.9,
        description="Share of the samples held out, drawn anew for each repeat; data with a test part of their own "
        "keep it",
        json_schema_extra=DATA,
    )
    samples: int | None = Field(
        None, ge=10, description="Train on at most so many samples. All when not given", json_schema_extra=DATA
    )
    distort: float | None = Field(
        None,
        ge=0,
        lt=0.5,
        description="Training images are shifted, turned and stretched at random by up to this share. 0.1 for images "
        "when not given",
        json_schema_extra=DATA,
    )

    # Models
    depths: tuple[int, ...] = Field(
        (2, 4, 8, 16), description="Blocks of the residual networks", json_schema_extra=MODEL
    )
    tied: bool = Field(
        False,
        description="Also residual networks whose blocks share their weights: Euler's method with as many steps",
        json_schema_extra=MODEL,
    )
    solvers: tuple[str, ...] = Field(
        ("midpoint:2", "dopri5@1e-3"),
        description="Solvers of the neural ODEs: METHOD:STEPS, or METHOD@TOLERANCE",
        json_schema_extra=MODEL,
    )
    gradients: tuple[str, ...] = Field(
        ("checkpointed",),
        description="Gradients of the neural ODEs: direct, checkpointed, Checkpointed(K), reversible, adjoint; each "
        "with each solver",
        json_schema_extra=MODEL,
    )
    width: int | None = Field(
        None, ge=1, description="Numbers, or channels of images, of the state", json_schema_extra=MODEL
    )
    hidden: tuple[int, ...] | None = Field(
        None, description="Hidden layers of a block for vectors", json_schema_extra=MODEL
    )
    augment: int | None = Field(
        None, ge=0, description="Zeros that join the state, of all models", json_schema_extra=MODEL
    )
    order: Literal[1, 2] = Field(
        1, description="2: the block is an acceleration, and the state has a velocity", json_schema_extra=MODEL
    )
    stem: Literal["learned", "none"] | None = Field(
        None,
        description="none: the state begins as the input itself, as for points in the plane",
        json_schema_extra=MODEL,
    )
    activation: str = Field("silu", description="tanh, silu, softplus, relu or elu", json_schema_extra=MODEL)

    # Keeping the field cheap
    kinetic: float = Field(0.0, ge=0, description="Weight of the kinetic energy of the path", json_schema_extra=FIELD)
    jacobian: float = Field(
        0.0, ge=0, description="Weight of the squared Jacobian along the path", json_schema_extra=FIELD
    )
    end_time: float = Field(
        0.0, ge=0, lt=1, description="Training ends at a time drawn from 1 - this to 1 + this", json_schema_extra=FIELD
    )
    more_steps: int = Field(
        1,
        ge=1,
        description="One batch in four is solved in more steps, up to so many times as many",
        json_schema_extra=FIELD,
    )

    beside: bool = Field(
        True,
        description="Also train each ODE-net without what keeps its field cheap, to see the effect",
        json_schema_extra=FIELD,
    )

    # Training
    epochs: int | None = Field(None, ge=1, description="Epochs of each model", json_schema_extra=TRAINING)
    batch_size: int | None = Field(None, ge=1, description="Samples in a batch", json_schema_extra=TRAINING)
    learning_rate: float = Field(
        1e-2, gt=0, description="Step size of AdamW, falling as a cosine", json_schema_extra=TRAINING
    )
    averaging: float = Field(
        0.98,
        ge=0,
        lt=1,
        description="Models are scored by a running mean of their weights, which keeps this share of itself in a step",
        json_schema_extra=TRAINING,
    )
    weight_decay: float = Field(1e-3, ge=0, description="Pull of the weights towards zero", json_schema_extra=TRAINING)
    repeats: int = Field(
        3, ge=1, description="Seeds, each with its own weights, order and split", json_schema_extra=TRAINING
    )
    goal: float | None = Field(
        None,
        gt=0,
        le=1,
        description="Accuracy (of numbers: explained variance) whose time is reported. One point under the best when "
        "not given",
        json_schema_extra=TRAINING,
    )
    margin: float = Field(
        0.005, gt=0, lt=1, description="Loss of accuracy that still counts as none", json_schema_extra=TRAINING
    )
    memory: bool = Field(
        True, description="Measure memory, each model in a process of its own", json_schema_extra=TRAINING
    )
    threads: int = Field(1, ge=1, description="Threads", json_schema_extra=TRAINING)
    seed: int = Field(0, ge=0, description="Seed of the first repeat; the others follow", json_schema_extra=TRAINING)

    @field_validator("depths")
    @classmethod
    def _some_depths(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if not value or min(value) < 1 or len(set(value)) < len(value):
            raise ValueError("depths must be different whole numbers of at least 1, at least one of them")
        return tuple(sorted(value))

    @field_validator("solvers", "gradients")
    @classmethod
    def _at_least_one(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value or len(set(value)) < len(value):
            raise ValueError("give at least one, and none twice")
        return value

    @model_validator(mode="after")
    def _solvers_are_solvers(self) -> "ComparisonConfig":
        for solver in self.solvers:
            match = SOLVER.fullmatch(solver)
            if match is None:
                raise ValueError(
                    f"{solver!r} is no solver. Write METHOD:STEPS, such as midpoint:4, or METHOD@TOLERANCE, such as "
                    "dopri5@1e-3"
                )
            if self.more_steps > 1 and match["steps"] is None:
                raise ValueError(
                    f"more_steps has no effect on {solver!r}, whose steps follow from its error. Leave out one"
                )
        return self
