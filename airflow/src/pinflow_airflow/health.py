"""Who is sick, and of what, by what the engine, the services themselves and Prometheus say. No I/O."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pinflow_airflow.engine import ContainerState

HOST = "host"


class Reason(StrEnum):
    """Of what; the label `reason` of `pinflow_health_sick`."""

    NOT_STARTED = "not-started"
    STOPPED = "stopped"
    UNHEALTHY = "unhealthy"
    STANDS_STILL = "stands-still"
    CHECKPOINT_OLD = "checkpoint-old"
    MISSING = "missing"
    PAUSED = "paused"
    STARTS = "starts"
    WAITS = "waits"
    LAGS = "lags"
    DISK_FULL = "disk-full"
    UNKNOWN = "unknown"

    @property
    def is_mended_by_a_restart(self) -> bool:
        """Whether a start or restart may help; what waits or lags has a cause elsewhere."""
        return self in {
            Reason.NOT_STARTED,
            Reason.STOPPED,
            Reason.UNHEALTHY,
            Reason.STANDS_STILL,
            Reason.CHECKPOINT_OLD,
        }

    @property
    def is_told_by_an_alert(self) -> bool:
        """Whether it is of the last minutes: after a restart it ends with the next numbers."""
        return self in {Reason.STANDS_STILL, Reason.CHECKPOINT_OLD, Reason.LAGS}

    @property
    def may_pass(self) -> bool:
        """Whether it may end by itself, when what it waits for comes back."""
        return self in {Reason.STARTS, Reason.WAITS, Reason.LAGS, Reason.UNKNOWN}


@dataclass(frozen=True)
class Finding:
    """One sick container."""

    container: str
    reason: Reason
    detail: str

    def __str__(self) -> str:
        return f"{self.container}: {self.reason}: {self.detail}"

    def told(self) -> dict[str, str]:
        """As the result of a task."""
        return {"container": self.container, "reason": self.reason.value, "detail": self.detail}

    @classmethod
    def from_told(cls, told: Mapping[str, str]) -> "Finding":
        """Of the result of a task."""
        return cls(told["container"], Reason(told["reason"]), told["detail"])


# Lags, checkpoints and disks have one set of limits: those of Prometheus's rules.
ALERTS = {
    "PinsAcceptedNotArchived": ("s3-sink", Reason.STANDS_STILL),
    "StreamNotAdvancing": ("stream-etl", Reason.CHECKPOINT_OLD),
    "SinkLags": ("s3-sink", Reason.LAGS),
    "StreamLags": ("stream-etl", Reason.LAGS),
    "DiskFills": (HOST, Reason.DISK_FULL),
}


def of_container(state: ContainerState, awaited: Mapping[str, str]) -> Finding | None:
    """What a container's state says; `awaited` is what it says itself it waits for, with the reason."""
    if state.status == "running":
        return _of_health(state, awaited)
    if state.status == "paused":
        return Finding(state.service, Reason.PAUSED, "left alone until somebody unpauses it")
    if state.status == "restarting":
        return Finding(state.service, Reason.UNHEALTHY, f"it dies and starts again and again: {state.said}")
    ended = Reason.NOT_STARTED if state.status == "created" else Reason.STOPPED
    return Finding(state.service, ended, state.said)


def _of_health(state: ContainerState, awaited: Mapping[str, str]) -> Finding | None:
    if state.health != "unhealthy":
        return None
    if state.is_starting:
        return Finding(state.service, Reason.STARTS, state.progress)
    if awaited:
        waits = "; ".join(f"{name}: {why}" for name, why in awaited.items())
        return Finding(state.service, Reason.WAITS, waits)
    return Finding(state.service, Reason.UNHEALTHY, state.last_probe or "its health check fails")


def of_alerts(firing: Iterable[Mapping[str, str]]) -> list[Finding]:
    """What the alerts that fire say, given as their labels; one finding a container and reason."""
    found: dict[tuple[str, Reason], Finding] = {}
    for labels in firing:
        if labels["alertname"] in ALERTS:
            container, reason = ALERTS[labels["alertname"]]
            which = ", ".join(
                f"{name} {labels[name]}" for name in ("partition", "query", "mountpoint") if name in labels
            )
            found.setdefault(
                (container, reason), Finding(container, reason, f"{labels['alertname']} {which}".strip())
            )
    return list(found.values())


def together(containers: Iterable[Finding], alerts: Iterable[Finding]) -> list[Finding]:
    """Both, without what an alert says of a container that a state explains.

    One that somebody paused is not sick: it is left out, with all that its rest makes an alert say of it.
    """
    first = list(containers)
    known = {finding.container for finding in first}
    sick = [finding for finding in first if finding.reason is not Reason.PAUSED]
    return sick + [finding for finding in alerts if finding.container not in known]


def awaited(report: Mapping[str, Any]) -> dict[str, str]:
    """What a service waits for, by its answer at /health/ready, with the reason."""
    return {
        name: f"{told.get('why')} (since {told.get('since')})"
        for name, told in report.get("dependencies", {}).items()
        if told.get("state") != "up"
    }
