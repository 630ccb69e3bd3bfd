import re
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest
from native_stack.settings import REPOSITORY

from images.catalogue import STAND_INS
from images.ingredients import IMAGES
from images.making import state
from images.standin import INPUTS_LABEL, LABEL, StandIn

NAMES = [item.name for item in STAND_INS]
BY_NAME = {item.name: item for item in STAND_INS}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of Dockerfiles with one image, `one`."""
    monkeypatch.setattr("images.standin.IMAGES", tmp_path)
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "Dockerfile").write_text("FROM scratch\n")
    return tmp_path


def test_an_image_without_our_label_is_official_and_kept() -> None:
    stand_in = STAND_INS[0]
    assert state(stand_in, {stand_in.name: {"maintainer": "somebody"}}) == "official"


def test_an_image_made_from_these_inputs_is_current(folder: Path) -> None:
    stand_in = StandIn("one:1", "one")
    assert state(stand_in, {"one:1": {LABEL: "true", INPUTS_LABEL: stand_in.inputs}}) == "current"


def test_a_changed_dockerfile_outdates_an_image_and_all_that_is_built_on_it(folder: Path) -> None:
    base = StandIn("one:1", "one")
    dependant = StandIn("two:1", "one", (base,))
    before = base.inputs, dependant.inputs
    (folder / "one" / "Dockerfile").write_text("FROM scratch\nUSER 1\n")
    changed = StandIn("one:1", "one")
    assert changed.inputs != before[0]
    assert replace(dependant, bases=(changed,), folder="one").inputs != before[1]
    assert state(changed, {"one:1": {LABEL: "true", INPUTS_LABEL: before[0]}}) == "outdated"


def test_a_context_begins_as_a_tar_that_buildx_recognises(folder: Path, tmp_path: Path) -> None:
    context = tmp_path / "context.tar"
    StandIn("one:1", "one").write_context(context, tmp_path)
    with tarfile.open(context) as tar:
        assert tar.getnames() == ["Dockerfile"]
    assert context.read_bytes()[:10] == b"Dockerfile"


@pytest.mark.parametrize("name", NAMES)
def test_a_dockerfile_is_built_from_nothing_but_its_declared_bases(name: str) -> None:
    text = (BY_NAME[name].directory / "Dockerfile").read_text()
    stages = set(re.findall(r"^FROM \S+ AS (\S+)", text, re.MULTILINE))
    used = set(re.findall(r"(?:^FROM |--from=)(\S+)", text, re.MULTILINE)) - stages - {"scratch"}
    assert used == {base.name for base in BY_NAME[name].bases}


@pytest.mark.parametrize("name", NAMES)
def test_a_base_is_built_before_what_stands_on_it(name: str) -> None:
    before = NAMES[: NAMES.index(name)]
    assert all(base.name in before for base in BY_NAME[name].bases)


def test_every_image_of_the_compose_file_has_a_stand_in() -> None:
    lines = (REPOSITORY / "deploy/compose/.env").read_text().splitlines()
    wanted = {line.partition("=")[2] for line in lines if re.match(r"[A-Z0-9_]+_IMAGE=", line)}
    assert wanted
    assert wanted <= set(NAMES)


def test_the_readme_has_a_row_for_every_stand_in() -> None:
    readme = (IMAGES / "README.md").read_text()
    assert [name for name in NAMES if f"| `{name}`" not in readme] == []
