"""What the settings of every task have in common: unknown names are errors, and an error is one sentence."""

from abc import ABC
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError

from neurode.core.errors import DataError

MODEL: dict[str, JsonValue] = {"panel": "Model"}
DATA: dict[str, JsonValue] = {"panel": "Data and split"}
TRAINING: dict[str, JsonValue] = {"panel": "Training"}
"""Panels of the command line's help, for `json_schema_extra`."""


class AbstractSettings(BaseModel, ABC):
    """The settings of a task, checked; a name that is not listed is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @classmethod
    def checked(cls, values: dict[str, Any], file: str | Path | None = None) -> Self:
        """Settings from plain values; raises DataError with one sentence where pydantic finds a fault."""
        try:
            return cls(**values)
        except ValidationError as error:
            problem = error.errors(include_url=False)[0]
        name = ".".join(str(part) for part in problem["loc"])
        if problem["type"] == "extra_forbidden":
            raise DataError(f"unknown setting {name!r}. Settings: {', '.join(cls.model_fields)}", file=file)
        said = problem["msg"].removeprefix("Value error, ")
        raise DataError(f"{name}: {said}. Got {problem['input']!r}" if name else said, file=file)


def write_config(settings: AbstractSettings, path: Path) -> None:
    """The settings as YAML, unless whoever opened the run has written them already; what is left open stays open."""
    import yaml

    if path.exists():
        return
    plain = {name: value for name, value in settings.model_dump(mode="json").items() if value not in (None, {}, [])}
    path.write_text(yaml.safe_dump(plain, sort_keys=False, allow_unicode=True), encoding="utf-8")
