"""Every verb and option of the command line stands in every_option.txt; adding or removing one is a decision.

After such a decision: python -m tests.cli.test_every_option > tests/cli/every_option.txt
"""

from pathlib import Path

import typer

from neurode.cli.app import build_app

SNAPSHOT = Path(__file__).with_name("every_option.txt")


def every_option() -> str:
    """One line a verb, then one an option or argument, with what it takes."""
    lines = []

    def walk(command, words: str) -> None:
        lines.append(words)
        for parameter in command.params:
            if parameter.name not in ("install_completion", "show_completion"):
                names = "/".join([*parameter.opts, *parameter.secondary_opts])
                takes = "flag" if getattr(parameter, "is_flag", False) else parameter.metavar or "value"
                lines.append(f"  {names} {takes}{' required' if parameter.required else ''}")
        for name, inner in sorted(getattr(command, "commands", {}).items()):
            walk(inner, f"{words} {name}")

    walk(typer.main.get_command(build_app()), "neurode")
    return "\n".join(lines) + "\n"


def test_verbs_and_options_are_those_of_the_snapshot():
    assert every_option() == SNAPSHOT.read_text(), (
        "the command line has changed; if that is meant, write the snapshot again as the head of this file says"
    )


if __name__ == "__main__":
    print(every_option(), end="")
