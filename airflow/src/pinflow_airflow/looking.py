"""A look at everything: the engine, /health/ready, Prometheus."""

import logging
from collections.abc import Iterator
from typing import Any

import httpx

from pinflow_airflow import health, settings
from pinflow_airflow.engine import ContainerMissing, Engine
from pinflow_airflow.health import Finding, Reason
from pinflow_airflow.runtime import CLUSTER, TELLING, WATCHED

log = logging.getLogger(__name__)
ANSWER_SECONDS = 5
# Told in the task's log, for the person who reads it.
FIGURES = {
    "s3-sink lag, seconds": "max(pinflow_sink_lag_seconds)",
    "stream-etl lag, seconds": "max(pinflow_stream_lag_seconds)",
    "stream-etl records that wait": "max(pinflow_stream_lag_records)",
    "free on the fullest disk": (
        'min(node_filesystem_avail_bytes{fstype!~"tmpfs|ramfs|overlay|squashfs|nsfs"}'
        " / node_filesystem_size_bytes)"
    ),
}


def look(engine: Engine) -> list[Finding]:
    """Everything that is sick now, in the order of the runtime. Raises EngineAway."""
    return health.together(containers(engine), alerts())


def containers(engine: Engine) -> Iterator[Finding]:
    """What the engine says of each container."""
    elsewhere = settings.elsewhere()
    for service in (*WATCHED, *CLUSTER):
        if service in elsewhere:
            continue
        try:
            state = engine.look(service)
            # Whoever is well is not asked.
            found = health.of_container(state, awaited(service) if state.health == "unhealthy" else {})
        except ContainerMissing as error:
            found = None if service in CLUSTER else Finding(service, Reason.MISSING, str(error))
        if found:
            yield found


def awaited(service: str) -> dict[str, str]:
    """What a service says it waits for; nothing of one that does not answer."""
    if service not in TELLING:
        return {}
    try:
        answer = httpx.get(f"http://{service}:{TELLING[service]}/health/ready", timeout=ANSWER_SECONDS)
        return health.awaited(answer.json())
    except (httpx.HTTPError, ValueError):
        return {}


def alerts() -> list[Finding]:
    """What Prometheus's rules say of lags, checkpoints and disks."""
    try:
        return health.of_alerts(sample["metric"] for sample in ask('ALERTS{alertstate="firing"}'))
    except (httpx.HTTPError, ValueError, KeyError) as error:
        detail = f"it does not answer, so lags, checkpoints and disks are unknown: {error}"
        return [Finding("prometheus", Reason.UNKNOWN, detail)]


def tell_figures() -> None:
    """Log the numbers that a person would ask for."""
    for name, query in FIGURES.items():
        try:
            log.info("%s: %s", name, ", ".join(sample["value"][1] for sample in ask(query)) or "unknown")
        except (httpx.HTTPError, ValueError, KeyError) as error:
            log.warning("%s: unknown: %s", name, error)


def ask(query: str) -> list[dict[str, Any]]:
    """What Prometheus answers to a query."""
    url = f"{settings.prometheus_url()}/api/v1/query"
    answer = httpx.get(url, params={"query": query}, timeout=ANSWER_SECONDS).raise_for_status()
    result: list[dict[str, Any]] = answer.json()["data"]["result"]
    return result
