"""What the decoder reads at each word: the code, a function of code and place, or a neural ODE's way from the code.

    python -m benchmarks.sentence_plans                                     about 15 minutes on one core
    python -m benchmarks.sentence_plans --kinds noisy --plans position,ode

Sentences of a grammar, so that "grammatical" is decidable. All plans have the same encoder and decoder; `position` and
`ode` have networks of equal size, and `constant` is also given one (constant+net). Asked of each: likelihood (VAE) or
sentences that come back (noisy); sentences of exactly two words less to two more than the code's own; the words of a
gap at a place. Writes benchmarks/results/sentence_plans_<date>.md.
"""

import argparse
import sys
import time
from datetime import datetime
from pathlib import Path

import torch

from benchmarks.hardware import description
from neurode.data.text.grammar import Grammar
from neurode.data.text.sentence_batch import SentenceBatch
from neurode.data.text.tokens import NUM_SPECIAL
from neurode.models.text.information import measure
from neurode.models.text.sentence_autoencoder import SentenceAutoencoder
from neurode.models.text.sentence_config import SentenceConfig
from neurode.tasks.text.sentence_data import SentenceData
from neurode.training.fit import fit
from neurode.training.fit_config import FitConfig

RESULTS = Path(__file__).parent / "results"
MOST_WORDS, SHORTEST, HELD = 12, 3, 1600
LONGER, GAPS = (-2, -1, 0, 1, 2), (1, 2)
PLANS = {
    "constant": {},
    "constant+net": {"plan_hidden": 96},
    "position": {"plan": "position", "plan_hidden": 96},
    "ode": {"plan": "ode", "plan_hidden": 96},
}
KINDS = {
    "vae": lambda size, **more: SentenceConfig.vae(size, free_bits=0.25, encoder_word_drop=0.1, **more),
    "noisy": SentenceConfig.noisy_autoencoder,
}


class GrammarText:
    """Sentences of the grammar as ids: to train on, to stop by, and to ask about."""

    def __init__(self, train: int, asked: int):
        self.grammar = Grammar()
        self.ids = {word: place + NUM_SPECIAL for place, word in enumerate(self.grammar.words)}
        self.back = {place: word for word, place in self.ids.items()}
        made = dict.fromkeys(self.grammar.sample(int(1.5 * (train + asked + HELD)), 0, max_words=MOST_WORDS))
        whole = [[self.ids[word] for word in one.split()] for one in made][: train + asked + HELD]
        self.train, self.validation, self.asked = (
            whole[:train],
            whole[train : train + HELD],
            [one for one in whole[train + HELD :] if len(one) >= SHORTEST],
        )

    @property
    def size(self) -> int:
        return len(self.ids) + NUM_SPECIAL

    def correct(self, ids: list[int]) -> bool:
        return bool(ids) and self.grammar.recognises([self.back.get(one, "?") for one in ids])


def asked_of(model: SentenceAutoencoder, text: GrammarText) -> list[float]:
    """The columns of the table, from exact on."""
    meant, batch = text.asked, SentenceBatch.of(text.asked)
    with torch.no_grad():
        codes = model.code(batch)
    found = [_share(a == b for a, b in zip(model.decode(codes), meant, strict=True))]
    for more in LONGER:
        lengths = (batch.lengths + more).clamp(SHORTEST, MOST_WORDS)
        found.append(_share(map(text.correct, model.decode(codes, MOST_WORDS, "beam", lengths=lengths))))
    generator = torch.Generator().manual_seed(0)
    for width in GAPS:
        gaps = torch.zeros_like(batch.tokens, dtype=torch.bool)
        for row, length in enumerate(batch.lengths.tolist()):
            place = int(torch.randint(0, length - width + 1, (1,), generator=generator))
            gaps[row, place : place + width] = True
        found.append(_share(map(text.correct, model.fill(batch, gaps))))
    return found


def _share(verdicts) -> float:
    known = list(verdicts)
    return sum(known) / len(known)


def main(arguments: list[str] | None = None) -> None:
    """Train each plan with each kind of code, ask, write the table."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.sentence_plans", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--kinds", default="vae,noisy")
    parser.add_argument("--plans", default=",".join(PLANS))
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--sentences", type=int, default=40_000, help="to train on")
    parser.add_argument("--asked", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    text = GrammarText(options.sentences, options.asked)
    data = SentenceData(text.train, text.validation, batch_size=128, seed=options.seed)
    header = ["kind", "plan", "parameters", "seconds", "nats", "KL", "exact"]
    header += [f"{more:+d} words" for more in LONGER] + [f"gap of {width}" for width in GAPS]
    rows = []
    for kind in options.kinds.split(","):
        for plan in options.plans.split(","):
            torch.manual_seed(options.seed)
            shape = {"max_words": MOST_WORDS, "code_dim": 32, "embedding_dim": 96, "hidden_dim": 192}
            model = SentenceAutoencoder(KINDS[kind](text.size, **shape, **PLANS[plan]))
            began = time.process_time()
            settings = FitConfig(options.epochs, 2e-3, weight_decay=1e-5, clip_norm=5.0, seed=options.seed)
            fit(model, data, settings, progress=None if sys.stderr.isatty() else False)
            seconds = time.process_time() - began
            model.eval()
            nats = ["-", "-"]
            if kind == "vae":
                known = measure(model, [SentenceBatch.of(text.asked[k : k + 100]) for k in (0, 100, 200)], draws=100)
                nats = [f"{known.nll:.2f}", f"{known.kl:.2f}"]
            count = sum(part.numel() for part in model.parameters())
            figures = [f"{value:.3f}" for value in asked_of(model, text)]
            rows.append([kind, plan, f"{count:,}", f"{seconds:.0f}", *nats, *figures])
            print(" ".join(rows[-1]), flush=True)
    lines = [
        f"# What the decoder reads at each word, {datetime.now():%Y-%m-%d}",
        "",
        *description(),
        f"- {len(text.train):,} sentences of a grammar, {options.epochs} epochs; {len(text.asked)} unseen ones asked "
        f"about; seed {options.seed}",
        "- nats: importance-weighted, 100 draws. exact: come back by the code. The rest: share of grammatical ones,",
        "  by beam search, of a length that is forced, and with a gap filled",
        "",
        f"| {' | '.join(header)} |",
        "|---|" + "---|" * (len(header) - 1),
        *(f"| {' | '.join(row)} |" for row in rows),
    ]
    (options.results / f"sentence_plans_{datetime.now():%Y-%m-%d}.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
