"""The story's pages: what their captions say must be what was computed."""

import numpy as np
import pytest
import torch

from neurode.report.page import Report, render
from neurode.report.picture import Picture
from neurode.report.story import opening_pages
from neurode.report.story.euler import euler_page, euler_paths
from neurode.report.story.residual import layer, residual_page, residual_paths, start_points
from neurode.report.story.steps import SPAN, chosen_steps, work_precision
from tests.report.html_reading import assert_self_contained


@pytest.fixture(scope="module")
def pages():
    return opening_pages()


@pytest.fixture(scope="module")
def work():
    return {line.method: line for line in work_precision()}


def test_a_residual_network_adds_its_layers():
    paths = residual_paths(start_points(), num_layers=3)
    moved = torch.from_numpy(paths[2]) + layer(2, torch.from_numpy(paths[2]))
    assert np.array_equal(paths[3], moved.numpy())


def test_eulers_method_with_step_one_is_the_residual_network():
    assert euler_paths().gap == 0


def test_eulers_error_falls_in_proportion_to_its_step():
    errors = euler_paths().errors
    assert 2.5 < errors[0.5] / errors[0.125] < 6
    assert errors[1.0] > errors[0.5] > errors[0.125] > 0


def test_the_solver_steps_finely_only_while_the_cell_fires():
    chosen = chosen_steps()
    assert chosen.times[0] == 0
    assert chosen.times[-1] == SPAN
    sizes = np.diff(chosen.times)[1:-1]
    assert sizes.max() / sizes.min() > 8
    change = np.abs(np.diff(chosen.states[:, 0]))[1:-1] / sizes
    assert np.median(sizes[change > 0.3]) < 0.5 * np.median(sizes[change < 0.1])


def test_the_solution_that_the_steps_are_drawn_on_is_the_one_they_belong_to():
    chosen = chosen_steps()
    read = np.interp(chosen.times, chosen.curve_times, chosen.curve[:, 0])
    assert np.abs(read - chosen.states[:, 0]).max() < 0.03


def test_higher_order_buys_accuracy_with_fewer_evaluations(work):
    assert set(work) == {"euler", "rk4", "dopri5", "tsit5"}
    slopes = {name: _slope(line) for name, line in work.items()}
    assert -1.5 < slopes["euler"] < -0.7
    assert slopes["rk4"] < -3
    assert slopes["tsit5"] < -5
    assert work["dopri5"].errors.min() < 5e-7 < work["rk4"].errors.min() < work["euler"].errors.min()


def test_captions_say_the_numbers_of_their_pictures(pages):
    page = pages[2]
    captions = [item.caption for item in page.items if isinstance(item, Picture)]
    chosen = chosen_steps()
    assert f"takes {len(chosen.times) - 1} steps and {chosen.evaluations} evaluations" in captions[0]
    assert "euler did not come that far" in captions[1]
    assert "to the last digit" in str(pages[1].items[2])


def test_the_opening_pages_make_a_self_contained_document(pages):
    reading = assert_self_contained(render(Report("story", "kicker", "facts", (("Verdict.", "And why."),), pages)))
    assert len(reading.svgs) == 4
    assert "h[t+1] = h[t] + f(h[t], θ[t])" in reading.text
    assert reading.headings[1:] == [page.title for page in pages]


def test_the_pictures_of_the_story_are_the_same_every_time(pages):
    for page, again in zip(pages[:2], (residual_page(), euler_page()), strict=True):
        first, second = (render(Report("story", "kicker", "facts", (), (one,))) for one in (page, again))
        assert first == second


def _slope(line) -> float:
    return float(np.polyfit(np.log(line.evaluations[-3:]), np.log(line.errors[-3:]), 1)[0])
