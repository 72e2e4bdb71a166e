"""The card of a model folder: what the model is, what it was trained on, how to use it."""

from neurode import __version__
from neurode.tasks.text.evaluation_results import TextEvaluation
from neurode.tasks.text.fitted import FittedText

_KINDS = {
    "autoencoder": "A conventional autoencoder",
    "noisy": "A noisy autoencoder",
    "vae": "A variational autoencoder",
}


def card(fitted: FittedText, evaluation: TextEvaluation | None) -> str:
    """README.md as text. Without an evaluation it says that none was made."""
    history, config = fitted.history, fitted.config
    flow = "a flow prior of its codes" if fitted.flow is not None else "no flow prior"
    lines = [
        f"# Sentence model of {fitted.source}",
        "",
        f"{_KINDS[config.kind]} of sentences with {flow}: it walks from one sentence to another, makes sentences and "
        f"finds near ones. Written by neurode {__version__}.",
        "",
        "## Data",
        "",
        f"- sentences: {', '.join(f'{size:,} {part}' for part, size in fitted.split.items())}",
        f"- {fitted.tokenizer.size:,} ids ({config.tokenizer}); sentences of {config.min_words} to {config.max_words} "
        "words and marks",
        f"- SHA-256 of the sentences: `{fitted.sha256}`",
        "",
        "## Training",
        "",
        f"- {history.num_epochs} epochs in {fitted.cost.seconds:.0f} s on {fitted.cost.device}; best epoch "
        f"{history.best_epoch}. {history.stopped_because}",
        f"- seed {config.seed}",
        "",
        "## Scores on unseen sentences",
        "",
    ]
    lines += _scores(evaluation) if evaluation is not None else ["Not evaluated when it was saved."]
    lines += [
        "",
        "## Use",
        "",
        "```python",
        "from neurode import TextModel",
        "",
        'model = TextModel.load("this folder")',
        'path = model.interpolate("One sentence.", "Another sentence.")',
        'print("\\n".join(path.sentences))',
        "```",
        "",
    ]
    return "\n".join(lines)


_SHOWN = {"exact": "ends exact", "accepted": "judge passes", "distinct": "distinct", "jump": "largest jump"}


def _scores(evaluation: TextEvaluation) -> list[str]:
    lines = [f"| path | {' | '.join(_SHOWN.values())} |", "|---|" + "---|" * len(_SHOWN)]
    lines += [f"| {row.name} | {' | '.join(f'{row.values[key]:.3f}' for key in _SHOWN)} |" for row in evaluation.rows]
    pairs = f"{evaluation.num_pairs} pairs of unseen sentences, {evaluation.steps} points a path."
    return [*lines, "", pairs, "", *(f"- {sentence}" for sentence in evaluation.verdicts)]
