"""The `neurode` command. It starts in every install; what a verb needs beyond torch and numpy is an extra."""

import sys
from collections.abc import Sequence
from importlib.util import find_spec

from neurode.cli.exit_codes import ExitCode

_NEEDED = ("typer", "rich", "pydantic", "yaml")
"""What the command line itself cannot start without; the extra `tools` brings them."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and leave by SystemExit with the code of `ExitCode`.

    Without the extra `tools`, `neurode doctor` and `neurode --version` still work; anything else names the extra.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    missing = [module for module in _NEEDED if find_spec(module) is None]
    if missing:
        sys.exit(_without_tools(given, missing))
    from neurode.cli.app import build_app

    build_app()(args=given, prog_name="neurode")


def _without_tools(given: list[str], missing: list[str]) -> ExitCode:
    if given == ["--version"]:
        from neurode import __version__

        print(f"neurode {__version__}")
        return ExitCode.DONE
    if given == ["doctor"]:
        from neurode.cli.doctor import examine

        print(examine().as_text())
        return ExitCode.DONE
    print(
        f"Error: the command line needs {_listed(missing)}, which {'is' if len(missing) == 1 else 'are'} not "
        "installed. "
        "Install the extra 'tools' with: pip install 'neurode[tools]'\n"
        "What works without it: the library (from neurode import solve, NeuralODE) and `neurode doctor`.",
        file=sys.stderr,
    )
    return ExitCode.DATA


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


if __name__ == "__main__":
    main()
