"""The profile `cluster`: the work is shared, and goes on while a broker, a node and a worker are away."""

from collections.abc import Iterator

import pytest
from images.docker import Docker

from compose.conftest import running
from compose.stack import ComposeStack

DOWN = ("kafka-2", "cassandra-2", "spark-worker-2")


@pytest.fixture(scope="module")
def cluster(docker: Docker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ComposeStack]:
    # A file that is told replaces the one beside compose.yaml; the tests have no .env there.
    options = ["--env-file", "deploy/compose/cluster.env"]
    with running(docker, "pinflow-cluster", tmp_path_factory.mktemp("secrets"), *options) as stack:
        yield stack


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


def test_one_of_each_may_be_away(cluster: ComposeStack) -> None:
    # After a kill by hand the engine restarts nothing.
    cluster.compose("kill", *DOWN)
    assert {cluster.health(service) for service in DOWN} == {"exited"}
    pass_the_dataset(cluster)
    assert {cluster.health(service) for service in DOWN} == {"exited"}


def pass_the_dataset(cluster: ComposeStack) -> None:
    """Post it, load it, and hold what arrived against it."""
    run = ("run", "--rm", "--no-TTY")
    cluster.compose(*run, "demo", "post")
    cluster.compose(*run, "batch-etl")
    checked = cluster.attempt(*run, "demo", "check")
    assert checked.returncode == 0, checked.stdout + checked.stderr
