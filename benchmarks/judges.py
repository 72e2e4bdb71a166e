"""How well the judges of sentences tell real ones from corruptions of them, on a text of yours.

    python -m benchmarks.judges sentences.txt.gz --words 3 9      about 10 minutes on one core for 120,000 sentences

The text is split by hash, near-duplicates on one side: the judges learn from a quarter of it, a stranger (a language
model that draws the replaced words of the check) from the training part, and the table is about the part for pairs,
which nobody has seen. Prints AUROC and, at thresholds that accept 95 % of real sentences, what passes; then reference
rows.
"""

import argparse
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch

from neurode.data.text.corpus import read_sentences
from neurode.data.text.splits import split_corpus
from neurode.data.text.words import count_words
from neurode.models.text.corruptions import KINDS, Corruptor
from neurode.models.text.discriminator import auroc
from neurode.models.text.edit_distance import Words
from neurode.models.text.language_model import LanguageModelConfig, RecurrentLanguageModel
from neurode.tasks.text.judge import JudgeSettings, TextJudge
from neurode.tasks.text.measures.acceptability import LengthThresholds
from neurode.tasks.text.measures.references import shuffled, splice_path
from neurode.tasks.text.sentence_data import SentenceData
from neurode.training.fit import fit
from neurode.training.fit_config import FitConfig

_MOST_ASKED = 3000


def main(arguments: list[str] | None = None) -> None:
    """Train the judges once, and print the tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.judges", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("file", type=Path, help="one sentence a line")
    parser.add_argument("--words", type=int, nargs=2, default=(3, 9), help="fewest and most words and marks")
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args(arguments)
    torch.set_num_threads(1)
    low, high = chosen.words
    sentences = [one for one in read_sentences(chosen.file).sentences if low <= count_words(one) <= high]
    parts = {name: [sentences[i] for i in places] for name, places in split_corpus(sentences).parts.items()}
    print(f"{len(sentences):,} sentences of {low} to {high} words:", {name: len(part) for name, part in parts.items()})
    wall, busy = time.perf_counter(), time.process_time()
    judge = TextJudge.train(parts["judge"], JudgeSettings(seed=chosen.seed), progress=False)
    wall, busy = time.perf_counter() - wall, time.process_time() - busy
    print(f"judges trained in {busy:.0f} s of one core ({wall:.0f} s by the clock); {judge.vocabulary.summary()}\n")
    real = [judge.words(one) for one in parts["pairs"][:_MOST_ASKED]]
    print_kinds(judge, real, corrupted(judge, real, parts["train"], chosen.seed))
    print_rows(judge, real)


def corrupted(judge: TextJudge, real: Sequence[Words], train: list[str], seed: int) -> dict[str, Sequence[Words]]:
    """Corruptions of the real sentences, a list a kind; a stranger, trained on other text, draws the replaced words."""
    ids = [judge.vocabulary.encode(one) for one in train]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed + 1)
        stranger = RecurrentLanguageModel(LanguageModelConfig(judge.vocabulary.size))
    data = SentenceData(ids, [], batch_size=128, seed=seed)
    fit(stranger, data, FitConfig(max_epochs=3, learning_rate=3e-3, patience=None, seed=seed), progress=False)
    tokens = [judge.vocabulary.token(i) for i in range(judge.vocabulary.size)]
    asked = judge.ids(real)
    corruptor = Corruptor(tokens, stranger, real=[*ids, *asked])
    return {
        kind: [tuple(tokens[i] for i in one.words) for one in corruptor.corrupt(asked, seed=seed, kinds=[kind])]
        for kind in KINDS
    }


def print_kinds(judge: TextJudge, real: Sequence[Words], wrong: dict[str, Sequence[Words]]) -> None:
    """AUROC of each kind, and what passes the threshold, by every score."""
    scores: dict[str, Callable[[Sequence[Words]], np.ndarray]] = {
        "n-grams, mean": lambda words: np.array([-one.mean() for one in judge.surprisals(words, by="ngrams")]),
        "network, mean": lambda words: np.array([-one.mean() for one in judge.surprisals(words)]),
        "network, worst word": lambda words: np.array([-one.max() for one in judge.surprisals(words)]),
        "trained judge": judge.scores,
    }
    print(f"| AUROC (share that passes) | real | {' | '.join(wrong)} |\n|{'---|' * (len(wrong) + 2)}")
    held = [len(words) for words in judge.held_out]
    for name, score in scores.items():
        thresholds = LengthThresholds.fit(score(judge.held_out), held, accept=judge.settings.accept)
        right = score(real)
        cells = [f"({thresholds.accepts(right, [len(words) for words in real]).mean():.2f})"]
        for found in wrong.values():
            low = score(found)
            passes = thresholds.accepts(low, [len(words) for words in found]).mean()
            cells.append(f"{auroc(right, low):.3f} ({passes:.2f})")
        print(f"| {name} | {' | '.join(cells)} |")


def print_rows(judge: TextJudge, real: Sequence[Words]) -> None:
    """Reference rows: what real, spliced and shuffled sentences reach in M3 and M3d."""
    half = len(real) // 2
    spliced = [words for pair in zip(real[:half], real[half:], strict=False) for words in splice_path(*pair)[1:-1]]
    print("\n| row | M3 | M3 strict | M3d |\n|---|---|---|---|")
    for name, words in (("real", real), ("splice", spliced), ("shuffled", shuffled(real))):
        by_model = judge.acceptable(words)
        shares = (by_model.mean.mean(), by_model.strict.mean(), judge.accepts(words).mean())
        print(f"| {name} | {' | '.join(f'{share:.3f}' for share in shares)} |")


if __name__ == "__main__":
    main()
