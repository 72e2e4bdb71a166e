"""Cells of a table: what counts as blank, text to numbers, and what is said where a number cannot be read."""

import re
from typing import Any

import numpy as np

from neurode.core.extras import require

BLANKS = frozenset(
    ["", "na", "n/a", "#n/a", "nan", "<na>", "null", "none", "?", ".", "-", "--", "nat", "missing", "#value!"]
)
"""Texts, in lower case, that stand for nothing observed."""

_DECIMAL_COMMA = re.compile(r"[+-]?\d+([. ]\d{3})*,\d+")
_THOUSANDS = re.compile(r"[+-]?\d{1,3}([, '\u00a0\u202f]\d{3})+(\.\d+)?")
_CENSORED = re.compile(r"[<>≤≥]=?\s*[+-]?\d")
_UNIT = re.compile(r"[+-]?\d+(\.\d+)?\s*[%°a-zA-Zµ/]+")


class CellError(Exception):
    """A cell that cannot be used: the 0-based number of its row in the table, its column, and what is wrong.

    It never leaves this room: the reader of the file turns it into a DataError that names the file and the line.
    """

    def __init__(self, sentence: str, position: int | None = None, column: str | None = None):
        super().__init__(sentence)
        self.sentence, self.position, self.column = sentence, position, column


def is_text(column: Any) -> bool:
    """Whether a pandas column holds text (or mixed objects) rather than numbers, booleans or dates."""
    return column.dtype == object or column.dtype.kind in "OUS" or str(column.dtype) in ("str", "string", "category")


def as_text(column: Any) -> Any:
    """A pandas column as text without blanks around it, "" where it is missing."""
    pd = require("pandas", extra="tools")
    if column.dtype == object or str(column.dtype) == "category":
        column = column.astype(object).where(column.notna(), "").map(str)
    column = column.astype("str")
    return (
        column.where(column.notna(), "").str.strip().reset_index(drop=True)
        if len(column)
        else pd.Series([], dtype="str")
    )


def blank_cells(text: Any) -> np.ndarray:
    """(rows,) bool: where a text column holds one of BLANKS."""
    pd = require("pandas", extra="tools")
    codes, uniques = pd.factorize(text, use_na_sentinel=True)
    flags = np.array([str(u).strip().lower() in BLANKS for u in uniques] + [True], bool)
    return flags[codes]


def coerced(column: Any) -> np.ndarray:
    """A pandas column, numeric or text, as (rows,) float64 with NaN for whatever is no number."""
    pd, pa = require("pandas", extra="tools"), require("pyarrow", extra="tools")
    if not is_text(column):
        return (
            column.to_numpy(np.float64, na_value=np.nan)
            if column.dtype.kind in "iufb"
            else np.full(len(column), np.nan)
        )
    if str(column.dtype) == "category" or column.dtype == object:
        column = as_text(column)
    array = pa.array(column)
    try:  # several times faster, but all or nothing
        return pa.compute.cast(pa.compute.if_else(pa.compute.equal(array, ""), None, array), pa.float64()).to_numpy(
            False
        )
    except pa.ArrowInvalid:
        return pd.to_numeric(column, errors="coerce").to_numpy(np.float64, na_value=np.nan)


def numeric_share(column: Any, values: np.ndarray) -> float:
    """Which part of the cells that are not blank are numbers (0.0 where all are blank); values: the coerced column."""
    if not is_text(column):
        return 1.0 if column.dtype.kind in "iufb" else 0.0
    missing = np.flatnonzero(np.isnan(values))
    text = int((~blank_cells(as_text(column.iloc[missing]))).sum()) if len(missing) else 0
    numbers = len(values) - len(missing)
    return numbers / (numbers + text) if numbers + text else 0.0


def to_numbers(column: Any, name: str, values: np.ndarray | None = None) -> np.ndarray:
    """A pandas column, numeric or text, as a fresh (rows,) float64 with NaN for blanks; `values`: it coerced already.

    Raises CellError for the first cell that is neither blank nor a finite number.
    """
    if not is_text(column) and column.dtype.kind not in "iufb":
        raise CellError(f"the column holds {column.dtype}, where numbers are due. Leave it out.", column=name)
    values = coerced(column) if values is None else values
    missing = np.flatnonzero(np.isnan(values)) if is_text(column) else []
    if len(missing):
        text = as_text(column.iloc[missing])
        bad = np.flatnonzero(~blank_cells(text))
        if len(bad):
            raise CellError(number_sentence(text.iloc[bad[0]]), int(missing[bad[0]]), name)
    infinite = np.flatnonzero(np.isinf(values))
    if len(infinite):
        raise CellError(
            "an infinite number (or one too large for a computer's number) cannot be learned from. Correct it, or "
            "leave the cell blank.",
            int(infinite[0]),
            name,
        )
    return values.copy()


def number_sentence(text: str) -> str:
    """What is wrong with a text where a number is due, and what to do."""
    shown = repr(text if len(text) <= 40 else text[:37] + "...")
    if _DECIMAL_COMMA.fullmatch(text) and not _THOUSANDS.fullmatch(text):
        return (
            f"{shown} is written with a decimal comma. Write decimals with a point ({_pointed(text)}) and export again."
        )
    if _THOUSANDS.fullmatch(text):
        return (
            f"{shown} holds a separator of thousands (or a decimal comma). Write numbers without separators of "
            "thousands and with a decimal point, such as 1234.5, and export again."
        )
    if _CENSORED.match(text):
        return (
            f"{shown} is a limit and not a number. Write the limit itself, or leave the cell blank where nothing was "
            "measured."
        )
    if _UNIT.fullmatch(text):
        return f"{shown} is a number with a unit. Write the number alone, the unit may stand in the column's name."
    return f"{shown} is text where a number is due. Correct it, leave the cell blank, or leave the column out."


def _pointed(text: str) -> str:
    return re.sub(r"[. ]", "", text).replace(",", ".")
