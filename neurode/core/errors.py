"""Exceptions a user can meet, and Status, the way a solve ends."""

from enum import IntEnum
from pathlib import Path


class NeurodeError(Exception):
    """Base of every error that neurode raises on purpose; `exit_code` is what the command line returns for it."""

    exit_code = 1


class DataError(NeurodeError, ValueError):
    """A user's table, configuration, model folder or output folder is not usable as it stands.

    `file`, `row` (1-based line of the file, as an editor shows it) and `column` say where, when they are known.
    """

    exit_code = 3

    def __init__(
        self, message: str, *, file: str | Path | None = None, row: int | None = None, column: str | None = None
    ):
        self.file, self.row, self.column = file, row, column
        place = [str(file)] if file is not None else []
        if row is not None:
            place.append(f"line {row}")
        if column is not None:
            place.append(f"column {column!r}")
        super().__init__(f"{', '.join(place)}: {message}" if place else message)


class MissingExtraError(NeurodeError, ImportError):
    """An optional dependency is not installed; the message holds the line that installs it."""

    exit_code = 3


class SolveError(NeurodeError, RuntimeError):
    """A solve did not reach its end. `status` says why, `solution` holds the part that was solved."""

    exit_code = 4

    def __init__(self, message: str, *, status: "Status | None" = None, solution=None):
        super().__init__(message)
        self.status, self.solution = status, solution


class TrainingError(NeurodeError, RuntimeError):
    """Training cannot go on (for example the loss stays non-finite after several roll-backs)."""

    exit_code = 4


class Status(IntEnum):
    """How a solve, or one sample of it, ended. `sentence` says what happened, `remedy` what to try."""

    SUCCESS = 0
    MAX_STEPS = 1
    STEP_TOO_SMALL = 2
    NON_FINITE = 3
    RUNNING = 4
    EVENT = 5
    EVENT_MISSING = 6
    EVENTS_PILE_UP = 7
    NEWTON_FAILED = 8
    MAX_EVALUATIONS = 9

    @property
    def is_success(self) -> bool:
        """Did it end as it should: at the end of the interval, or at a terminal event?"""
        return self in (Status.SUCCESS, Status.EVENT)

    @property
    def sentence(self) -> str:
        return _SENTENCES[self][0]

    @property
    def remedy(self) -> str:
        return _SENTENCES[self][1]


_SENTENCES = {
    Status.SUCCESS: ("The solve reached the end of its interval.", ""),
    Status.MAX_STEPS: (
        "The solve used up max_steps before the end of its interval.",
        "Pass a larger max_steps, looser rtol and atol, or scale time and state so that both are of order one.",
    ),
    Status.STEP_TOO_SMALL: (
        "The step size fell below min_step or the rounding of time, and the error was still above the tolerance.",
        "The problem may be stiff, discontinuous or exploding: pass looser rtol and atol, float64, a fixed step_size, "
        "or bound the field.",
    ),
    Status.NON_FINITE: (
        "The state, the field or the condition of an event became NaN or infinite.",
        "Check y0, args and the parameters for NaN, scale the inputs, or bound the field.",
    ),
    Status.RUNNING: ("The solve has not ended yet.", ""),
    Status.EVENT: ("The solve stopped at a terminal event.", ""),
    Status.EVENT_MISSING: (
        "The solve reached the end of its interval, and a required event did not happen.",
        "Pass a later end in ts, check the sign and the direction of its condition, or give it more looks a step.",
    ),
    Status.EVENTS_PILE_UP: (
        "Events follow each other faster than times can be told apart, so that the solve cannot go on.",
        "Stop it there: terminal=n for the n-th event, or a terminal event of its own (such as a small speed).",
    ),
    Status.MAX_EVALUATIONS: (
        "The solve used up max_evaluations before the end of its interval.",
        "Pass a larger max_evaluations, or looser rtol and atol.",
    ),
    Status.NEWTON_FAILED: (
        "Newton's iteration for the stages of an implicit step did not converge.",
        "Pass a smaller step_size or max_step, float64, Newton(iterations=...) with more of them, a Jacobian of your "
        "own, for a wide state that is solved without a matrix Newton(products=...) with more of them, or a method "
        "that linearises once a step: 'rodas5p'.",
    ),
}
