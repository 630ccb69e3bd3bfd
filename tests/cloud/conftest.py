"""A region of AWS for the tests that boot a host."""

import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import trustme
from images.engine import EngineUnavailableError, answers
from images.ready import docker_with_images
from native_stack.builder import build_all
from native_stack.display import display_for
from native_stack.settings import REPOSITORY, NativeSettings
from rich.console import Console

from cloud import aws, packages, revisions
from cloud.host import BARE, CONTROL_GROUPS, IMAGE, LATER, Volume
from cloud.network import cable, run
from cloud.region import GIBIBYTES, VERSION, Region

# The first pays for images and engine.
LONGEST_SECONDS = 1800


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give the tests here the time that their fixtures take."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.timeout(LONGEST_SECONDS))


@pytest.fixture(scope="session")
def region(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Region]:
    """All that a host finds around it; the test is skipped where no engine can be had."""
    directory = tmp_path_factory.mktemp("cloud")
    settings = NativeSettings.for_tests(directory)
    try:
        _look_at_this_machine()
        _build_images(settings)
    except EngineUnavailableError as error:
        if os.environ.get("PINFLOW_REQUIRE_DOCKER"):
            raise
        pytest.skip(f"THE HOST IS NOT TESTED: {error}")
    build_all((IMAGE,), settings, display_for(Console()))
    authority = trustme.CA()
    machines = directory / "machines"
    with ExitStack() as undo:
        undo.callback(shutil.rmtree, directory)
        for name in (BARE, LATER):
            _unpack(IMAGE.entry(settings.cache_dir) / f"{name}.tar", machines / name, authority)
        packages.make(directory / "docker", settings.cache_dir)
        revisions.publish(directory / "git")
        undo.enter_context(cable())
        cloud = undo.enter_context(aws.running(directory / "docker", directory / "git", authority))
        volume = undo.enter_context(Volume.of(directory / "volume", GIBIBYTES))
        yield Region(cloud, machines, directory, volume)


def _look_at_this_machine() -> None:
    if os.geteuid() != 0 or not (CONTROL_GROUPS / "cpu").is_dir():
        raise EngineUnavailableError("only root can boot the host, on a machine with version 1 of cgroups")


def _build_images(settings: NativeSettings) -> None:
    """Leave the images on disk, and no engine: the host's own is going to use them."""
    with docker_with_images(settings) as docker:
        environment = {"PINFLOW_VERSION": VERSION, "PINFLOW_SECRETS_DIR": str(settings.state_dir)}
        compose = ("compose", "--project-directory", str(REPOSITORY), "--profile", "*")
        docker.with_environment(environment).run(*compose, "build", timeout=1500)
        # Their layers stay, so that the first host need not wait for them.
        built = docker.run("image", "ls", "--format", "{{.Repository}}:{{.Tag}}", f"pinflow/*:{VERSION}")
        docker.run("image", "rm", *built.split())
    if answers():
        raise EngineUnavailableError(
            "an engine runs here, and the host under test wants its images: stop it for these tests"
        )


def _unpack(tar: Path, image: Path, authority: trustme.CA) -> None:
    """Unpack a machine image, and let it trust the authority."""
    image.mkdir(parents=True)
    run("tar", "--extract", "--file", str(tar), "--directory", str(image), timeout=600)
    authority.cert_pem.write_to_path(str(image / "usr/local/share/ca-certificates/tests.crt"))
    run("chroot", str(image), "update-ca-certificates", timeout=600)
    shutil.copy("/etc/resolv.conf", image / "etc/resolv.conf")
