"""From a corpus to a fitted sentence model: split, learn words, train, then the flow of its codes. The place where
data, models and training meet.
"""

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from neurode.core.errors import DataError
from neurode.data.text.corpus import Corpus
from neurode.data.text.splits import Splits, split_corpus
from neurode.data.text.statistics import corpus_statistics
from neurode.data.text.subwords import Subwords
from neurode.data.text.tokens import Tokenizer
from neurode.data.text.vocabulary import WordVocabulary
from neurode.models.code_batch import CodeBatches
from neurode.models.code_scale import CodeScale
from neurode.models.flow_prior import FlowPrior
from neurode.models.text.code_metric import CodeMetric
from neurode.models.text.sentence_autoencoder import SentenceAutoencoder
from neurode.models.text.sentence_config import SentenceConfig
from neurode.tasks.text.choices import choose, vocabulary_size
from neurode.tasks.text.config import TextConfig
from neurode.tasks.text.encoding import encode_all
from neurode.tasks.text.fitted import FittedText
from neurode.tasks.text.judge import JudgeSettings, TextJudge
from neurode.tasks.text.sentence_data import SentenceData, Used
from neurode.tasks.training_record import History, TrainingCost
from neurode.training.fit import fit as train_network
from neurode.training.fit_config import FitConfig
from neurode.training.progress import Progress
from neurode.training.run_folder import RunFolder

_MOST_IDS = 4
"""Ids a word at most: a sentence that needs more (of rare letters, in subwords) is left out of training."""

_KINDS = {
    "autoencoder": SentenceConfig.autoencoder,
    "noisy": SentenceConfig.noisy_autoencoder,
    "vae": SentenceConfig.vae,
}

_FLOW_BATCH = 512

Say = Callable[[str], None]


@dataclass(frozen=True, eq=False)
class Parts:
    """A corpus split and read as ids: `ids` holds one list a sentence, `places` those of each part that are not left
    out."""

    corpus: Corpus
    ids: Sequence[list[int]]
    places: dict[str, np.ndarray]

    def of(self, part: str) -> list[list[int]]:
        return [self.ids[place] for place in self.places[part]]

    def sentences(self, part: str) -> list[str]:
        return [self.corpus.sentences[place] for place in self.places[part]]


def split_sentences(corpus: Corpus, config: TextConfig) -> Splits:
    """The four parts, by a hash of each sentence: the same in every run with the same seed."""
    try:
        return split_corpus(
            corpus.sentences,
            validation=config.validation,
            judge=config.judge,
            pairs=config.pairs,
            shared_letters=_shared_letters(config),
            seed=config.seed,
        )
    except DataError as error:
        raise DataError(str(error), file=corpus.file or corpus.name) from None


def sentences_hash(corpus: Corpus) -> str:
    """SHA-256 of all sentences, in order."""
    return hashlib.sha256("\n".join(corpus.sentences).encode("utf-8", "surrogatepass")).hexdigest()


def read_parts(corpus: Corpus, config: TextConfig, tokenizer: Tokenizer, splits: Splits) -> Parts:
    """The parts as ids, without sentences that need too many of them."""
    ids = [tokenizer.encode(one) for one in corpus.sentences]
    fits = np.array([0 < len(one) <= _MOST_IDS * config.max_words for one in ids])
    return Parts(corpus, ids, {name: places[fits[places]] for name, places in splits.parts.items()})


def fit_corpus(
    corpus: Corpus,
    config: TextConfig,
    *,
    run_folder: RunFolder | None = None,
    resume: bool = False,
    progress: Progress | bool | None = None,
    say: Say = lambda sentence: None,
) -> FittedText:
    """Train on `corpus`. `say` receives sentences: what was chosen, what is being done.

    Raises DataError where the corpus holds too little, TrainingError where training cannot go on.
    """
    splits = split_sentences(corpus, config)
    tokenizer = _tokenizer([corpus.sentences[place] for place in splits.train], config, corpus)
    statistics = corpus_statistics(corpus.sentences, splits, tokenizer)
    parts = read_parts(corpus, config, tokenizer, splits)
    lost = len(corpus) - sum(map(len, parts.places.values()))
    lines = [*statistics.lines(), *([f"{lost:,} sentences need too many ids and are left out."] if lost else [])]
    choices = choose(config, len(parts.places["train"]))
    for sentence in (*lines, *(f"Chosen: {one}." for one in choices.sentences)):
        say(sentence)
    longest = max(len(parts.ids[place]) for places in parts.places.values() for place in places)
    network = _network(config, tokenizer, longest)
    data = SentenceData(
        parts.of("train"),
        parts.of("validation"),
        train_numbers=parts.places["train"],
        validation_numbers=parts.places["validation"],
        batch_size=choices.batch_size,
        seed=config.seed,
    )
    settings = config.fit_config(
        epochs=choices.epochs, patience=config.patience, batches=data.num_train_batches, most_warmup=100
    )
    result = train_network(network, data, settings, run_folder, resume=resume, progress=progress)
    network.requires_grad_(False).eval()
    scale, metric, flow, flow_history = _codes(network, parts, config, run_folder, resume, progress, say)
    judge = _judge(parts, config, progress, say)
    return FittedText(
        config=config,
        choices=choices,
        tokenizer=tokenizer,
        network=network,
        scale=scale,
        metric=metric,
        flow=flow,
        used=Used.of(one for name in ("train", "validation", "judge") for one in parts.sentences(name)),
        split={name: len(places) for name, places in parts.places.items()},
        statistics=tuple(lines),
        history=History.of(result),
        flow_history=flow_history,
        cost=TrainingCost.of(network, sum(map(len, data.train)), result),
        source=corpus.name,
        sha256=sentences_hash(corpus),
        judged_by=judge,
    )


