"""The report of a comparison: which pages, in which order."""

from pathlib import Path

from neurode.report.comparison.depth_choice import depth_choice_page
from neurode.report.comparison.errors import errors_page
from neurode.report.comparison.front import front_page
from neurode.report.comparison.learning import learning_over_epochs_page
from neurode.report.comparison.memory import comparison_memory_page
from neurode.report.comparison.plane import plane_page
from neurode.report.page import Listing, Page, Report, write_report
from neurode.report.style import amount, clean
from neurode.tasks.comparison.results import Comparison
from neurode.tasks.comparison.verdicts import verdicts


def comparison_report(found: Comparison) -> Report:
    """Verdicts, then time and accuracy, memory, epochs, depth after training, paths, errors."""
    first, *rest = [clean(sentence) for sentence in verdicts(found)] or ["Nothing was trained."]
    return Report(
        title=f"ResNet or neural ODE: {clean(found.data, 80)}",
        kicker="neurode comparison",
        facts=" · ".join(
            [
                clean(found.about),
                f"{found.num_train:,} to train, {found.num_test:,} held out",
                f"{amount(found.seconds)} s on {clean(found.machine)}",
            ]
        ),
        lead=((first, ""),),
        lead_items=(Listing(tuple(rest)),) if rest else (),
        pages=tuple(_pages(found)),
        foot=tuple(("Data", clean(note)) for note in found.notes),
        foot_details=tuple((name, clean(value)) for name, value in found.settings.items() if value is not None),
    )


def _pages(found: Comparison) -> list[Page]:
    if not found.trained:
        return []
    pages = [front_page(found)]
    if found.memory:
        pages.append(comparison_memory_page(found))
    pages.append(learning_over_epochs_page(found))
    if found.odenets:
        pages.append(depth_choice_page(found))
    if found.scenes:
        pages.append(plane_page(found))
    pages.append(errors_page(found))
    return pages


def write_comparison_report(found: Comparison, path: str | Path) -> Path:
    """Write ONE self-contained report.html of a comparison: no network, no script, light, dark and on paper.

    The file is written in one move and is the same, byte for byte, for the same figures. Returns its path. Raises
    OSError where the folder does not exist, DataError where the disk is full or closed (nothing is left behind),
    MissingExtraError without matplotlib or jinja2.
    """
    return write_report(comparison_report(found), path)
