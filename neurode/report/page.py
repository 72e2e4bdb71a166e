"""A report as one HTML file: pages of sentences, formulas, tables and pictures, put into the template."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from neurode.core.extras import require
from neurode.report.picture import Picture, inline_svg
from neurode.report.style import TOKENS, clean
from neurode.training.files.atomic_file import write_atomically

TEMPLATE = "report.html.j2"


@dataclass(frozen=True)
class Formula:
    """A line of mathematics in plain characters, set apart."""

    text: str


@dataclass(frozen=True)
class Listing:
    """A list of sentences."""

    lines: tuple[str, ...]


@dataclass(frozen=True)
class Cell:
    """One cell of a table. best: in bold. score: from 0 (bad) to 1 (good), shown as a tint; None without."""

    text: str
    best: bool = False
    score: float | None = None


@dataclass(frozen=True)
class Table:
    """Rows of text or cells under a header. The first column is words, the others are numbers, flush right.

    groups: a second header above the first, pairs (words, columns spanned), () for none. words: columns that hold words
    besides the first. shown: rows to show at once; the rest opens with a click, and is printed in any case.
    """

    header: tuple[str, ...]
    rows: tuple[tuple[str | Cell, ...], ...]
    caption: str = ""
    groups: tuple[tuple[str, int], ...] = ()
    words: frozenset[int] = frozenset()
    shown: int = 14

    @property
    def group_starts(self) -> frozenset[int]:
        """Columns at which a group begins."""
        starts, column = set(), 0
        for words, span in self.groups:
            if words:
                starts.add(column)
            column += span
        return frozenset(starts)


Item = str | Formula | Listing | Table | Picture


@dataclass(frozen=True)
class Page:
    """One part of a report: a title and what stands under it. A plain string is a paragraph."""

    title: str
    items: tuple[Item, ...]


@dataclass(frozen=True)
class Report:
    """A whole document. `lead`: the verdict, pairs (headline, the rest of the paragraph); `lead_items` stand under it.

    kicker: the line above the title. facts: the line below it. foot: small print, (name, value) pairs.
    """

    title: str
    kicker: str
    facts: str
    lead: tuple[tuple[str, str], ...]
    pages: tuple[Page, ...]
    lead_items: tuple[Item, ...] = ()
    foot: tuple[tuple[str, str], ...] = ()
    foot_details: tuple[tuple[str, str], ...] = field(default=())


def render(report: Report) -> str:
    """The report as one HTML document that needs nothing outside itself: no network, no script, no font file.

    Text is escaped; pictures go inline as SVG. The same report renders to the same text.
    """
    template = _environment().get_template(TEMPLATE)
    counter = iter(range(1, 10_000))

    def draw(picture: Picture) -> str:
        return inline_svg(picture.figure, name=f"p{next(counter)}", alt=picture.alt)

    return template.render(
        report=report,
        draw=draw,
        kind=_kind,
        is_cell=lambda value: isinstance(value, Cell),
        light={token: light for token, (light, _) in TOKENS.items()},
        dark={token: dark for token, (_, dark) in TOKENS.items()},
    )


def write_report(report: Report, path: str | Path) -> Path:
    """Render the report and put it at `path` in one move.

    Raises OSError where the folder does not exist, DataError where the disk is full or closed; nothing is left then.
    """
    path = Path(path)
    write_atomically(path, render(report).encode("utf-8", errors="replace"))
    return path


def plain_rows(rows: Sequence[Sequence[object]]) -> tuple[tuple[str, ...], ...]:
    """Rows of a table from any values, each as one clean line of text."""
    return tuple(tuple(clean(value) for value in row) for row in rows)


@cache
def _environment() -> Any:
    jinja2 = require("jinja2", extra="tools")
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("neurode.report", "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["clean"] = clean
    return environment


def _kind(item: Item) -> str:
    return "paragraph" if isinstance(item, str) else type(item).__name__.lower()
