"""Docker's own repository of packages, and the agent of Session Manager: what a host on AWS downloads.

The engine in it is Debian's, compose and buildx are those that tests/images builds; the repository is signed.
"""

import hashlib
import shutil
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from images.plugins import BUILDX, COMPOSE

from cloud.host import IMAGE
from cloud.network import run

PLUGINS = Path("usr/libexec/docker/cli-plugins")
SUITE = Path("linux/debian/dists/bookworm")
POOL = Path("linux/debian/pool")


def make(directory: Path, cache_dir: Path) -> None:
    """Fill the directory, as https://download.docker.com would be seen."""
    pool = directory / POOL
    pool.mkdir(parents=True)
    plugins = [
        _package(pool, f"{build.name}-plugin", {PLUGINS: build.entry(cache_dir) / build.name})
        for build in (COMPOSE, BUILDX)
    ]
    engine = _engine(pool, IMAGE.entry(cache_dir) / "docker.deb")
    packages = [engine, *plugins, *(_package(pool, name) for name in ("docker-ce-cli", "containerd.io"))]
    _package(directory, "amazon-ssm-agent")
    index = directory / SUITE / "stable/binary-amd64/Packages"
    index.parent.mkdir(parents=True)
    index.write_text("\n".join(_entry(deb) for deb in packages))
    _sign(directory, index)


def _package(directory: Path, name: str, programs: Mapping[Path, Path] = MappingProxyType({})) -> Path:
    """Write a package with these programs, each into its folder."""
    root = directory / name
    (root / "DEBIAN").mkdir(parents=True)
    said = {
        "Package": name,
        "Version": "1",
        "Architecture": "amd64",
        "Maintainer": "tests",
        "Description": name,
    }
    (root / "DEBIAN/control").write_text("".join(f"{key}: {value}\n" for key, value in said.items()))
    for folder, program in programs.items():
        (root / folder).mkdir(parents=True)
        shutil.copy(program, root / folder)
    return _built(root)


def _engine(directory: Path, debian: Path) -> Path:
    """Write Debian's docker.io, by the name that Docker's own has."""
    root = directory / "docker-ce"
    run("dpkg-deb", "--raw-extract", str(debian), str(root))
    control = root / "DEBIAN/control"
    lines = [line for line in control.read_text().splitlines() if not line.startswith("Conflicts:")]
    control.write_text("\n".join(lines).replace("Package: docker.io", "Package: docker-ce") + "\n")
    return _built(root)


def _built(root: Path) -> Path:
    target = root.with_name(f"{root.name}.deb")
    # Hardly compressed: it is unpacked a moment later.
    run("dpkg-deb", "--build", "--root-owner-group", "-Zgzip", "-z1", str(root), str(target), timeout=600)
    shutil.rmtree(root)
    return target


def _entry(deb: Path) -> str:
    control = run("dpkg-deb", "--field", str(deb))
    content = deb.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    return f"{control}Filename: pool/{deb.name}\nSize: {len(content)}\nSHA256: {digest}\n"


def _sign(directory: Path, index: Path) -> None:
    content = index.read_bytes()
    release = directory / SUITE / "Release"
    release.write_text(
        "Suite: bookworm\nCodename: bookworm\nComponents: stable\nArchitectures: amd64\n"
        "Date: Fri, 27 Nov 2026 00:00:00 UTC\nSHA256:\n"
        f" {hashlib.sha256(content).hexdigest()} {len(content)} stable/binary-amd64/Packages\n"
    )
    home = directory / "gnupg"
    home.mkdir(mode=0o700)
    _gpg(home, "--quick-generate-key", "docker", "ed25519", "sign", "never")
    _gpg(home, "--clearsign", "--output", str(release.with_name("InRelease")), str(release))
    _gpg(home, "--armor", "--output", str(directory / "linux/debian/gpg"), "--export", "docker")
    _gpg(home, "--quick-generate-key", "somebody else", "ed25519", "sign", "never")
    _gpg(home, "--armor", "--output", str(directory / "somebody-elses.gpg"), "--export", "somebody")
    run("gpgconf", "--homedir", str(home), "--kill", "all")


def _gpg(home: Path, *arguments: str) -> None:
    alone = ("--batch", "--quiet", "--pinentry-mode", "loopback", "--passphrase", "")
    run("gpg", "--homedir", str(home), *alone, *arguments)
