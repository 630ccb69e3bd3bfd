"""The Cassandra server: one node."""

from native_stack import builds, probes
from native_stack.program import Program
from native_stack.requirements import find_java

JVM_OPTIONS = ("jvm.options", "jdk17.options")


class Cassandra(Program):
    """Cassandra, from the jars of Maven."""

    name = "cassandra"
    purpose = "the catalogue"
    ports = ("cassandra_port", "cassandra_storage_port", "cassandra_jmx_port")
    builds = (builds.CASSANDRA,)

    def command(self) -> list[str]:
        """Return the JVM that runs the node."""
        options = [f"@{self.config_dir / name}" for name in JVM_OPTIONS]
        return [str(find_java()), *options, "org.apache.cassandra.service.CassandraDaemon"]

    def prepare(self) -> None:
        """Write the configuration."""
        lib_dir = builds.CASSANDRA.entry(self.settings.cache_dir)
        self.data_dir.mkdir(parents=True, exist_ok=True)
        self.render_config("cassandra.yaml", "logback.xml", *JVM_OPTIONS, lib_dir=lib_dir)

    def probe(self) -> None:
        """Speak CQL."""
        probes.cassandra(self.port)
