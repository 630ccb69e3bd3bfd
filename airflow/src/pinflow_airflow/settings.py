"""Where things are, as the compose file tells it; read when needed, so that an import needs nothing."""

import os
from pathlib import Path


def project() -> str:
    """Name of the compose project whose containers these are."""
    return _told("PINFLOW_PROJECT")


def engine_url() -> str:
    """Address of the socket proxy."""
    return _told("DOCKER_HOST")


def prometheus_url() -> str:
    """Address of Prometheus."""
    return _told("PINFLOW_PROMETHEUS_URL")


def pushgateway_url() -> str:
    """Address of the Pushgateway."""
    return _told("PINFLOW_PUSHGATEWAY_URL")


def push_password() -> str:
    """Password of the account that writes to the Pushgateway."""
    return Path(_told("PINFLOW_PUSH_PASSWORD_FILE")).read_text()


def elsewhere() -> frozenset[str]:
    """Servers that are no containers here but somebody else's: nothing to start, nothing to watch."""
    return frozenset(os.environ.get("PINFLOW_ELSEWHERE", "").split())


def _told(variable: str) -> str:
    try:
        return os.environ[variable]
    except KeyError:
        raise RuntimeError(f"{variable} is not set: deploy/compose/airflow.yaml tells it") from None
