"""The Kafka broker: one node that is its own controller."""

import base64
import subprocess
import uuid

from native_stack import builds, probes
from native_stack.errors import NativeError
from native_stack.program import Program
from native_stack.requirements import find_java

# By the name of the script in Kafka's own distribution, without its `kafka-`.
TOOLS = {
    "topics": "org.apache.kafka.tools.TopicCommand",
    "consumer-groups": "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand",
    "console-consumer": "org.apache.kafka.tools.consumer.ConsoleConsumer",
}


class Kafka(Program):
    """Kafka in KRaft mode, from the jars of Maven."""

    name = "kafka"
    purpose = "the log of pins"
    ports = ("kafka_port", "kafka_controller_port")
    builds = (builds.KAFKA,)

    def command(self) -> list[str]:
        """Return the JVM that runs the broker."""
        return [*self._java(), "kafka.Kafka", str(self.config_dir / "server.properties")]

    def prepare(self) -> None:
        """Write the configuration and format the storage once."""
        lib_dir = builds.KAFKA.entry(self.settings.cache_dir)
        self.render_config("server.properties", "log4j2.properties", "jvm.options", lib_dir=lib_dir)
        if not (self.data_dir / "meta.properties").exists():
            self._format()

    def probe(self) -> None:
        """Ask for metadata."""
        probes.kafka(self.port)

    def _java(self) -> list[str]:
        return [str(find_java()), f"@{self.config_dir / 'jvm.options'}"]

    def _format(self) -> None:
        self.data_dir.mkdir(parents=True, exist_ok=True)
        cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        config = str(self.config_dir / "server.properties")
        tool = [
            "kafka.tools.StorageTool",
            "format",
            "--ignore-formatted",
            f"--cluster-id={cluster}",
            "-c",
            config,
        ]
        result = subprocess.run([*self._java(), *tool], check=False, capture_output=True, text=True)  # noqa: S603
        if result.returncode:
            raise NativeError(f"formatting Kafka's storage failed:\n{result.stdout}{result.stderr}".rstrip())
