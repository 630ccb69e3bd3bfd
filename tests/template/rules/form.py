"""The form that a person fills in, what the stack tells afterwards, and where it can stand."""

import re
from collections import Counter
from collections.abc import Iterator

from template.body import View, strings
from template.rules.registry import Complaint, rule

INTERFACE = "AWS::CloudFormation::Interface"
PAGES = ("AirflowPage", "GrafanaPage", "PrometheusPage", "AlertmanagerPage", "SparkPage")
_AREA = r"(?:af|ap|ca|cn|eu|il|me|mx|sa|us)(?:-gov|-iso[a-z]?)?"
HARD_CODED = {
    "an image": r"\bami-[0-9a-f]{8,}\b",
    "an account": r"(?<!\d)\d{12}(?!\d)",
    "a region or zone": rf"\b{_AREA}-(?:north|south|east|west|central)+-\d[a-z]?\b",
    "a partition": r"\barn:aws[a-z-]*:",
}


@rule("Whoever deploys reads the form, not the template.")
def parameters_are_described(view: View) -> Iterator[Complaint]:
    for name, parameter in view.body["Parameters"].items():
        if not parameter.get("Description"):
            yield Complaint(name, "has no Description")


@rule("A parameter without label or group is at the end of the form, under its internal name.")
def parameters_have_a_label_and_one_group(view: View) -> Iterator[Complaint]:
    interface = view.body["Metadata"][INTERFACE]
    grouped = Counter(name for group in interface["ParameterGroups"] for name in group["Parameters"])
    for name in view.body["Parameters"].keys() | grouped.keys() | interface["ParameterLabels"].keys():
        if name not in view.body["Parameters"]:
            yield Complaint(name, "is in the form, and no parameter")
        elif grouped[name] != 1 or not interface["ParameterLabels"].get(name, {}).get("default"):
            yield Complaint(name, f"is in {grouped[name]} groups, or has no label: one of each")


@rule("The same template is to stand in every account, region and partition.")
def nothing_is_hard_coded(view: View) -> Iterator[Complaint]:
    for section in ("Parameters", "Conditions", "Resources", "Outputs"):
        for name, entry in view.body[section].items():
            for text in strings(entry):
                for what, pattern in HARD_CODED.items():
                    if found := re.search(pattern, text):
                        yield Complaint(name, f"names {what}, {found[0]}: use a pseudo parameter")


@rule("The pages show and start everything: they are reached by Session Manager alone.")
def pages_are_told_and_closed(view: View) -> Iterator[Complaint]:
    groups = view.of("AWS::EC2::SecurityGroup")
    open_ports = [
        range(entry["FromPort"], entry["ToPort"] + 1)
        for _, group in groups
        for entry in group.get("SecurityGroupIngress", [])
        if "FromPort" in entry
    ]
    for name in ("Shell", *PAGES):
        told = str(view.resolve(view.body["Outputs"].get(name, {}).get("Value", "")))
        ports = [int(port) for port in re.findall(r"\bportNumber=(\d+)", told)]
        if "aws ssm start-session" not in told or len(ports) != (name != "Shell"):
            yield Complaint(name, "is no output that opens a session, to a page's one port")
        for port in ports:
            if any(port in opened for opened in open_ports):
                yield Complaint(name, f"{port} is open to others: take the rule away")
