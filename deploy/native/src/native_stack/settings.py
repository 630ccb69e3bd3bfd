"""Where the stack listens and where it keeps its files."""

import os
import secrets
import socket
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Self

from pydantic import Field, field_validator
from pydantic_settings import SettingsConfigDict
from service_runtime.settings import Settings

REPOSITORY = Path(__file__).resolve().parents[4]
# A unix socket's path is limited by the kernel to 107 bytes; `run/supervisor.sock` and a temporary suffix
# must fit behind the state directory.
LONGEST_STATE_DIR = 75
# Below those that the kernel gives to outgoing connections: a port that is free now is free in a minute.
TEST_PORTS = range(12_000, 32_000)


def _cache_dir() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pinflow"


def _port(default: int) -> int:
    port: int = Field(default=default, ge=1, le=65535)
    return port


class NativeSettings(Settings):
    """Ports (all on 127.0.0.1) and directories of one stack."""

    model_config = SettingsConfigDict(env_prefix="PINFLOW_")

    kafka_port: int = _port(9092)
    kafka_controller_port: int = _port(9093)
    cassandra_port: int = _port(9042)
    cassandra_storage_port: int = _port(7000)
    cassandra_jmx_port: int = _port(7199)
    postgres_port: int = _port(5432)
    redis_port: int = _port(6379)
    s3_port: int = _port(7070)
    ingest_port: int = _port(8000)
    sink_port: int = _port(8001)
    stream_port: int = _port(8002)
    prometheus_port: int = _port(9090)
    pushgateway_port: int = _port(9091)
    # Alertmanager's own 9093 is Kafka's controller here.
    alertmanager_port: int = _port(9094)
    state_dir: Path = Field(default=REPOSITORY / ".local", validate_default=True)
    cache_dir: Path = Field(default_factory=_cache_dir, validate_default=True)

    @field_validator("state_dir", "cache_dir")
    @classmethod
    def _absolute(cls, path: Path) -> Path:
        path = path.expanduser().resolve()
        # These characters have a meaning of their own in supervisord.conf, JVM argument files or both.
        if set(str(path)) & set(" #;%\"'$\\\n"):
            raise ValueError(f"{path} holds a space or one of # ; % \" ' $ \\: choose a plainer path")
        return path

    @field_validator("state_dir")
    @classmethod
    def _short(cls, path: Path) -> Path:
        if len(str(path).encode()) > LONGEST_STATE_DIR:
            raise ValueError(
                f"{path} is {len(str(path).encode())} bytes long and a unix socket inside it would exceed "
                f"the kernel's limit: choose one of at most {LONGEST_STATE_DIR} bytes"
            )
        return path

    @classmethod
    def for_tests(cls, state_dir: Path) -> Self:
        """Return settings with ports nobody uses now, apart from every other stack of this machine."""
        ports = [name for name in cls.model_fields if name.endswith("_port")]
        with ExitStack() as sockets:
            # All are held open at once, so that no number comes twice.
            held = [sockets.enter_context(socket.socket()) for _ in ports]
            for sock in held:
                _bind_to_any(sock)
            numbers = [sock.getsockname()[1] for sock in held]
        return cls.model_validate({"state_dir": state_dir, **dict(zip(ports, numbers, strict=True))})

    @property
    def kafka_address(self) -> str:
        """Host and port of the broker."""
        return f"127.0.0.1:{self.kafka_port}"

    @property
    def s3_url(self) -> str:
        """Where the S3 server is."""
        return f"http://127.0.0.1:{self.s3_port}"

    @property
    def ingest_url(self) -> str:
        """Where pins are posted."""
        return f"http://127.0.0.1:{self.ingest_port}"

    @property
    def log_dir(self) -> Path:
        """One file a program, rotated by supervisor, and one a build."""
        return self.state_dir / "logs"

    @property
    def run_dir(self) -> Path:
        """The supervisor's configuration, socket and pid file."""
        return self.state_dir / "run"

    @property
    def secret_dir(self) -> Path:
        """Keys and passwords, made once, readable by the owner alone."""
        return self.state_dir / "secrets"

    def config_dir(self, program: str) -> Path:
        """Where the configuration of a program is written."""
        return self.state_dir / "config" / program

    def data_dir(self, program: str) -> Path:
        """Where a program keeps what must survive a restart."""
        return self.state_dir / "data" / program


def _bind_to_any(sock: socket.socket) -> None:
    while True:
        with suppress(OSError):
            sock.bind(("127.0.0.1", secrets.choice(TEST_PORTS)))
            return
