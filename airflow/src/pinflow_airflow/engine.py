"""The Docker engine, through the socket proxy: looking at this project's containers, and starting them."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import docker
from docker.errors import APIError, DockerException, NotFound
from requests.exceptions import RequestException

from pinflow_airflow import settings

TIMEOUT_SECONDS = 30
# What dies of a wrong setting runs for a moment; where no health check asks, it would look ready.
SETTLED_SECONDS = 5.0
# The socket proxy's own answers when it does not reach the engine.
BEHIND_THE_PROXY = {502, 503, 504}
# How a health check begins that has not succeeded since the start, and sees that the container works on it.
PROGRESS = "progress: "
# Longer than the longest stop_grace_period of the compose files.
STOP_SECONDS = 90


class EngineAway(Exception):  # noqa: N818
    """The engine does not answer, or the socket proxy does not reach it: not now."""


class EngineRefused(Exception):  # noqa: N818
    """The engine does not do it, and says why: a port that is taken, a file that is not there."""


class ContainerMissing(Exception):  # noqa: N818
    """There is no container of that name; this project's DAGs make none."""

    def __init__(self, service: str, name: str) -> None:
        super().__init__(f"there is no container {name}: `docker compose create {service}` makes it")


@dataclass(frozen=True)
class ContainerState:
    """What the engine knows of a container."""

    service: str
    status: str
    "created, running, paused, restarting, exited or dead."
    health: str | None
    "starting, healthy or unhealthy; None of a container that nothing asks."
    exit_code: int
    out_of_memory: bool
    started_at: str
    "RFC 3339 with nanoseconds."
    last_probe: str
    "What its health check printed last."
    error: str = ""
    "Why the engine refused its last start."
    progress: str = ""
    "How far its start has come: of the last health checks, what one said of that (deploy/compose/check.sh)."

    @property
    def is_running(self) -> bool:
        """Whether its process runs."""
        return self.status in {"running", "paused", "restarting"}

    @property
    def is_starting(self) -> bool:
        """Whether it is on its way: within its start period, or at work on what it answers with."""
        return self.status == "running" and (
            self.health == "starting" or (self.health == "unhealthy" and bool(self.progress))
        )

    @property
    def is_ready(self) -> bool:
        """Whether it runs and, where something asks it, has answered well."""
        return self.status == "running" and self.health in {None, "healthy"}

    @property
    def said(self) -> str:
        """In words, what it does in place of being ready."""
        if not self.is_running:
            memory = ", for its memory" if self.out_of_memory else ""
            return self.error or f"{self.status} with {self.exit_code}{memory}"
        probe = f": {self.last_probe}" if self.last_probe else ""
        return f"{self.health or self.status}{probe}"


@dataclass(frozen=True)
class Line:
    """A line of a container's log; `at` is RFC 3339 with nanoseconds, in order as text."""

    at: str
    text: str


class Engine:
    """This project's containers by the names of their services.

    Its calls raise EngineAway, EngineRefused and ContainerMissing; they block as long as a container stops.
    """

    def __init__(self, url: str, project: str) -> None:
        self._project = project
        try:
            # By name and without a list: the proxy lets through what names a container of this project.
            self._api = docker.APIClient(base_url=url, version="auto", timeout=TIMEOUT_SECONDS)
        except DockerException as error:
            raise EngineAway(f"the engine does not answer at {url}: {error}") from error

    @classmethod
    def told(cls) -> "Engine":
        """The engine that the environment names."""
        return cls(settings.engine_url(), settings.project())

    def look(self, service: str) -> ContainerState:
        """What the container does now."""
        state = self._call("inspect_container", service)["State"]
        health = state.get("Health") or {}
        probes = [str(probe.get("Output", "")).strip() for probe in health.get("Log") or [{}]]
        return ContainerState(
            service=service,
            status=state["Status"],
            health=health.get("Status"),
            exit_code=state["ExitCode"],
            out_of_memory=state["OOMKilled"],
            started_at=_nanoseconds(state["StartedAt"]),
            last_probe=probes[-1],
            error=state.get("Error", ""),
            progress=next((probe for probe in reversed(probes) if probe.startswith(PROGRESS)), ""),
        )

    def start(self, service: str) -> None:
        """Start it; nothing happens when it runs."""
        self._call("start", service)

    def stop(self, service: str) -> None:
        """End it, by its stop signal first."""
        self._call("stop", service, timeout=STOP_SECONDS)

    def restart(self, service: str) -> None:
        """End it and start it again."""
        self._call("restart", service, timeout=STOP_SECONDS)

    def log(self, service: str, since: str, *, stderr: bool = True) -> Iterator[Line]:
        """Lines from `since` (RFC 3339) on; of stdout alone without `stderr`."""
        # The engine takes whole seconds without rounding trouble; what is too old is left out here.
        start = int(datetime.fromisoformat(f"{since[:19]}+00:00").timestamp())
        options = {"stdout": True, "stderr": stderr, "timestamps": True, "since": start}
        raw: bytes = self._call("logs", service, **options)
        for line in raw.decode(errors="replace").splitlines():
            at, _, text = line.partition(" ")
            if at >= since:
                yield Line(at, text)

    def _call(self, verb: str, service: str, **options: Any) -> Any:
        name = f"{self._project}-{service}-1"
        try:
            return getattr(self._api, verb)(name, **options)
        except NotFound:
            raise ContainerMissing(service, name) from None
        except APIError as error:
            kind = EngineAway if error.status_code in BEHIND_THE_PROXY else EngineRefused
            raise kind(f"the engine did not {verb} {name}: {error.explanation}") from error
        except (DockerException, RequestException) as error:
            raise EngineAway(f"the engine did not {verb} {name}: {error}") from error


def _nanoseconds(moment: str) -> str:
    """A moment as logs write it: elsewhere the engine drops zeros at its end, and text is out of order."""
    whole, _, fraction = moment.removesuffix("Z").partition(".")
    return f"{whole}.{fraction:0<9}Z"
