"""An engine with compose and every image that the tests build on."""

from collections.abc import Iterator
from contextlib import contextmanager

from native_stack.display import display_for
from native_stack.settings import NativeSettings
from rich.console import Console

from images.catalogue import STAND_INS
from images.docker import Docker
from images.engine import running_engine
from images.making import forget, make, registry_reachable
from images.plugins import docker_with_plugins


@contextmanager
def docker_with_images(settings: NativeSettings) -> Iterator[Docker]:
    """Have one while the block runs: official images where they can be pulled, else stand-ins.

    Raises EngineUnavailableError.
    """
    console = Console()
    display = display_for(console)
    with running_engine(settings.log_dir):
        docker = docker_with_plugins(settings, display)
        if registry_reachable(docker):
            forget(docker, STAND_INS)
        else:
            make(docker, STAND_INS, settings, display, lambda text: console.print(text, markup=False))
        yield docker
