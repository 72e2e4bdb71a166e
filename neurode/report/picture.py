"""A picture: a figure with its caption, as inline SVG for a page, or as a PNG file."""

import io
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from neurode.report.style import PAPER, TOKENS, clean, drawing
from neurode.training.files.atomic_file import write_atomically

if TYPE_CHECKING:
    from matplotlib.figure import Figure

RASTER_DPI = 150
"""Resolution of the rasterised parts of an inline picture; 9.2 inches wide that is 1380 px."""

PIXELS_PER_INCH = 105
"""CSS pixels that an inch of a picture takes at most, so that type has one size in narrow and wide pictures."""


_TAG = re.compile(r"<[^<>]*>")
"""matplotlib escapes "<" and ">" in labels, so this finds tags only, never a reader's words."""

_REFERENCE = re.compile(r'(href="#|url\(#)([^")]+)')


@dataclass(frozen=True)
class Picture:
    """A figure, the caption that says what one sees, and `alt`: what it is, for who cannot see it."""

    figure: "Figure"
    caption: str
    alt: str


def inline_svg(figure: "Figure", *, name: str, alt: str) -> str:
    """The figure as an <svg> element that stands inside an HTML page.

    name: prefix of every id, unique in the page. Colours that are tokens become CSS variables with the light colour as
    fallback; the font is the page's. No reference leaves the element: no metadata, no namespace, no stylesheet. The
    same figure gives the same text, byte for byte.
    """
    buffer = io.StringIO()
    with drawing():
        figure.savefig(buffer, format="svg", dpi=RASTER_DPI, metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
    text = re.sub(r'<style type="text/css">.*?</style>', "", text, flags=re.DOTALL)
    text = re.sub(r"\sxmlns(:\w+)?=\"[^\"]*\"", "", text).replace("xlink:href", "href")
    used = {match.group(2) for tag in _TAG.findall(text) for match in _REFERENCE.finditer(tag)}
    text = _TAG.sub(lambda tag: _inherit_font(_use_tokens(_shorten(_prefix_ids(tag.group(0), name, used)))), text)
    view = re.search(r'viewBox="([^"]*)"', text)
    assert view is not None
    size = round(figure.get_figwidth() * PIXELS_PER_INCH)
    style = f"max-width: {size}px; min-width: {round(0.65 * size)}px"
    opening = f'<svg viewBox="{view.group(1)}" style="{style}" role="img" aria-label="{_attribute(alt)}">'
    text = re.sub(r"^<svg[^>]*>", lambda _: opening, text, count=1)
    return "\n".join(line.strip() for line in text.splitlines() if line.strip())


def write_png(figure: "Figure", path: str | Path, *, dpi: int = 160) -> Path:
    """Write the figure as a PNG on white, at once or not at all; `dpi` 160 makes a full picture 1472 px wide.

    Good for a README or slides; not good for the report, whose pictures follow light and dark. Raises OSError where the
    folder does not exist, DataError where the disk is full or closed, and leaves nothing behind.
    """
    buffer = io.BytesIO()
    with drawing():
        figure.savefig(buffer, format="png", dpi=dpi, facecolor=PAPER, metadata={"Software": None})
    path = Path(path)
    write_atomically(path, buffer.getvalue())
    return path


def _prefix_ids(tag: str, name: str, used: set[str]) -> str:
    """Make ids unique in the page and drop those nobody refers to."""

    def rename(match: re.Match[str]) -> str:
        return f' id="{name}-{match.group(1)}"' if match.group(1) in used else ""

    tag = re.sub(r'\sid="([^"]*)"', rename, tag)
    return _REFERENCE.sub(lambda match: f"{match.group(1)}{name}-{match.group(2)}", tag)


def _shorten(tag: str) -> str:
    """Two decimals of a point are enough; matplotlib writes six. The matrix of an image keeps its own."""
    if tag.startswith("<image"):
        return tag
    return re.sub(r"-?\d+\.\d{3,}", lambda match: f"{float(match.group(0)):.2f}".rstrip("0").rstrip("."), tag)


def _use_tokens(svg: str) -> str:
    for token, (light, _) in TOKENS.items():
        svg = re.sub(rf"(fill|stroke)(: |=\"){light}", rf"\1\2var(--{token})", svg)
    # A presentation attribute cannot hold a variable, a style can.
    return re.sub(r'\s(fill|stroke)="(var\(--\w+\))"', r' style="\1: \2"', svg)


def _inherit_font(svg: str) -> str:
    svg = re.sub(r"font: ((?:\w+ )*?)([\d.]+)px [^;\"]*", _font, svg)
    return re.sub(r"font-family: [^;\"]*;? ?", "", svg)


def _font(match: re.Match[str]) -> str:
    weight = "font-weight: 600; " if "bold" in match.group(1) or re.search(r"\b[67]00\b", match.group(1)) else ""
    return f"{weight}font-size: {match.group(2)}px"


def _attribute(text: str) -> str:
    return clean(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")
