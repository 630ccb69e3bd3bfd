"""Metrics that find their exporter, whenever it comes."""

import socket

import pytest
from pinflow_airflow import statsd
from pinflow_airflow.statsd import PatientClient


@pytest.fixture
def exporter() -> socket.socket:
    """A socket that hears datagrams."""
    heard = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    heard.bind(("127.0.0.1", 0))
    heard.settimeout(5)
    return heard


def test_what_is_told_arrives(exporter: socket.socket) -> None:
    PatientClient("127.0.0.1", exporter.getsockname()[1], prefix="airflow").incr("scheduler_heartbeat")
    assert exporter.recv(100) == b"airflow.scheduler_heartbeat:1|c"


def test_an_exporter_that_comes_later_is_found(
    exporter: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statsd, "LOOKED_UP_FOR_SECONDS", 0.0)
    client = PatientClient("no-such-host.invalid", exporter.getsockname()[1])
    client.incr("lost")
    client._exporter = ("127.0.0.1", exporter.getsockname()[1])
    client.incr("found")
    assert exporter.recv(100) == b"found:1|c"
