"""Compose ↔ settings, secrets and files: what the compose files say without an engine."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from string import Template
from typing import Any
from urllib.parse import unquote

import pytest
import yaml
from batch_etl.settings import BatchSettings
from ingest_api.settings import IngestSettings
from migrations.settings import MigrateSettings
from native_stack.settings import REPOSITORY
from pydantic import PostgresDsn
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
OVERLAYS = [COMPOSE / name for name in ("trust.yaml", "cassandra-tls.yaml", "tls.yaml")]
VARIABLE = re.compile(r"\$\{(\w+)(:[?-])?")


def services(paths: Sequence[Path] = INCLUDED) -> Iterator[tuple[str, dict[str, Any]]]:
    for path in paths:
        yield from yaml.safe_load(path.read_text())["services"].items()


def defined(name: str) -> dict[str, str]:
    lines = (COMPOSE / name).read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def test_every_variable_that_a_service_is_told_is_one_of_its_settings() -> None:
    every = services([*INCLUDED, *OVERLAYS])
    told = {variable for _, service in every for variable in service.get("environment", {})}
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


@pytest.mark.parametrize("path", [*INCLUDED, *OVERLAYS], ids=lambda path: path.name)
def test_every_variable_of_the_files_has_a_value_or_a_default(path: Path) -> None:
    versions = defined(".env")
    for variable, default in VARIABLE.findall(path.read_text()):
        assert default or variable in versions, variable


def test_every_version_is_pinned_and_used() -> None:
    text = "".join(path.read_text() for path in INCLUDED)
    scripts = (COMPOSE / "secrets.sh").read_text()
    for variable, image in defined(".env").items():
        used = f"${{{variable}}}" in text or f"told {variable})" in scripts
        assert used, f"{variable} is not used"
        if variable.endswith("_IMAGE"):
            assert re.search(r":v?\d+\.\d+", image), image


def test_the_clusters_sizes_are_sizes_of_the_default_too() -> None:
    assert defined("cluster.env").keys() - {"COMPOSE_PROFILES"} <= defined(".env").keys()


def test_tls_is_a_choice_of_overlays_and_of_variables_that_the_default_has_too() -> None:
    told = defined("tls.env")
    files = [REPOSITORY / file for file in told.pop("COMPOSE_FILE").split(":")]
    assert files == [REPOSITORY / "compose.yaml", *OVERLAYS]
    assert told.keys() <= defined(".env").keys()


def test_the_overlays_change_services_that_there_are_and_mount_files_that_there_are() -> None:
    assert {name for name, _ in services(OVERLAYS)} <= {name for name, _ in services()}
    for path in OVERLAYS:
        for config in yaml.safe_load(path.read_text()).get("configs", {}).values():
            # The authorities are made, or the operator's.
            assert "$" in config["file"] or (REPOSITORY / config["file"]).is_file()


class Tagged(yaml.SafeLoader):
    """Reads compose's own tags, `!reset` and `!override`, as if they were not there."""


Tagged.add_multi_constructor(
    "!",
    lambda loader, _, node: (
        loader.construct_sequence(node)
        if isinstance(node, yaml.SequenceNode)
        else loader.construct_scalar(node)
    ),
)


def test_what_is_different_on_aws_is_different_from_something_and_told_by_the_host() -> None:
    host = REPOSITORY / "deploy/cloudformation/host"
    bring_up, included = (host / "bring-up").read_text(), dict(services())
    for path in (host / "aws.yaml", host / "rds.yaml"):
        overlay = yaml.load(path.read_text(), Tagged)
        for name, service in overlay["services"].items():
            told = {key for key in service.get("environment", {}) if key.startswith(tuple(SETTINGS))}
            for variable in told - included[name].get("environment", {}).keys():
                prefix = f"{variable.split('_', 1)[0]}_"
                assert variable.removeprefix(prefix).lower() in SETTINGS[prefix].model_fields, variable
        for variable, _ in VARIABLE.findall(path.read_text()):
            assert f'echo "{variable}=' in bring_up, variable


@pytest.mark.parametrize(
    ("server", "told_as", "paths"),
    [
        ("KAFKA", "KAFKA_BOOTSTRAP_SERVERS", OVERLAYS[:1]),
        ("CASSANDRA", "CASSANDRA_CONTACT_POINTS", OVERLAYS[1:2]),
    ],
)
def test_every_client_is_told_whom_to_trust(server: str, told_as: str, paths: list[Path]) -> None:
    trusting = dict(services(OVERLAYS[:1]))
    told = {name: service.get("environment", {}) for name, service in services(paths)}
    clients = [
        (name, variable.removesuffix(told_as))
        for name, service in services()
        for variable in service.get("environment", {})
        if variable.endswith(told_as)
    ]
    assert len(clients) >= 6
    for name, prefix in clients:
        (mounted,) = trusting[name]["configs"]
        assert told[name][f"{prefix}{server}_CA_FILE"] == mounted["target"], name


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


