"""SeriesModel: a latent ODE on a user's own table. Pandas in, pandas out, in the user's columns, units and times."""

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neurode.core.errors import DataError, NeurodeError
from neurode.data.tables import Table, read_table
from neurode.tasks.model_folder import ModelFolder
from neurode.tasks.series.config import SeriesConfig
from neurode.tasks.series.fitted import Fitted
from neurode.tasks.series.results import Evaluation, SeriesReportData
from neurode.tasks.training_run import training_run
from neurode.training.progress import Progress

if TYPE_CHECKING:
    import pandas as pd

Source = Any
"""A path (.csv, .csv.gz, .tsv, .txt, .parquet), a pandas DataFrame, or a Table that was read already."""


class SeriesModel:
    """Fills, forecasts and makes irregular series of a table, with calibrated intervals.

    Good for many series of up to some hundred rows each (patients, storms, machines), or one long series, with times
    of their own and blanks. Not good for text and categories, for fewer than 8 series (other than one long one), and
    for chaotic or tick-by-tick data.

    SeriesModel(**settings) takes the fields of `SeriesConfig`; whatever is left open is chosen from the data.
    fit(source) trains; impute, forecast, sample, encode and evaluate use the model; save and load keep it. Attributes
    after fit or load: `notes` (sentences: what was guessed when the last table was read, what was chosen or scored),
    `evaluation` (of the last `evaluate`, or None).
    Raises DataError for wrong settings, tables and folders, TrainingError where training cannot go on.
    """

    def __init__(self, **settings: Any):
        self.config = SeriesConfig.checked(settings)
        self.notes: tuple[str, ...] = ()
        self.evaluation: Evaluation | None = None
        self._fitted: Fitted | None = None
        self._table: Table | None = None

    # -- making and keeping

    def fit(
        self,
        source: Source,
        id: str | Sequence[str] | None = None,
        time: str | Sequence[str] | None = None,
        *,
        variable: str | None = None,
        value: str | None = None,
        values: str | Sequence[str] | None = None,
        layout: str | None = None,
        strict: bool = False,
        unknown: float | Sequence[float] = (),
        outliers: str = "blank",
        run_folder: str | Path | None = None,
        resume: bool = False,
        progress: Progress | bool | None = None,
        say: Callable[[str], None] | None = None,
    ) -> "SeriesModel":
        """Train on a table and return self.

        id, time, ..., outliers: see `neurode.data.tables.read_table`; what is not named is guessed. run_folder: gets
        config.yaml, metrics.csv, train.log, checkpoints/ and model/; None writes nothing. resume: go on with the run in
        run_folder. progress: None shows a bar (or a line an epoch) on standard error, False nothing. say: called with
        each sentence of `notes` as it comes.
        """
        from neurode.tasks.series.fitting import fit_table

        table = source if isinstance(source, Table) else read_table(
            source, id=id, time=time, variable=variable, value=value, values=values, layout=layout, strict=strict,
            unknown=unknown, outliers=outliers,
        )  # fmt: skip
        with training_run(self.config, run_folder, resume=resume, say=say, known=table.notes) as run:
            self._fitted = fit_table(
                table, self.config, run_folder=run.folder, resume=resume, progress=progress, say=run.tell
            )
            self._table, self.notes, self.evaluation = table, tuple(run.notes), None
            if run.model_folder is not None:
                self.save(run.model_folder)
        return self

    def save(self, folder: str | Path) -> Path:
        """Write the model folder: atomically, replacing an older model there. See `model_folder`."""
        from neurode.tasks.series.pages.card import card

        fitted = self._ready()
        return fitted.to_folder(card(fitted, self.evaluation)).write(folder)

    @classmethod
    def load(cls, folder: str | Path) -> "SeriesModel":
        """The model of a folder, or of a run folder that holds one. DataError where it is missing, damaged or newer."""
        fitted = Fitted.from_folder(ModelFolder.read(folder, "series"), str(folder))
        model = cls(**fitted.config.model_dump())
        model._fitted = fitted
        return model

    # -- using

    def impute(self, source: Source = None, coverage: float | None = None, *, strict: bool = False) -> "pd.DataFrame":
        """The table with its blanks filled, `<column>_lo`, `<column>_hi` and `imputed` beside (see `answers.filling`).

        source: a table of the same form; None is the table given to `fit`. coverage: share of truths an interval is to
        hold, as configured (0.9) when not given.
        """
        from neurode.tasks.series.answers.filling import fill

        return fill(self._ready(), self._read(source, strict), self._coverage(coverage))

    def forecast(
        self,
        source: Source = None,
        times: Any = None,
        *,
        horizon: float | str | None = None,
        steps: int | None = None,
        coverage: float | None = None,
        strict: bool = False,
    ) -> "pd.DataFrame":
        """What comes after each series: one row a time, each feature with `_lo` and `_hi` (see `answers.forecasting`).

        times: absolute, as the table writes them (or as 2024-09-01T06:00), for all series. horizon: time after each
        series' last row, a number in the table's unit or 24h, 3d, 2 years; steps: how many equal steps up to there.
        Without any of them: the horizon the model was trained for.
        Warns where times lie beyond that horizon, since intervals were not calibrated there, and where series are left
        out because they lie more than ten horizons from the times. Raises DataError for a horizon of more than ten
        trained ones.
        """
        from neurode.tasks.series.answers.coming import asked_times
        from neurode.tasks.series.answers.forecasting import forecast

        fitted, table, share = self._ready(), self._read(source, strict), self._coverage(coverage)
        coming = asked_times(
            fitted, table.series, times=times, horizon=horizon, steps=steps, parse=table.schema.parse_time,
            name=table.name,
        )  # fmt: skip
        for sentence in coming.warnings:
            warnings.warn(sentence, UserWarning, stacklevel=2)
        return forecast(fitted, table, coming, share)

    def sample(
        self, n: int, times: Sequence[float | str] | None = None, *, seed: int = 0, prior: str | None = None
    ) -> "pd.DataFrame":
        """`n` made series; times since their start, a typical series' own when not given (see `answers.sampling`).

        prior: "mixture", or "flow" where the model was trained with prior="flow"; None, what it was trained with.
        """
        from neurode.tasks.series.answers.sampling import sample

        return sample(self._ready(), n, times, seed, prior)

    def encode(self, source: Source = None, *, strict: bool = False) -> "pd.DataFrame":
        """The code of each series: id columns, code_1, code_2, ... and their standard deviations code_1_std, ..."""
        import pandas as pd

        from neurode.tasks.series.pages.latent import codes

        fitted, table = self._ready(), self._read(source, strict)
        means, stds = codes(fitted, table.series)
        columns = dict(table.schema.write_id([one.key for one in table.series]))
        columns |= {f"code_{d + 1}": means[:, d] for d in range(means.shape[1])}
        columns |= {f"code_{d + 1}_std": stds[:, d] for d in range(means.shape[1])}
        return pd.DataFrame(columns)

    def evaluate(self, source: Source = None, coverage: float | None = None, *, strict: bool = False) -> Evaluation:
        """Scores beside the three baselines on series that the model has not used.

        source: None is the table given to `fit`, of which the test series count. Of another table those series count
        that are not among the ones the model was trained, stopped or calibrated on; the last of `notes` says which.
        """
        from neurode.tasks.series.report_data import evaluate_table, scored_words

        fitted, table = self._ready(), self._read(source, strict)
        self.evaluation = evaluate_table(fitted, table, self._coverage(coverage))
        self.notes = (*table.notes, scored_words(fitted, table))
        return self.evaluation

    def report_data(
        self, source: Source = None, coverage: float | None = None, *, strict: bool = False
    ) -> SeriesReportData:
        """Everything a report shows (`neurode.report.write_series_report` draws it), an evaluation included."""
        from neurode.tasks.series.report_data import gather

        table = self._read(source, strict)
        return gather(self._ready(), table, self.evaluate(table, coverage))

    @property
    def time_unit(self) -> str:
        """Unit of plain numbers of time: hours, days, weeks, years, or "" where the table's times are plain numbers."""
        return self._ready().time_unit

    @property
    def fitted(self) -> Fitted:
        """What training found: schema, scaling, choices, network, calibration, baselines, history."""
        return self._ready()

    # -- pieces

    def _ready(self) -> Fitted:
        if self._fitted is None:
            raise NeurodeError("this SeriesModel is not trained yet: call fit(source), or SeriesModel.load(folder).")
        return self._fitted

    def _read(self, source: Source, strict: bool) -> Table:
        """`source` read as the model's schema says; its notes become `self.notes`."""
        if isinstance(source, Table):
            return source
        if source is None:
            if self._table is None:
                raise DataError("no table was given, and a loaded model holds none. Pass the table")
            return self._table
        table = read_table(source, schema=self._ready().schema, strict=strict)
        self.notes = table.notes
        return table

    def _coverage(self, coverage: float | None) -> float:
        value = self.config.coverage if coverage is None else coverage
        if not 0 < value < 1:
            raise ValueError(
                f"coverage={value} must lie between 0 and 1: 0.9 asks for intervals that hold nine truths of ten."
            )
        return value


def report_data(model: SeriesModel, table: Source = None) -> SeriesReportData:
    """Everything a report shows of `model` on `table`; the table given to `fit` when not given."""
    return model.report_data(table)
