"""Known tables: how each is read and what is asked of it, as functions."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from neurode.tasks.series.config import SeriesConfig
from neurode.tasks.series.series_model import SeriesModel


@dataclass(frozen=True)
class Preset:
    """reading: arguments of `SeriesModel.fit` for the table. settings: of `SeriesConfig`. about: one sentence."""

    name: str
    about: str
    reading: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)

    def model(self, **changes: Any) -> SeriesModel:
        """An untrained model with these settings, `changes` winning."""
        return SeriesModel(**{**self.settings, **changes})

    def config(self) -> SeriesConfig:
        return SeriesConfig(**self.settings)


def auto() -> Preset:
    """Any table: everything is chosen from its own statistics."""
    return Preset("auto", "any table; everything is chosen from the data")


def storms() -> Preset:
    """Atlantic storm tracks (NOAA HURDAT2): a storm is name and year; forecasts 24 h ahead."""
    return Preset(
        "storms",
        "Atlantic storm tracks, 24 h ahead",
        {
            "id": ["name", "year"],
            "time": ["year", "month", "day", "hour"],
            "values": ["lat", "long", "wind", "pressure"],
        },
        {"horizon": "24h"},
    )


def physionet() -> Preset:
    """PhysioNet 2012, set a, in long form: -1 stands for unknown; forecasts 12 h ahead."""
    return Preset(
        "physionet",
        "intensive-care stays of 48 h, 12 h ahead",
        {"id": "id", "time": "time_h", "variable": "variable", "value": "value", "unknown": -1.0},
        {"horizon": 12.0, "cuts": 2},
    )


def pbcseq() -> Preset:
    """Liver patients' visits (Mayo Clinic PBC): futime and status are the outcome, never an input; two years ahead."""
    return Preset(
        "pbcseq",
        "liver patients' laboratory values, two years ahead",
        {
            "id": "id",
            "time": "day",
            "values": [
                "ascites", "hepato", "spiders", "edema", "bili", "chol", "albumin", "alk.phos", "ast", "platelet",
                "protime", "stage",
            ],
        },
        {"horizon": 730.0},
    )  # fmt: skip


def co2() -> Preset:
    """Weekly CO2 at Mauna Loa: one series, cut into windows, one year ahead."""
    return Preset("co2", "weekly CO2, one year ahead", {"time": "date"}, {"horizon": "1 year", "window": "3 years"})


PRESETS: Mapping[str, Callable[[], Preset]] = {
    "auto": auto,
    "storms": storms,
    "physionet": physionet,
    "pbcseq": pbcseq,
    "co2": co2,
}
"""Name -> preset: the list that the command line offers."""
