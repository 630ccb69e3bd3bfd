"""The first start of the compose stack's broker, by its own script and files, without a container."""

import asyncio
import os
import re
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from native_stack import builds
from native_stack.requirements import find_java
from native_stack.settings import REPOSITORY, NativeSettings
from pydantic import SecretStr
from service_runtime.broker import BrokerUnavailable
from service_runtime.kafka import log_in
from service_runtime.settings import KafkaSettings

pytestmark = pytest.mark.must(30)

PASSWORD = "5ec7e7-of-the-superuser"
ANSWERS_WITHIN_SECONDS = 90
JMX = "-javaagent:/opt/jmx-agent/jmx-agent.jar=9404:/etc/pinflow/jmx.yaml "


@dataclass(frozen=True)
class Broker:
    """A broker that was formatted and started by start.sh, and what a look at its processes saw."""

    address: str
    arguments: set[tuple[str, ...]]
    home: Path


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    home = tmp_path_factory.mktemp("kafka")
    settings = NativeSettings.for_tests(home)
    for folder in ("etc", "data", "secrets"):
        (home / folder).mkdir()
    (home / "secrets/kafka-admin-password").write_text(PASSWORD)
    lib_dir = builds.KAFKA.entry(settings.cache_dir)
    places = {
        JMX: "",
        "/opt/kafka/libs": str(lib_dir),
        "/etc/pinflow": f"{home}/etc",
        "/var/lib/kafka/data": f"{home}/data",
        "/run/secrets": f"{home}/secrets",
        "/tmp/": f"{home}/",
        "BROKER://:9092": f"BROKER://127.0.0.1:{settings.kafka_port}",
        "CONTROLLER://:9093": f"CONTROLLER://127.0.0.1:{settings.kafka_controller_port}",
        "${env:HOST_NAME}:9092": f"127.0.0.1:{settings.kafka_port}",
    }
    for file in (REPOSITORY / "deploy/compose/kafka").iterdir():
        moved = re.sub("|".join(map(re.escape, places)), lambda place: places[place[0]], file.read_text())
        (home / "etc" / file.name).write_text(moved)
    environment = {
        "NODE_ID": "1",
        "SECURITY_PROTOCOL": "SASL_PLAINTEXT",
        "VOTERS": f"1@127.0.0.1:{settings.kafka_controller_port}",
        "REPLICATION_FACTOR": "1",
        "MIN_INSYNC_REPLICAS": "1",
        "CLUSTER_ID": "cGluZmxvdy1jb21wb3NlMQ",
        "PATH": f"{find_java().parent}:{os.environ['PATH']}",
    }
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(
            ["sh", str(home / "etc/start.sh")], env=os.environ | environment, stdout=log, stderr=log
        )
    try:
        yield Broker(f"127.0.0.1:{settings.kafka_port}", seen_until_it_serves(process, home / "log"), home)
    finally:
        process.kill()
        process.wait()


def seen_until_it_serves(process: "subprocess.Popen[bytes]", log: Path) -> set[tuple[str, ...]]:
    """Return the arguments of each process that the script started, up to the broker itself."""
    seen: set[tuple[str, ...]] = set()
    watched = psutil.Process(process.pid)
    give_up = time.monotonic() + ANSWERS_WITHIN_SECONDS
    while not any("kafka.Kafka" in arguments for arguments in seen):
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < give_up, log.read_text()
        for one in [watched, *watched.children(recursive=True)]:
            try:
                seen.add(tuple(one.cmdline()))
            except psutil.NoSuchProcess:
                continue
        time.sleep(0.01)
    return seen


def test_no_process_has_the_superusers_password_among_its_arguments(broker: Broker) -> None:
    assert any("kafka.tools.StorageTool" in arguments for arguments in broker.arguments)
    assert [arguments for arguments in broker.arguments if PASSWORD in " ".join(arguments)] == []


async def test_the_superuser_logs_in_with_the_password_of_the_file(broker: Broker) -> None:
    kafka = KafkaSettings(
        kafka_bootstrap_servers=broker.address,
        kafka_security_protocol="SASL_PLAINTEXT",
        kafka_username="pinflow-admin",
        kafka_password=SecretStr(PASSWORD),
    )
    give_up = time.monotonic() + ANSWERS_WITHIN_SECONDS
    while True:
        try:
            return await log_in(kafka)
        except BrokerUnavailable:
            assert time.monotonic() < give_up
            await asyncio.sleep(0.5)


def test_no_file_with_the_password_is_left_but_the_secret_itself(broker: Broker) -> None:
    holding = [
        path for path in broker.home.rglob("*") if path.is_file() and PASSWORD.encode() in path.read_bytes()
    ]
    assert holding == [broker.home / "secrets/kafka-admin-password"]
