"""Does a code help or hurt the likelihood of sentences? A VAE beside a recurrent language model of the same size.

    python -m benchmarks.sentence_likelihood sentences.txt.gz        about 20 minutes on one core

Both have the same words, word vectors, recurrent units and dropout, are trained on the same sentences for as many
epochs, and keep their best epoch on the same validation sentences. The table is about sentences that neither has
seen: the language model's exact likelihood, and the VAE's importance-weighted bound with 500 draws.
"""

import argparse
import sys
import time
from datetime import datetime
from pathlib import Path

import torch

from benchmarks.hardware import description
from neurode.data.text.corpus import read_sentences
from neurode.data.text.sentence_batch import SentenceBatch
from neurode.data.text.splits import split_corpus
from neurode.data.text.vocabulary import WordVocabulary
from neurode.models.text.information import measure
from neurode.models.text.language_model import LanguageModelConfig, RecurrentLanguageModel
from neurode.models.text.sentence_autoencoder import SentenceAutoencoder
from neurode.models.text.sentence_config import SentenceConfig
from neurode.tasks.text.sentence_data import SentenceData
from neurode.training.fit import fit
from neurode.training.fit_config import FitConfig

RESULTS = Path(__file__).parent / "results"
ABOVE, LEAST_KL, LEAST_ACTIVE = 0.03, 5.0, 20
"""The bars: at most so much above the language model, with a code that is used."""


def main(arguments: list[str] | None = None) -> None:
    """Train both, measure, write the table."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.sentence_likelihood", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("text", type=Path)
    parser.add_argument("--free-bits", default="0.2", help="nats of each number that cost nothing; comma-separated")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--pretraining", type=int, default=2, help="of these, epochs as an autoencoder")
    parser.add_argument("--units", type=int, default=256)
    parser.add_argument("--embedding", type=int, default=128)
    parser.add_argument("--dropout", type=float, default=0.3)
    parser.add_argument("--code", type=int, default=32)
    parser.add_argument("--held-out", type=int, default=500, help="sentences that are measured")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    sentences = read_sentences(options.text, min_words=3, max_words=12).sentences
    splits = split_corpus(sentences, seed=options.seed)
    parts = {name: [sentences[place] for place in places] for name, places in splits.parts.items()}
    vocabulary = WordVocabulary.fit(parts["train"], min_count=3)
    ids = {name: [vocabulary.encode(one) for one in part] for name, part in parts.items()}
    data = SentenceData(ids["train"], ids["validation"], batch_size=128, seed=options.seed)
    chosen = sorted(ids["pairs"][: options.held_out], key=len)
    progress = None if sys.stderr.isatty() else False

    def trained(model, epochs: int) -> float:
        began = time.perf_counter()
        settings = FitConfig(epochs, 2e-3, weight_decay=1e-2, clip_norm=5.0, seed=options.seed)
        fit(model, data, settings, progress=progress)
        model.eval()
        return time.perf_counter() - began

    torch.manual_seed(options.seed)
    shape = options.embedding, options.units
    walk = RecurrentLanguageModel(LanguageModelConfig(vocabulary.size, *shape, dropout=options.dropout))
    seconds = trained(walk, options.epochs)
    due = -sum(float(one.sum()) for one in walk.log_probabilities_of(chosen)) / len(chosen)
    rows = [f"| language model | {due:.3f} | | | | | {seconds / 60:.1f} | |"]
    print(rows[0], flush=True)
    for free_bits in map(float, options.free_bits.split(",")):
        torch.manual_seed(options.seed)
        settings = SentenceConfig.vae(
            vocabulary.size,
            max_words=max(map(len, sentences_ids(ids))),
            code_dim=options.code,
            embedding_dim=options.embedding,
            hidden_dim=options.units,
            dropout=options.dropout,
            free_bits=free_bits,
            beta_warmup=1,
            pretraining_epochs=options.pretraining,
        )
        model = SentenceAutoencoder(settings)
        seconds = trained(model, options.epochs)
        batches = [SentenceBatch.of(chosen[k : k + 50]) for k in range(0, len(chosen), 50)]
        found = measure(model, batches, draws=500, seed=options.seed)
        assert found.nll is not None
        assert found.kl is not None
        assert found.active_units is not None
        above = found.nll / due - 1
        passed = above <= ABOVE and found.kl >= LEAST_KL and found.active_units >= LEAST_ACTIVE
        rows.append(
            f"| VAE, free bits {free_bits:g} | {found.nll:.3f} ({above:+.1%}) | {found.elbo_nll:.3f} | {found.kl:.2f} "
            f"| {found.mutual_information:.2f} | {found.active_units} of {options.code} | {seconds / 60:.1f} | "
            f"{'passed' if passed else 'missed'} |"
        )
        print(rows[-1], flush=True)
    lines = [
        f"# A VAE beside a recurrent language model, {options.text.name}, {datetime.now():%Y-%m-%d}",
        "",
        *description(),
        f"- {len(ids['train']):,} sentences train; {len(chosen)} held-out ones; {options.epochs} epochs, of the VAE "
        f"{options.pretraining} as an autoencoder; {options.units} units, word vectors of {options.embedding}, dropout "
        f"{options.dropout:g}; seed {options.seed}",
        f"- bar: at most {ABOVE:.0%} above the language model, KL at least {LEAST_KL:g}, {LEAST_ACTIVE} active units",
        "",
        "| model | nats a sentence | by the ELBO | KL | mutual information | active units | minutes | bar |",
        "|---|---|---|---|---|---|---|---|",
        *rows,
    ]
    name = f"sentence_likelihood_{options.text.name.split('.')[0]}_{datetime.now():%Y-%m-%d}.md"
    (options.results / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))


def sentences_ids(ids: dict[str, list[list[int]]]) -> list[list[int]]:
    """All sentences of all parts."""
    return [one for part in ids.values() for one in part]


if __name__ == "__main__":
    main()
