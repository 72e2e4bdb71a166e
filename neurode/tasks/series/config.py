"""Every setting of a series model, checked, with the help text the command line shows.

None (or "auto") means: chosen from the training series when `fit` starts, and written into the run's config.yaml.
"""

from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from neurode.tasks.settings import DATA, MODEL
from neurode.tasks.training_settings import AbstractTrainingSettings


class SeriesConfig(AbstractTrainingSettings):
    """Settings of `SeriesModel` and of `neurode series train`; a name that is not listed here is an error."""

    # Data and split
    horizon: float | str | None = Field(
        None,
        description="How far ahead forecasts are trained, calibrated and scored: a number in the table's time unit, or "
        "24h, 3d, 2 years for dated tables. Chosen from the data when not given",
        json_schema_extra=DATA,
    )
    history: float | str | None = Field(
        None,
        description="How far back a forecast looks. Everything before it when not given",
        json_schema_extra=DATA,
    )
    window: float | str | None = Field(
        None,
        description="Length of the windows one long series is cut into. Chosen from the data when not given",
        json_schema_extra=DATA,
    )
    periods: tuple[float | str, ...] | Literal["auto"] = Field(
        "auto",
        description="Periods of the calendar whose phase the model knows, such as 1y,7d,24h; an empty list for none. "
        "auto: the year, week and day that one long dated series holds often enough, none for many series",
        json_schema_extra=DATA,
    )
    transforms: dict[str, Literal["none", "log", "auto"]] | Literal["auto", "none"] = Field(
        "auto",
        description="Transform per feature, as feature=log or feature=none. auto: log for positive, skewed features",
        json_schema_extra=DATA,
    )
    levels: Literal["auto", "relative", "absolute"] = Field(
        "auto",
        description="relative: each series is read relative to its own mean, without logs, for series that drift. "
        "auto: relative for one long series that drifts",
        json_schema_extra=DATA,
    )
    validation: float = Field(
        0.1, gt=0, lt=0.5, description="Share of the series that stop the training", json_schema_extra=DATA
    )
    calibration: float = Field(
        0.1, gt=0, lt=0.5, description="Share of the series that set the width of intervals", json_schema_extra=DATA
    )
    test: float = Field(
        0.1, gt=0, lt=0.5, description="Share of the series that the reported figures come from", json_schema_extra=DATA
    )
    hidden_share: float = Field(
        0.25,
        gt=0,
        lt=0.9,
        description="Share of the observed cells that evaluation hides and fills again",
        json_schema_extra=DATA,
    )
    cuts: int = Field(
        8,
        ge=1,
        description="Tasks scored per series: forecasts from so many cuts, and so many choices of hidden cells",
        json_schema_extra=DATA,
    )
    coverage: float = Field(
        0.9, gt=0, lt=1, description="Share of truths that an interval is to hold", json_schema_extra=DATA
    )

    # Model
    latent_dim: int | None = Field(
        None,
        ge=1,
        description="Numbers in a series' code. Chosen from the data when not given",
        json_schema_extra=MODEL,
    )
    hidden_dim: int | None = Field(
        None, ge=1, description="Units of the encoder. Chosen from the data when not given", json_schema_extra=MODEL
    )
    prior: Literal["mixture", "flow"] = Field(
        "mixture",
        description="What made series are drawn from: a Gaussian mixture of the codes, or a flow trained on them. The "
        "flow takes some seconds more and fits codes of a bent shape better",
        json_schema_extra=MODEL,
    )
    model: dict[str, Any] = Field(
        default_factory=dict,
        description="Further settings of the ODE-VAE as name=value, in the words of its own arguments",
        json_schema_extra=MODEL,
    )
    num_samples: int = Field(16, ge=2, description="Codes drawn per series when predicting", json_schema_extra=MODEL)

    @field_validator("horizon", "history", "window", mode="before")
    @classmethod
    def _number_when_it_is_one(cls, value: Any) -> Any:
        if isinstance(value, str):
            try:
                return float(value)
            except ValueError:
                return value
        return value

    @model_validator(mode="after")
    def _some_series_train(self) -> "SeriesConfig":
        held = self.validation + self.calibration + self.test
        if held >= 0.8:
            raise ValueError(
                f"validation + calibration + test = {held:g} leaves less than a fifth of the series for training. "
                "Lower them"
            )
        return self

    @property
    def shares(self) -> tuple[float, float, float]:
        return (self.validation, self.calibration, self.test)
