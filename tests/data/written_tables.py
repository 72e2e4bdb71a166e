"""Hypothesis writes tables: the text of a file, and what a reader must find in it."""

import csv
import gzip
import io
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from hypothesis import strategies as st

BLANK_TEXTS = ("", "NA", "NaN", "null", "?", "-")
START = datetime(2024, 2, 28)


@dataclass(frozen=True)
class Written:
    """A table as rows of text; line: the line of the file on which each row stands."""

    layout: str
    header: list[str]
    rows: list[list[str]]
    id: list[str]
    time: list[str]
    features: list[str]
    expected: dict[tuple, dict[float, dict[str, list[float]]]]
    lines: list[int]
    text: str
    form: str

    def write(self, folder: Path, packed: bool = False) -> Path:
        path = folder / ("table.csv.gz" if packed else "table.csv")
        content = self.text.encode()
        path.write_bytes(gzip.compress(content) if packed else content)
        return path

    def arguments(self) -> dict:
        """How read_table is to be called."""
        long = {"variable": "variable", "value": "value"} if self.layout == "long" else {"layout": self.layout}
        return {"id": self.id or None, "time": self.time, "values": self.features, **long}

    def means(self) -> dict[tuple, dict[float, dict[str, float]]]:
        """Key -> time -> feature -> mean of what was written; series, times and features without a value left away."""
        found = {}
        for key, times in self.expected.items():
            kept = {t: {f: sum(v) / len(v) for f, v in cells.items() if v} for t, cells in times.items()}
            kept = {t: cells for t, cells in sorted(kept.items()) if cells}
            if kept:
                found[key] = kept
        return found

    def has_duplicates(self) -> bool:
        times = [t for times in self.expected.values() for t in times.values()]
        if self.layout == "long":
            return any(len(v) > 1 for cells in times for v in cells.values())
        return len(self.rows) > len(times)


FORMS = {
    "whole": lambda h: [str(h)],
    "number": lambda h: [repr(h / 4)],
    "date": lambda h: [f"{START + timedelta(days=h):%Y-%m-%d}"],
    "german": lambda h: [f"{START + timedelta(days=h):%d.%m.%Y}"],
    "compact": lambda h: [f"{START + timedelta(days=h):%Y%m%d}"],
    "datetime": lambda h: [f"{START + timedelta(hours=h):%Y-%m-%dT%H:%M}"],
    "parts": lambda h: [str(getattr(START + timedelta(hours=h), part)) for part in ("year", "month", "day", "hour")],
}
TIME_COLUMNS = {"parts": ["year", "month", "day", "hour"]}
PER_STEP = {"number": 0.25}  # user's units per step of h, where it is not 1 hour, 1 day or 1

numbers = st.one_of(
    st.integers(-1000, 1000).map(float),
    st.floats(-1e12, 1e12),
    st.floats(-1e-6, 1e-6),
)
names = st.text("abcXYZ é_", min_size=1, max_size=5).map(str.strip).filter(lambda name: name != "")
ids = st.one_of(st.integers(-5, 10**6).map(str), st.sampled_from(["007", "A 1", "b,2", 'c"3', "Ünï", "x#1"]))


@st.composite
def tables(draw, layouts=("wide", "long", "single"), forms=tuple(FORMS)) -> Written:
    """A table of up to 20 rows: unsorted, with duplicates and blanks, comment lines and empty lines."""
    layout, form = draw(st.sampled_from(layouts)), draw(st.sampled_from(forms))
    two_ids = layout != "single" and draw(st.booleans())
    id_columns = [] if layout == "single" else ["id", "site"] if two_ids else ["id"]
    keys = [()] if layout == "single" else draw(st.lists(st.tuples(*[ids] * len(id_columns)), min_size=1, max_size=3))
    features = draw(st.lists(names.filter(lambda n: n not in ("id", "site")), min_size=1, max_size=3, unique=True))
    time_columns = TIME_COLUMNS.get(form, ["t"])
    entries = draw(
        st.lists(
            st.tuples(st.sampled_from(keys), st.integers(0, 60), st.lists(numbers | st.none(), min_size=3, max_size=3),
                      st.sampled_from(features)),
            min_size=2,
            max_size=20,
        )
    )  # fmt: skip
    blank = draw(st.sampled_from(BLANK_TEXTS))
    rows, expected = [], {}
    for key, step, values, variable in entries:
        cells = expected.setdefault(key, {}).setdefault(step, {})
        if layout == "long":
            shown = {variable: values[0]}
            tail = [variable, blank if values[0] is None else repr(values[0])]
        else:
            shown = dict(zip(features, values, strict=False))
            tail = [blank if v is None else repr(v) for v in shown.values()]
        for name, value in shown.items():
            cells.setdefault(name, []).extend([] if value is None else [value])
        rows.append([*key, *FORMS[form](step), *tail])
    header = [*id_columns, *time_columns, *(["variable", "value"] if layout == "long" else features)]
    used = sorted({e[3] for e in entries}) if layout == "long" else features
    text, lines = _text(draw, header, rows)
    return Written(layout, header, rows, id_columns, time_columns, used, expected, lines, text, form)


def _text(draw, header, rows) -> tuple[str, list[int]]:
    """The file, with comment and empty lines strewn in, and the line of each row."""
    delimiter = draw(st.sampled_from([",", ";", "\t"]))
    ending = draw(st.sampled_from(["\n", "\r\n"]))
    strew = draw(st.lists(st.integers(0, len(rows)), max_size=3))
    out, lines = [], []
    for k, row in enumerate([header, *rows]):
        out += ["# a comment, with commas", ""] * strew.count(k)
        buffer = io.StringIO()
        csv.writer(buffer, delimiter=delimiter, lineterminator="").writerow(row)
        lines.append(len(out) + 1)
        out.append(buffer.getvalue())
    return ending.join(out) + draw(st.sampled_from(["", ending])), lines[1:]
