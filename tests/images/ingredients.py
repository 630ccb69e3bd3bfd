"""What a stand-in is made of beside its Dockerfile: cache entries, wheels, this machine's certificates."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Protocol

from native_stack import cache
from native_stack.builds import GO_TOOLCHAIN, Build
from native_stack.program import wheel_dir
from native_stack.requirements import find_uv
from native_stack.settings import REPOSITORY

IMAGES = Path(__file__).parent
HOST_CERTIFICATES = Path("/usr/local/share/ca-certificates")


class Ingredient(Protocol):
    """Files that go into the build context."""

    @property
    def folder(self) -> str:
        """Where in the build context they go."""

    @property
    def identity(self) -> str:
        """What changes whenever the files do."""

    def files(self, cache_dir: Path) -> Iterator[tuple[str, Path]]:
        """Return each file's name in the folder and where it lies, or a whole directory under one name."""

    def build(self) -> Build | None:
        """Return the cache entry that must be there first, if any."""


@dataclass(frozen=True)
class Cached:
    """The files of a cache entry."""

    folder: str
    entry: Build

    @property
    def identity(self) -> str:
        """The entry's name, which holds the hash of its inputs."""
        return self.entry.key

    def files(self, cache_dir: Path) -> Iterator[tuple[str, Path]]:
        """Return every file of the entry but its checksums."""
        for path in sorted(self.entry.entry(cache_dir).iterdir()):
            if path.name != cache.SUMS:
                yield path.name, path

    def build(self) -> Build:
        """Return the entry."""
        return self.entry


@dataclass(frozen=True)
class Wheel:
    """A directory of an installed wheel."""

    folder: str
    distribution: str
    package: str
    inside: str

    @property
    def identity(self) -> str:
        """The wheel's name and version."""
        return f"{self.distribution}=={version(self.distribution)}"

    def files(self, cache_dir: Path) -> Iterator[tuple[str, Path]]:
        """Return the directory as one item."""
        yield "", wheel_dir(self.package) / self.inside

    def build(self) -> None:
        """Return nothing: `uv sync` has installed it."""


@dataclass(frozen=True)
class HostCertificates:
    """The certificates that this machine trusts beyond those of Debian."""

    folder: str

    @property
    def identity(self) -> str:
        """A hash of all of them."""
        return cache.input_hash(path.read_bytes() for _, path in self.files(Path()))

    def files(self, cache_dir: Path) -> Iterator[tuple[str, Path]]:
        """Return each certificate."""
        for path in sorted(HOST_CERTIFICATES.rglob("*.crt")):
            yield path.name, path

    def build(self) -> None:
        """Return nothing: they are there."""


def shell_build(
    name: str, release: str, script: Path, inputs: Sequence[Path], arguments: Callable[[], Sequence[str]]
) -> Build:
    """Return the cache entry that a script makes, called with these arguments and the folder to fill."""
    return Build(
        name, release, (script, *inputs), lambda target: ["sh", str(script), *arguments(), str(target)]
    )


def go_build(name: str, release: str, package: str, ldflags: str = "") -> Build:
    """Return the cache entry of one Go program, built from the go.mod in the folder of that name."""
    module = IMAGES / name
    binary = name if name.startswith("docker-") else Path(package).name

    def command(target: Path) -> list[str]:
        go = [str(find_uv()), "tool", "run", "--from", GO_TOOLCHAIN, "go", "build", "-C", str(module)]
        flags = ["-trimpath", "-buildvcs=false", "-mod=readonly", f"-ldflags=-s -w {ldflags}"]
        return [*go, *flags, "-o", str(target / binary), package]

    environment = {"CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOFLAGS": ""}
    salt = f"{GO_TOOLCHAIN} {package} {ldflags}"
    return Build(name, release, (module / "go.mod", module / "go.sum"), command, environment, salt=salt)


ROOTFS = shell_build("debian-rootfs", "bookworm", IMAGES / "debian" / "rootfs.sh", (), tuple)
UV = shell_build(
    "uv-wheel",
    "0.13.9",
    IMAGES / "uv" / "wheel.sh",
    (REPOSITORY / "deploy" / "uv.txt",),
    lambda: (str(find_uv()), str(REPOSITORY / "deploy" / "uv.txt")),
)
CADDY = go_build("caddy", "2.11.9", "github.com/caddyserver/caddy/v2/cmd/caddy")
POSTGRES_EXPORTER = go_build(
    "postgres-exporter", "0.19.1", "github.com/prometheus-community/postgres_exporter/cmd/postgres_exporter"
)
REDIS_EXPORTER = go_build("redis-exporter", "1.82.0", "github.com/oliver006/redis_exporter")
STATSD_EXPORTER = go_build("statsd-exporter", "0.28.0", "github.com/prometheus/statsd_exporter")
