"""The report of a comparison: self-contained, complete, and its words follow from the figures."""

from dataclasses import replace

import pytest

from neurode.models.depth import Regulariser
from neurode.report.comparison.comparison_report import comparison_report, write_comparison_report
from neurode.report.comparison.depth_choice import depth_choice_page
from neurode.report.comparison.errors import errors_page
from neurode.report.comparison.front import draw_front, figures_table
from neurode.report.comparison.learning import draw_learning, learning_over_epochs_page
from neurode.report.comparison.looks import looks, shown
from neurode.report.comparison.memory import draw_memory
from neurode.report.comparison.plane import plane_page
from neurode.report.page import Listing, Page, Table
from neurode.report.picture import Picture
from neurode.report.story.comparison import comparison_page
from neurode.tasks.comparison.candidates import Candidate
from tests.report.html_reading import assert_self_contained
from tests.tasks.comparison.made_comparison import ODE, RESNETS, USUAL, comparison, model

SECTIONS = [
    "Time against accuracy",
    "Memory against depth",
    "Over the epochs",
    "Depth is a choice after training",
    "On the way through the depth",
    "Noise and confusion",
]


def words(page: Page) -> str:
    lines = [item.lines if isinstance(item, Listing) else (item,) for item in page.items]
    return " ".join(line for several in lines for line in several if isinstance(line, str))


@pytest.fixture(scope="module")
def document(tmp_path_factory) -> str:
    path = tmp_path_factory.mktemp("report") / "report.html"
    assert write_comparison_report(USUAL, path) == path
    return path.read_text(encoding="utf-8")


def test_the_report_needs_nothing_outside_itself_and_has_every_section(document):
    reading = assert_self_contained(document)
    assert reading.headings == ["ResNet or neural ODE: moons", *SECTIONS]
    assert len(reading.svgs) == document.count("<figcaption>") == 6
    assert "Highest accuracy: ODE-net midpoint:2" in document[document.index('class="lead"') : document.index("<nav")]


def test_the_table_marks_the_best_of_each_column():
    table = figures_table(USUAL)
    cells = {row[0]: row for row in table.rows}
    assert len(table.header) == len(table.rows[0]) == 12
    best = {table.header[place]: name for name, row in cells.items() for place in (2, 4, 8) if row[place].best}
    assert best == {"s an epoch": "ResNet 2", "memory": "ResNet 2", "accuracy": "ODE-net midpoint:2"}
    assert cells["ODE-net dopri5@1e-3, direct, kinetic 0.1"][10] == "3.00%"
    assert cells["ResNet 2"][3] == "never"


def test_every_model_is_drawn_once_in_its_own_look():
    chosen = looks(USUAL)
    assert len({(look.color, look.mark, str(look.dash)) for look in chosen.values()}) == len(USUAL.models)
    assert len(draw_front(USUAL).axes[0].containers) == len(USUAL.models)
    left, right = draw_learning(USUAL).axes
    assert len(left.lines) == len(right.lines) == len(USUAL.models)
    assert right.lines[2].get_ydata().tolist() == [9.0, 11.0, 13.0]
    assert [line.get_ydata().tolist() for line in draw_memory(USUAL).axes[0].lines] == [[1.0, 4.0], [1.2, 1.21]]


def test_of_many_models_the_ends_are_shown():
    many = comparison(
        [model(Candidate("resnet", depth), (0.9, 0.9)) for depth in (1, 2, 3, 4, 5, 6)] + [model(ODE, (0.9, 0.9))],
        (1.0,) * 7,
    )
    assert [one.candidate.name for one in shown(many.trained)] == ["ResNet 1", "ResNet 6", "ODE-net midpoint:2"]
    (picture,) = (item for item in learning_over_epochs_page(many).items if isinstance(item, Picture))
    assert "4 of the residual networks and ODE-nets are left out of the picture." in picture.caption


