"""The one real stack that integration and end-to-end tests share."""

from collections.abc import Iterator

import pytest
from native_stack.programs import PROGRAMS, SERVICES
from native_stack.settings import NativeSettings
from native_stack.stack import Stack

SERVERS = [program.name for program in PROGRAMS if program not in SERVICES]


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """All servers, migrated, on free ports and in a directory of their own; our services are not started."""
    stack = Stack(NativeSettings.for_tests(tmp_path_factory.mktemp("stack")))
    try:
        stack.up(only=SERVERS)
        yield stack
    finally:
        stack.down()
