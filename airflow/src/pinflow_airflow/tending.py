"""The tasks of `pins_health`: look, mend, and say what remains."""

import logging
import time
from collections.abc import Sequence

from airflow.sdk import Variable
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException
from prometheus_client import CollectorRegistry, push_to_gateway

from pinflow_airflow import settings
from pinflow_airflow.engine import Engine
from pinflow_airflow.health import Finding
from pinflow_airflow.looking import look, tell_figures
from pinflow_airflow.mending import History, Mender, recent
from pinflow_airflow.metrics import HealthMetrics
from pinflow_airflow.pushing import as_airflow

log = logging.getLogger(__name__)
# Seen under Admin, Variables; deleted, it gives every container its restarts again.
HISTORY = "pins_health_restarts"
# For those who waited for what has just been mended.
CALM_WITHIN_SECONDS = 90.0
POLL_SECONDS = 5.0
PUSH_TIMEOUT_SECONDS = 10
Told = list[dict[str, str]]


def found() -> Told:
    """Look at everything."""
    tell_figures()
    findings = look(Engine.told())
    for finding in findings:
        log.warning("%s", finding)
    if not findings:
        log.info("everything is well")
    return [finding.told() for finding in findings]


def mended(told: Told) -> list[str]:
    """Restart what a restart may mend; return the containers that are ready again."""
    sick = [Finding.from_told(one) for one in told]
    mendable = [finding for finding in sick if finding.reason.is_mended_by_a_restart]
    if not mendable:
        log.info("nothing that a restart would mend")
        raise AirflowSkipException
    mender = Mender(Engine.told(), history(), remember)
    return [finding.container for finding in mendable if mender.mend(finding)]


def judged(restarted: Sequence[str]) -> None:
    """Look again, tell Prometheus, and fail with what remains."""
    remaining = _calm(restarted)
    _push(remaining)
    if remaining:
        raise AirflowFailException("; ".join(str(finding) for finding in remaining))
    log.info("everything is well")


def _calm(restarted: Sequence[str]) -> list[Finding]:
    """What remains once those who waited for what has just been mended have had their time."""
    deadline = time.monotonic() + CALM_WITHIN_SECONDS
    while True:
        remaining = [
            finding
            for finding in look(Engine.told())
            if not (finding.reason.is_told_by_an_alert and finding.container in restarted)
        ]
        if not any(finding.reason.may_pass for finding in remaining) or time.monotonic() > deadline:
            return remaining
        time.sleep(POLL_SECONDS)


def _push(remaining: Sequence[Finding]) -> None:
    registry = CollectorRegistry()
    restarts = {container: len(times) for container, times in recent(history(), time.time()).items()}
    HealthMetrics(registry).tell([(f.container, f.reason.value) for f in remaining], restarts)
    # In place of what the last run pushed: who is well again is not in it.
    push_to_gateway(
        settings.pushgateway_url(),
        job="pins_health",
        registry=registry,
        timeout=PUSH_TIMEOUT_SECONDS,
        handler=as_airflow,
    )


def history() -> History:
    """When each container was restarted."""
    known: History = Variable.get(HISTORY, default={}, deserialize_json=True)
    return known


def remember(restarts: History) -> None:
    """Keep it for the runs to come."""
    Variable.set(HISTORY, restarts, description="When pins_health restarted what.", serialize_json=True)
