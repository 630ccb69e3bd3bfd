"""The compose stack under test: a project of its own, on ports of its own, with secrets of its own."""

import json
import os
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import urlopen

from images.docker import Docker
from native_stack.settings import REPOSITORY

ALWAYS = frozenset(
    {
        "kafka", "s3", "cassandra", "postgres", "redis", "ingest-api", "s3-sink", "stream-etl", "edge",
        "socket-proxy", "push-proxy", "prometheus", "alertmanager", "pushgateway", "node-exporter",
        "postgres-exporter", "redis-exporter", "statsd-exporter", "grafana", "airflow-postgres",
        "airflow-api-server", "airflow-scheduler", "airflow-dag-processor", "airflow-triggerer",
    }
)  # fmt: skip
MIB = 1024 * 1024


@dataclass(frozen=True)
class ComposeStack:
    """The unchanged compose file, started from the repository's root as a reader of the README would."""

    docker: Docker
    project: str
    secrets: Path
    ports: Mapping[str, int]
    options: Sequence[str] = ()

    def compose(self, *arguments: str, timeout: float = 300) -> str:
        """Run `docker compose …`; raises DockerError."""
        return self.docker.run("compose", *self._project, *arguments, timeout=timeout)

    def attempt(self, *arguments: str, timeout: float = 300) -> subprocess.CompletedProcess[str]:
        """Run `docker compose …` and return what became of it."""
        return self.docker.attempt("compose", *self._project, *arguments, timeout=timeout)

    @property
    def _project(self) -> list[str]:
        return ["--project-directory", str(REPOSITORY), "--project-name", self.project, *self.options]

    def container(self, service: str) -> str:
        """Return the name of a service's only container."""
        return f"{self.project}-{service}-1"

    def inspect(self, service: str) -> dict[str, Any]:
        """Return what the engine knows of a service's container."""
        found = json.loads(self.docker.run("inspect", self.container(service)))
        assert isinstance(found[0], dict)
        return found[0]

    def health(self, service: str) -> str:
        """Return `healthy`, `starting`, `unhealthy`, or the state of what is not running."""
        state = self.inspect(service)["State"]
        if not state["Running"]:
            return str(state["Status"])
        return str(state.get("Health", {}).get("Status", "running"))

    def started(self, job: str) -> int:
        """Start a container that exists, wait for its end and return its exit code: all a scheduler needs."""
        self.docker.run("start", self.container(job))
        return int(self.docker.run("wait", self.container(job), timeout=600))

    def archived(self) -> bool:
        """Whether s3-sink has stored all that is in its topic, as its group's commits tell."""
        described = self.compose(
            "exec", "--no-TTY", "kafka", "sh", "/etc/pinflow/tool.sh", "consumer-groups",
            "--describe", "--offsets", "--group", "s3-sink",
        )  # fmt: skip
        offsets = [line.split()[2:5] for line in described.splitlines() if line.startswith("s3-sink ")]
        # A partition that never had a pin has no commit either.
        return bool(offsets) and all(end in {done, "0"} for _, done, end in offsets)

    def prometheus(self, query: str) -> list[dict[str, Any]]:
        """Return what the stack's Prometheus answers to a query."""
        url = f"http://127.0.0.1:{self.ports['prometheus']}/api/v1/query?{urlencode({'query': query})}"
        with urlopen(url, timeout=10) as answer:
            result = json.load(answer)["data"]["result"]
        assert isinstance(result, list)
        return result

    def memory(self) -> dict[str, float]:
        """Return what each running container uses now, in MiB, file cache not counted."""
        lines = self.docker.run("stats", "--no-stream", "--format", "{{json .}}").splitlines()
        used = {}
        for line in map(json.loads, lines):
            if line["Name"].startswith(f"{self.project}-"):
                used[line["Name"].removeprefix(f"{self.project}-")] = mebibytes(
                    line["MemUsage"].split(" / ")[0]
                )
        return used

    def down(self) -> None:
        """Remove the project: containers, networks, volumes."""
        self.compose("--profile", "*", "down", "--volumes", "--timeout", "20", "--remove-orphans")


def mebibytes(text: str) -> float:
    """Read `1.5GiB` as docker writes it."""
    units = {"GiB": 1024.0, "MiB": 1.0, "KiB": 1 / 1024, "B": 1 / MIB}
    unit = next(unit for unit in units if text.endswith(unit))
    return float(text.removesuffix(unit)) * units[unit]


@dataclass
class MemoryPeak:
    """The largest sum seen, and what it was made of."""

    total: float = 0.0
    parts: dict[str, float] = field(default_factory=dict)

    def largest(self) -> str:
        """Name the five that took most of it."""
        five = sorted(self.parts.items(), key=lambda part: -part[1])[:5]
        return ", ".join(f"{name} {used:.0f}" for name, used in five)


@contextmanager
def memory_watched(stack: ComposeStack) -> Iterator[MemoryPeak]:
    """Look at the memory of all containers, again and again, while the block runs."""
    peak, ended = MemoryPeak(), threading.Event()

    def watch() -> None:
        while not ended.is_set():
            parts = stack.memory()
            if sum(parts.values()) > peak.total:
                peak.total, peak.parts = sum(parts.values()), parts

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield peak
    finally:
        ended.set()
        watcher.join()


def kill(pid: int) -> None:
    """Kill a container's first process as a crash would: after `docker kill` the engine restarts nothing."""
    os.kill(pid, 9)
