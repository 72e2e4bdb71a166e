"""What must be known to read another table of the same kind, and to write results in the user's own form."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any

import numpy as np

from neurode.core.errors import DataError
from neurode.data.cells import CellError
from neurode.data.times import TimeForm

LAYOUTS = ("long", "wide", "single")


@dataclass(frozen=True)
class Schema:
    """The form of a table, stored with the model.

    layout: "long" (id, time, variable, value), "wide" (id, time, one column per feature) or "single" (time and columns
    of one series). id: id columns, () where there is one series. when: how time is written (see TimeForm). features:
    names, in the order of `Series.values`. variable, value: their columns in a long table. left_out: {column or
    variable: reason}. id_dtypes: "int64", "float64" or "str" per id column. unknown: codes that stand for nothing
    observed. limits: {feature: (low, high)}; readings outside were judged impossible and made blank.
    """

    layout: str
    id: tuple[str, ...]
    when: TimeForm
    features: tuple[str, ...]
    variable: str | None = None
    value: str | None = None
    left_out: Mapping[str, str] = field(default_factory=dict)
    id_dtypes: tuple[str, ...] = ()
    unknown: tuple[float, ...] = ()
    limits: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    def __post_init__(self):
        if self.layout not in LAYOUTS:
            raise ValueError(f"layout must be one of {', '.join(LAYOUTS)}; got {self.layout!r}.")

    @property
    def time(self) -> tuple[str, ...]:
        """The time columns."""
        return self.when.columns

    @property
    def time_form(self) -> str:
        """number, date, datetime, compact, parts or clock."""
        return self.when.form

    @property
    def time_unit(self) -> str:
        """The unit of float64 times; "" for plain numbers whose column names no unit."""
        return self.when.unit

    @property
    def time_zone(self) -> str | None:
        return self.when.zone

    @property
    def num_features(self) -> int:
        return len(self.features)

    def parse_time(self, values: Any) -> np.ndarray:
        """Times that a user gives (text, numbers, dates; one or many) to (n,) float64 in `time_unit`.

        Calendar times may be written like the table's own or as 2024-09-01T06:00. Raises DataError where one cannot be
        read.
        """
        try:
            return self.when.parse(values)
        except CellError as problem:
            form = f"times of this table are written as {self.when.form}" if self.when.form == "number" else ""
            raise DataError(f"{problem.sentence}{' ' if form else ''}{form}", column=problem.column) from None

    def write_time(self, times) -> dict[str, Any]:
        """(n,) float64 times to the table's own time columns, {name: array}; the inverse of reading.

        Dates take the nearest day, clock times the nearest second (millisecond where the table shows fractions).
        """
        return self.when.write(np.asarray(times, np.float64))

    def write_id(self, keys: Sequence[tuple]) -> dict[str, np.ndarray]:
        """Keys, one per row, to the table's own id columns, {name: array} with the dtypes that were read.

        Entries behind the id columns (the number of a window, say) are left out; with no id column the result is {}.
        """
        columns = {}
        for place, (name, dtype) in enumerate(zip(self.id, self.id_dtypes, strict=True)):
            entries = [key[place] for key in keys]
            fits = all(isinstance(entry, (int, float)) for entry in entries)
            column = np.empty(len(entries), object)
            column[:] = entries
            columns[name] = column.astype(dtype) if dtype in ("int64", "float64") and fits else column
        return columns

    def to_json(self) -> dict:
        """Plain types, for a JSON file."""
        return {name: _plain(part) for name, part in asdict(self).items()}

    @classmethod
    def from_json(cls, plain: Mapping) -> "Schema":
        """The schema that `to_json` wrote. Raises DataError where it does not hold one."""
        try:
            parts = {f.name: _frozen(plain[f.name]) for f in fields(cls) if f.name != "when"}
            when = TimeForm(**{name: _frozen(part) for name, part in plain["when"].items()})
            return cls(**parts, when=when)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise DataError(
                f"the stored form of the table cannot be understood ({error}). It was written by another version, or "
                "damaged: train the model again, or update neurode."
            ) from None


def _plain(part: Any) -> Any:
    if isinstance(part, Mapping):
        return {name: _plain(value) for name, value in part.items()}
    return [_plain(value) for value in part] if isinstance(part, (tuple, list)) else part


def _frozen(part: Any) -> Any:
    if isinstance(part, Mapping):
        return {name: _frozen(value) for name, value in part.items()}
    return tuple(_frozen(value) for value in part) if isinstance(part, list) else part
