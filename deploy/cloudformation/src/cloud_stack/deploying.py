"""Deploys: asks what would change, lets a person agree, changes it, and waits."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from cloud_stack.changes import Change, prepare
from cloud_stack.errors import StackError
from cloud_stack.progress import Follower
from cloud_stack.stack import Stack

WORKS = {"CREATE_COMPLETE", "UPDATE_COMPLETE"}


@dataclass(frozen=True)
class Deployment:
    """What was done, or would be."""

    changes: list[Change]
    outputs: dict[str, str]


def deploy(
    stack: Stack, told: Mapping[str, str], console: Console, agree: Callable[[str], bool], *, dry_run: bool
) -> Deployment:
    """Deploy the template with these values; raise StackError when that fails or nobody agrees."""
    found = stack.describe()
    if found:
        stack.refuse_unless_deployable(found["StackStatus"])
    change_set = prepare(stack, found, told)
    if not change_set:
        console.print("No changes: the stack is what the template says.")
        return Deployment([], outputs(stack))
    console.print(_table(change_set.changes))
    if dry_run:
        change_set.discard()
        console.print("Nothing was changed.")
        return Deployment(change_set.changes, {})
    losing = ", ".join(
        f"{change.resource} is {change.becomes}" for change in change_set.changes if change.loses_data
    )
    if losing and not agree(f"{losing}, and data with it. See the deletion policies of the template. Go on?"):
        change_set.discard()
        raise StackError("nothing was changed: nobody agreed that a resource with data goes (--yes does)")
    follower = Follower(stack, change_set.stack_id, console)
    change_set.execute()
    outcome = follower.wait()
    if outcome.status not in WORKS:
        raise StackError(
            f"{outcome.failed or 'nothing is said to have failed'}\n{stack.name} is {outcome.status} after "
            f"{outcome.seconds} s. All of it: {stack.events_command}"
        )
    console.print(f"{stack.name} is {outcome.status} after {outcome.seconds} s.")
    return Deployment(change_set.changes, outputs(stack))


def outputs(stack: Stack) -> dict[str, str]:
    """Return what the stack tells, by name."""
    found = stack.describe() or {}
    return {output["OutputKey"]: output["OutputValue"] for output in found.get("Outputs", [])}


def _table(changes: list[Change]) -> Table:
    table = Table("resource", "type", "becomes", box=None, pad_edge=False)
    for change in changes:
        table.add_row(change.resource, change.kind, change.becomes)
    return table
