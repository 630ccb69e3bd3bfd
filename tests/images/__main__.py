"""Makes the images that no registry gives: `PYTHONPATH=tests python -m images`."""

import argparse
import sys

from native_stack.display import display_for
from native_stack.errors import NativeError
from native_stack.settings import NativeSettings
from rich.console import Console

from images.catalogue import STAND_INS
from images.docker import DockerError
from images.engine import EngineUnavailableError, running_engine
from images.making import local_labels, make, state
from images.plugins import docker_with_plugins
from images.standin import StandIn


def main() -> int:
    """Run the command; exit 1 with one message on a failure."""
    arguments = _arguments()
    console = Console(stderr=True)

    def say(text: str) -> None:
        console.print(text, markup=False, highlight=False, soft_wrap=True)

    settings = NativeSettings()
    display = display_for(console)
    try:
        with running_engine(settings.log_dir):
            docker = docker_with_plugins(settings, display)
            if arguments.list:
                labels = local_labels(docker, STAND_INS)
                for item in STAND_INS:
                    say(f"{state(item, labels):9} {item.name}")
            else:
                make(docker, _chosen(arguments.only), settings, display, say)
    except (DockerError, EngineUnavailableError, NativeError) as error:
        say(f"images: {error}")
        return 1
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="images", description="Make the images that no registry gives.")
    parser.add_argument("--list", action="store_true", help="say which images are there, build nothing")
    parser.add_argument(
        "--only",
        metavar="NAME",
        action="append",
        choices=[item.name for item in STAND_INS],
        help="this image and those it is built from; repeatable",
    )
    return parser.parse_args()


def _chosen(names: list[str] | None) -> list[StandIn]:
    if names is None:
        return list(STAND_INS)
    wanted = {name for item in STAND_INS if item.name in names for name in item.lineage()}
    return [item for item in STAND_INS if item.name in wanted]


if __name__ == "__main__":
    sys.exit(main())
