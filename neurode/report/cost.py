"""What it took: seconds, evaluations, memory."""

from neurode.report.page import Page, Table
from neurode.report.style import clean, number, plural
from neurode.tasks.series.results import Cost, Evaluation


def cost_page(cost: Cost, evaluation: Evaluation) -> Page:
    """The cost of the model, as a table."""
    per_second = cost.train_observations / cost.seconds_per_epoch if cost.seconds_per_epoch > 0 else float("nan")
    rows = (
        ("weights", f"{cost.parameters:,}", "numbers that training chose"),
        ("epochs", f"{cost.epochs:,}", "passes over the training series"),
        ("training", f"{number(cost.train_seconds)} s", "from start to end"),
        (
            "one epoch",
            f"{number(cost.seconds_per_epoch)} s",
            f"{cost.train_observations:,} observations, {number(per_second)} a second",
        ),
        (
            "evaluations a step",
            number(cost.evaluations_per_step),
            "calls of the field in one training step, recomputation counted",
        ),
        (
            "prediction",
            f"{number(cost.predict_seconds)} s",
            f"to encode and predict all {plural(evaluation.num_series, 'test series')} once",
        ),
        ("evaluation", f"{number(evaluation.seconds)} s", "all scores of this report"),
        ("memory", f"{number(cost.peak_memory_mb)} MB", "largest resident size of the process"),
        ("device", clean(cost.device), plural(cost.threads, "thread")),
    )
    return Page("The cost", (Table(("", "", "what it is"), rows, words=frozenset({2})),))
