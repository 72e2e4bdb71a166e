"""The card of a model folder: what the model is, what it was trained on, how good it is, how to use it."""

from neurode import __version__
from neurode.tasks.series.fitted import Fitted
from neurode.tasks.series.results import AVERAGE, METHODS, Evaluation


def card(fitted: Fitted, evaluation: Evaluation | None) -> str:
    """README.md as text. Without an evaluation the table of scores says that none was made."""
    schema, unit = fitted.schema, fitted.time_unit or "time units"
    lines = [
        f"# Series model of {fitted.source}",
        "",
        "A latent ODE for irregularly sampled series: it fills blanks, forecasts and makes new series, with calibrated "
        "intervals. Written by neurode " + __version__ + ".",
        "",
        "## Data",
        "",
        f"- layout {schema.layout}; id {', '.join(schema.id) or 'none (one series)'}; time {', '.join(schema.time)}",
        f"- features: {', '.join(fitted.features)}",
        f"- series or windows: {', '.join(f'{size} {part}' for part, size in fitted.split.items())}",
        f"- SHA-256 of the series: `{fitted.sha256}`",
        "",
        "## Training",
        "",
        f"- {fitted.history.num_epochs} epochs in {fitted.cost.seconds:.0f} s on {fitted.cost.device}; best epoch "
        f"{fitted.history.best_epoch}. {fitted.history.stopped_because}",
        f"- forecasts trained and calibrated up to {fitted.choices.horizon:g} {unit}; seed {fitted.config.seed}",
        "",
        "## Scores on test series",
        "",
    ]
    lines += _scores(evaluation) if evaluation is not None else ["Not evaluated when it was saved."]
    lines += [
        "",
        "## Use",
        "",
        "```python",
        "from neurode import SeriesModel",
        "",
        'model = SeriesModel.load("this folder")',
        'filled = model.impute("table.csv")',
        'ahead = model.forecast("table.csv")',
        "```",
        "",
    ]
    return "\n".join(lines)


def _scores(evaluation: Evaluation) -> list[str]:
    lines = [
        "| task | method | RMSE | MAE | CRPS | coverage |",
        "|---|---|---|---|---|---|",
    ]
    for task in evaluation.tasks:
        for method in METHODS:
            row = evaluation.row(task, method, AVERAGE)
            lines.append(
                f"| {task} | {method} | {row.rmse:.3g} | {row.mae:.3g} | {row.crps:.3g} | {row.coverage:.1%} |"
            )
    lines += [
        "",
        f"Standardised features, {evaluation.num_series} test series; nominal coverage {evaluation.coverage:.0%}.",
        "",
    ]
    return lines + [f"- {sentence}" for sentence in evaluation.verdicts]
