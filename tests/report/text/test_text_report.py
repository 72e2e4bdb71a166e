"""The report of sentences: self-contained, complete, the same every time, and coloured by the judge."""

import re
from dataclasses import replace

import pytest

from neurode.report.page import Page
from neurode.report.text.paths import path_table
from neurode.report.text.scores import draw_curves, scores_table
from neurode.report.text.text_report import write_text_report
from tests.report.html_reading import assert_self_contained
from tests.report.text.made_text_data import KINDS, made_evaluation, made_path, made_text_data

SECTIONS = [
    "From one sentence to another",
    "Ends, middles and movement",
    "Made sentences",
    "Map of the codes",
    "The text",
    "Learning curves",
    "The codes and the cost",
]


@pytest.fixture(scope="module")
def document(tmp_path_factory) -> str:
    path = tmp_path_factory.mktemp("report") / "report.html"
    assert write_text_report(made_text_data(), path) == path
    return path.read_text(encoding="utf-8")


def test_the_report_needs_nothing_outside_itself_and_has_every_section(document):
    reading = assert_self_contained(document)
    assert reading.headings == ["tales", *SECTIONS]
    assert len(reading.svgs) == 5
    assert document.count("<figcaption>") == len(reading.svgs)
    assert all(len(svg.get("aria-label", "")) > 15 for svg in reading.svgs)


def test_the_verdicts_come_first(document):
    lead = document[document.index('class="lead"') : document.index("<nav")]
    assert "<strong>Ends: all held.</strong>" in lead
    assert "The splice wins somewhere." in lead


def test_sentences_are_escaped_and_held_ends_are_bold(document):
    assert "<b>a &lt;b&gt; cat</b>" in document
    assert "a <b> cat" not in document


def test_cells_are_tinted_by_score(document):
    shares = [int(one) for one in re.findall(r"--score: (\d+)%", document)]
    assert set(shares) == {0, 25, 50, 75, 100}
    assert "color-mix(in srgb, var(--green) var(--score), var(--vermilion))" in document


def test_an_end_that_is_not_held_is_not_bold_and_repeats_are_marked():
    table = path_table([made_path("linear", exact=(False, True))], ["linear"])
    assert [row[1].best for row in table.rows] == [False, False, False, False, True]
    assert [row[1].text for row in table.rows][1:4] == ["some dog", "(the same)", "(the same)"]
    assert table.header == ("point", "straight line")


def test_the_best_of_the_models_own_rows_is_bold():
    table = scores_table(made_evaluation())
    exact = {row[0]: row[1] for row in table.rows}
    assert [exact[kind].best for kind in KINDS] == [False, False, False, True]
    assert not exact["splice"].best
    assert exact["real sentences"].text == "–"
    jump = {row[0]: row[7] for row in table.rows}
    assert [jump[kind].best for kind in KINDS] == [True, False, False, False]


def test_story_pages_stand_between_the_verdict_and_the_paths(tmp_path):
    path = write_text_report(made_text_data(), tmp_path / "r.html", story=(Page("A story", ("Once.",)),))
    assert assert_self_contained(path.read_text(encoding="utf-8")).headings == ["tales", "A story", *SECTIONS]


def test_parts_that_are_missing_become_sentences(tmp_path):
    data = made_text_data(with_map=False, examples=0)
    bare = replace(data, evaluation=replace(data.evaluation, samples=(), verdicts=()))
    reading = assert_self_contained(write_text_report(bare, tmp_path / "r.html").read_text(encoding="utf-8"))
    assert reading.headings == ["tales", *SECTIONS]
    for said in ("not scored", "No path was walked", "No sentences were made", "too few unseen sentences"):
        assert said in reading.text


def test_curves_need_a_path_read_at_even_places():
    found = made_evaluation()
    with pytest.raises(ValueError, match="no path was read at even places"):
        draw_curves(replace(found, rows=tuple(replace(row, curve=None) for row in found.rows)))


def test_a_model_without_a_field_has_no_panel_of_its_evaluations(document):
    assert "Evaluations of the field" not in document
    assert "training sentences (solid)" in document


def test_the_same_data_give_the_same_bytes(tmp_path, document):
    again = write_text_report(made_text_data(), tmp_path / "again.html").read_text(encoding="utf-8")
    assert again == document
