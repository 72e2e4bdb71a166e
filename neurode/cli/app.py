"""The list of verbs, and nothing else. A verb is listed here when it works."""

import inspect
import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from neurode.cli import compare, series, text
from neurode.cli.streams import Streams
from neurode.cli.verb import verb

_HELP = """Neural ordinary differential equations, put to use: irregular tables are filled, forecast and sampled, with
intervals; between two sentences a path is walked that is grammatical all the way.

Start with [bold]neurode demo[/bold], which trains on a real table and writes a report in a few minutes.
"""


def build_app() -> typer.Typer:
    """Put the verbs together. Imports typer and our own light modules only, so that --help is instant."""
    app = typer.Typer(
        help=_HELP,
        no_args_is_help=True,
        rich_markup_mode="rich",
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_root)
    app.command("demo", help=inspect.getdoc(demo))(verb(demo))
    app.command("compare", help=inspect.getdoc(compare.compare))(verb(compare.compare, compare.options()))
    app.command("doctor", help=inspect.getdoc(doctor))(verb(doctor, speaks=False))
    app.command("bench", help=inspect.getdoc(bench))(verb(bench))
    for task, module, about in (
        ("series", series, "Tables of irregularly sampled series: train, fill, forecast, sample."),
        ("text", text, "Sentences: train, walk from one to another, make new ones, find near ones."),
    ):
        group = typer.Typer(no_args_is_help=True, rich_markup_mode="rich")
        for name, function, options in module.verbs():
            group.command(name, help=inspect.getdoc(function))(verb(function, options))
        app.add_typer(group, name=task, help=about)
    return app


def _show_version(wanted: bool) -> None:
    if wanted:
        from neurode import __version__

        typer.echo(f"neurode {__version__}")
        raise typer.Exit


def _root(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and stop.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    del version


def doctor(
    streams: Streams, json_: Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")] = False
) -> None:
    """Show versions, devices and threads, and which extras are installed or missing."""
    del streams
    from neurode.cli.doctor import examine

    found = examine()
    sys.stdout.write((json.dumps(found.as_dict(), indent=2) if json_ else found.as_text()) + "\n")


def bench(
    streams: Streams,
    workloads: Annotated[
        str | None,
        typer.Option("--workloads", help="Names, comma-separated; demo, latent-small, irregular, gated if not given."),
    ] = None,
    threads: Annotated[str, typer.Option("--threads", help="Numbers of threads, comma-separated.")] = "1",
    only: Annotated[
        str | None, typer.Option("--only", help="Contenders, comma-separated; all that are installed if not given.")
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="A run each, to see that all of it works.")] = False,
    json_: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
) -> None:
    """Time solves and their gradients on this machine, beside the other libraries that are installed.

    Takes a minute or two. Contenders take turns, each in a process of its own; errors are against a tight solve in
    float64; "floor" is what the calls of the field alone take.
    """
    from neurode.cli.bench import run_bench

    run_bench(streams, workloads, threads, only, quick=quick, as_json=json_)


def demo(
    streams: Streams,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to write to.")] = Path("demo"),
    quick: Annotated[
        bool, typer.Option("--quick", help="A toy version of a few seconds, to see that all parts run.")
    ] = False,
    device: Annotated[str, typer.Option("--device", help="cpu, cuda, mps or auto.")] = "auto",
) -> None:
    """Tell the whole story in a few minutes: spirals, then a table of storms; writes a report, tables, pictures."""
    from neurode.cli.demo import run_demo

    run_demo(streams, output, quick=quick, device=device)
