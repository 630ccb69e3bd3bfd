"""Makes the roles that others than the owner log in with, and states their rights anew."""

from dataclasses import dataclass
from functools import partial

import asyncpg
from pydantic import SecretStr

from migrations.postgres import CONNECT_SECONDS, SCHEMA, patiently
from migrations.progress import Plan
from migrations.scram import verifier
from migrations.settings import MigrateSettings

# In one transaction, so that nobody is without rights in between.
STREAM_RIGHTS = f"""
GRANT USAGE ON SCHEMA {SCHEMA} TO stream_etl;
REVOKE CREATE ON SCHEMA {SCHEMA} FROM stream_etl;
REVOKE ALL ON ALL TABLES IN SCHEMA {SCHEMA} FROM stream_etl;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {SCHEMA} TO stream_etl;
REVOKE ALL ON {SCHEMA}.schema_migrations FROM stream_etl;
ALTER DEFAULT PRIVILEGES IN SCHEMA {SCHEMA} GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO stream_etl;
"""
# Whoever counts what arrived where, and the analyst.
AUDITOR_RIGHTS = f"""
GRANT USAGE ON SCHEMA {SCHEMA} TO auditor;
REVOKE ALL ON ALL TABLES IN SCHEMA {SCHEMA} FROM auditor;
GRANT SELECT ON ALL TABLES IN SCHEMA {SCHEMA} TO auditor;
ALTER DEFAULT PRIVILEGES IN SCHEMA {SCHEMA} GRANT SELECT ON TABLES TO auditor;
"""
EXPORTER_RIGHTS = "GRANT pg_monitor TO exporter"
# Only those it has: a master user who is no superuser may not even say NOSUPERUSER.
ATTRIBUTES_IT_HAS = """
SELECT concat_ws(
    ' ',
    CASE WHEN rolsuper THEN 'NOSUPERUSER' END,
    CASE WHEN rolcreaterole THEN 'NOCREATEROLE' END,
    CASE WHEN rolcreatedb THEN 'NOCREATEDB' END,
    CASE WHEN rolreplication THEN 'NOREPLICATION' END,
    CASE WHEN rolbypassrls THEN 'NOBYPASSRLS' END
)
FROM pg_roles WHERE rolname = $1
"""


@dataclass(frozen=True, slots=True)
class Role:
    """A role and the statements of all it may do."""

    name: str
    password: SecretStr
    rights: str


async def migrate(settings: MigrateSettings, plan: Plan) -> None:
    """Leave every role whose password is told with that password and its rights."""
    for name, password, rights in (
        ("stream_etl", settings.postgres_stream_password, STREAM_RIGHTS),
        ("exporter", settings.postgres_exporter_password, EXPORTER_RIGHTS),
        ("auditor", settings.postgres_auditor_password, AUDITOR_RIGHTS),
    ):
        if password is not None:
            await patiently(settings, partial(_ensure, Role(name, password, rights), settings, plan))


async def _ensure(
    role: Role, settings: MigrateSettings, plan: Plan, connection: "asyncpg.Connection"
) -> None:
    if not await _logs_in(role, settings) and plan.does("set the password in PostgreSQL", role=role.name):
        exists = await connection.fetchval("SELECT true FROM pg_roles WHERE rolname = $1", role.name)
        change = "ALTER" if exists else "CREATE"
        statement = await connection.fetchval(
            f"SELECT format('{change} ROLE %I LOGIN PASSWORD %L', $1::text, $2::text)",
            role.name,
            verifier(role.name, role.password),
        )
        await connection.execute(statement)
    without = await connection.fetchval(ATTRIBUTES_IT_HAS, role.name)
    if without and plan.does("take a role's attributes in PostgreSQL", role=role.name):
        await connection.execute(f"ALTER ROLE {role.name} {without}")
    if not plan.dry_run:
        async with connection.transaction():
            await connection.execute(role.rights)


async def _logs_in(role: Role, settings: MigrateSettings) -> bool:
    password = role.password.get_secret_value()
    try:
        connection = await asyncpg.connect(
            str(settings.postgres_dsn), user=role.name, password=password, timeout=CONNECT_SECONDS
        )
    except asyncpg.InvalidAuthorizationSpecificationError:
        return False
    await connection.close()
    return True