def _tokenizer(train: Sequence[str], config: TextConfig, corpus: Corpus) -> Tokenizer:
    size = vocabulary_size(config)
    try:
        if config.tokenizer == "subwords":
            return Subwords.fit(train, size=size, min_count=config.min_count)
        return WordVocabulary.fit(train, min_count=config.min_count, max_words=size, case=config.case)
    except ValueError as error:
        raise DataError(f"vocabulary: {error}", file=corpus.file or corpus.name) from None


def _network(config: TextConfig, tokenizer: Tokenizer, longest: int) -> SentenceAutoencoder:
    """The untrained network. Its weights depend on the seed alone, and the caller's random state is left as it was."""
    own = ("code_dim", "hidden_dim", "embedding_dim", "vocabulary_size", "max_words")
    taken = [name for name in config.model if name in own]
    if taken:
        where = (
            f"is a setting of its own: {taken[0]}=..."
            if taken[0] in TextConfig.model_fields
            else "follows from the text"
        )
        raise DataError(f"model: {taken[0]} {where}")
    try:
        settings = _KINDS[config.kind](
            tokenizer.size,
            max_words=longest,
            code_dim=config.code_dim,
            hidden_dim=config.hidden_dim,
            embedding_dim=config.embedding_dim,
            **config.model,
        )
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            return SentenceAutoencoder(settings)
    except (TypeError, ValueError) as error:
        raise DataError(f"model: {error}") from None


def _codes(
    network: SentenceAutoencoder,
    parts: Parts,
    config: TextConfig,
    run_folder: RunFolder | None,
    resume: bool,
    progress: Progress | bool | None,
    say: Say,
) -> tuple[CodeScale, CodeMetric, FlowPrior | None, History | None]:
    """What is learned of the codes of the training sentences once the network stands: scale, metric, flow."""
    means, stds = encode_all(network, parts.of("train"))
    dim = network.settings.code_dim
    scale = CodeScale(dim).to(means).fit(means)
    metric = CodeMetric(dim).to(means).fit(means, seed=config.seed)
    if not config.flow_steps:
        return scale, metric, None, None
    say(f"Training the flow prior on the codes of {len(means):,} sentences.")
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            flow = FlowPrior(dim, **config.flow).to(means)
    except (TypeError, ValueError) as error:
        raise DataError(f"flow: {error}") from None
    noise = stds if network.settings.code == "gaussian" else None
    flow.standardise(means, noise)
    data = CodeBatches(
        means, noise, batch_size=_FLOW_BATCH, repeats=max(1, _FLOW_BATCH * 20 // len(means)), seed=config.seed
    )
    epochs = math.ceil(config.flow_steps / data.num_train_batches)
    settings = FitConfig(
        max_epochs=epochs,
        learning_rate=2e-3,
        weight_decay=1e-4,
        warmup=50,
        patience=max(5, epochs // 4),
        seed=config.seed,
        device=str(means.device),
        precision="float64" if means.dtype == torch.float64 else "float32",
        deterministic=config.deterministic,
    )
    folder = None if run_folder is None else run_folder.path / "flow"
    again = resume and folder is not None and folder.is_dir()
    result = train_network(flow, data, settings, folder, resume=again, progress=progress)
    flow.requires_grad_(False).eval()
    return scale, metric, flow, History.of(result)


def _judge(parts: Parts, config: TextConfig, progress: Progress | bool | None, say: Say) -> TextJudge | None:
    """The judges, trained on their part; None where it has no share."""
    if not config.judge:
        return None
    say(f"Training the judges on {len(parts.places['judge']):,} other sentences.")
    own: dict[str, Any] = {"seed": config.seed, "shared_letters": _shared_letters(config)}
    try:
        settings = JudgeSettings(**{**own, **config.judging})
    except (TypeError, ValueError) as error:
        raise DataError(f"judging: {error}") from None
    return TextJudge.train(parts.sentences("judge"), settings, progress=progress, device=config.device)


def _shared_letters(config: TextConfig) -> int | None:
    """When two sentences are near-duplicates, see `near_duplicate_groups`."""
    return 16 if config.near_duplicates == "together" else None
