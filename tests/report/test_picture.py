"""Pictures: inline SVG that stands inside a page, and PNG files."""

import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neurode.report.picture import inline_svg, write_png
from neurode.report.style import BLUE, INK, TOKENS, clean, drawing, new_figure

NAMES = st.text(st.one_of(st.sampled_from("<>&\"'$_^{}\\ \n\x07"), st.characters(codec="utf-8")), max_size=25)


def a_figure(title: str = "title", *, rasterized: bool = False):
    with drawing():
        figure = new_figure(2.0, 3.0)
        axes = figure.add_subplot()
        axes.plot([0.0, 1.0, 2.0], [1.0, np.nan, 0.5], "o-", color=BLUE, label="line", rasterized=rasterized)
        axes.set_title(clean(title))
        axes.set_xlabel("hours")
    return figure


@settings(max_examples=15)
@given(NAMES)
def test_any_column_name_can_be_an_axis_title(name):
    svg = ElementTree.fromstring(inline_svg(a_figure(name), name="p1", alt=name))
    texts = [text.text for text in svg.iter("text")]
    assert clean(name) == "" or clean(name) in [" ".join((text or "").split()) for text in texts]


def test_colours_become_variables_and_the_font_the_pages():
    svg = inline_svg(a_figure(), name="p1", alt="a line")
    assert "var(--blue)" in svg
    assert "var(--ink)" in svg
    assert not [light for light, _ in TOKENS.values() if light in svg]
    assert "DejaVu" not in svg


def test_words_that_look_like_a_style_stay_words():
    words = f"fill: {INK} id=3 url(#x) font: 3px"
    svg = ElementTree.fromstring(inline_svg(a_figure(words), name="p1", alt=words))
    assert words in [text.text for text in svg.iter("text")]
    assert svg.get("aria-label") == words


def test_ids_carry_the_pictures_name_so_that_two_pictures_do_not_meet():
    first, second = (inline_svg(a_figure(), name=name, alt="x") for name in ("p1", "p2"))
    ids = [set(re.findall(r'\sid="([^"]*)"', svg)) for svg in (first, second)]
    assert ids[0]
    assert not ids[0] & ids[1]
    assert first.replace("p1-", "p2-") == second


def test_a_rasterised_line_becomes_an_image_inside_the_picture():
    svg = inline_svg(a_figure(rasterized=True), name="p1", alt="x")
    assert 'href="data:image/png;base64,' in svg


def test_a_png_is_written_on_white_at_the_asked_size(tmp_path):
    from PIL import Image

    path = write_png(a_figure(), tmp_path / "figure.png", dpi=100)
    with Image.open(path) as image:
        assert image.size == (300, 200)
        assert image.convert("RGB").getpixel((1, 1)) == (255, 255, 255)


def test_a_png_in_a_missing_folder_is_an_error(tmp_path):
    with pytest.raises(OSError, match="No such file"):
        write_png(a_figure(), tmp_path / "missing" / "figure.png")
