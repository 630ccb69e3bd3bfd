"""Why a migration stops. The exit codes are a contract: whoever starts `migrate` need not retry 3 and 4."""

from typing import ClassVar

EX_CONFIG = 78  # sysexits.h, as for settings that do not load


class MigrationError(Exception):
    """A migration cannot go on; the message says what happened, what was found and what to do."""

    exit_code: ClassVar[int] = 1


class RefusedError(MigrationError):
    """What is there differs in a way that must not be changed in passing; a person has to decide."""

    exit_code = 3


class StoreNotAtomicError(MigrationError):
    """The object store lets two conditional PUTs win: the archive's promise cannot be kept on it."""

    exit_code = 4


class WaitedTooLongError(MigrationError):
    """A server did not come within the time that was given."""

    exit_code = 5


class MissingSettingError(MigrationError):
    """A step was asked for whose server is not named in the environment."""

    exit_code = EX_CONFIG
