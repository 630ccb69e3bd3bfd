"""The host: how it comes up, what it is told, its disks."""

import base64
import re
from collections.abc import Iterator

from template.body import Body, View, strings
from template.rules.registry import Complaint, rule

MINUTES = range(10, 61)
LARGEST_USER_DATA = 16 * 1024


def _launched(view: View) -> Iterator[tuple[str, Body]]:
    """Return what an instance is launched with, by itself or by a template."""
    for name, properties in view.of("AWS::EC2::LaunchTemplate"):
        yield name, properties["LaunchTemplateData"]
    yield from view.of("AWS::EC2::Instance")


def _user_data(view: View) -> Iterator[tuple[str, str]]:
    return ((name, data["UserData"]) for name, data in _launched(view) if "UserData" in data)


def _disks(view: View) -> Iterator[tuple[str, Body]]:
    for name, data in _launched(view):
        yield from ((name, mapping["Ebs"]) for mapping in data.get("BlockDeviceMappings", []))
    yield from view.of("AWS::EC2::Volume")


def _minutes(duration: str | None) -> int:
    """Return the minutes of an ISO 8601 duration; 0 for none."""
    found = re.fullmatch(r"PT(?:(\d+)H)?(?:(\d+)M)?", duration or "PT")
    return int(found[1] or 0) * 60 + int(found[2] or 0) if found else 0


@rule("With IMDSv1 one forged request of a container hands out the host's credentials.")
def metadata_ask_for_a_token(view: View) -> Iterator[Complaint]:
    for name, data in _launched(view):
        if data.get("MetadataOptions", {}).get("HttpTokens") != "required":
            yield Complaint(name, "HttpTokens is not `required`: set it in MetadataOptions")


@rule("A snapshot or a broken disk shall give nothing away.")
def disks_are_encrypted(view: View) -> Iterator[Complaint]:
    for name, disk in _disks(view):
        if not disk.get("Encrypted"):
            yield Complaint(name, "a disk is not encrypted: set Encrypted")
    for name, database in view.of("AWS::RDS::DBInstance"):
        if not database.get("StorageEncrypted"):
            yield Complaint(name, "storage is not encrypted: set StorageEncrypted")


@rule("gp2 is slower, dearer, and slows down when its credit is spent.")
def disks_are_gp3(view: View) -> Iterator[Complaint]:
    for name, disk in _disks(view):
        if disk.get("VolumeType") != "gp3":
            yield Complaint(name, f"VolumeType is {disk.get('VolumeType')}: set gp3")
    for name, database in view.of("AWS::RDS::DBInstance"):
        if database.get("StorageType") != "gp3":
            yield Complaint(name, f"StorageType is {database.get('StorageType')}: set gp3")


def _groups(view: View) -> Iterator[tuple[str, Body]]:
    for name, resource in view.body["Resources"].items():
        if resource["Type"] == "AWS::AutoScaling::AutoScalingGroup":
            yield name, resource


@rule("A stack that is CREATE_COMPLETE before its host works says what is not so.")
def creation_waits_for_the_host(view: View) -> Iterator[Complaint]:
    for name, group in _groups(view):
        signal = group.get("CreationPolicy", {}).get("ResourceSignal", {})
        if _minutes(signal.get("Timeout")) not in MINUTES:
            yield Complaint(name, f"waits {signal.get('Timeout')} for the first signal: 10 to 60 minutes")
        if str(signal.get("Count", 1)) != str(group["Properties"]["MinSize"]):
            yield Complaint(name, "waits for another number of hosts than it has")


@rule("An update that does not wait rolls nothing back when the new host fails.")
def updates_wait_for_the_host(view: View) -> Iterator[Complaint]:
    for name, group in _groups(view):
        update = group.get("UpdatePolicy", {}).get("AutoScalingRollingUpdate", {})
        if update.get("WaitOnResourceSignals") is not True:
            yield Complaint(name, "an update waits for no signal: set WaitOnResourceSignals")
        if _minutes(update.get("PauseTime")) not in MINUTES:
            yield Complaint(name, f"an update waits {update.get('PauseTime')}: PauseTime of 10 to 60 minutes")


@rule("Two hosts that want the one data volume wait for each other until the update fails.")
def one_host_at_a_time(view: View) -> Iterator[Complaint]:
    for name, group in _groups(view):
        update = group.get("UpdatePolicy", {}).get("AutoScalingRollingUpdate", {})
        if update.get("MinInstancesInService") != 0 or str(group["Properties"]["MaxSize"]) != "1":
            yield Complaint(name, "may run two hosts: MinInstancesInService 0 and MaxSize 1")


@rule("A host that fails in silence is waited for until the timeout, and nobody learns why.")
def user_data_tell_success_and_failure(view: View) -> Iterator[Complaint]:
    for name, script in _user_data(view):
        signals = re.search(r"signal-resource\b.*--stack-name", script)
        trapped = re.search(r"^\s*trap .*\bFAILURE\b.*\bEXIT$", script, re.MULTILINE)
        if not (signals and trapped and "SUCCESS" in script):
            yield Complaint(name, "user data must signal-resource, FAILURE too, in a trap of EXIT")


@rule("Whoever may describe instances, and every program of the host, reads user data.")
def user_data_hold_no_secret(view: View) -> Iterator[Complaint]:
    hidden = {name for name, parameter in view.body["Parameters"].items() if parameter.get("NoEcho")}
    for name, _ in _launched(view):
        for text in strings(view.body["Resources"][name]["Properties"]):
            # A function of CloudFormation names it as such, or within a ${…}.
            if "{{resolve:" in text or any(text == secret or f"${{{secret}}}" in text for secret in hidden):
                yield Complaint(name, "user data hold a secret: let the host fetch it")


@rule("EC2 takes 16 KiB; a template's is encoded. A longer one fails when the host is launched.")
def user_data_are_short(view: View) -> Iterator[Complaint]:
    for name, script in _user_data(view):
        size = len(base64.b64encode(script.encode()))
        if size > LARGEST_USER_DATA:
            yield Complaint(name, f"user data of {size} bytes, encoded: move it into the repository")


@rule("cloud-init runs what begins with #!, and passes over anything else in silence.")
def user_data_are_a_script(view: View) -> Iterator[Complaint]:
    for name, script in _user_data(view):
        if not script.startswith("#!"):
            yield Complaint(name, "user data do not begin with #!")
