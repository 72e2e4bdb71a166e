"""One look for every picture: colours, type, sizes, and the words on axes.

Colours are tokens. Each has a light and a dark form; a figure is drawn in the light form, and when it goes inline
into a page every token becomes a CSS variable, so the same picture reads on white, on a dark screen and on paper.
The hues are those of Okabe and Ito (2008), darkened or lightened until each stands out on its ground.
"""

import math
import unicodedata
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import ModuleType
from typing import TYPE_CHECKING, Any

from neurode.core.extras import require
from neurode.tasks.series.results import LAST_VALUE, LINEAR, MEAN, NEURODE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure

TOKENS: dict[str, tuple[str, str]] = {
    "ink": ("#1b2530", "#e8edf2"),
    "muted": ("#5a6773", "#a7b3be"),
    "axis": ("#aeb8c2", "#5c6874"),
    "grid": ("#e4e8ec", "#2b343d"),
    "paper": ("#ffffff", "#151a20"),
    "blue": ("#0b67b0", "#62b2f4"),
    "vermilion": ("#cf4f09", "#ff9a60"),
    "green": ("#0b8a69", "#43cfa6"),
    "amber": ("#b87d00", "#eec04e"),
    "purple": ("#9c5496", "#d99bd3"),
}
"""Token -> (colour on white, colour on a dark ground)."""

INK, MUTED, AXIS, GRID, PAPER, BLUE, VERMILION, GREEN, AMBER, PURPLE = (light for light, _ in TOKENS.values())

METHOD_COLORS = {NEURODE: BLUE, LAST_VALUE: AMBER, LINEAR: GREEN, MEAN: PURPLE}
METHOD_MARKERS = {NEURODE: "o", LAST_VALUE: "s", LINEAR: "D", MEAN: "^"}
METHOD_DASHES: dict[str, Any] = {
    NEURODE: "-",
    LAST_VALUE: (0, (5, 2)),
    LINEAR: (0, (7, 2, 1.5, 2)),
    MEAN: (0, (1.5, 1.5)),
}

WIDTH = 9.2
"""Width of a full picture in inches. The page shows it about 950 px wide, so 8.5 pt type is read at 12 px."""

MANY_POINTS = 1500
"""An artist with more points than this is rasterised: as vectors it would cost more bytes than as an image."""

_RC: dict[str, Any] = {
    "font.family": ["DejaVu Sans"],
    "font.size": 8.5,
    "axes.titlesize": 9.0,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 7.0,
    "axes.labelsize": 8.5,
    "axes.labelcolor": MUTED,
    "axes.titlecolor": INK,
    "axes.edgecolor": AXIS,
    "axes.facecolor": "none",
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.formatter.useoffset": False,
    "axes.formatter.limits": (-4, 6),
    "axes.unicode_minus": True,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "xtick.color": AXIS,
    "ytick.color": AXIS,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "xtick.labelsize": 8.0,
    "ytick.labelsize": 8.0,
    "xtick.major.size": 3.0,
    "ytick.major.size": 0.0,
    "xtick.minor.size": 0.0,
    "ytick.minor.size": 0.0,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "legend.handlelength": 1.8,
    "legend.columnspacing": 1.6,
    "legend.borderaxespad": 0.0,
    "lines.linewidth": 1.7,
    "lines.markersize": 4.5,
    "lines.solid_capstyle": "round",
    "text.color": INK,
    "text.parse_math": False,  # a column may be called "cost in $ ... $"
    "figure.facecolor": "none",
    "figure.constrained_layout.use": True,
    "figure.constrained_layout.hspace": 0.06,
    "figure.constrained_layout.wspace": 0.05,
    "savefig.facecolor": "none",
    "svg.fonttype": "none",  # text stays text: small, selectable, and read aloud by a screen reader
    "svg.hashsalt": "neurode",  # otherwise every run writes other ids
    "path.simplify": True,
}


@contextmanager
def drawing() -> Iterator[ModuleType]:
    """Within it matplotlib draws in the report's look, whatever the user's own settings; yields `matplotlib`.

    Figures are made without pyplot, so no window, no backend and no global list of figures is touched.
    """
    matplotlib = require("matplotlib", extra="tools")
    with matplotlib.rc_context(), warnings.catch_warnings():
        # A column named in a script that the bundled font lacks is drawn by the reader's browser all the same.
        warnings.filterwarnings("ignore", message="Glyph .* missing from", category=UserWarning)
        matplotlib.rcParams.update({k: v for k, v in matplotlib.rcParamsDefault.items() if k not in _KEPT})
        matplotlib.rcParams.update(_RC)
        yield matplotlib


