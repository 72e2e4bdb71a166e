"""Sentences: train on a text, walk from one sentence to another, and measure the walk."""

from neurode.core.extras import require

# The settings are the first thing that every door of this task imports; without pydantic the extra is missing.
require("pydantic", extra="tools")
