"""The story as pages: a residual network, Euler's method, a solver that chooses its steps, its memory, spirals."""

from neurode.report.page import Page
from neurode.report.story.euler import euler_page
from neurode.report.story.residual import residual_page
from neurode.report.story.steps import steps_page


def opening_pages() -> tuple[Page, ...]:
    """The story's first three lines as pages, computed when called (a few seconds on one core).

    They need no data and no trained model, and are the same every time.
    """
    return residual_page(), euler_page(), steps_page()


__all__ = ["opening_pages"]
