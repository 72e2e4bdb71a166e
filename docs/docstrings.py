"""Docstrings of neurode are plain text with `code` in single backticks; this turns one into reStructuredText.

What Sphinx would take for markup (a star in `*args`, a trailing underscore, a bar) is escaped, indented blocks become
literal blocks, and lines that begin with a dash, or with the names of arguments, become a list. So a docstring is
written for the person who reads the source, and cannot break the build.
"""

import re

_CODE = re.compile(r"``([^`]+)``|`([^`]+)`")
_SPECIAL = re.compile(r"([\\*|]|_(?!\w))")
_ARGUMENT = re.compile(r"([a-z_]\w*(?:, [a-z_]\w*)*): ")


def render(lines: list[str]) -> list[str]:
    """The docstring `lines` as lines of reStructuredText."""
    out: list[str] = []
    for block in _blocks(lines):
        out += [*_block(block), ""]
    return out


def _blocks(lines: list[str]) -> list[list[str]]:
    blocks: list[list[str]] = [[]]
    for line in lines:
        if line.strip():
            blocks[-1].append(line.rstrip())
        elif blocks[-1]:
            blocks.append([])
    return [block for block in blocks if block]


def _block(block: list[str]) -> list[str]:
    if block[0].startswith((" ", ">>>")):
        return ["::", "", *("    " + line for line in block)]
    unindented = [line for line in block if not line.startswith(" ")]
    if len(unindented) > 1 and all(_ARGUMENT.match(line) for line in unindented):
        block = [line if line.startswith(" ") else "- " + _ARGUMENT.sub(r"`\1`: ", line) for line in block]
    out: list[str] = []
    in_list = False
    for line in block:
        text = line.strip()
        if text.startswith("- "):
            out += ([] if in_list or not out else [""]) + ["- " + _inline(text[2:])]
            in_list = True
        elif in_list and line.startswith(" "):
            out.append("  " + _inline(text))
        else:
            out += [""] * in_list + [_inline(text)]
            in_list = False
    return out


def _inline(text: str) -> str:
    """One line with `code` as ``code`` and everything else escaped."""
    out, end = [], 0
    for match in _CODE.finditer(text):
        out += [_escape(text[end : match.start()]), f"``{match[1] or match[2]}``"]
        # ``code`` must end at a space or punctuation; an escaped space ends it invisibly before a letter.
        out.append("\\ " if match.end() < len(text) and text[match.end()].isalnum() else "")
        end = match.end()
    return "".join([*out, _escape(text[end:])])


def _escape(text: str) -> str:
    return _SPECIAL.sub(r"\\\1", text).replace("`", "\\`")
