"""The card of a model folder: what the model is, what it was trained on, how to use it."""

from neurode import __version__
from neurode.tasks.text.fitted import FittedText

_KINDS = {
    "autoencoder": "A conventional autoencoder",
    "noisy": "A noisy autoencoder",
    "vae": "A variational autoencoder",
}


def card(fitted: FittedText) -> str:
    """README.md as text."""
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