_KEPT = ("backend", "backend_fallback", "interactive", "toolbar", "timezone", "webagg.port", "webagg.address")


def new_figure(height: float, width: float = WIDTH) -> "Figure":
    """An empty figure of the given size in inches; call it within `drawing()`."""
    return require("matplotlib.figure", extra="tools").Figure(figsize=(width, height))


def ramp(matplotlib: ModuleType) -> "Colormap":
    """Blue over grey to yellow, ever lighter, as cividis, but neither end vanishes on a dark or on a white ground."""
    return matplotlib.colors.LinearSegmentedColormap.from_list("ramp", ["#3568ad", "#8b8f88", "#e0b52e"])


def bare(axes: "Axes") -> None:
    """Take frame, ticks and grid from a panel that shows a plane rather than a chart."""
    axes.grid(False)
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)


def powers_of_ten(axis: "Axis", marks: Sequence[float] = ()) -> None:
    """Ticks of a logarithmic axis in plain characters, 10⁻³, or at `marks` as plain numbers."""
    ticker = require("matplotlib.ticker", extra="tools")
    if len(marks):
        axis.set_major_locator(ticker.FixedLocator(list(marks)))
        axis.set_major_formatter(ticker.FuncFormatter(lambda value, _: f"{value:,g}"))
    else:
        axis.set_major_formatter(ticker.FuncFormatter(lambda value, _: _power(value)))
    axis.set_minor_locator(ticker.NullLocator())


def _power(value: float) -> str:
    exponent = round(math.log10(value))
    return "10" + str(exponent).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))


def whole_numbers(axis: "Axis") -> None:
    """Ticks at whole numbers only, few enough to read."""
    axis.set_major_locator(
        require("matplotlib.ticker", extra="tools").MaxNLocator(6, integer=True, steps=[1, 2, 5, 10])
    )


def legend_above(figure: "Figure", axes: "Axes", columns: int | None = None) -> None:
    """One legend for the whole figure, above its panels, flush left, made from the labelled artists of `axes`."""
    handles, labels = axes.get_legend_handles_labels()
    if handles:
        figure.legend(handles, labels, loc="outside upper left", ncols=columns or len(handles))


def clean(text: object, limit: int | None = None) -> str:
    """`text` on one line without control characters, its middle cut out where it is longer than `limit`."""
    kept = "".join(" " if char.isspace() else char for char in str(text) if _printable(char))
    kept = " ".join(kept.split())
    if limit is None or len(kept) <= limit:
        return kept
    head = (limit - 1) * 2 // 3
    return f"{kept[:head].rstrip()}…{kept[len(kept) - (limit - 1 - head) :].lstrip()}"


def _printable(char: str) -> bool:
    # Controls and lone surrogates are not allowed in XML, others show nothing or turn the text around. The two joiners
    # shape letters in Persian and in Indian scripts.
    return char.isspace() or char in "\u200c\u200d" or not unicodedata.category(char).startswith("C")


def time_label(unit: str, since: str = "") -> str:
    """Words for a time axis: the unit, and since when."""
    return f"{unit or 'time'}{f' since {since}' if since else ''}"


def number(value: float, digits: int = 3) -> str:
    """A number for a table: `digits` significant digits, no exponent between 0.0001 and ten million, "–" for NaN."""
    if value != value:
        return "–"
    if value in (float("inf"), float("-inf")):
        return "∞" if value > 0 else "−∞"
    size = abs(value)
    if size >= 1e7 or 0 < size < 1e-4:
        text = f"{value:.{digits - 1}e}"
    elif size >= 10 ** (digits - 1):
        text = f"{value:,.0f}"
    else:
        text = f"{value:#.{digits}g}" if size else "0"
    return text.rstrip(".").replace("-", "−")


def amount(value: float) -> str:
    """A number for a sentence: three significant digits, no idle zeros."""
    text = number(value)
    return text.rstrip("0").rstrip(".") if "." in text and "e" not in text else text


def percent(share: float) -> str:
    """A share of 0 to 1 in words: "89%", one decimal near the ends, "–" for NaN."""
    if share != share:
        return "–"
    decimals = 1 if 0 < share < 0.01 or 0.99 < share < 1 else 0
    return f"{100 * share:.{decimals}f}%"


def plural(count: int, noun: str) -> str:
    """ "1 series", "12,345 rows": the count with its noun; nouns ending in s are their own plural."""
    return f"{count:,} {noun if count == 1 or noun.endswith('s') else noun + 's'}"
