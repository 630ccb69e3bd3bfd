"""What the schedule pushes bears its account."""

import base64
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from pinflow_airflow.pushing import as_airflow
from prometheus_client import CollectorRegistry, push_to_gateway


def test_a_push_logs_in_with_the_password_of_the_secret_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "password").write_text("secret")
    monkeypatch.setenv("PINFLOW_PUSH_PASSWORD_FILE", str(tmp_path / "password"))
    seen: list[str | None] = []

    class Gateway(BaseHTTPRequestHandler):
        """A Pushgateway that notes who writes."""

        def do_PUT(self) -> None:
            """Note it."""
            seen.append(self.headers["Authorization"])
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Gateway) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"127.0.0.1:{server.server_port}"
        push_to_gateway(address, job="pins_health", registry=CollectorRegistry(), handler=as_airflow)
        server.shutdown()
    assert seen == [f"Basic {base64.b64encode(b'airflow:secret').decode()}"]
