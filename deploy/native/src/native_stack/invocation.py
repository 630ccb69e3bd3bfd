"""A command for the foreground: what a person, the demo or a test starts beside the supervisor."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NoReturn

from native_stack.errors import NativeError


@dataclass(frozen=True)
class Invocation:
    """A command and its whole environment."""

    command: list[str]
    environment: Mapping[str, str]

    def become(self) -> NoReturn:
        """Replace this process by it, so that Ctrl-C and the exit code are its own."""
        sys.stdout.flush()
        try:
            os.execve(self.command[0], self.command, self.environment)  # noqa: S606
        except FileNotFoundError as error:
            raise NativeError(
                f"{self.command[0]} does not exist. Is everything installed (`uv sync`)?"
            ) from error
