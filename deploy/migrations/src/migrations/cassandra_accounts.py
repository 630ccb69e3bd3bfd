"""Takes the built-in superuser's place, and makes the other roles with exactly their rights."""

import secrets
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from cassandra import RequestValidationException, Unauthorized
from pydantic import SecretStr
from service_runtime.cassandra import LoginRefused, cassandra_session

from migrations.cassandra import administration, patiently
from migrations.errors import RefusedError
from migrations.progress import Plan
from migrations.settings import MigrateSettings

if TYPE_CHECKING:
    from cassandra.cluster import Session

# A new cluster makes its built-in superuser, whose password everybody knows, some seconds after its start.
BUILT_IN = "cassandra"
BUILT_IN_WITHIN_SECONDS = 40
ROLE = "SELECT can_login, is_superuser FROM system_auth.roles WHERE role = %s"
RIGHTS = "SELECT resource, permissions FROM system_auth.role_permissions WHERE role = %s"


async def take_over(settings: MigrateSettings, plan: Plan) -> MigrateSettings:
    """Make the superuser that the settings name, and take the built-in one's login and rights away.

    Returns the settings with the login of who administers now: in a dry run the superuser may not be there.
    """
    if settings.cassandra_username in {None, BUILT_IN}:
        return settings
    return await patiently(settings, partial(_take_over, settings, plan, BuiltIn()))


class BuiltIn:
    """The role that a new cluster makes soon after it answers first."""

    def __init__(self) -> None:
        self._refused_at: float | None = None

    def is_still_to_come(self) -> bool:
        """Whether a refusal may be because the role is not made yet: asked at each."""
        now = time.monotonic()
        if self._refused_at is None:
            self._refused_at = now
        return now < self._refused_at + BUILT_IN_WITHIN_SECONDS


def _take_over(settings: MigrateSettings, plan: Plan, built_in_role: BuiltIn) -> MigrateSettings:
    administrator = settings
    if not _logs_in(settings) and not _superuser_made(settings, plan, built_in_role):
        administrator = _as(settings, BUILT_IN, SecretStr(BUILT_IN))
    with administration(administrator) as session:
        try:
            built_in = session.execute(ROLE, (BUILT_IN,)).one()
        except Unauthorized:
            # A login that is no superuser's: the roles are somebody else's to look after.
            return administrator
        is_able = built_in and (built_in.can_login or built_in.is_superuser)
        if is_able and plan.does("disable the built-in role in Cassandra", role=BUILT_IN):
            nobody_knows = SecretStr(secrets.token_hex(32))
            _alter(session, BUILT_IN, nobody_knows, "LOGIN = false AND SUPERUSER = false")
    return administrator


def _superuser_made(settings: MigrateSettings, plan: Plan, built_in_role: BuiltIn) -> bool:
    """Whether the superuser is there now; raises LoginRefused while the built-in one may still come."""
    name, password = settings.cassandra_username, settings.cassandra_password
    assert name and password  # noqa: PT018, S101 (the settings hold both or neither)
    try:
        with cassandra_session(_as(settings, BUILT_IN, SecretStr(BUILT_IN))) as session:
            is_wanted = plan.does("make the superuser of Cassandra", role=name)
            if is_wanted:
                session.execute(f"CREATE ROLE IF NOT EXISTS {_name(name)}")
                _alter(session, name, password, "LOGIN = true AND SUPERUSER = true")
            return is_wanted
    except RequestValidationException as error:
        raise RefusedError(f"Cassandra refused to make the superuser {name!r}: {error}") from error
    except LoginRefused as error:
        if built_in_role.is_still_to_come():
            raise
        raise RefusedError(
            f"Cassandra refuses the login of {name!r}, and that of the built-in role: set "
            "MIGRATE_CASSANDRA_PASSWORD to the password it has, or change it as another superuser"
        ) from error


@dataclass(frozen=True, slots=True)
class Role:
    """A role and all it may do to the keyspace."""

    name: str
    password: SecretStr
    rights: frozenset[str]


async def grant(settings: MigrateSettings, plan: Plan) -> None:
    """Leave every role whose password is told with it and with its rights on the keyspace, and no others."""
    for name, password, rights in (
        ("batch_etl", settings.cassandra_batch_password, {"SELECT", "MODIFY"}),
        # Whoever counts what arrived where, and the analyst.
        ("auditor", settings.cassandra_auditor_password, {"SELECT"}),
    ):
        if password is not None:
            role = Role(name, password, frozenset(rights))
            await patiently(settings, partial(_grant, settings, role, plan))
            if not plan.dry_run:
                # For 2 s (`credentials_validity`) a node may still answer by the password it knew before.
                await patiently(settings, partial(_log_in, _as(settings, name, password)))


def _grant(settings: MigrateSettings, role: Role, plan: Plan) -> None:
    logs_in = _logs_in(_as(settings, role.name, role.password))
    with administration(settings) as session:
        if not logs_in and plan.does("set the password in Cassandra", role=role.name):
            session.execute(f"CREATE ROLE IF NOT EXISTS {role.name}")
            _alter(session, role.name, role.password, "LOGIN = true AND SUPERUSER = false")
        made = session.execute(ROLE, (role.name,)).one()
        if made and made.is_superuser and plan.does("take a superuser's place in Cassandra", role=role.name):
            session.execute(f"ALTER ROLE {role.name} WITH SUPERUSER = false")
        rows = session.execute(RIGHTS, (role.name,))
        found = {(row.resource, right) for row in rows for right in row.permissions}
        wanted = {(f"data/{settings.cassandra_keyspace}", right) for right in role.rights}
        for resource, right in sorted(wanted - found):
            if plan.does("grant in Cassandra", role=role.name, right=right, on=resource):
                session.execute(f"GRANT {right} ON {_cql(resource)} TO {role.name}")
        for resource, right in sorted(found - wanted):
            if plan.does("revoke in Cassandra", role=role.name, right=right, on=resource):
                session.execute(f"REVOKE {right} ON {_cql(resource)} FROM {role.name}")


def _logs_in(settings: MigrateSettings) -> bool:
    try:
        _log_in(settings)
    except LoginRefused:
        return False
    return True


def _log_in(settings: MigrateSettings) -> None:
    with cassandra_session(settings):
        pass


def _as(settings: MigrateSettings, role: str, password: SecretStr) -> MigrateSettings:
    return settings.model_copy(update={"cassandra_username": role, "cassandra_password": password})


def _alter(session: "Session", role: str, password: SecretStr, options: str) -> None:
    quoted = password.get_secret_value().replace("'", "''")
    session.execute(f"ALTER ROLE {_name(role)} WITH PASSWORD = '{quoted}' AND {options}")


def _name(role: str) -> str:
    escaped = role.replace('"', '""')
    return f'"{escaped}"'


def _cql(resource: str) -> str:
    """Return CQL's word for a resource as the table of rights names it, "data/keyspace/table"."""
    match resource.split("/"):
        case ["data"]:
            return "ALL KEYSPACES"
        case ["data", keyspace]:
            return f"KEYSPACE {keyspace}"
        case ["data", keyspace, table] if table != "*":
            return f"TABLE {keyspace}.{table}"
    raise RefusedError(f"a role has rights on {resource} that it does not need: revoke them by hand")
