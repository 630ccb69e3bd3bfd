"""Answers as Grafana's health check does, once what Grafana needs to start is there and readable."""

import json
import os
import tempfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

PORT = 3000
HEALTH = {"database": "ok", "stub": True}


class Handler(BaseHTTPRequestHandler):
    """Serves /api/health and /metrics."""

    def do_GET(self) -> None:
        """Answer one request."""
        if self.path == "/api/health":
            self._answer(200, "application/json", json.dumps(HEALTH))
        elif self.path == "/metrics":
            self._answer(200, "text/plain; version=0.0.4", "grafana_stub 1\n")
        else:
            self._answer(404, "text/plain", "a stub in Grafana's place: /api/health and /metrics only\n")

    def _answer(self, status: int, content_type: str, text: str) -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def require_what_grafana_requires() -> None:
    """Read secrets, provisioning and the home dashboard, write a data file; raise OSError or ValueError."""
    for name, value in os.environ.items():
        if name.startswith("GF_") and name.endswith("__FILE"):
            Path(value).read_text()
    provisioning = Path(os.environ["GF_PATHS_PROVISIONING"])
    for path in sorted(provisioning.rglob("*")):
        if path.is_file():
            path.read_text()
    home = os.environ.get("GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH")
    if home:
        json.loads(Path(home).read_text())
    with tempfile.TemporaryFile(dir=os.environ["GF_PATHS_DATA"]):
        pass


if __name__ == "__main__":
    require_what_grafana_requires()
    ThreadingHTTPServer(("", PORT), Handler).serve_forever()
