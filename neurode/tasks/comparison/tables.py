"""The figures of a comparison as rows: for a person, and as a DataFrame."""

from typing import Any

from neurode.core.extras import require
from neurode.tasks.comparison.results import Comparison, ModelFigures
from neurode.tasks.comparison.verdicts import megabytes, points, step_change

COLUMNS = ("model", "s/epoch", "to goal", "memory", "calls", "score", "inference")


def figures_rows(found: Comparison) -> list[list[str]]:
    """One row a model, under COLUMNS."""
    return [_row(found, model) for model in found.models]


def _row(found: Comparison, model: ModelFigures) -> list[str]:
    if model.problem:
        return [model.candidate.name, *["–"] * (len(COLUMNS) - 1)]
    middle, _, _ = found.epoch_seconds(model)
    forward, backward = found.evaluations(model)
    memory = model.memory
    goal = found.seconds_to_goal(model)
    return [
        model.candidate.name,
        f"{middle:.3g}",
        "never" if goal == float("inf") else f"{goal:.3g} s",
        megabytes(memory.tensors if memory is not None else float("nan")),
        f"{forward:.3g}+{backward:.3g}" if model.candidate.is_ode else f"{forward:.3g}",
        points(model.score) + (f" ±{100 * model.spread:.2f}" if model.spread == model.spread else ""),
        f"{1e3 * model.latency:.3g} ms",
    ]


def figures_frame(found: Comparison) -> Any:
    """A DataFrame, one row a model, in seconds, bytes and shares."""
    pd = require("pandas", extra="tools")
    rows = []
    for number, model in enumerate(found.models):
        middle, low, high = found.epoch_seconds(model)
        forward, backward = found.evaluations(model) if model.scores else (float("nan"), float("nan"))
        memory = model.memory
        rows.append(
            {
                "candidate": number,
                "model": model.candidate.name,
                "family": model.candidate.family,
                "parameters": model.parameters,
                "clock": "processor" if found.is_busy else "wall",
                "epoch_seconds": middle,
                "epoch_seconds_low": low,
                "epoch_seconds_high": high,
                "seconds_to_goal": found.seconds_to_goal(model),
                "tensor_bytes": memory.tensors if memory is not None else float("nan"),
                "resident_bytes": memory.resident if memory is not None else float("nan"),
                "evaluations_forward": forward,
                "evaluations_backward": backward,
                "score": model.score,
                "score_sd": model.spread,
                "step_change": step_change(model),
                "inference_seconds": model.latency,
                "problem": model.problem,
            }
        )
    return pd.DataFrame(rows)
