import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from native_stack.errors import PortTakenError
from native_stack.ports import require_free
from native_stack.settings import NativeSettings


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def test_a_taken_port_names_port_program_holder_and_variable(taken: int, tmp_path: Path) -> None:
    settings = NativeSettings.for_tests(tmp_path)
    with pytest.raises(PortTakenError) as caught:
        require_free(settings, "kafka", {"kafka_port": taken})
    message = str(caught.value)
    assert f"kafka needs port {taken}" in message
    assert f"pid {os.getpid()} (" in message
    assert "set PINFLOW_KAFKA_PORT" in message
    assert "\n" not in message


def test_free_ports_are_accepted(tmp_path: Path) -> None:
    settings = NativeSettings.for_tests(tmp_path)
    require_free(settings, "kafka", {"kafka_port": settings.kafka_port, "redis_port": settings.redis_port})


def test_a_port_whose_connections_wait_out_time_wait_is_free(tmp_path: Path) -> None:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)) as client:
            server, _ = listener.accept()
            # The side that closes first keeps the port in TIME_WAIT.
            server.close()
            assert client.recv(1) == b""
    require_free(NativeSettings.for_tests(tmp_path), "redis", {"redis_port": port})
