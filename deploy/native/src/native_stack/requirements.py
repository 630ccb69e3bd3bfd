"""What the machine must bring: a JDK 17, Maven, uv, and for watching Prometheus. Debian as root gets them."""

import contextlib
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from native_stack.errors import MissingRequirementError

JAVA_VERSION = "17"
JVM_DIR = Path("/usr/lib/jvm")
# Debian's way to say which services a package may start.
SERVICE_POLICY = Path("/usr/sbin/policy-rc.d")
# Programs of the Prometheus family, and the Debian packages they come in.
OBSERVER_PACKAGES = {
    "prometheus": "prometheus",
    "promtool": "prometheus",
    "alertmanager": "prometheus-alertmanager",
    "pushgateway": "prometheus-pushgateway",
}

_one_installation = threading.Lock()


def find_java() -> Path:
    """Return the `java` of a JDK 17 (Cassandra 5 refuses 21 and 25), installing it where that is possible."""
    return _find_or_install(
        _java_17,
        "openjdk-17-jre-headless",
        f"Kafka, Cassandra and Spark need Java {JAVA_VERSION}, found {{found}}: "
        f"install one (Debian: apt-get install openjdk-17-jre-headless) or point JAVA_HOME at one",
        lambda: ", ".join(f"{version} in {home}" for home, version in _javas()) or "no Java",
    )


def java_home() -> Path:
    """Return the installation that `find_java` finds, as JAVA_HOME wants it."""
    return find_java().parent.parent


def find_maven() -> Path:
    """Return `mvn`, installing it where that is possible."""
    return _find_or_install(
        lambda: _on_path("mvn"),
        "maven",
        "the jars of Kafka, Cassandra and Spark are fetched by Maven, found {found}: "
        "install Maven (Debian: apt-get install maven) and see that mvn is on PATH",
        lambda: "no mvn on PATH",
    )


def find_observer(name: str) -> Path:
    """Return a program of the Prometheus family (`promtool`, say), installing it where that is possible."""
    package = OBSERVER_PACKAGES[name]
    return _find_or_install(
        # Debian prefixes those whose names say too little.
        lambda: _on_path(name) or _on_path(f"prometheus-{name}"),
        package,
        f"watching the stack takes {name}, found {{found}}: "
        f"install it (Debian: apt-get install {package}) and see that it is on PATH",
        lambda: f"no {name} on PATH",
    )


def find_uv() -> Path:
    """Return the uv that runs us, or the one on PATH; it brings the Go toolchain."""
    named = os.environ.get("UV")
    found = Path(named) if named else _on_path("uv")
    if found is None:
        raise MissingRequirementError(
            "versitygw is built with the Go toolchain that uv brings, found no uv: "
            "start this command with `deploy/uv run native …`, or put uv on PATH"
        )
    return found


def _find_or_install(
    find: Callable[[], Path | None], package: str, message: str, found: Callable[[], str]
) -> Path:
    said = ""
    # Builds run side by side, and apt-get does not.
    with _one_installation:
        path = find()
        if path is None and os.geteuid() == 0 and _on_path("apt-get"):
            said = _apt_install(package)
            path = find()
    if path is None:
        raise MissingRequirementError(message.format(found=found()) + said)
    return path


def _apt_install(package: str) -> str:
    """Install a Debian package; return what apt-get complained of, to be added to a message."""
    sys.stderr.write(f"installing {package} with apt-get, as root\n")
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    for arguments in (["update"], ["install", "--yes", "--no-install-recommends", package]):
        command = ["apt-get", "-qq", *arguments]
        with _no_service_starts():
            done = subprocess.run(command, env=environment, check=False, capture_output=True, text=True)  # noqa: S603
        if done.returncode:
            return f". apt-get could not: {done.stderr.strip()}"
    return ""


@contextlib.contextmanager
def _no_service_starts() -> Iterator[None]:
    """Keep packages from starting services of the machine: the stack starts its own, on its own ports."""
    try:
        with SERVICE_POLICY.open("x") as policy:
            policy.write("#!/bin/sh\nexit 101\n")
    except FileExistsError:
        # The machine has a policy, and it is not ours to change.
        yield
        return
    try:
        SERVICE_POLICY.chmod(0o755)
        yield
    finally:
        SERVICE_POLICY.unlink()


def _on_path(name: str) -> Path | None:
    found = shutil.which(name)
    return Path(found) if found else None


def _java_17() -> Path | None:
    homes = [home for home, version in _javas() if version.split(".")[0] == JAVA_VERSION]
    return homes[0] / "bin" / "java" if homes else None


def _javas() -> Iterator[tuple[Path, str]]:
    for home in _java_homes():
        version = java_version(home)
        if version:
            yield home, version


def _java_homes() -> Iterator[Path]:
    if os.environ.get("JAVA_HOME"):
        yield Path(os.environ["JAVA_HOME"])
    on_path = _on_path("java")
    if on_path:
        yield on_path.resolve().parent.parent
    if JVM_DIR.is_dir():
        yield from (home for home in sorted(JVM_DIR.iterdir()) if home.is_dir() and not home.is_symlink())


def java_version(home: Path) -> str | None:
    """Return the version that a Java installation's `release` file states, or None when it is no Java."""
    release = home / "release"
    if not (home / "bin" / "java").exists() or not release.is_file():
        return None
    for line in release.read_text(encoding="utf-8", errors="replace").splitlines():
        if line.startswith("JAVA_VERSION="):
            return line.partition("=")[2].strip().strip('"')
    return None
