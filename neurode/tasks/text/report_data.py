"""Everything a report shows of a trained sentence model, gathered."""

import numpy as np
import torch

from neurode import __version__
from neurode.data.text.corpus import Corpus
from neurode.data.text.words import count_words
from neurode.tasks.text.encoding import encode_all
from neurode.tasks.text.evaluation_results import TextEvaluation
from neurode.tasks.text.fitted import FittedText
from neurode.tasks.text.fitting import sentences_hash
from neurode.tasks.text.report_results import CorpusSummary, SentenceMap, TextCost, TextReportData

_MOST_CODES = 2000
_SHOWN = 8


def gather(fitted: FittedText, corpus: Corpus, evaluation: TextEvaluation) -> TextReportData:
    """The report's data. Heavy work (the evaluation) is handed in; this takes a few seconds."""
    return TextReportData(
        title=corpus.name,
        corpus=_corpus(fitted, corpus),
        history=fitted.history,
        flow_history=fitted.flow_history,
        evaluation=evaluation,
        map=sentence_map(fitted, corpus, evaluation),
        cost=_cost(fitted, evaluation),
        settings=fitted.config.model_dump(mode="json") | {"epochs": fitted.choices.epochs}
        | {"batch_size": fitted.choices.batch_size},
        versions={"neurode": __version__, "torch": torch.__version__, "numpy": np.__version__},
    )  # fmt: skip


def _corpus(fitted: FittedText, corpus: Corpus) -> CorpusSummary:
    lengths = np.array([count_words(one) for one in corpus.sentences])
    return CorpusSummary(
        source=corpus.file.name if corpus.file is not None else corpus.name,
        num_sentences=len(corpus),
        num_words=int(lengths.sum()),
        vocabulary=fitted.tokenizer.size,
        lengths=lengths,
        split=dict(fitted.split),
        statistics=(*corpus.notes, *fitted.statistics),
        examples=tuple(corpus.sentences[:: max(1, len(corpus) // _SHOWN)][:_SHOWN]),
        sha256=sentences_hash(corpus),
    )


def sentence_map(fitted: FittedText, corpus: Corpus, evaluation: TextEvaluation) -> SentenceMap | None:
    """The plane of at most 2,000 unseen sentences, with the paths of the first example; None with fewer than three."""
    new = np.flatnonzero(fitted.used.unused(corpus.sentences))[:_MOST_CODES]
    phrases = fitted.reader.readable(corpus.sentences[place] for place in new)
    if len(phrases) < 3:
        return None
    codes = encode_all(fitted.network, [one.ids for one in phrases])[0].double().cpu().numpy()
    centre = codes.mean(axis=0)
    _, singular, directions = np.linalg.svd(codes - centre, full_matrices=False)
    plane = np.zeros((2, codes.shape[1]))
    plane[: min(2, len(directions))] = directions[:2]
    share = np.zeros(2)
    share[: min(2, len(singular))] = (singular**2 / max(float((singular**2).sum()), 1e-300))[:2]
    first = evaluation.examples[0] if evaluation.examples else ()
    return SentenceMap(
        codes=(codes - centre) @ plane.T,
        lengths=np.array([len(one.ids) for one in phrases]),
        explained=share,
        paths={
            name: (path.codes - centre) @ plane.T
            for name, path in zip(evaluation.kinds, first, strict=False)
            if path.points == "even"
        },
        ends=(first[0].start, first[0].end) if first else ("", ""),
    )


def _cost(fitted: FittedText, evaluation: TextEvaluation) -> TextCost:
    shown = evaluation.examples[0][-1] if evaluation.examples else None
    return TextCost(
        parameters=sum(parameter.numel() for parameter in fitted.network.parameters()),
        epochs=fitted.history.num_epochs,
        train_seconds=fitted.cost.seconds,
        flow_seconds=0.0 if fitted.flow_history is None else fitted.flow_history.seconds,
        sentences=int(fitted.split["train"]),
        words=fitted.cost.observations,
        peak_memory_mb=fitted.cost.peak_memory_mb,
        refining_seconds=float("nan") if shown is None else shown.refining_seconds,
        walking_seconds=float("nan") if shown is None else shown.walking_seconds,
        device=fitted.cost.device,
        threads=fitted.cost.threads,
    )
