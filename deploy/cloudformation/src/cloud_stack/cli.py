"""The `cloud-stack` command: reads arguments, prints what the work says."""

import json
import sys
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console

from cloud_stack import deploying, destroying, origin, template
from cloud_stack.errors import StackError, in_plain_words
from cloud_stack.stack import Stack

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Pinflow on AWS, by CloudFormation. What it costs and what stays: deploy/cloudformation/README.md.",
)

StackOption = Annotated[str, typer.Option("--stack", help="Name of the stack.")]
RegionOption = Annotated[str, typer.Option("--region", help="Region of AWS, such as eu-central-1.")]
YesOption = Annotated[bool, typer.Option("--yes", help="Ask nothing.")]


def main() -> None:
    """Run the command; exit 1 with one message on a failure."""
    try:
        with in_plain_words():
            app()
    except StackError as error:
        _console().print(f"cloud-stack: {error}", style="red")
        sys.exit(1)


@app.command()
def deploy(  # noqa: PLR0913, PLR0917 (the options of a command line)
    stack: StackOption,
    region: RegionOption,
    revision: Annotated[str, typer.Option(help="Tag or commit to run; default: HEAD.")] = "",
    repository: Annotated[str, typer.Option(help="Where hosts clone it from; default: origin.")] = "",
    parameter: Annotated[
        list[str] | None,
        typer.Option(help="Name=Value of the template; repeatable. What is not told stays as it was."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would change.")] = False,
    yes: YesOption = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> None:
    """Create the stack or update it, and wait until its host works."""
    what = {"RepositoryUrl": repository or origin.address(), "Revision": revision or origin.pushed_head()}
    told = template.values(parameter or (), what)
    console = _console()
    console.print("{Revision} of {RepositoryUrl}".format(**told))
    done = deploying.deploy(
        Stack(stack, region),
        told,
        console,
        lambda question: yes or _agree(question),
        dry_run=dry_run,
    )
    if as_json:
        typer.echo(json.dumps(asdict(done), indent=2))
        return
    # No table of rich's: some of these are commands to copy, and it would break their lines.
    for name, value in sorted(done.outputs.items()):
        typer.echo(f"{name:18} {value}")


@app.command()
def destroy(stack: StackOption, region: RegionOption, yes: YesOption = False) -> None:
    """Delete the stack; say what stays of it."""
    destroying.destroy(
        Stack(stack, region),
        _console(),
        lambda: yes or typer.prompt(f"Type {stack} to delete it", err=True) == stack,
    )


def _agree(question: str) -> bool:
    """Ask; whoever is not there, or ends it with Ctrl-C, does not agree."""
    try:
        return typer.confirm(question, err=True)
    except typer.Abort:
        return False


def _console() -> Console:
    """Return stderr, for the words of AWS as they are: `:secret:` of an ARN is an emoji to rich."""
    return Console(stderr=True, markup=False, emoji=False, highlight=False, soft_wrap=True)
