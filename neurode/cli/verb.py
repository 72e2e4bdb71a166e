"""What every verb has in common: -q, -v, --debug, and a way out without a traceback."""

import inspect
import os
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import typer

from neurode.cli.exit_codes import ExitCode, verdict
from neurode.cli.streams import Streams

_PANEL = "Output"


def verb(
    function: Callable[..., None], options: Sequence[inspect.Parameter] = (), *, speaks: bool = True
) -> Callable[..., None]:
    """Make `function(streams, ...)` a command: typer sees its parameters, `options`, and -q, -v, --debug.

    speaks: False for a verb that says nothing beside its result, and so has no use for -q and -v.

    The values of `options` reach `function` as its keyword arguments. Whatever `function` raises becomes one sentence
    on standard error and a documented exit code; the traceback is shown only with --debug.
    """

    def command(**given: Any) -> None:
        quiet, verbose = given.pop("quiet", False), given.pop("verbose", False)
        debug = given.pop("debug")
        if quiet and verbose:
            raise typer.BadParameter("-q and -v contradict each other; give one of them.")
        run_guarded(lambda streams: function(streams, **given), Streams(verbose - quiet), debug=debug)

    own = list(inspect.signature(function).parameters.values())[1:]
    named = [
        parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        for parameter in own
        if parameter.kind is not inspect.Parameter.VAR_KEYWORD
    ]
    command.__signature__ = inspect.Signature([*named, *options, *_common_options(speaks)])  # type: ignore[attr-defined]
    command.__name__ = function.__name__
    command.__doc__ = function.__doc__
    return command


def run_guarded(body: Callable[[Streams], None], streams: Streams, *, debug: bool = False) -> None:
    """Run `body`; on a failure say one sentence and leave by SystemExit with the code that goes with it."""
    try:
        began = time.perf_counter()
        with streams.own_warnings():
            body(streams)
        streams.detail(f"That took {time.perf_counter() - began:.1f} s.")
    except (typer.Exit, typer.BadParameter):
        raise
    except BrokenPipeError:
        # Whoever read our output (head, less) has seen enough. Python would complain once more while closing.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(ExitCode.DONE) from None
    except (Exception, KeyboardInterrupt) as error:
        code, sentence = verdict(error)
        if debug and code == ExitCode.UNEXPECTED:
            traceback.print_exc(file=sys.stderr)
        if code == ExitCode.INTERRUPTED:
            streams.end(sentence)
        else:
            streams.error(sentence)
        raise SystemExit(int(code)) from None


def _common_options(speaks: bool) -> list[inspect.Parameter]:
    quiet = Annotated[
        bool, typer.Option("--quiet", "-q", help="Say nothing but warnings and errors.", rich_help_panel=_PANEL)
    ]
    verbose = Annotated[
        bool, typer.Option("--verbose", "-v", help="Say more about what happens.", rich_help_panel=_PANEL)
    ]
    debug = Annotated[
        bool, typer.Option("--debug", help="Show the traceback of an unexpected failure.", rich_help_panel=_PANEL)
    ]
    kinds = {"quiet": quiet, "verbose": verbose, "debug": debug}
    return [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=False, annotation=kind)
        for name, kind in kinds.items()
        if speaks or name == "debug"
    ]
