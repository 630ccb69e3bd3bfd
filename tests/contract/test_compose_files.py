"""Compose ↔ settings, secrets and files: what the compose files say without an engine."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from string import Template
from typing import Any

import pytest
import yaml
from batch_etl.settings import BatchSettings
from ingest_api.settings import IngestSettings
from migrations.settings import MigrateSettings
from native_stack.settings import REPOSITORY
from reconcile.demo.settings import DemoSettings
from s3_sink.settings import SinkSettings
from service_runtime.settings import Settings
from stream_etl.settings import StreamSettings

COMPOSE = REPOSITORY / "deploy/compose"
SETTINGS: dict[str, type[Settings]] = {
    settings.model_config["env_prefix"]: settings
    for settings in (
        IngestSettings,
        SinkSettings,
        StreamSettings,
        BatchSettings,
        MigrateSettings,
        DemoSettings,
    )
}
INCLUDED = [COMPOSE / name for name in yaml.safe_load((COMPOSE / "compose.yaml").read_text())["include"]]
VARIABLE = re.compile(r"\$\{(\w+)(:[?-])?")


def services() -> Iterator[tuple[str, dict[str, Any]]]:
    for path in INCLUDED:
        yield from yaml.safe_load(path.read_text())["services"].items()


def defined(name: str) -> dict[str, str]:
    lines = (COMPOSE / name).read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def test_every_variable_that_a_service_is_told_is_one_of_its_settings() -> None:
    told = {variable for _, service in services() for variable in service.get("environment", {})}
    ours = {variable for variable in told if variable.startswith(tuple(SETTINGS))}
    assert len(ours) > 40
    for variable in ours:
        prefix = f"{variable.split('_', 1)[0]}_"
        field = variable.removeprefix(prefix).lower()
        # X may be told as the file X_FILE names; run_file is a path by itself.
        assert {field, field.removesuffix("_file")} & SETTINGS[prefix].model_fields.keys(), variable


def test_no_variable_holds_a_secret() -> None:
    for name, service in services():
        for variable, value in service.get("environment", {}).items():
            if re.search("PASSWORD|SECRET|DSN|PASS|REDIS_URL", variable):
                assert str(value).startswith("/run/secrets/"), f"{name}: {variable}"


@pytest.mark.parametrize("path", INCLUDED, ids=lambda path: path.name)
def test_every_variable_of_the_files_has_a_value_or_a_default(path: Path) -> None:
    versions = defined(".env")
    for variable, default in VARIABLE.findall(path.read_text()):
        assert default or variable in versions, variable


def test_every_version_is_pinned_and_used() -> None:
    text = "".join(path.read_text() for path in INCLUDED)
    for variable, image in defined(".env").items():
        assert f"${{{variable}}}" in text, f"{variable} is not used"
        if variable.endswith("_IMAGE"):
            assert re.search(r":v?\d+\.\d+", image), image


def test_the_clusters_sizes_are_sizes_of_the_default_too() -> None:
    assert defined("cluster.env").keys() - {"COMPOSE_PROFILES"} <= defined(".env").keys()


@pytest.mark.parametrize("sizes", [".env", "cluster.env"])
def test_every_file_that_is_mounted_or_built_from_exists(sizes: str) -> None:
    told = defined(".env") | defined(sizes)
    for path in INCLUDED:
        content = yaml.safe_load(path.read_text())
        files = [config["file"] for config in content.get("configs", {}).values()]
        for service in content["services"].values():
            build = service.get("build", {})
            if build:
                files.append(str(Path(build["context"]) / build.get("dockerfile", "Dockerfile")))
        for file in files:
            assert (path.parent / Template(file).substitute(told)).is_file(), f"{path.name}: {file}"


def test_every_container_is_hardened_and_nobody_elses_image_is_taken_for_ours() -> None:
    for name, service in services():
        ours = service["image"].startswith("pinflow/")
        assert service["extends"] == {"file": "base.yaml", "service": "ours" if ours else "hardened"}, name
        assert ("build" in service) == ours, name


def test_only_what_runs_tasks_reaches_the_socket_proxy() -> None:
    reaching = {name for name, service in services() if "scheduler" in service.get("networks", ())}
    assert reaching == {"socket-proxy", "airflow-scheduler", "airflow-triggerer"}


def test_a_switch_of_staging_is_a_service_of_its_own() -> None:
    make = ["make", "--dry-run", "--directory", str(REPOSITORY), "compose-demo", "STAGING=redis"]
    told = subprocess.run(make, check=True, capture_output=True, text=True).stdout
    assert "docker compose run --rm batch-etl-redis run --staging redis && " in told
    assert "batch-etl-redis" in dict(services())


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """What `make secrets` needs of a clone."""
    (tmp_path / "deploy/compose").mkdir(parents=True)
    shutil.copy(COMPOSE / "secrets.sh", tmp_path / "deploy/compose")
    return tmp_path


def make_secrets(clone: Path, **environment: str) -> str:
    clean = {name: value for name, value in os.environ.items() if name != "PINFLOW_SECRETS_DIR"}
    command = ["sh", str(clone / "deploy/compose/secrets.sh")]
    done = subprocess.run(command, env=clean | environment, check=True, capture_output=True, text=True)
    return done.stdout


@pytest.mark.parametrize("end", ["", "\n"])
def test_making_secrets_leaves_what_env_says_already(clone: Path, end: str) -> None:
    (clone / ".env").write_text(f"PINFLOW_DOMAIN=pins.example.org{end}")
    told = f"PINFLOW_DOMAIN=pins.example.org\nPINFLOW_SECRETS_DIR={clone}/deploy/compose/secrets\n"
    make_secrets(clone)
    assert (clone / ".env").read_text() == told
    assert "0 made" in make_secrets(clone)
    assert (clone / ".env").read_text() == told


def test_secrets_made_of_a_seed_are_the_same_everywhere_and_nobody_elses(clone: Path, tmp_path: Path) -> None:
    def made(directory: str, seed: str) -> dict[str, str]:
        (tmp_path / "seed").write_text(seed)
        told = {"PINFLOW_SECRETS_DIR": str(tmp_path / directory), "PINFLOW_SEED_FILE": str(tmp_path / "seed")}
        make_secrets(clone, **told)
        return {path.name: path.read_text() for path in (tmp_path / directory).iterdir()}

    here = made("here", "one")
    assert here == made("there", "one")
    assert not here.items() & made("elsewhere", "another").items()
    passwords = [text for name, text in here.items() if name.endswith(("password", "secret-key"))]
    assert len(set(passwords)) == len(passwords) > 20


def test_an_empty_seed_makes_no_secret(clone: Path, tmp_path: Path) -> None:
    (tmp_path / "seed").touch()
    told = {"PINFLOW_SECRETS_DIR": str(tmp_path / "none"), "PINFLOW_SEED_FILE": str(tmp_path / "seed")}
    with pytest.raises(subprocess.CalledProcessError):
        make_secrets(clone, **told)
    assert not list((tmp_path / "none").iterdir())


def test_secrets_are_made_where_env_says_they_are(clone: Path, tmp_path: Path) -> None:
    (clone / ".env").write_text(f"PINFLOW_SECRETS_DIR={tmp_path}/elsewhere\n")
    make_secrets(clone)
    assert (tmp_path / "elsewhere/kafka-admin-password").stat().st_size == 48
    assert not (clone / "deploy/compose/secrets").exists()
