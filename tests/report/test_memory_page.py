"""The page on training at constant memory says what its figures show, whichever way they fall."""

import re
from dataclasses import replace

from neurode.report.page import Listing, Report, Table, render
from neurode.report.picture import Picture
from neurode.report.story.memory import draw_memory, memory_page
from neurode.tasks.gradient_memory import GradientMemory, GradientMemoryJob, MemoryPoint, WayCost, ways_to_differentiate
from tests.report.html_reading import assert_self_contained

STEPS = (10, 100, 1000)
KEEPS_ALL, KEEPS_STATES, FLAT = (1e6, 10e6, 100e6), (1e6, 2e6, 8e6), (0.5e6, 0.5e6, 0.51e6)


def way(name: str, peaks, seconds: float, gap: float = 1e-16) -> WayCost:
    points = tuple(MemoryPoint(steps, int(peak) // 2, int(peak)) for steps, peak in zip(STEPS, peaks, strict=True))
    return WayCost(name, points, seconds, gap)


def found(*others: WayCost) -> GradientMemory:
    return GradientMemory(GradientMemoryJob(steps=STEPS), (way("direct", KEEPS_ALL, 0.2, 0.0), *others), 9.0)


USUAL = found(
    way("checkpointed", KEEPS_STATES, 0.3),
    way("Checkpointed(10)", FLAT, 0.4),
    way("reversible", FLAT, 0.6, 3e-8),
    way("adjoint", (0.4e6, 0.4e6, 0.4e6), 0.4, 2e-5),
)


def words(result: GradientMemory) -> str:
    return " ".join(item for item in memory_page(result).items if type(item) is str)


def advised(result: GradientMemory) -> list[str]:
    (advice,) = (item for item in memory_page(result).items if isinstance(item, Listing))
    return [re.split("[,:]", line)[0] for line in advice.lines]


def test_growth_and_flatness_are_said_with_their_figures():
    said = words(USUAL)
    assert "Direct grows in proportion to the steps: 10 MB to 100 MB from 100 to 1,000 steps." in said
    assert "Checkpointed grows, by a factor of 4: 2 MB to 8 MB from 100 to 1,000 steps." in said
    flat = "Flat within 5% from 100 to 1,000 steps: Checkpointed(10) 0.51 MB, reversible 0.51 MB, adjoint 0.4 MB."
    assert flat in said
    assert "At 1,000 steps direct needs 250 times as much as adjoint." in said
    assert "times as long as direct took checkpointed 1.5, Checkpointed(10) 2.0, reversible 3.0, adjoint 2.0." in said


def test_the_words_change_when_the_figures_do():
    said = words(found(way("reversible", (1e6, 10e6, 120e6), 0.1)))
    assert "Reversible grows in proportion to the steps: 10 MB to 120 MB" in said
    assert "No way was flat from 100 to 1,000 steps." in said
    assert "times as much as" not in said
    assert "The fastest was reversible, in 0.50 times direct's time." in said
    assert "Memory is bought with time" not in said


def test_the_table_marks_the_least_memory_and_the_least_time():
    (table,) = (item for item in memory_page(USUAL).items if isinstance(item, Table))
    cells = {row[0]: row[1:] for row in table.rows}
    assert [name for name, row in cells.items() if row[2].best] == ["adjoint"]
    assert [name for name, row in cells.items() if row[3].best] == ["direct"]
    assert cells["reversible"][4] == "3e-08"
    assert cells["direct"][4] == "–"
    assert table.header[2:4] == ("100 steps", "1,000 steps")


def test_only_ways_that_were_measured_are_advised():
    assert advised(found(way("adjoint", FLAT, 0.4))) == ["direct", "adjoint"]
    assert advised(USUAL) == ["direct", "checkpointed", "reversible", "adjoint"]


def test_every_way_that_is_measured_has_its_words_and_its_look():
    ways = [way(name, FLAT, 0.3) for name in ways_to_differentiate() if name != "direct"]
    result = found(*ways)
    (table,) = (item for item in memory_page(result).items if isinstance(item, Table))
    assert all(row[1] != "–" for row in table.rows)
    lines = draw_memory(result).axes[0].lines
    assert len({line.get_color() for line in lines}) == len(ways) + 1


def test_where_only_few_steps_were_measured_growth_is_judged_from_the_first():
    short = replace(USUAL, ways=tuple(replace(one, points=one.points[:2]) for one in USUAL.ways))
    assert "Direct grows in proportion to the steps: 1 MB to 10 MB from 10 to 100 steps." in words(short)


def test_the_page_makes_a_self_contained_document():
    page = memory_page(USUAL)
    reading = assert_self_contained(render(Report("story", "kicker", "facts", (), (page,))))
    assert len(reading.svgs) == 1
    (picture,) = (item for item in page.items if isinstance(item, Picture))
    assert "64 states of 16 numbers in float64" in picture.caption
    assert "median of 3 rounds" in picture.caption
