"""The schedule on the real stack: what each DAG does, and who may ask."""

from datetime import datetime
from urllib.parse import quote

import pytest

from compose.schedule import Airflow
from compose.stack import ComposeStack

pytestmark = pytest.mark.must(36, 37, 38, 39)


@pytest.mark.parametrize(
    "path", ["/dags", "/dags/pins_batch/dagRuns", "/variables", "/connections", "/config"]
)
def test_a_stranger_is_told_nothing(airflow: Airflow, stack: ComposeStack, path: str) -> None:
    assert Airflow(stack.ports["airflow"]).status("GET", path) == 401


def test_a_stranger_can_start_nothing(airflow: Airflow, stack: ComposeStack) -> None:
    stranger = Airflow(stack.ports["airflow"])
    assert stranger.status("POST", "/dags/pins_batch/dagRuns", {"logical_date": None}) == 401


@pytest.mark.parametrize("known", ["admin", "airflow", "password"])
def test_no_well_known_password_opens_it(stack: ComposeStack, known: str) -> None:
    assert Airflow(stack.ports["airflow"], known).login_status() == 401


def test_the_administrator_is_the_only_person(airflow: Airflow) -> None:
    assert [person["username"] for person in airflow.people()] == ["admin"]


def test_its_keys_are_the_generated_ones(stack: ComposeStack) -> None:
    ask = "from airflow.configuration import conf; "
    ask += "print(conf.get('core', 'fernet_key'), conf.get('api_auth', 'jwt_secret'))"
    told = stack.compose("exec", "--no-TTY", "airflow-scheduler", "python", "-c", ask).split()[-2:]
    assert told == [
        (stack.secrets / name).read_text() for name in ("airflow-fernet-key", "airflow-jwt-secret")
    ]


def test_nobody_in_it_can_write_a_dag(stack: ComposeStack) -> None:
    tried = stack.attempt("exec", "--no-TTY", "airflow-scheduler", "touch", "/opt/airflow/dags/evil.py")
    assert "Read-only file system" in tried.stderr


def test_it_has_no_login_to_any_store_of_pins(stack: ComposeStack) -> None:
    for service in ("airflow-scheduler", "airflow-triggerer", "airflow-dag-processor", "airflow-api-server"):
        mounted = {mount["Destination"] for mount in stack.inspect(service)["Mounts"]}
        secrets = {path.removeprefix("/run/secrets/") for path in mounted if path.startswith("/run/secrets/")}
        assert secrets
        assert all(name.startswith("airflow-") for name in secrets), service


def test_every_dag_is_there_without_an_error(airflow: Airflow) -> None:
    assert airflow.ask("GET", "/importErrors")["import_errors"] == []
    known = {dag["dag_id"] for dag in airflow.ask("GET", "/dags")["dags"]}
    assert known == {
        "pins_runtime",
        "pins_batch",
        "pins_health",
        "pins_redis_comparison",
        "pins_housekeeping",
    }


def test_a_killed_container_comes_back(stack: ComposeStack, airflow: Airflow, ran: dict[str, str]) -> None:
    run = ran["pins_health"]
    assert {"container": "s3-sink", "reason": "stopped", "detail": "exited with 137"} in airflow.result(
        "pins_health", run, "look"
    )
    assert airflow.result("pins_health", run, "mend") == ["s3-sink"]
    assert stack.health("s3-sink") == "healthy"


def test_a_dag_waits_for_the_first_good_run_of_the_runtime(airflow: Airflow, ran: dict[str, str]) -> None:
    runtime = airflow.ask("GET", f"/dags/pins_runtime/dagRuns/{quote(ran['pins_runtime'])}")
    assert runtime["run_type"] == "scheduled", "nobody asked for it"
    began = airflow.began("pins_housekeeping", ran["pins_housekeeping"], "delete_the_old")
    assert datetime.fromisoformat(began) > datetime.fromisoformat(runtime["end_date"])


def test_a_container_that_somebody_paused_is_left_alone(
    stack: ComposeStack, airflow: Airflow, ran: dict[str, str]
) -> None:
    stack.compose("pause", "redis-exporter")
    try:
        assert airflow.run("pins_health")[1] == "success"
        assert stack.inspect("redis-exporter")["State"]["Status"] == "paused"
    finally:
        stack.compose("unpause", "redis-exporter")


def test_a_batch_is_loaded_and_adds_up(airflow: Airflow, ran: dict[str, str]) -> None:
    run = ran["pins_batch"]
    assert airflow.tasks("pins_batch", run) == {
        "runtime_is_up": "success",
        "load": "success",
        "account": "success",
    }
    counts = airflow.result("pins_batch", run, "account")
    assert counts["read"] == 500
    assert counts["read"] == counts["clean"] + counts["duplicate"] + counts["rejected"]
    event = airflow.ask("GET", "/assets/events?order_by=-timestamp&limit=1")["asset_events"][0]
    assert event["source_run_id"] == run
    assert {name: event["extra"][name] for name in counts} == counts


def test_a_tasks_log_is_that_of_its_container(airflow: Airflow, ran: dict[str, str]) -> None:
    log = airflow.log("pins_batch", ran["pins_batch"], "load")
    assert "step done step=write" in log
    assert "batch-etl ended with 0: done" in log


def test_a_second_batch_finds_nothing_to_do(airflow: Airflow, ran: dict[str, str]) -> None:
    run, state = airflow.run("pins_batch")
    assert state == "success"
    assert airflow.tasks("pins_batch", run) == {
        "runtime_is_up": "success",
        "load": "skipped",
        "account": "skipped",
    }


def test_make_start_starts_streaming_where_it_does_not_run_and_touches_nothing_else(
    stack: ComposeStack, ran: dict[str, str]
) -> None:
    stack.docker.run("stop", stack.container("stream-etl"))
    before = {
        service: stack.inspect(service)["State"]["StartedAt"] for service in ("kafka", "s3-sink", "grafana")
    }
    told = stack.compose("exec", "--no-TTY", "airflow-api-server", "python", "-m", "pinflow_airflow.start")
    assert "services.stream-etl" in told
    assert told.rstrip().endswith("pins_runtime: success")
    assert stack.health("stream-etl") == "healthy"
    assert {service: stack.inspect(service)["State"]["StartedAt"] for service in before} == before
