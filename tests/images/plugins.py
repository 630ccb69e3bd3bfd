"""Compose and buildx: those of the machine, or built from Go modules into the cache."""

import os
import re
from pathlib import Path

from native_stack.builder import build_all
from native_stack.display import Display
from native_stack.settings import NativeSettings

from images.docker import Docker
from images.ingredients import go_build

COMPOSE = go_build(
    "docker-compose",
    "5.6.0",
    "github.com/docker/compose/v5/cmd",
    "-X github.com/docker/compose/v5/internal.Version=v5.6.0",
)
# Compose builds images through this plugin: without it, by the old builder that knows no `RUN --mount`.
BUILDX = go_build(
    "docker-buildx",
    "0.38.2",
    "github.com/docker/buildx/cmd/buildx",
    "-X github.com/docker/buildx/version.Version=v0.38.2",
)
OLDEST_COMPOSE = 2


def docker_with_plugins(settings: NativeSettings, display: Display) -> Docker:
    """Return a docker with `compose` (2 or newer) and `buildx`: the machine's, or both built and cached."""
    docker = Docker()
    if _has_compose(docker) and docker.works("buildx", "version"):
        return docker
    build_all((COMPOSE, BUILDX), settings, display)
    return Docker({"DOCKER_CONFIG": str(_config_dir(settings.cache_dir))})


def _has_compose(docker: Docker) -> bool:
    found = docker.attempt("compose", "version", "--short")
    major = re.match(r"v?(\d+)\.", found.stdout)
    return found.returncode == 0 and major is not None and int(major[1]) >= OLDEST_COMPOSE


def _config_dir(cache_dir: Path) -> Path:
    # A folder of our own: the user's ~/.docker stays as it is. It hides the plugins there, hence both.
    plugins = cache_dir / "docker-config" / "cli-plugins"
    plugins.mkdir(parents=True, exist_ok=True)
    for build in (COMPOSE, BUILDX):
        # Renamed into place: another clone may be using the plugin now.
        link = plugins / f"{build.key}.{os.getpid()}"
        link.symlink_to(build.entry(cache_dir) / build.name)
        link.rename(plugins / build.name)
    return plugins.parent
