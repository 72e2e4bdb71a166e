"""A report's data made up, so that pages are tested without training anything."""

import numpy as np

from neurode.tasks.text.evaluation_results import PATH, REFERENCE, TEXT, PathRow, SampleRow, TextEvaluation
from neurode.tasks.text.measures.path_figures import MEASURES, PathFigures
from neurode.tasks.text.report_results import CorpusSummary, SentenceMap, TextCost, TextReportData
from neurode.tasks.text.results import Interpolation
from neurode.tasks.training_record import History

KINDS = ("as the textbook walks", "linear", "flow", "flow, points by the text")
OF_ALL = {"perplexity": 12.0, "ratio": 0.9, "adversarial": 0.1, "distinct_2": 0.4, "bleu": 0.9}


def made_path(kind: str, *, steps: int = 5, exact: tuple[bool, bool] = (True, True)) -> Interpolation:
    sentences = ("a <b> cat", *("some dog",) * (steps - 2), "two birds & one")
    return Interpolation(
        start="a <b> cat",
        end="two birds & one",
        path=kind.split(",")[0],
        ends="fading",
        points="text" if "text" in kind else "even",
        places=np.linspace(0, 1, steps),
        sentences=sentences,
        tokens=((4,),) * steps,
        codes=np.zeros((steps, 3)),
        exact=exact,
        scores=np.linspace(0, 1, steps),
        accepted=np.linspace(0, 1, steps) > 0.5,
        refining_seconds=0.5,
        walking_seconds=0.01,
    )


def made_row(name: str, group: str, level: float) -> PathRow:
    figures = PathFigures({one.key: np.full(8, level) for one in MEASURES}, OF_ALL)
    curve = np.linspace(level, 2, 5) if group != TEXT and "text" not in name.split(",")[-1] else None
    return PathRow(name, group, figures, curve, radius=np.ones(8) if group == PATH else None)


def made_evaluation(*, examples: int = 2) -> TextEvaluation:
    rows = [made_row(kind, PATH, 0.5 + 0.1 * place) for place, kind in enumerate(KINDS)]
    rows += [made_row("real sentences", TEXT, 0.95), made_row("splice", REFERENCE, 0.4)]
    samples = [SampleRow(name, 20.0, 40.0, 0.9, 0.95, 0.1, 6.0, ("a made one",)) for name in ("real sentences", "flow")]
    return TextEvaluation(
        rows=tuple(rows),
        num_pairs=8,
        steps=5,
        samples=tuple(samples),
        information={"exact": 0.6, "bleu": 0.8, "kl": None, "sentences": 8},
        examples=tuple(
            tuple(made_path(kind, exact=(kind != KINDS[0], True)) for kind in KINDS) for _ in range(examples)
        ),
        kinds=KINDS,
        verdicts=("Ends: all held.", "Between them: most pass.", "Movement: some.", "The splice wins somewhere."),
        notes=("Scored on 30 sentences.",),
        seconds=3.0,
    )


def made_text_data(*, with_map: bool = True, examples: int = 2) -> TextReportData:
    random = np.random.default_rng(0)
    history = History(
        {
            "epoch": np.arange(1.0, 4),
            "loss": np.array([3.0, 2, 1]),
            "validation_loss": np.array([3.0, 2, 2]),
            "evaluations": np.zeros(3),
        },
        2,
        "All 3 epochs are done.",
        4.0,
    )
    return TextReportData(
        title="tales",
        corpus=CorpusSummary(
            source="tales.txt",
            num_sentences=900,
            num_words=5000,
            vocabulary=120,
            lengths=random.integers(2, 9, 900),
            split={"train": 700, "validation": 50, "judge": 100, "pairs": 50},
            statistics=("900 sentences in all.",),
            examples=("A cat sat.",),
            sha256="abc",
        ),
        history=history,
        flow_history=None,
        evaluation=made_evaluation(examples=examples),
        map=SentenceMap(
            codes=random.normal(size=(40, 2)),
            lengths=random.integers(2, 9, 40),
            explained=np.array([0.4, 0.2]),
            paths={"linear": random.normal(size=(5, 2)), "flow": random.normal(size=(5, 2))},
            ends=("a <b> cat", "two birds & one"),
        )
        if with_map
        else None,
        cost=TextCost(1000, 3, 4.0, 1.0, 700, 3900, 300.0, 0.5, 0.01, "cpu", 1),
        settings={"kind": "vae"},
        versions={"neurode": "1"},
    )
