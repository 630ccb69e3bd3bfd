"""The S3 server: versitygw over a directory."""

from native_stack import builds, probes
from native_stack.credentials import S3_ROOT_KEY_ID
from native_stack.program import Program

HEALTH_PATH = "/health"


class S3(Program):
    """versitygw, built here."""

    name = "s3"
    purpose = "the archive"
    ports = ("s3_port",)
    builds = (builds.VERSITYGW,)

    def command(self) -> list[str]:
        """Return the gateway over its two directories."""
        listen = ["--port", self.address, "--health", HEALTH_PATH, "--quiet"]
        directories = ["--iam-dir", str(self.data_dir / "iam"), "posix", str(self.data_dir / "root")]
        program = builds.VERSITYGW.entry(self.settings.cache_dir) / "versitygw"
        return [str(program), *listen, *directories]

    def own_environment(self) -> dict[str, str]:
        """Return the root account."""
        secret = self.context.credentials.s3_root_secret_file.read_text()
        return {"ROOT_ACCESS_KEY": S3_ROOT_KEY_ID, "ROOT_SECRET_KEY": secret}

    def prepare(self) -> None:
        """Make the directories."""
        for name in ("iam", "root"):
            (self.data_dir / name).mkdir(parents=True, exist_ok=True)

    def probe(self) -> None:
        """Ask for its health."""
        probes.http_health(self.port, HEALTH_PATH)
