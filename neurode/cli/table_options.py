"""How a table is to be read: the one list that the options, the config file and the reader share."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field


def _as_list(value: Any) -> Any:
    """`name,year` in a config file means two columns; a list is taken as it stands, so a name may hold a comma."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(",")]
    return [value] if isinstance(value, (int, float)) else value


Names = Annotated[list[str] | None, BeforeValidator(_as_list)]
Numbers = Annotated[list[float], BeforeValidator(_as_list)]


class TableOptions(BaseModel):
    """What `neurode series train` lets a user say about the table. What is not said is guessed, and told."""

    model_config = ConfigDict(extra="forbid")

    id: Names = Field(None, description="Column that names a series, or several, as name,year")
    time: Names = Field(None, description="Column of the time, or several, as year,month,day,hour")
    values: Names = Field(None, description="Columns to model, as a,b. All numeric ones when not given")
    variable: str | None = Field(None, description="In a long table, the column that names what was measured")
    value: str | None = Field(None, description="In a long table, the column that holds what was measured")
    layout: Literal["long", "wide", "single"] | None = Field(
        None, description="long: one value a row; wide: one column a value; single: one series, without an id"
    )
    strict: bool = Field(False, description="Refuse duplicate times instead of taking their mean")
    unknown: Numbers = Field([], description="Codes that mean 'not known', as -1 or -1,-9")
    outliers: Literal["blank", "keep"] = Field("blank", description="What to do with readings that are far out")

    def reading(self) -> dict[str, Any]:
        """Keyword arguments of `read_table`."""
        return {**self.model_dump(), "unknown": tuple(self.unknown)}


def absolute(path: str | Path) -> str:
    """The path that a config file keeps, so that it runs again from any folder."""
    return str(Path(path).expanduser().resolve())
