"""TextModel: sentences as points of a space, on a user's own text. Text in, text out."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from neurode.core.errors import DataError, NeurodeError
from neurode.data.text.corpus import Corpus, read_sentences
from neurode.tasks.model_folder import ModelFolder
from neurode.tasks.text.config import TextConfig
from neurode.tasks.text.evaluation_results import TextEvaluation
from neurode.tasks.text.fitted import FittedText
from neurode.tasks.text.measures.path_figures import PathJudge
from neurode.tasks.text.phrases import copied_words
from neurode.tasks.text.report_results import TextReportData
from neurode.tasks.text.results import Interpolation, Neighbours, Reconstruction, SentenceScores
from neurode.tasks.training_run import training_run
from neurode.training.progress import Progress

Source = Any
"""A path (.txt, .txt.gz, or a table with a column of sentences), a DataFrame, a list of strings, or a Corpus."""


class TextModel:
    """Walks from one sentence to another, makes sentences, and finds near ones, in the space of codes that it learned.

    Good for some thousand to some hundred thousand short sentences of one kind (phrases, captions, titles), one a line.
    Not good for documents, for a few hundred sentences, and for knowledge of the world: it knows words, and how they
    stand together.

    TextModel(**settings) takes the fields of `TextConfig`. fit(source) trains; encode, decode, reconstruct,
    interpolate, sample, neighbours and score use the model; save and load keep it. evaluate scores it.
    Attributes after fit or load: `notes`, the sentences that were said (what the corpus is like, what was chosen);
    `evaluation`, of the last `evaluate`, or None.
    Raises DataError for wrong settings, texts and folders, TrainingError where training cannot go on.
    """

    def __init__(self, **settings: Any):
        self.config = TextConfig.checked(settings)
        self.notes: tuple[str, ...] = ()
        self.evaluation: TextEvaluation | None = None
        self._fitted: FittedText | None = None
        self._corpus: Corpus | None = None

    # -- making and keeping

    def fit(
        self,
        source: Source,
        column: str | None = None,
        *,
        run_folder: str | Path | None = None,
        resume: bool = False,
        progress: Progress | bool | None = None,
        say: Callable[[str], None] | None = None,
    ) -> "TextModel":
        """Train on a text and return self.

        source, column: see `neurode.data.text.corpus.read_sentences`. run_folder: gets config.yaml, metrics.csv,
        train.log, checkpoints/, flow/ and model/; None writes nothing. resume: go on with the run in run_folder.
        progress: None shows a bar (or a line an epoch) on standard error, False nothing. say: called with each sentence
        of `notes` as it comes.
        """
        from neurode.tasks.text.fitting import fit_corpus

        corpus = source if isinstance(source, Corpus) else self.read(source, column)
        with training_run(self.config, run_folder, resume=resume, say=say, known=corpus.notes) as run:
            self._fitted = fit_corpus(
                corpus, self.config, run_folder=run.folder, resume=resume, progress=progress, say=run.tell
            )
            self._corpus, self.notes, self.evaluation = corpus, tuple(run.notes), None
            if run.model_folder is not None:
                self.save(run.model_folder)
        return self

    def save(self, folder: str | Path) -> Path:
        """Write the model folder: atomically, replacing an older model there. See `neurode.tasks.model_folder`."""
        from neurode.tasks.text.pages.card import card

        fitted = self._ready()
        return fitted.to_folder(card(fitted, self.evaluation)).write(folder)

    @classmethod
    def load(cls, folder: str | Path) -> "TextModel":
        """The model of a folder, or of a run folder that holds one. DataError where it is missing, damaged or newer."""
        fitted = FittedText.from_folder(ModelFolder.read(folder, "text"), str(folder))
        model = cls(**fitted.config.model_dump())
        model._fitted, model.notes = fitted, fitted.statistics
        return model

    def read(self, source: Source, column: str | None = None) -> Corpus:
        """A text as training reads one: sentences of the lengths that the settings allow."""
        return read_sentences(source, column, min_words=self.config.min_words, max_words=self.config.max_words)

    def unseen(self) -> list[str]:
        """Sentences of the text given to `fit` that the model can read and that no part of the training has seen."""
        fitted, corpus = self._ready(), self._text(None, None)
        new = fitted.used.unused(corpus.sentences)
        return [one.text for one in fitted.reader.readable(corpus.sentences[place] for place in np.flatnonzero(new))]

    # -- using

    def encode(self, sentences: str | Sequence[str]) -> np.ndarray:
        """The codes of sentences, (n, D) float32: the posterior means.

        Raises DataError for an empty sentence, one that is too long, and one of which the model knows no word.
        """
        from neurode.tasks.text.encoding import encode_all

        fitted = self._ready()
        return encode_all(fitted.network, [one.ids for one in fitted.reader.read(sentences)])[0].float().cpu().numpy()

    def decode(self, codes: np.ndarray | Sequence[Sequence[float]]) -> list[str]:
        """The sentences that codes (n, D) stand for, by greedy decoding; without unknown words."""
        from neurode.tasks.text.answers.writing import write_codes

        return write_codes(self._ready(), codes)

    def reconstruct(self, sentences: str | Sequence[str], *, ends: str = "encoded") -> Reconstruction:
        """What comes back of each sentence through its code.

        ends: "encoded", the code that the encoder gives; "refined", moved until the model writes the sentence.
        """
        from neurode.tasks.text.answers.reconstructing import reconstruct

        fitted = self._ready()
        return reconstruct(fitted, fitted.reader.read(sentences), ends)

    def interpolate(
        self,
        a: str,
        b: str,
        steps: int = 11,
        path: str = "linear",
        *,
        ends: str = "fading",
        points: str = "text",
    ) -> Interpolation:
        """A path of `steps` sentences from `a` to `b`, both included.

        path: "linear"; "spherical"; "flow", through the base space of the flow prior; "metric", along where codes of
        sentences are dense. ends: "refined", the codes of both sentences are moved until the model writes them;
        "fading", the same, but between the ends the path goes as if they had not been; "encoded", codes as they are, so
        that the path may begin and end at other sentences. points: "even", at equal distances of the path; "text", of
        the sentences met along the path and beside it those that go in the evenest steps and that the model is sure of.

        Words that the model does not know are copied from the two sentences; what could not be held is said in `notes`
        of the result. Raises DataError for sentences that it cannot read, ValueError for other arguments.
        """
        from neurode.tasks.text.answers.interpolating import interpolate

        fitted = self._ready()
        start, end = fitted.reader.read([a, b])
        return interpolate(fitted, [(start, end)], steps, path=path, ends=ends, points=points)[0]

    def sample(self, n: int, prior: str | None = None, *, how: str = "greedy", seed: int = 0) -> list[str]:
        """`n` made sentences; n more do not change the first n.

        prior: "flow", codes like those of real sentences; "normal", N(0, I); None, the flow where the model has one.
        how: "greedy", the likeliest words of each code; "sample", words drawn too.
        """
        from neurode.tasks.text.answers.sampling import sample

        fitted = self._ready()
        return [fitted.tokenizer.decode(ids) for ids in sample(fitted, n, prior, how=how, seed=seed)]

    def neighbours(
        self, sentences: str | Sequence[str], n: int = 5, among: Source = None, column: str | None = None
    ) -> Neighbours:
        """The `n` sentences of `among` whose codes are nearest to each sentence's, itself apart.

        among: a text as `fit` takes it; None, the text given to `fit`.
        """
        from neurode.tasks.text.answers.neighbouring import neighbours

        fitted = self._ready()
        phrases = fitted.reader.read(sentences)
        found = neighbours(fitted, phrases, self._text(among, column).sentences, n)
        copied = copied_words(phrases)
        self.notes = () if copied is None else (copied,)
        return found

    def score(self, sentences: str | Sequence[str]) -> SentenceScores:
        """How real the model's judge takes each sentence to be; any text may be asked for.

        Raises DataError for a model that was trained without judges, and for an empty sentence.
        """
        from neurode.tasks.text.answers.scoring import score

        given = [sentences] if isinstance(sentences, str) else list(sentences)
        found = score(self._ready(), given)
        if found is None:
            raise DataError("this model was trained without judges. Train one with judge above 0")
        return found

    def evaluate(
        self,
        source: Source = None,
        column: str | None = None,
        *,
        pairs: int = 200,
        steps: int = 11,
        judge: PathJudge | None = None,
        beside: "Mapping[str, TextModel] | None" = None,
        seed: int = 0,
    ) -> TextEvaluation:
        """Scores of paths, made sentences and codes, beside reference rows, on sentences that nothing has seen.

        source: None is the text given to `fit`, of which the part `pairs` counts; of another text those sentences count
        that the model and its judges have not seen. pairs: how many paths of `steps` sentences. judge: None, the
        model's own. beside: other models by name, whose paths between the same sentences are scored too.
        Raises DataError for a model without judges, and where hardly a sentence is unseen.
        """
        from neurode.tasks.text.evaluating.evaluation import evaluate

        others = {name: model.fitted for name, model in (beside or {}).items()}
        self.evaluation = evaluate(
            self._ready(),
            self._text(source, column),
            num_pairs=pairs,
            steps=steps,
            judge=judge,
            beside=others,
            seed=seed,
        )
        return self.evaluation

    def report_data(self, source: Source = None, column: str | None = None, **options: Any) -> TextReportData:
        """Everything a report shows (`neurode.report.write_text_report` draws it), an evaluation included.

        source, column, options: as `evaluate` takes them.
        """
        from neurode.tasks.text.report_data import gather

        corpus = self._text(source, column)
        return gather(self._ready(), corpus, self.evaluate(corpus, **options))

    @property
    def fitted(self) -> FittedText:
        """What training found: tokenizer, network, flow prior, choices, history."""
        return self._ready()

    # -- pieces

    def _ready(self) -> FittedText:
        if self._fitted is None:
            raise NeurodeError("this TextModel is not trained yet: call fit(source), or TextModel.load(folder).")
        return self._fitted

    def _text(self, source: Source, column: str | None) -> Corpus:
        """`source` read as training read its text, or the text of `fit`."""
        if isinstance(source, Corpus):
            return source
        if source is None:
            if self._corpus is None:
                raise DataError("no text was given, and a loaded model holds none. Pass the text")
            return self._corpus
        return self.read(source, column)
