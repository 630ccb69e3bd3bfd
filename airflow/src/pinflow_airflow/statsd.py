"""Metrics by UDP to an exporter that may come later, or come back under another address (P5)."""

import socket
import time

from statsd import StatsClient

LOOKED_UP_FOR_SECONDS = 30.0


class PatientClient(StatsClient):  # type: ignore[misc] # the library has no types
    """The library's own asks for the address once, and never sends anything when there was none."""

    def __init__(
        self,
        host: str = "localhost",
        port: int = 8125,
        prefix: str | None = None,
        maxudpsize: int = 512,
        ipv6: bool = False,
    ) -> None:
        self._exporter = (host, port)
        self._family = socket.AF_INET6 if ipv6 else socket.AF_INET
        self._prefix = prefix
        self._maxudpsize = maxudpsize
        self._sock = socket.socket(self._family, socket.SOCK_DGRAM)
        self._looked_up = -LOOKED_UP_FOR_SECONDS
        self._addr: object = None

    def _send(self, data: str) -> None:
        if time.monotonic() - self._looked_up >= LOOKED_UP_FOR_SECONDS:
            self._addr = self._address()
            self._looked_up = time.monotonic()
        if self._addr:
            super()._send(data)

    def _address(self) -> object:
        try:
            return socket.getaddrinfo(*self._exporter, self._family, socket.SOCK_DGRAM)[0][4]
        except OSError:
            return None
