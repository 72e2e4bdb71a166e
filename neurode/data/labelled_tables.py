"""Labelled samples from a table: a column of targets, and numbers or a few words in the others."""

from typing import Any

import numpy as np

from neurode.core.errors import DataError
from neurode.data.cells import CellError, as_text, blank_cells, is_text
from neurode.data.labelled import LabelledData, classes_of
from neurode.data.reading import Source, read_source

TARGET_NAMES = ("target", "label", "class", "y", "digit", "species")
MOST_WORDS = 20
"""A column of text with more kinds of words than this is left out."""
MOST_CLASSES = 20
"""Whole numbers of more kinds than this are numbers rather than classes, unless the user says otherwise."""


def read_labelled_table(
    source: Any,
    *,
    target: str | None = None,
    split: str | None = None,
    image: tuple[int, ...] | None = None,
    kind: str = "auto",
) -> LabelledData:
    """A table (path or DataFrame) as labelled samples, a row each.

    target: the column to tell; None: a column named target, label, class, y, or a name much like that. split: a column
    of the words train and test. image: (height, width) of pixels that the columns hold row by row. kind: "classes",
    "number", or "auto": text, and whole numbers of at most 20 kinds, are classes. Columns of up to 20 words become a
    column of 0 and 1 for each word; other text is left out; blanks of numbers become the column's mean; notes say so.

    Raises DataError for a table without target, a blank target, no usable column, one class, or a split of other words.
    """
    table = read_source(source)
    columns = [str(name) for name in table.frame.columns]
    target = _target(table, columns, target)
    kept, notes = _kept_rows(table, target)
    values, classes, found_kind = _targets(table, target, kept, kind)
    in_test = None
    if split is not None:
        in_test = _split(table, split, columns)[kept]
    names, inputs, said = _inputs(table, [name for name in columns if name not in (target, split)])
    inputs = inputs[kept]
    if image is not None:
        if int(np.prod(image)) != inputs.shape[1]:
            raise DataError(
                f"there are {inputs.shape[1]} columns beside the target, but an image of {'x'.join(map(str, image))} "
                f"has {int(np.prod(image))} pixels.",
                file=table.where,
            )
        inputs = inputs.reshape(len(inputs), *((1,) if len(image) == 2 else ()), *image)
    return LabelledData(
        np.ascontiguousarray(inputs, dtype=np.float32),
        values,
        found_kind,  # type: ignore[arg-type]
        classes,
        tuple(names),
        target,
        table.name,
        in_test,
        (*table.notes, *notes, *said),
    )


def _target(table: Source, columns: list[str], target: str | None) -> str:
    if target is not None:
        if target not in columns:
            raise DataError(f"there is no column {target!r}. Columns: {', '.join(columns[:30])}.", file=table.where)
        return target
    named = [name for wanted in TARGET_NAMES for name in columns if name.lower() == wanted]
    if not named:
        shown = ", ".join(columns[:30]) + (", ..." if len(columns) > 30 else "")
        raise DataError(
            f"which column is the target? Name it with --target (target=...). Columns: {shown}.", file=table.where
        )
    return named[0]


def _kept_rows(table: Source, target: str) -> tuple[np.ndarray, list[str]]:
    """Rows whose target is not blank."""
    column = table.frame[target]
    blank = blank_cells(as_text(column)) if is_text(column) else np.asarray(column.isna())
    if blank.all():
        raise DataError("every target is blank.", file=table.where, column=target)
    notes = [f"{int(blank.sum()):,} rows without a target are left out."] if blank.any() else []
    return ~blank, notes


def _targets(table: Source, target: str, kept: np.ndarray, kind: str) -> tuple[np.ndarray, tuple[str, ...], str]:
    is_number = table.share(target) == 1.0
    if kind == "number" or (kind == "auto" and is_number):
        try:
            numbers = table.numbers(target)[kept]
        except CellError as problem:
            raise table.error(problem) from None
        few = (numbers == np.round(numbers)).all() and len(np.unique(numbers)) <= MOST_CLASSES
        if kind == "number" or not few:
            if len(np.unique(numbers)) < 2:
                raise DataError(f"every target is {numbers[0]:g}: there is nothing to learn.", file=table.where)
            return numbers.astype(np.float32), (), "number"
    labels = np.asarray(as_text(table.frame[target]).astype(str))[kept]
    return *classes_of(labels, where=table.where), "classes"


def _split(table: Source, split: str, columns: list[str]) -> np.ndarray:
    if split not in columns:
        raise DataError(f"there is no column {split!r}. Columns: {', '.join(columns[:30])}.", file=table.where)
    words = np.char.lower(np.asarray(as_text(table.frame[split]).astype(str)).astype(str))
    others = sorted(set(words.tolist()) - {"train", "test"})
    if others or len(set(words.tolist())) < 2:
        raise DataError(
            f"a split holds the words train and test, both, but here stands {others[0] if others else words[0]!r}.",
            file=table.where,
            column=split,
        )
    return words == "test"


def _inputs(table: Source, columns: list[str]) -> tuple[list[str], np.ndarray, list[str]]:
    """Names, (rows, features), and notes."""
    names: list[str] = []
    found: list[np.ndarray] = []
    notes: list[str] = []
    left_out: list[str] = []
    for name in columns:
        if table.share(name) == 1.0:
            try:
                values = table.numbers(name)
            except CellError as problem:
                raise table.error(problem) from None
            missing = np.isnan(values)
            if missing.any():
                notes.append(f"{name}: {int(missing.sum()):,} blanks stand at the column's mean.")
                values = np.where(missing, np.nanmean(values), values)
            elif len(values) > 2 and (np.diff(values) == 1).all():
                notes.append(f"{name} counts the rows, and is used like any number. If it tells nothing, delete it.")
            names.append(name)
            found.append(values)
            continue
        words = np.asarray(as_text(table.frame[name]).astype(str)).astype(str)
        kinds = np.unique(words)
        if not 2 <= len(kinds) <= MOST_WORDS:
            left_out.append(name)
            continue
        for word in kinds:
            names.append(f"{name}={word}")
            found.append((words == word).astype(float))
    if left_out:
        notes.append(f"Left out, being text of too many kinds or blank: {', '.join(left_out)}.")
    if not found:
        raise DataError("beside the target no column can be learned from.", file=table.where)
    return names, np.stack(found, axis=1), notes
