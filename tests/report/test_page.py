"""The page: whatever a reader's text holds, it arrives as text."""

import errno
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neurode.core.errors import DataError
from neurode.report.page import Cell, Formula, Listing, Page, Report, Table, render, write_report
from neurode.report.style import clean
from tests.report.html_reading import assert_self_contained, read_html

NASTY = st.text(st.one_of(st.sampled_from("<>&\"'{}%#\\/$;= \n\t\x00"), st.characters(codec="utf-8")), max_size=40)


def report_of(*items, title: str = "t") -> Report:
    return Report(title, "kicker", "facts", (("Verdict.", "And why."),), (Page("Page", tuple(items)),))


PLAIN = render(
    report_of("a", Formula("a"), Listing(("a",)), Table(("a", "a"), (("a", Cell("a", best=True)), ("last", "1"))))
)


@settings(max_examples=60)
@given(NASTY, NASTY)
def test_no_text_can_break_out_of_its_place(name, value):
    table = Table(("feature", "value"), ((clean(name), Cell(clean(value), best=True)), ("last", "1")))
    document = render(report_of(clean(name), Formula(clean(value)), Listing((clean(name),)), table, title=clean(name)))
    assert read_html(document).tags == read_html(PLAIN).tags
    assert clean(name) in read_html(document).text or not clean(name).strip()


def test_a_table_hides_its_rest_behind_a_click_but_prints_it():
    rows = tuple((f"row {i}", str(i)) for i in range(20))
    document = render(report_of(Table(("name", "value"), rows, shown=14)))
    reading = assert_self_contained(document)
    assert "6 more" in reading.text
    assert all(f"row {i}" in reading.text for i in range(20))
    assert "details::details-content" in document


def test_groups_of_columns_stand_over_their_columns():
    table = Table(("", "a", "b", "c"), (("row", "1", "2", "3"),), groups=(("", 1), ("left", 2), ("right", 1)))
    assert table.group_starts == {1, 3}
    reading = read_html(render(report_of(table)))
    assert reading.values("colspan") == ["1", "2", "1"]


def test_a_write_that_fails_keeps_the_old_file_and_leaves_no_part(tmp_path, monkeypatch):
    path = tmp_path / "report.html"
    write_report(report_of("old"), path)

    def no_space(source, target):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "replace", no_space)
    with pytest.raises(DataError, match="the disk is full.*Free some space and try again") as refused:
        write_report(report_of("new"), path)
    assert "resume" not in str(refused.value)  # nothing of a report can be resumed
    assert [file.name for file in tmp_path.iterdir()] == ["report.html"]
    assert "old" in path.read_text(encoding="utf-8")


def test_a_lone_surrogate_in_a_title_does_not_stop_the_report(tmp_path):
    path = write_report(report_of("a \ud800 b"), tmp_path / "r.html")
    assert "a ? b" in path.read_text(encoding="utf-8")
