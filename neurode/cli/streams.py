"""Where words go: standard output carries data only, everything said to a person goes to standard error."""

import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console


@dataclass(frozen=True)
class Streams:
    """What a verb may say and how loudly. `verbosity`: -1 with -q, 0 as a rule, 1 with -v.

    Colour follows the terminal and NO_COLOR (rich decides); a bar is drawn only where standard error is a terminal.
    """

    verbosity: int = 0

    @property
    def is_quiet(self) -> bool:
        return self.verbosity < 0

    @property
    def is_verbose(self) -> bool:
        return self.verbosity > 0

    @property
    def shows_bars(self) -> bool:
        return not self.is_quiet and sys.stderr.isatty()

    @property
    def console(self) -> "Console":
        """A rich console on standard error, made anew so that it follows a redirected stream.

        On a terminal sentences break between words; in a file each stays on one line.
        """
        from rich.console import Console

        wraps = not sys.stderr.isatty()
        return Console(file=sys.stderr, highlight=False, soft_wrap=wraps, markup=False, emoji=False)

    def say(self, sentence: str) -> None:
        """Tell what happens; silent with -q."""
        if not self.is_quiet:
            self._line(sentence)

    def detail(self, sentence: str) -> None:
        """Tell what only -v wants to know."""
        if self.is_verbose:
            self._line(sentence, style="dim")

    def heading(self, sentence: str) -> None:
        """Say what comes next, in bold; silent with -q."""
        if not self.is_quiet:
            self._line(sentence, style="bold")

    def warn(self, sentence: str) -> None:
        """Say what the user ought to know even with -q."""
        self._line(f"Warning: {sentence}", style="yellow")

    def end(self, sentence: str) -> None:
        """Say that the command ends here because the user wished so."""
        self._line(sentence, style="yellow")

    def error(self, sentence: str) -> None:
        """Say why the command ends here."""
        self._line(f"Error: {sentence}", style="red")

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """A small table for a person, on standard error; the first column is text, the others are numbers."""
        if self.is_quiet:
            return
        from rich import box
        from rich.table import Table
        from rich.text import Text

        self.heading(title)
        grid = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
        for number, column in enumerate(columns):
            grid.add_column(Text(column), justify="left" if number == 0 else "right", overflow="fold")
        for row in rows:
            grid.add_row(*[Text(cell) for cell in row])
        self.console.print(grid, soft_wrap=False)

    def _line(self, sentence: str, style: str | None = None) -> None:
        self.console.print(sentence, style=style)

    @contextmanager
    def own_warnings(self) -> Iterator[None]:
        """Inside, Python's warnings come out as one `Warning:` sentence each, without the place in our source."""

        def show(message, category, filename, lineno, file=None, line=None) -> None:
            del category, filename, lineno, file, line
            self.warn(str(message))

        with warnings.catch_warnings():
            warnings.showwarning = show
            yield
