"""uvicorn's HTTP protocol with two habits of its clients taken care of.

It is built on uvicorn's class for httptools, whose methods uvicorn promises to nobody: its version is pinned.
"""

import asyncio

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

LINGER_SECONDS = 2.0
"""For what is left of a body after its request was answered; then the connection is closed."""

_OFFERS = {b"upgrade", b"http2-settings"}


class HttpProtocol(HttpToolsProtocol):
    """Declines every offer to upgrade, and bounds what is sent after an early answer.

    Java's HttpClient and `curl --http2` offer h2c with each first request. httptools takes the offer for a
    fact: it ends the request before its body. Here such a head is read a second time, without the offer.

    A client that was answered before it had sent its body often looks at the answer only afterwards, so
    the rest is read and dropped for a moment rather than reset.
    """

    _declines = False
    _lingering: asyncio.TimerHandle | None = None

    def data_received(self, data: bytes) -> None:
        """Parse what has come."""
        self._unset_keepalive_if_required()
        try:
            while data:
                data = self._feed(data)
        except httptools.HttpParserError:
            self.send_400_response("Invalid HTTP request received.")

    def _feed(self, data: bytes) -> bytes:
        """Parse up to the end, or to a declined offer; return what is left."""
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as offer:
            if not self._declines:  # CONNECT is no offer: the app refuses it
                return b""
            self._declines = False
            head = self._head_without_the_offer()
            self.parser = httptools.HttpRequestParser(self)
            self.parser.feed_data(head)
            return data[offer.args[0] :]
        return b""

    def _head_without_the_offer(self) -> bytes:
        lines = [
            b"%s %s HTTP/%s" % (self.parser.get_method(), self.url, self.parser.get_http_version().encode())
        ]
        for name, value in self.headers:
            if name == b"connection":
                tokens = [token.strip() for token in value.split(b",")]
                kept = b", ".join(token for token in tokens if token.lower() not in _OFFERS)
                lines.append(b"connection: " + kept)
            elif name not in _OFFERS:
                lines.append(name + b": " + value)
        return b"\r\n".join([*lines, b"", b""])

    def on_headers_complete(self) -> None:
        """Start the request, unless its head is to be read again."""
        self._declines = self.parser.should_upgrade() and self.parser.get_method() != b"CONNECT"
        if not self._declines:
            super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Note the end of a body; after an early answer the connection is free again."""
        if self._declines:
            return
        super().on_message_complete()
        if self._lingering is not None:
            self._lingering.cancel()
            self._lingering = None
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    def on_response_complete(self) -> None:
        """Go on to the next request, or wait for a while for the rest of this one's body."""
        super().on_response_complete()
        if self.cycle.response_complete and self.cycle.more_body:
            self._unset_keepalive_if_required()
            self._lingering = self.loop.call_later(LINGER_SECONDS, self.timeout_keep_alive_handler)
