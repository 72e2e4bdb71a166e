"""The report of one trained sentence model: which pages, in which order."""

from collections.abc import Sequence
from pathlib import Path

from neurode.report.learning_curves import learning_page
from neurode.report.page import Page, Report, write_report
from neurode.report.style import amount, clean
from neurode.report.text.corpus import corpus_page
from neurode.report.text.cost import text_cost_page
from neurode.report.text.made import made_page
from neurode.report.text.paths import paths_page
from neurode.report.text.scores import scores_page
from neurode.report.text.sentence_map import map_page
from neurode.tasks.text.report_results import TextReportData


def text_report(data: TextReportData, *, story: Sequence[Page] = ()) -> Report:
    """The report as pages: verdict, then `story`, then paths, scores, made sentences, map, text, training, cost."""
    evaluation = data.evaluation
    first, *rest = [clean(one) for one in evaluation.verdicts] or ["This model was not scored."]
    return Report(
        title=clean(data.title, 120) or "Sentences",
        kicker="neurode text report",
        facts=_facts(data),
        lead=((first, ""), *((one, "") for one in rest[:2]), *([("", " ".join(rest[2:]))] if rest[2:] else [])),
        pages=(
            *story,
            paths_page(evaluation),
            scores_page(evaluation),
            made_page(evaluation),
            map_page(data.map),
            corpus_page(data.corpus),
            learning_page(data.history, what="sentences"),
            text_cost_page(data.cost, evaluation.information),
        ),
        foot=_foot(data),
        foot_details=tuple((clean(name), clean(value)) for name, value in data.settings.items()),
    )


def write_text_report(data: TextReportData, path: str | Path, *, story: Sequence[Page] = ()) -> Path:
    """Write ONE self-contained report.html of a sentence model: no network, no script, light, dark and on paper.

    data: what `TextModel.report_data` hands out. story: pages shown between the verdict and the paths. The file is
    written in one move and is the same, byte for byte, for the same data. Returns its path. Raises OSError where the
    folder does not exist, DataError where the disk is full or closed (nothing is left behind), MissingExtraError
    without matplotlib or jinja2.
    """
    return write_report(text_report(data, story=story), path)


def _facts(data: TextReportData) -> str:
    cost = data.cost
    return " · ".join(
        [
            f"{data.corpus.num_sentences:,} sentences",
            f"{data.corpus.vocabulary:,} ids",
            f"trained in {amount(cost.train_seconds)} s on {clean(cost.device)}",
        ]
    )


def _foot(data: TextReportData) -> tuple[tuple[str, str], ...]:
    versions = ", ".join(f"{clean(name)} {clean(version)}" for name, version in data.versions.items())
    return (
        *(("Scores", clean(note)) for note in data.evaluation.notes),
        ("Text", clean(data.corpus.source)),
        ("SHA-256 of the sentences", clean(data.corpus.sha256)),
        ("Versions", versions),
    )