def test_growing_evaluations_are_said_and_constant_ones_too():
    assert "ODE-net midpoint:2 went from 5.0 to 7.0 evaluations a forward pass." in words(
        learning_over_epochs_page(USUAL)
    )
    still = replace(USUAL, rows=tuple(replace(row, forward=4.0) for row in USUAL.rows))
    assert "No field of this comparison changed its number of evaluations" in words(learning_over_epochs_page(still))


def test_steps_that_are_drawn_are_no_growth():
    drawn = model(replace(ODE, regulariser=Regulariser(more_steps=3)), (0.9, 0.9))
    said = words(learning_over_epochs_page(comparison([drawn], (1.0,))))
    assert "steps times 3 takes as many as were drawn for a batch, 7.0 forward in the last epoch." in said


def test_times_that_lie_far_apart_are_shown_by_factors_and_solvers_by_their_own_names():
    near, far = (comparison(USUAL.models, (1.0, 2.0, 3.0, last)) for last in (4.0, 9.0))
    assert draw_front(near).axes[0].get_xscale() == "linear"
    axes = draw_front(far).axes[0]
    assert axes.get_xscale() == "log"
    assert [text.get_text() for text in axes.texts] == ["2", "8", "midpoint:2", "dopri5@1e-3"]


def test_the_page_on_depth_has_a_table_for_each_ode_net_and_the_gap_to_euler():
    page = depth_choice_page(USUAL)
    tables = [item for item in page.items if isinstance(item, Table)]
    assert [len(table.rows) for table in tables] == [3, 3]
    assert tables[0].rows[0][0] == "midpoint, 2 steps (as trained)"
    assert [row[2].best for row in tables[1].rows] == [True, False, False]
    assert "differ by at most 2e-16" in words(page)
    assert "leans on its steps" in words(page)
    assert "are the same to the last bit" in words(depth_choice_page(replace(USUAL, euler_gap=0.0)))


def test_noise_is_told_with_who_holds_best():
    assert "Noise on the inputs hits all models alike." in words(errors_page(USUAL))
    weak = replace(USUAL.models[0], noise=(0.98, 0.9, 0.5))
    page = errors_page(replace(USUAL, models=(weak, *USUAL.models[1:])))
    assert (
        "With noise of 0.4 of the inputs' spread ResNet 8 loses least (from 98.0% to 70.0%) and ResNet 2 loses most "
        "(from 98.0% to 50.0%)." in words(page)
    )


def test_a_model_that_never_learned_is_not_blamed_on_noise():
    lost = replace(USUAL.models[0], noise=(0.5, 0.5, 0.5))
    said = words(errors_page(replace(USUAL, models=(lost, *USUAL.models[1:]))))
    assert "With noise of 0.4 of the inputs' spread ResNet 2 loses least (from 50.0% to 50.0%)" in said


def test_numbers_have_no_confusion_and_images_have_stages():
    assert len([item for item in errors_page(USUAL).items if isinstance(item, Picture)]) == 2
    assert len([item for item in errors_page(replace(USUAL, kind="number")).items if isinstance(item, Picture)]) == 1
    scene = replace(
        USUAL.scenes[0],
        regions=[],
        extent=(),
        stages=[[[[0.0, 1.0], [1.0, 0.5]]] * 2] * 3,
        pictures=[[[0.0, 1.0], [1.0, 0.0]]] * 2,
    )
    page = plane_page(replace(USUAL, scenes=(scene,)))
    assert len([item for item in page.items if isinstance(item, Picture)]) == 2


def test_a_comparison_of_which_nothing_was_trained_has_a_report_all_the_same(tmp_path):
    failed = comparison([model(RESNETS[0], (), problem="The loss is not finite in epoch 1.")], (1.0,), scenes=())
    report = comparison_report(failed)
    assert report.pages == ()
    assert "could not be trained" in report.lead[0][0]
    write_comparison_report(failed, tmp_path / "report.html")


def test_the_storys_page_is_one_page_with_verdict_table_and_pictures():
    page = comparison_page(USUAL)
    assert "ODE-net midpoint:2 is no worse than ResNet 8" in words(page)
    assert sum(isinstance(item, Picture) for item in page.items) == 3
    assert sum(isinstance(item, Table) for item in page.items) == 1
