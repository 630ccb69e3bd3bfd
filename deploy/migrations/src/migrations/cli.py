"""The `migrate` command: reads arguments and environment, runs the steps side by side."""

import asyncio
import logging
import sys
from collections.abc import Awaitable, Callable
from enum import StrEnum
from typing import Annotated

import typer

from migrations import (
    bucket,
    cassandra,
    cassandra_accounts,
    kafka_accounts,
    kafka_topics,
    postgres,
    postgres_accounts,
)
from migrations.errors import MigrationError, WaitedTooLongError
from migrations.progress import Plan, configure_log, log
from migrations.settings import MigrateSettings


class Step(StrEnum):
    """What can be migrated."""

    ALL = "all"
    KAFKA = "kafka"
    BUCKET = "bucket"
    CASSANDRA = "cassandra"
    POSTGRES = "postgres"


async def _migrate_cassandra(settings: MigrateSettings, plan: Plan) -> None:
    administrator = await cassandra_accounts.take_over(settings, plan)
    await cassandra.migrate(administrator, plan)
    await cassandra_accounts.grant(administrator, plan)


Part = Callable[[MigrateSettings, Plan], Awaitable[None]]
RUN: dict[Step, tuple[Part, ...]] = {
    Step.KAFKA: (kafka_topics.migrate, kafka_accounts.migrate),
    Step.BUCKET: (bucket.migrate,),
    Step.CASSANDRA: (_migrate_cassandra,),
    Step.POSTGRES: (postgres.migrate, postgres_accounts.migrate),
}

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


def main() -> None:
    """Run the command; a refusal exits with the code of its kind (errors.py)."""
    # Our own lines say what is waited for; the drivers' say it a hundred times.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    logging.getLogger("cassandra").setLevel(logging.CRITICAL)
    try:
        app()
    except MigrationError as error:
        log.error("stopped", kind=type(error).__name__, because=str(error))
        sys.exit(error.exit_code)


@app.command()
def migrate(
    steps: Annotated[list[Step], typer.Argument(help="What to migrate; several run side by side.")],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would change, change nothing.")
    ] = False,
    timeout_seconds: Annotated[
        float | None, typer.Option(help="Give up waiting for servers after this long; default: never.")
    ] = None,
) -> None:
    """Create the topics, the bucket, the tables and the accounts that Pinflow needs.

    Safe to repeat: what is there already stays; an account takes the password that is told now. Each step
    waits for its server. Settings are MIGRATE_… variables. Exits 3 when something found must not be changed
    in passing, 4 when the object store does not keep the archive's promise, 5 when time is up, 78 when a
    setting is missing.
    """
    configure_log()
    settings = MigrateSettings.load_or_exit()
    chosen = list(RUN) if Step.ALL in steps else list(dict.fromkeys(steps))
    asyncio.run(run(chosen, settings, Plan(dry_run), timeout_seconds))


async def run(
    steps: list[Step], settings: MigrateSettings, plan: Plan, timeout_seconds: float | None
) -> None:
    """Run the steps side by side; the first refusal calls off the others."""
    waiting = set(steps)

    async def one(step: Step) -> None:
        for part in RUN[step]:
            await part(settings, plan)
        waiting.discard(step)
        log.info("done", step=step.value, dry_run=plan.dry_run)

    try:
        async with asyncio.timeout(timeout_seconds), asyncio.TaskGroup() as tasks:
            for step in steps:
                tasks.create_task(one(step))
    except TimeoutError as error:
        left = ", ".join(sorted(waiting))
        raise WaitedTooLongError(
            f"not done after {timeout_seconds:g} s: {left}. See the lines above for the reason"
        ) from error
    except ExceptionGroup as group:
        # One reason is enough; the others were called off or will show next time.
        raise group.exceptions[0] from group
