"""The profile `cluster`, spoken to over TLS as managed servers are: the work goes on without one of each."""

import os
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from images.docker import Docker
from native_stack.settings import REPOSITORY

from compose.conftest import running
from compose.stack import ComposeStack

DOWN = ("kafka-2", "cassandra-2", "spark-worker-2")
# A file that is told replaces the one beside compose.yaml; the tests have no .env there.
SIZES = ("--env-file", "deploy/compose/cluster.env")
FILES = (
    "compose.yaml",
    "deploy/compose/trust.yaml",
    "deploy/compose/cassandra-tls.yaml",
    "deploy/compose/tls.yaml",
    "tests/compose/managed-postgres/compose.yaml",
)
TLS = ("--env-file", "deploy/compose/tls.env", *(part for file in FILES for part in ("--file", file)))
MANAGED = {
    "POSTGRES_ADDRESS": "managed-postgres:5432",
    "POSTGRES_DATABASE": "live",
    "POSTGRES_ADMIN": "master",
    "POSTGRES_TLS": "sslmode=verify-full&sslrootcert=/etc/pinflow/authorities.pem",
}
TIME_IS_UP = 5


@pytest.fixture(scope="module")
def cluster(docker: Docker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ComposeStack]:
    secrets = tmp_path_factory.mktemp("secrets")
    script = ["sh", str(REPOSITORY / "deploy/compose/certificates.sh")]
    subprocess.run(script, env=os.environ | {"PINFLOW_SECRETS_DIR": str(secrets)}, check=True)
    managed = self_signed(secrets / "managed-postgres", "managed-postgres")
    trusted = secrets / "trusted.pem"
    trusted.write_text((secrets / "tls-authority.pem").read_text() + managed)
    variables = {**MANAGED, "PINFLOW_AUTHORITIES": str(trusted)}
    with running(docker, "pinflow-cluster", secrets, *SIZES, *TLS, **variables) as stack:
        yield stack


def self_signed(path: Path, name: str) -> str:
    """Make a server's key and certificate, in one file; the certificate, which is its own authority."""
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", str(path)]
    name_it = ["-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}", "-days", "2"]
    made = subprocess.run(
        ["openssl", "req", "-x509", *key, *name_it], check=True, capture_output=True, text=True
    )
    path.write_text(path.read_text() + made.stdout)
    path.chmod(0o644)
    return made.stdout


def test_the_batch_job_runs_on_both_workers(cluster: ComposeStack) -> None:
    pass_the_dataset(cluster)
    master = cluster.compose("logs", "spark-master")
    workers = {
        line.rpartition(" on worker ")[2] for line in master.splitlines() if "Launching executor" in line
    }
    assert len(workers) == 2


@pytest.mark.parametrize("kept_by", ["kafka", "kafka-2", "kafka-3"])
def test_topics_have_three_replicas(cluster: ComposeStack, kept_by: str) -> None:
    assert "pins-0" in cluster.compose("exec", "--no-TTY", kept_by, "ls", "/var/lib/kafka/data")


def test_every_broker_and_node_is_watched(cluster: ComposeStack) -> None:
    seen = {sample["metric"]["instance"] for sample in cluster.prometheus('up{job=~"kafka|cassandra"} == 1')}
    assert seen == {f"{name}{suffix}:9404" for name in ("kafka", "cassandra") for suffix in ("", "-2", "-3")}


def test_kafkas_own_tools_speak_tls_too(cluster: ComposeStack) -> None:
    tool = ("exec", "--no-TTY", "kafka", "sh", "/etc/pinflow/tool.sh")
    assert "pins" in cluster.compose(*tool, "topics", "--list").splitlines()


@pytest.mark.parametrize("step", ["kafka", "cassandra", "postgres"])
def test_a_server_that_a_stranger_signed_is_refused_and_why(
    cluster: ComposeStack, tmp_path: Path, step: str
) -> None:
    strangers = tmp_path / "strangers.pem"
    strangers.write_text(self_signed(tmp_path / "stranger", "stranger"))
    told = {**cluster.docker.environment, "PINFLOW_AUTHORITIES": str(strangers)}
    assert "certificate verify failed" in refused(replace(cluster, docker=Docker(told)), step)


def test_a_node_without_the_first_contact_points_name_is_refused_and_why(cluster: ComposeStack) -> None:
    other_name = f"MIGRATE_CASSANDRA_CONTACT_POINTS={cluster.container('cassandra')}"
    assert "Hostname mismatch" in refused(cluster, "cassandra", "--env", other_name)


@pytest.mark.parametrize("step", ["kafka", "cassandra"])
def test_who_speaks_no_tls_is_not_heard(cluster: ComposeStack, step: str) -> None:
    said = refused(replace(cluster, options=SIZES), step)
    assert "certificate" not in said
    assert "closed" in said or "reset" in said, said


def test_postgres_hears_nobody_without_tls(cluster: ComposeStack) -> None:
    login = "host=managed-postgres dbname=live user=master sslmode=disable"
    said = cluster.attempt("exec", "--no-TTY", "managed-postgres", "psql", "--no-password", login)
    assert "no encryption" in said.stderr


def test_one_of_each_may_be_away(cluster: ComposeStack) -> None:
    # After a kill by hand the engine restarts nothing.
    cluster.compose("kill", *DOWN)
    assert {cluster.health(service) for service in DOWN} == {"exited"}
    pass_the_dataset(cluster)
    assert {cluster.health(service) for service in DOWN} == {"exited"}


def refused(cluster: ComposeStack, step: str, *options: str) -> str:
    """Let a client wait for a server that it cannot talk to; what it says of the reason."""
    run = ("run", "--rm", "--no-deps", "--no-TTY", *options, "migrate", step, "--timeout-seconds", "15")
    done = cluster.attempt(*run)
    assert done.returncode == TIME_IS_UP, done.stdout + done.stderr
    return done.stdout + done.stderr


def pass_the_dataset(cluster: ComposeStack) -> None:
    """Post it, load it, and hold what arrived against it."""
    run = ("run", "--rm", "--no-TTY")
    cluster.compose(*run, "demo", "post")
    cluster.compose(*run, "batch-etl")
    checked = cluster.attempt(*run, "demo", "check")
    assert checked.returncode == 0, checked.stdout + checked.stderr
