"""What a solve keeps: values at the output times, at the end, at every step, or what is needed to read it anywhere."""

from dataclasses import dataclass
from typing import Literal, get_args

from neurode.core.nest import describe

What = Literal["ts", "end", "steps", "dense"]


@dataclass(frozen=True)
class Save:
    """What a Solution holds.

    what: "ts" (default) values at the output times; "end" only at t1; "steps" at t0 and after each accepted step;
    "dense" values at the output times, and what `Solution.evaluate(t)` needs at any time in between.
    """

    what: What = "ts"

    def __post_init__(self):
        if self.what not in get_args(What):
            raise ValueError(f"save must be one of {', '.join(get_args(What))}, but is {self.what!r}.")


def save_of(save: Save | What | None) -> Save:
    """A Save from a name, a Save, or None for the default."""
    if save is None:
        return Save()
    if isinstance(save, str):
        return Save(save)
    if not isinstance(save, Save):
        raise TypeError(f"save must be a name or a Save, but is {describe(save)}.")
    return save
