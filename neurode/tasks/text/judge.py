"""The judges of sentences, trained together on text that no model has seen, and the thresholds real text sets them."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from neurode.core.errors import DataError
from neurode.data.text.splits import split_corpus
from neurode.data.text.tokens import NUM_SPECIAL, UNKNOWN
from neurode.data.text.vocabulary import WordVocabulary
from neurode.models.text.corruptions import KINDS, Corruptor, NextWords
from neurode.models.text.discriminator import DiscriminatorConfig, SentenceDiscriminator, auroc
from neurode.models.text.edit_distance import Words, checked_words
from neurode.models.text.kneser_ney import KneserNey
from neurode.models.text.language_model import LanguageModelConfig, RecurrentLanguageModel
from neurode.tasks.text.judging import JudgedData
from neurode.tasks.text.measures.acceptability import Acceptance, LengthThresholds, SurprisalThresholds
from neurode.tasks.text.sentence_data import SentenceData
from neurode.training.fit import fit
from neurode.training.fit_config import FitConfig
from neurode.training.progress import Progress

# Of the judge's sentences, the share that trains nothing: thresholds are set, and training is stopped, by it.
_HELD_OUT = 0.1
# The split of the whole corpus hashes the same sentences; another seed, or all of them would fall on one side.
_SPLIT_SEED = 7919


@dataclass(frozen=True)
class JudgeSettings:
    """Settings of `TextJudge.train`.

    min_count: words that come less often are unknown. order: of the n-gram model. embedding_dim, hidden_dim, dropout:
    of the networks. language_epochs, judge_epochs: passes over the text for the two language models and for the trained
    judge. kinds: corruptions it is trained against, one named twice coming twice as often. accept: share of real
    held-out sentences that the thresholds accept. shared_letters: as in `split_corpus`; None for made corpora.
    """

    min_count: int = 2
    order: int = 5
    embedding_dim: int = 128
    hidden_dim: int = 256
    dropout: float = 0.3
    language_epochs: int = 6
    language_rate: float = 3e-3
    judge_epochs: int = 4
    judge_rate: float = 1.5e-3
    batch_size: int = 128
    kinds: tuple[str, ...] = (
        *("replaced",) * 4,
        *("inflected",) * 2,
        *("swapped",) * 2,
        *("spliced",) * 6,
        "shuffled",
    )
    accept: float = 0.95
    shared_letters: int | None = 16
    seed: int = 0

    def __post_init__(self):
        object.__setattr__(self, "kinds", tuple(self.kinds))


@dataclass(frozen=True)
class JudgeCheck:
    """How well the trained judge tells, on sentences it never saw.

    real: share of real sentences that it accepts. auroc, accepted: per kind of corruption, the area under the ROC curve
    against the real ones, and the share that passes for real.
    """

    real: float
    auroc: dict[str, float]
    accepted: dict[str, float]

    def table(self) -> str:
        """A line a kind, for a terminal."""
        lines = [f"{'':12}{'AUROC':>8}{'accepted':>10}", f"{'real':12}{'':8}{self.real:10.3f}"]
        lines += [f"{kind:12}{self.auroc[kind]:8.3f}{self.accepted[kind]:10.3f}" for kind in self.auroc]
        return "\n".join(lines)


class TextJudge:
    """Two language models (n-grams and a recurrent network) and a classifier trained against corruptions.

    Good for judging short sentences of the kind it was trained on: `surprisals` for M2 and M4, `acceptable` for M3,
    `accepts` for M3d. Not good for text of another kind, to which it is a stranger. Sentences are words as `words` cuts
    them. Train it on a part that no model learns from: figures of a model are worth nothing otherwise.
    """

    def __init__(
        self,
        vocabulary: WordVocabulary,
        ngrams: KneserNey,
        network: RecurrentLanguageModel,
        discriminator: SentenceDiscriminator,
        held_out: Sequence[Words],
        settings: JudgeSettings,
    ):
        self.vocabulary, self.settings = vocabulary, settings
        self.ngrams, self.network, self.discriminator = ngrams, network.eval(), discriminator.eval()
        self.held_out = checked_words(held_out)
        self._ids = {word: place + NUM_SPECIAL for place, word in enumerate(vocabulary.words)}
        lengths = [len(words) for words in self.held_out]
        self._thresholds = {
            by: SurprisalThresholds.fit(self.surprisals(self.held_out, by=by), accept=settings.accept)
            for by in ("network", "ngrams")
        }
        self._least = LengthThresholds.fit(self.scores(self.held_out), lengths, accept=settings.accept)

    @classmethod
    def train(
        cls,
        sentences: Sequence[str],
        settings: JudgeSettings | None = None,
        *,
        progress: Progress | bool | None = None,
        device: str = "auto",
    ) -> "TextJudge":
        """Train all judges on `sentences`, some ten thousand of them.

        A tenth, near-duplicates kept on one side, is held out for thresholds and for choosing the best epoch. Raises
        DataError where there are too few sentences.
        """
        settings = settings or JudgeSettings()
        parts = split_corpus(
            sentences,
            validation=_HELD_OUT,
            judge=0,
            pairs=0,
            shared_letters=settings.shared_letters,
            seed=settings.seed + _SPLIT_SEED,
        )
        learn, held = ([sentences[i] for i in rows] for rows in (parts.train, parts.validation))
        vocabulary = WordVocabulary.fit(learn, min_count=settings.min_count)
        train, validation = ([vocabulary.encode(one) for one in part] for part in (learn, held))
        ngrams = KneserNey(vocabulary.size, settings.order).fit(train)
        shape = settings.embedding_dim, settings.hidden_dim
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(settings.seed)
            walks = [
                RecurrentLanguageModel(LanguageModelConfig(vocabulary.size, *shape, dropout=settings.dropout))
                for _ in range(2)
            ]
            discriminator = SentenceDiscriminator(
                DiscriminatorConfig(vocabulary.size, *shape, dropout=settings.dropout)
            )
        turns = (lambda part: part), (lambda part: [one[::-1] for one in part])
        for walk, turn in zip(walks, turns, strict=True):
            data = SentenceData(turn(train), turn(validation), batch_size=settings.batch_size, seed=settings.seed)
            config = _fit_config(settings, settings.language_epochs, settings.language_rate, device)
            fit(walk, data, config, progress=progress)
        tokens = [vocabulary.token(i) for i in range(vocabulary.size)]
        pairs = JudgedData(
            train,
            validation,
            Corruptor(tokens, walks[0], real=[*train, *validation]),
            kinds=settings.kinds,
            batch_size=settings.batch_size,
            seed=settings.seed,
        )
        discriminator.start_from(*walks)
        fit(
            discriminator,
            pairs,
            _fit_config(settings, settings.judge_epochs, settings.judge_rate, device),
            progress=progress,
        )
        words = [tuple(vocabulary.tokens(one)) for one in held]
        return cls(vocabulary, ngrams, walks[0], discriminator, words, settings)

    def words(self, sentence: str) -> tuple[str, ...]:
        """The words and marks of a sentence, as all measures count them."""
        return tuple(self.vocabulary.tokens(sentence))

    def surprisals(self, sentences: Sequence[Words], *, by: str = "network") -> list[np.ndarray]:
        """Surprisal of each word and of the end, (L + 1,) a sentence, in nats; by "network" or by "ngrams"."""
        if by not in ("network", "ngrams"):
            raise ValueError(f"by={by!r} must be 'network' or 'ngrams'.")
        model = self.network if by == "network" else self.ngrams
        return [-scores for scores in model.log_probabilities_of(self.ids(sentences))]

    def acceptable(self, sentences: Sequence[Words], *, by: str = "network") -> Acceptance:
        """M3: which sentences have a mean surprisal, and (strict) also a worst word, like real ones of their length."""
        return self._thresholds[by].judge(self.surprisals(sentences, by=by))

    def scores(self, sentences: Sequence[Words]) -> np.ndarray:
        """The trained judge's logit of being real, (N,); higher is better."""
        return self.discriminator.scores_of(self.ids(sentences))

    def accepts(self, sentences: Sequence[Words]) -> np.ndarray:
        """M3d: which sentences score at least what 95 % of real held-out ones of their length do, (N,), bool."""
        return self._least.accepts(self.scores(sentences), [len(words) for words in sentences])

    def check(
        self, real: Sequence[Words], *, seed: int = 1, generator: NextWords | None = None, known: Sequence[Words] = ()
    ) -> JudgeCheck:
        """How well the trained judge tells `real`, sentences it never saw, from corruptions of them.

        generator: draws the replaced words; the judge's own language model if None, a stranger's (over the same ids)
        for a stricter check. known: other sentences known to be right, which no corruption may equal.
        """
        ids = self.ids(real)
        tokens = [self.vocabulary.token(i) for i in range(self.vocabulary.size)]
        corruptor = Corruptor(tokens, generator or self.network, real=[*ids, *self.ids(known)])
        lengths = [len(one) for one in ids]
        scores = self.discriminator.scores_of(ids)
        areas, accepted = {}, {}
        for kind in KINDS:
            wrong = [one.words for one in corruptor.corrupt(ids, seed=seed, kinds=[kind])]
            found = self.discriminator.scores_of(wrong)
            areas[kind] = auroc(scores, found)
            accepted[kind] = float(self._least.accepts(found, [len(one) for one in wrong]).mean())
        return JudgeCheck(float(self._least.accepts(scores, lengths).mean()), areas, accepted)

    def save(self, folder: str | Path) -> Path:
        """Write the judge into `folder` (made if need be): plain JSON, safetensors and arrays; no pickle."""
        from safetensors.torch import save

        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        plain = {
            "settings": asdict(self.settings),
            "vocabulary": self.vocabulary.to_dict(),
            "network": self.network.config(),
            "discriminator": self.discriminator.config(),
            "held_out": [list(words) for words in self.held_out],
        }
        (folder / "judge.json").write_text(json.dumps(plain) + "\n", encoding="utf-8")
        self.ngrams.save(folder / "ngrams.npz")
        for name in ("network", "discriminator"):
            weights = {key: value.cpu().contiguous() for key, value in getattr(self, name).state_dict().items()}
            (folder / f"{name}.safetensors").write_bytes(save(weights))
        return folder

    @classmethod
    def load(cls, folder: str | Path) -> "TextJudge":
        """Reopen what `save` wrote. Raises DataError where a part is missing or damaged."""
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        folder = Path(folder)
        try:
            plain = json.loads((folder / "judge.json").read_text(encoding="utf-8"))
            settings = JudgeSettings(**plain["settings"])
            parts = {
                "network": RecurrentLanguageModel.from_config(plain["network"]),
                "discriminator": SentenceDiscriminator.from_config(plain["discriminator"]),
            }
            for name, model in parts.items():
                model.load_state_dict(load_file(folder / f"{name}.safetensors"))
            return cls(
                WordVocabulary.from_dict(plain["vocabulary"]),
                KneserNey.load(folder / "ngrams.npz"),
                **parts,
                held_out=plain["held_out"],
                settings=settings,
            )
        except (OSError, KeyError, TypeError, ValueError, RuntimeError, SafetensorError) as error:
            raise DataError(
                f"this is no folder of a judge, or it is damaged ({error}). Train the judge again", file=folder
            ) from error

    def ids(self, sentences: Sequence[Words]) -> list[list[int]]:
        """The ids of words, for the models inside; words that the vocabulary lacks are UNKNOWN."""
        return [[self._ids.get(str(word), UNKNOWN) for word in words] for words in checked_words(sentences)]


def _fit_config(settings: JudgeSettings, epochs: int, rate: float, device: str) -> FitConfig:
    return FitConfig(
        max_epochs=epochs, learning_rate=rate, weight_decay=1e-2, patience=None, seed=settings.seed, device=device
    )