def test_a_start_that_a_slow_machine_delays_is_waited_for() -> None:
    for name, service in services():
        check = service.get("healthcheck")
        if check and not check.get("disable"):
            # Its first success ends it: a fast machine waits no longer for that.
            assert check["start_period"] == "5m", name
        build = service.get("build", {})
        if service["image"].startswith("pinflow/") and not check and "dockerfile" in build:
            dockerfile = (COMPOSE / build["context"] / build["dockerfile"]).read_text()
            assert "HEALTHCHECK" not in dockerfile or "--start-period=300s" in dockerfile, name


def test_what_may_read_a_log_again_before_it_answers_says_how_far_it_is() -> None:
    checks = {
        f"{path.name} {name}": service["healthcheck"]["test"]
        for path in (*INCLUDED, *OVERLAYS)
        for name, service in services([path])
        if name.startswith(("kafka", "cassandra", "postgres", "airflow-postgres"))
        and "healthcheck" in service
    }
    assert len(checks) >= 8
    assert {
        name for name, check in checks.items() if check[:3] != ["CMD", "sh", "/etc/pinflow/check.sh"]
    } == {
        # Not a server of the line: it reads no log.
        "observability.yaml postgres-exporter"
    }


def test_only_the_push_proxy_and_prometheus_reach_the_pushgateway() -> None:
    everything = dict(services())
    (network,) = everything["pushgateway"]["networks"]
    reaching = {name for name, service in everything.items() if network in service.get("networks", ())}
    assert reaching == {"pushgateway", "push-proxy", "prometheus"}


def test_the_socket_proxy_is_told_the_projects_name_and_knows_no_other() -> None:
    told = dict(services())["socket-proxy"]["environment"]["PINFLOW_PROJECT"]
    assert told == dict(services())["airflow-scheduler"]["environment"]["PINFLOW_PROJECT"]
    assert "containers/pinflow" not in (COMPOSE / "edge/socket-proxy.Caddyfile").read_text()


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
    for file in ("secrets.sh", "certificates.sh", "told.sh", ".env"):
        shutil.copy(COMPOSE / file, tmp_path / "deploy/compose")
    return tmp_path


def make_secrets(clone: Path, script: str = "secrets.sh", **environment: str) -> str:
    clean = {name: value for name, value in os.environ.items() if name != "PINFLOW_SECRETS_DIR"}
    command = ["sh", str(clone / "deploy/compose" / script)]
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


def test_another_postgres_is_told_by_variables_and_the_password_it_has(clone: Path) -> None:
    secrets = clone / "deploy/compose/secrets"
    secrets.mkdir()
    (secrets / "postgres-admin-password").write_text("it's #1?/100% @home\n")
    parameters = "sslmode=verify-full&sslrootcert=/etc/pinflow/authorities.pem"
    (clone / ".env").write_text(f"POSTGRES_ADDRESS=db.example.org:6432\nPOSTGRES_TLS={parameters}\n")
    make_secrets(clone, POSTGRES_ADMIN="master", POSTGRES_DATABASE="live")
    (host,) = PostgresDsn((secrets / "postgres-admin-dsn").read_text()).hosts()
    assert (host["username"], unquote(host["password"] or "")) == ("master", "it's #1?/100% @home")
    assert (host["host"], host["port"]) == ("db.example.org", 6432)
    stream = (secrets / "postgres-stream-dsn").read_text()
    assert stream.startswith("postgresql://stream_etl:")
    assert stream.endswith(f"@db.example.org:6432/live?{parameters}")


def test_a_certificate_is_made_once_and_bears_the_name_of_every_server(clone: Path) -> None:
    make_secrets(clone)
    make_secrets(clone, "certificates.sh")
    secrets = clone / "deploy/compose/secrets"
    made = {path: path.read_bytes() for path in secrets.glob("tls-*")}
    make_secrets(clone, "certificates.sh")
    assert {path: path.read_bytes() for path in secrets.glob("tls-*")} == made
    verify = ["openssl", "verify", "-CAfile", str(secrets / "tls-authority.pem"), "-verify_hostname"]
    for server in ("kafka", "kafka-2", "kafka-3", "cassandra", "cassandra-2", "cassandra-3"):
        subprocess.run([*verify, server, str(secrets / "tls-server")], check=True, capture_output=True)
    stranger = subprocess.run([*verify, "stranger", str(secrets / "tls-server")], check=False)
    assert stranger.returncode
