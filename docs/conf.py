"""Sphinx configuration. `make docs` builds with warnings as errors."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from docstrings import render

from neurode import __version__
from neurode.methods.adams import Adams
from neurode.methods.bdf import Bdf
from neurode.methods.catalogue import METHODS
from neurode.methods.explicit_rk import ExplicitRungeKutta
from neurode.methods.stepper import AbstractStepper
from neurode.methods.symplectic import Symplectic

project = "neurode"
author = "the neurode developers"
copyright = "2026, the neurode developers"
version = release = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc"]
# No intersphinx: it downloads other projects' inventories, and the build needs no network.
myst_enable_extensions = ["substitution", "dollarmath", "colon_fence"]
myst_heading_anchors = 3
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"neurode {version}"
html_static_path: list[str] = []

autodoc_member_order = "bysource"
autodoc_inherit_docstrings = False  # torch's docstrings are written for torch's own pages
autodoc_typehints = "signature"
autodoc_typehints_format = "short"


def methods_table() -> str:
    """The catalogue as a Markdown table, so that the page lists what `solve` accepts and nothing else."""
    lines = ["| name | order | calls | dense order | chooses its own steps | source |", "|---|---|---|---|---|---|"]
    for name, stepper in METHODS.items():
        table = getattr(stepper, "tableau", None) or getattr(stepper, "table", None)
        source = "Adams (1855), Moulton (1926); Nordsieck (1962)" if isinstance(stepper, Adams) else ""
        source = "Gear (1971); Shampine and Reichelt (1997)" if isinstance(stepper, Bdf) else source
        source = getattr(table, "source", "") or source
        own = "yes" if stepper.has_error else "no"
        calls = method_calls(stepper)
        lines.append(f"| `{name}` | {stepper.order} | {calls} | {stepper.dense_order} | {own} | {source} |")
    return "\n".join(lines)


def method_calls(stepper: AbstractStepper) -> str:
    """What a step costs."""
    if isinstance(stepper, Adams):
        return str(1 + stepper.corrections)
    if isinstance(stepper, ExplicitRungeKutta):
        extra = len(stepper.tableau.extra_c)
        return f"{stepper.tableau.num_stages - stepper.carries_first}" + (f" + {extra} to read" if extra else "")
    if isinstance(stepper, Symplectic):
        reading = 2 + len(stepper.reading.nodes)
        return f"{len(stepper.table.parts) - stepper.carries_first} + {reading} to read"
    if isinstance(stepper, Bdf) or (stepper.linearises and name_of_table(stepper)):
        return "implicit"
    return "those of the method in use"


def name_of_table(stepper: AbstractStepper) -> str:
    return getattr(getattr(stepper, "tableau", None), "name", "")


myst_substitutions = {"methods_table": methods_table()}


def _rewrite(app, what, name, obj, options, lines: list[str]) -> None:
    del app, what, name, obj, options
    lines[:] = render(lines)


def setup(app) -> None:
    app.connect("autodoc-process-docstring", _rewrite)
