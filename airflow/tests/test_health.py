"""Who is sick, and of what."""

import pytest
from pinflow_airflow.engine import PROGRESS, ContainerState
from pinflow_airflow.health import Finding, Reason, awaited, of_alerts, of_container, together

pytestmark = pytest.mark.must(38)


def state(status: str = "running", health: str | None = "healthy", **more: object) -> ContainerState:
    """Return a container's state."""
    known = {
        "exit_code": 0,
        "out_of_memory": False,
        "started_at": "2026-11-27T08:00:00.000000000Z",
        "last_probe": "",
    }
    return ContainerState(service="s3-sink", status=status, health=health, **(known | more))  # type: ignore[arg-type]


@pytest.mark.parametrize("health", ["healthy", "starting", None])
def test_what_runs_and_is_not_unhealthy_is_well(health: str | None) -> None:
    assert of_container(state(health=health), {}) is None


def test_what_does_not_run_is_stopped_and_says_how_it_ended() -> None:
    found = of_container(state("exited", None, exit_code=137, out_of_memory=True), {})
    assert found == Finding("s3-sink", Reason.STOPPED, "exited with 137, for its memory")


def test_what_was_never_started_has_not_stopped() -> None:
    refused = "driver failed: port is already allocated"
    found = of_container(state("created", None, error=refused), {})
    assert found == Finding("s3-sink", Reason.NOT_STARTED, refused)


def test_what_is_paused_is_not_sick_whatever_its_alerts_say() -> None:
    paused = of_container(state("paused"), {})
    assert paused
    assert not paused.reason.is_mended_by_a_restart
    assert together([paused], of_alerts([{"alertname": "PinsAcceptedNotArchived"}])) == []


def test_what_works_on_its_start_is_left_to_it() -> None:
    progress = f"{PROGRESS}7 MiB read and written since the last look"
    found = of_container(state(health="unhealthy", progress=progress), {"kafka": "no broker"})
    assert found == Finding("s3-sink", Reason.STARTS, progress)
    assert not found.reason.is_mended_by_a_restart


def test_what_starts_again_and_again_is_unhealthy() -> None:
    assert of_container(state("restarting", None), {}).reason is Reason.UNHEALTHY  # type: ignore[union-attr]


def test_what_is_unhealthy_says_what_its_probe_said() -> None:
    found = of_container(state(health="unhealthy", last_probe="no answer"), {})
    assert found == Finding("s3-sink", Reason.UNHEALTHY, "no answer")


def test_what_waits_for_something_else_is_not_restarted_for_that() -> None:
    found = of_container(state(health="unhealthy"), {"kafka": "no broker"})
    assert found == Finding("s3-sink", Reason.WAITS, "kafka: no broker")
    assert not found.reason.is_mended_by_a_restart


def test_a_stream_that_commits_nothing_is_restarted_and_one_that_lags_is_not() -> None:
    found = of_alerts(
        [
            {"alertname": "StreamNotAdvancing", "query": "live"},
            {"alertname": "StreamNotAdvancing", "query": "sessions"},
            {"alertname": "StreamLags", "query": "live"},
            {"alertname": "SomebodyElses"},
        ]
    )
    assert [(f.container, f.reason) for f in found] == [
        ("stream-etl", Reason.CHECKPOINT_OLD),
        ("stream-etl", Reason.LAGS),
    ]
    assert [f.reason.is_mended_by_a_restart for f in found] == [True, False]


def test_a_full_disk_is_the_hosts() -> None:
    (found,) = of_alerts([{"alertname": "DiskFills", "mountpoint": "/"}])
    assert str(found) == "host: disk-full: DiskFills mountpoint /"


def test_a_container_that_is_down_explains_its_alerts() -> None:
    down = Finding("s3-sink", Reason.STOPPED, "exited with 1")
    assert together([down], of_alerts([{"alertname": "SinkLags"}, {"alertname": "StreamLags"}])) == [
        down,
        Finding("stream-etl", Reason.LAGS, "StreamLags"),
    ]


def test_what_a_service_waits_for_is_read_from_its_report() -> None:
    report = {
        "status": "waiting",
        "dependencies": {
            "kafka": {"state": "up", "since": "2026-11-27T08:00:00"},
            "s3": {"state": "waiting", "since": "2026-11-27T08:01:00", "why": "refused"},
        },
    }
    assert awaited(report) == {"s3": "refused (since 2026-11-27T08:01:00)"}


@pytest.mark.parametrize("reason", Reason)
def test_a_finding_survives_being_the_result_of_a_task(reason: Reason) -> None:
    finding = Finding("kafka", reason, "why")
    assert Finding.from_told(finding.told()) == finding
