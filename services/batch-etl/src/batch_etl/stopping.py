"""The wish to end a run early, passed from the event loop to the thread that loads."""

import threading

from batch_etl.errors import Interrupted
from batch_etl.exits import Exit


class Stopping:
    """Set once; the thread meets it between steps and wherever it waits."""

    def __init__(self) -> None:
        self._asked = threading.Event()
        self.exit: Exit | None = None

    def ask(self, code: Exit) -> None:
        """End the run as soon as possible, with this exit code."""
        self.exit = code
        self._asked.set()

    def check(self) -> None:
        """Raise Interrupted when the run is to end."""
        self.sleep(0)

    def sleep(self, seconds: float) -> None:
        """Wait; raises Interrupted as soon as the run is to end."""
        if self._asked.wait(seconds):
            raise Interrupted("stopped on request; what was not recorded is loaded by the next run")
