"""Alarms and logs."""

from collections.abc import Iterator

from template.body import View
from template.rules.registry import Complaint, rule

ALARM = "AWS::CloudWatch::Alarm"
READY = "Ready"


@rule("A log group without an age limit is kept, and paid for, for ever.")
def logs_are_forgotten(view: View) -> Iterator[Complaint]:
    for name, group in view.of("AWS::Logs::LogGroup"):
        if not group.get("RetentionInDays"):
            yield Complaint(name, "has no RetentionInDays")


@rule("A host that is gone sends no metric: for readiness silence is the alarm.")
def silence_of_ready_is_an_alarm(view: View) -> Iterator[Complaint]:
    watching = [(name, alarm) for name, alarm in view.of(ALARM) if alarm["MetricName"] == READY]
    if not watching:
        yield Complaint("Resources", f"no alarm looks at {READY}")
    for name, alarm in watching:
        if alarm.get("TreatMissingData") != "breaching":
            yield Complaint(name, "TreatMissingData is not `breaching`")


@rule("An alarm without an action is a light in an empty room.")
def alarms_tell_somebody(view: View) -> Iterator[Complaint]:
    # Where there is an address; without one they are looked at.
    for name, alarm in view.of(ALARM) if view.conditions else ():
        for actions in ("AlarmActions", "OKActions"):
            if not alarm.get(actions):
                yield Complaint(name, f"has no {actions}")
