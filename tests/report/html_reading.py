"""Reading a report as a browser and as a strict XML parser would."""

import re
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"meta", "br", "link", "img", "input", "hr"}


@dataclass
class Reading:
    """What stands in a document: titles, text, attributes, pictures; `unclosed` names tags that do not match."""

    tags: list[str] = field(default_factory=list)
    attributes: list[tuple[str, str, str]] = field(default_factory=list)
    text: str = ""
    headings: list[str] = field(default_factory=list)
    unclosed: list[str] = field(default_factory=list)
    svgs: list[ElementTree.Element] = field(default_factory=list)

    def values(self, attribute: str) -> list[str]:
        return [value for _, name, value in self.attributes if name == attribute]


class _Reader(HTMLParser):
    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.reading, self.open = Reading(), []

    def handle_starttag(self, tag, attrs):
        self.reading.tags.append(tag)
        self.reading.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.reading.tags.append(tag)
        self.reading.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.reading.unclosed.append(tag)

    def handle_data(self, data):
        if "style" in self.open:
            return
        self.reading.text += data
        if self.open and self.open[-1] in ("h1", "h2"):
            self.reading.headings.append(data)


def read_html(document: str) -> Reading:
    reader = _Reader()
    reader.feed(document)
    reader.close()
    reader.reading.unclosed += reader.open
    reader.reading.text = " ".join(reader.reading.text.split())
    reader.reading.svgs = [ElementTree.fromstring(svg) for svg in re.findall(r"<svg.*?</svg>", document, re.DOTALL)]
    return reader.reading


def assert_self_contained(document: str) -> Reading:
    """The document needs nothing outside itself, is well formed, and its inner references all have their target."""
    reading = read_html(document)
    assert reading.unclosed == []
    assert "http" not in document
    assert not {"script", "link", "iframe", "object", "embed", "base", "form"} & set(reading.tags)
    assert "@import" not in document
    assert "src" not in {name for _, name, _ in reading.attributes}
    assert not [name for _, name, _ in reading.attributes if name.startswith("on")]
    ids = reading.values("id")
    assert len(ids) == len(set(ids))
    links = reading.values("href")
    inner = {link[1:] for link in links if link.startswith("#")} | set(re.findall(r"url\(#([^)]*)\)", document))
    assert inner <= set(ids)
    assert all(link.startswith(("#", "data:image/png;base64,")) for link in links)
    assert len(re.findall(r"url\(", document)) == len(re.findall(r"url\(#", document))
    return reading
