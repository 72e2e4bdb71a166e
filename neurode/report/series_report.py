"""The report of one trained series model: which pages, in which order."""

from collections.abc import Sequence
from pathlib import Path

from neurode.report.bands import filled_page, forecast_page
from neurode.report.baselines import baselines_page, verdict_table
from neurode.report.calibration import calibration_page
from neurode.report.cost import cost_page
from neurode.report.data_summary import data_page
from neurode.report.horizon import horizon_page
from neurode.report.latent_map import latent_page
from neurode.report.learning_curves import learning_page
from neurode.report.page import Page, Report, write_report
from neurode.report.samples import samples_page
from neurode.report.style import amount, clean, plural
from neurode.report.tracks import track_picture, without_positions
from neurode.tasks.series.results import FORECAST, HELD_OUT, SeriesReportData


def series_report(data: SeriesReportData, *, story: Sequence[Page] = ()) -> Report:
    """The report as pages: verdict, then `story`, then data, predictions, scores, model and cost."""
    skipped = data.evaluation.skipped
    pages = (
        *story,
        data_page(data.data),
        _forecasts(data),
        filled_page(data.examples_of(HELD_OUT), skipped.get(HELD_OUT, "")),
        samples_page(data.samples),
        baselines_page(data.evaluation),
        horizon_page(data.evaluation),
        calibration_page(data.evaluation),
        latent_page(data.latent),
        learning_page(data.history),
        cost_page(data.cost, data.evaluation),
    )
    table = verdict_table(data.evaluation)
    return Report(
        title=clean(data.title, 120) or "Series",
        kicker="neurode series report",
        facts=_facts(data),
        lead=_lead(data.evaluation.verdicts),
        lead_items=() if table is None else (table,),
        pages=pages,
        foot=_foot(data),
        foot_details=tuple((clean(name), clean(value)) for name, value in data.settings.items()),
    )


def write_series_report(data: SeriesReportData, path: str | Path, *, story: Sequence[Page] = ()) -> Path:
    """Write ONE self-contained report.html that a person can mail: no network, no script, light, dark and on paper.

    data: what `report_data` of the series task hands out; parts that are None, empty or NaN become a sentence.
    story: pages shown between the verdict and the data, for example those of `neurode.report.story`. The file is
    written in one move and is the same, byte for byte, for the same data. Returns its path. Raises OSError where the
    folder does not exist, DataError where the disk is full or closed (nothing is left behind), MissingExtraError
    without matplotlib or jinja2.
    """
    return write_report(series_report(data, story=story), path)


def _forecasts(data: SeriesReportData) -> Page:
    """The forecasts; those of positions as tracks first."""
    examples, skipped = data.examples_of(FORECAST), data.evaluation.skipped.get(FORECAST, "")
    tracks = track_picture(examples)
    if tracks is None:
        return forecast_page(examples, skipped)
    # What the map shows need not be drawn against time once more, where there is something else to draw.
    page = forecast_page(without_positions(examples) or examples, skipped)
    return Page(page.title, (page.items[0], tracks, *page.items[1:]))


def _lead(verdicts: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Verdicts of one subject, "Forecast: ...", as one paragraph: the first as its headline, then the others."""
    paragraphs: dict[str, list[str]] = {}
    for verdict in map(clean, verdicts):
        subject, colon, words = verdict.partition(": ")
        if colon and subject in paragraphs:
            # "neurode" is a name and stays small; another sentence begins with a capital once its subject is gone.
            paragraphs[subject].append(words if words.startswith("neurode") else words[:1].upper() + words[1:])
        else:
            paragraphs[subject if colon else verdict] = [verdict]
    if not paragraphs:
        return (("This model was not scored, so there is no verdict.", ""),)
    return tuple((first, " ".join(rest)) for first, *rest in paragraphs.values())


def _facts(data: SeriesReportData) -> str:
    summary, cost = data.data, data.cost
    parts = [
        f"{summary.num_series:,} series",
        plural(summary.num_rows, "row"),
        plural(len(summary.features), "feature"),
        f"trained in {amount(cost.train_seconds)} s on {clean(cost.device)}",
    ]
    return " · ".join(parts)


def _foot(data: SeriesReportData) -> tuple[tuple[str, str], ...]:
    foot = [("Data", clean(data.data.source))]
    if data.data.sha256:
        foot.append(("SHA-256 of the series", clean(data.data.sha256)))
    foot.append(("Versions", ", ".join(f"{clean(name)} {clean(version)}" for name, version in data.versions.items())))
    return tuple(foot)
