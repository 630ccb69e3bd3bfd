"""Builds the stand-ins that are missing or out of date; official images are kept and used."""

import json
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from native_stack.builder import build_all
from native_stack.display import Display
from native_stack.settings import NativeSettings

from images.docker import Docker
from images.standin import INPUTS_LABEL, LABEL, StandIn

PROBE_IMAGE = "hello-world:latest"
PROBE_SECONDS = 10


def registry_reachable(docker: Docker) -> bool:
    """Say whether the engine can pull an image, within ten seconds."""
    return docker.works("pull", "--quiet", PROBE_IMAGE, timeout=PROBE_SECONDS)


def state(stand_in: StandIn, labels: Mapping[str, Mapping[str, str]]) -> str:
    """Return `missing`, `official`, `outdated` or `current`, given the labels of what is there."""
    found = labels.get(stand_in.name)
    if found is None:
        return "missing"
    if LABEL not in found:
        return "official"
    return "current" if found.get(INPUTS_LABEL) == stand_in.inputs else "outdated"


def local_labels(docker: Docker, stand_ins: Sequence[StandIn]) -> dict[str, dict[str, str]]:
    """Return the labels of those images that the engine has, by name."""
    # It exits with 1 when one is missing, and prints the others all the same.
    output = docker.attempt("image", "inspect", *(item.name for item in stand_ins)).stdout
    found = {}
    for image in json.loads(output or "[]"):
        for tag in image["RepoTags"]:
            found[tag] = image["Config"]["Labels"] or {}
    return found


def forget(docker: Docker, stand_ins: Sequence[StandIn]) -> None:
    """Remove the stand-ins that an earlier run left: official images are pulled in their place."""
    labels = local_labels(docker, stand_ins)
    ours = [item.name for item in stand_ins if LABEL in labels.get(item.name, {})]
    if ours:
        docker.run("image", "rm", "--force", *ours)


def make(
    docker: Docker,
    stand_ins: Sequence[StandIn],
    settings: NativeSettings,
    display: Display,
    say: Callable[[str], None],
) -> None:
    """Build what is missing or outdated, in order; raise DockerError or BuildError at the first failure."""
    labels = local_labels(docker, stand_ins)
    wanted = [item for item in stand_ins if state(item, labels) in {"missing", "outdated"}]
    say(f"{len(stand_ins) - len(wanted)} of {len(stand_ins)} images are there")
    build_all(
        list({build.key: build for item in wanted for build in item.builds()}.values()), settings, display
    )
    for number, item in enumerate(wanted, 1):
        started = time.monotonic()
        say(f"[{number}/{len(wanted)}] {item.name}: building")
        _build(docker, item, settings.cache_dir)
        say(f"[{number}/{len(wanted)}] {item.name}: built in {time.monotonic() - started:.1f} s")


def _build(docker: Docker, item: StandIn, cache_dir: Path) -> None:
    with tempfile.TemporaryDirectory() as directory:
        context = Path(directory) / "context.tar"
        item.write_context(context, cache_dir)
        labels = [f"--label={LABEL}={item.kind}", f"--label={INPUTS_LABEL}={item.inputs}"]
        docker.run("build", "--tag", item.name, *labels, "-", stdin=context)
