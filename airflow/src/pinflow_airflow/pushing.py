"""Writing to the Pushgateway, under the account of the schedule."""

from collections.abc import Callable

from prometheus_client.exposition import basic_auth_handler

from pinflow_airflow import settings

ACCOUNT = "airflow"


def as_airflow(
    url: str, method: str, timeout: float | None, headers: list[tuple[str, str]], data: bytes
) -> Callable[[], None]:
    """Return how to send a request with the login, as prometheus_client asks for it."""
    return basic_auth_handler(url, method, timeout, headers, data, ACCOUNT, settings.push_password())
