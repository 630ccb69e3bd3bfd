import http.server
import threading
from collections.abc import Iterator

import pytest
from service_runtime.ask_health import main


class Waiting(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/health/live" else 503)
        self.end_headers()
        self.wfile.write(b'{"status": "live"}' if self.path == "/health/live" else b'{"why": "refused"}')


@pytest.fixture
def port() -> Iterator[int]:
    with http.server.HTTPServer(("127.0.0.1", 0), Waiting) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


def ask(monkeypatch: pytest.MonkeyPatch, what: str, port: int) -> int:
    monkeypatch.setattr("sys.argv", ["health", what, str(port)])
    return main()


def test_who_lives_and_waits_says_both(
    port: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ask(monkeypatch, "live", port) == 0
    assert ask(monkeypatch, "ready", port) == 1
    assert capsys.readouterr().out == '{"status": "live"}\n{"why": "refused"}\n'


def test_no_answer_is_no(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert ask(monkeypatch, "live", 1) == 1
    assert "http://127.0.0.1:1/health/live does not answer" in capsys.readouterr().err
