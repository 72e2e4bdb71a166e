"""Small real tables that come with the package, for the demo, the documentation and first steps."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_FOLDER = Path(__file__).parent / "samples"


@dataclass(frozen=True)
class Sample:
    """A table that comes with the package: its file, what it holds, and how it is to be read: the arguments of
    `read_table`, for labelled samples those of `read_labelled`."""

    name: str
    file: str
    sentence: str
    arguments: dict[str, Any] = field(default_factory=dict)


SAMPLES = {
    one.name: one
    for one in (
        Sample(
            "storms",
            "storms.csv.gz",
            "Atlantic storms 1975 to 2024, mostly 6-hourly positions, wind and pressure (NOAA HURDAT2, public domain).",
            {"id": ["name", "year"], "time": ["year", "month", "day", "hour"]},
        ),
        Sample(
            "co2",
            "co2.csv.gz",
            "Weekly CO2 at Mauna Loa 1958 to 2001, with blanks (Scripps and NOAA, public domain).",
            {"time": ["date"]},
        ),
        Sample(
            "lynx_hare",
            "lynx_hare.csv.gz",
            "Lynx and hare pelts of the Hudson's Bay Company 1900 to 1920 (Hewitt 1921, as spread by Howard).",
            {"time": ["Year"]},
        ),
        Sample(
            "optdigits",
            "optdigits.csv.gz",
            "Handwritten digits of 8 x 8 pixels, 3,823 to train on, 1,797 by other writers to test (UCI, CC BY 4.0).",
            {"target": "digit", "split": "split", "image": (8, 8)},
        ),
    )
}
"""The tables that come with the package, by name."""


def sample(name: str) -> Path:
    """The path of a table that comes with the package; SAMPLES lists them. Raises ValueError for another name."""
    if name not in SAMPLES:
        raise ValueError(f"there is no sample named {name!r}. Samples: {', '.join(SAMPLES)}.")
    return _FOLDER / SAMPLES[name].file
