"""Who reaches what."""

import re
from collections.abc import Iterator
from ipaddress import ip_network

from template.body import Body, View
from template.rules.registry import Complaint, rule

# A network this large is everybody, even if it is half of them.
LARGEST_PREFIX = 7
PINS = (443, 443)
# What EC2 takes in the description of a rule. Neither moto nor cfn-lint looks.
DESCRIPTION = r"[a-zA-Z0-9 ._:/()#,@\[\]+=&;{}!$*-]{0,255}"
WEB = {(80, 80), (443, 443)}
ZONES = 2


def _rules(view: View, direction: str) -> Iterator[tuple[str, Body]]:
    """Return every rule of a direction, those of a group and those that stand alone."""
    for name, properties in view.of("AWS::EC2::SecurityGroup"):
        yield from ((name, entry) for entry in properties.get(f"SecurityGroup{direction}", []))
    yield from view.of(f"AWS::EC2::SecurityGroup{direction}")


def _for_everybody(entry: Body) -> bool:
    told = [entry[key] for key in ("CidrIp", "CidrIpv6") if "/" in entry.get(key, "")]
    return any(ip_network(network).prefixlen <= LARGEST_PREFIX for network in told)


def _ports(entry: Body) -> tuple[int, int]:
    return int(entry.get("FromPort", 0)), int(entry.get("ToPort", 65535))


@rule("Kafka, Cassandra, Redis and PostgreSQL are for the host; strangers find the edge, which speaks TLS.")
def only_443_is_open_to_everybody(view: View) -> Iterator[Complaint]:
    for name, entry in _rules(view, "Ingress"):
        if _for_everybody(entry) and entry["IpProtocol"] != "-1" and _ports(entry) != PINS:
            yield Complaint(name, f"opens {_ports(entry)} to everybody: open 443 alone, or name a network")


@rule("EC2 refuses an apostrophe there, and with it the whole stack.")
def rules_are_described_in_plain_letters(view: View) -> Iterator[Complaint]:
    for direction in ("Ingress", "Egress"):
        for name, entry in _rules(view, direction):
            if not re.fullmatch(DESCRIPTION, entry.get("Description", "")):
                yield Complaint(name, f"{direction}: {entry['Description']} has letters that EC2 refuses")


@rule("A rule for every protocol is a rule for every port, too.")
def no_rule_for_every_protocol(view: View) -> Iterator[Complaint]:
    for direction in ("Ingress", "Egress"):
        for name, entry in _rules(view, direction):
            if str(entry["IpProtocol"]) == "-1":
                yield Complaint(name, f"{direction} of protocol -1: name a protocol and its ports")


@rule("What breaks into a container shall not talk to any port of anybody.")
def the_way_out_is_the_web(view: View) -> Iterator[Complaint]:
    for name, properties in view.of("AWS::EC2::SecurityGroup"):
        if not properties.get("SecurityGroupEgress"):
            yield Complaint(name, "without a rule for what goes out all of it may: write one")
    for name, entry in _rules(view, "Egress"):
        if _for_everybody(entry) and entry["IpProtocol"] != "-1" and _ports(entry) not in WEB:
            yield Complaint(name, f"lets {_ports(entry)} out to everywhere: 80 and 443 are enough")


def _subnets(view: View, *, public: bool) -> dict[str, Body]:
    subnets = view.of("AWS::EC2::Subnet")
    return {name: subnet for name, subnet in subnets if bool(subnet.get("MapPublicIpOnLaunch")) == public}


@rule("A database of RDS wants two zones, and so does a host whose zone is gone.")
def subnets_are_in_two_zones(view: View) -> Iterator[Complaint]:
    for public, kind in ((True, "public"), (False, "private")):
        zones = {subnet["AvailabilityZone"] for subnet in _subnets(view, public=public).values()}
        if len(zones) != ZONES:
            yield Complaint("Network", f"{kind} subnets in {sorted(zones)}: have one in each of two zones")


@rule("Data that nobody can send away stay: the private subnets have no route but the local one.")
def private_subnets_have_no_way_out(view: View) -> Iterator[Complaint]:
    associations = view.of("AWS::EC2::SubnetRouteTableAssociation")
    table_of = {entry["SubnetId"]: entry["RouteTableId"] for _, entry in associations}
    leading_out = {route["RouteTableId"]: name for name, route in view.of("AWS::EC2::Route")}
    for subnet in _subnets(view, public=False):
        if subnet not in table_of:
            yield Complaint(subnet, "uses the network's main route table: give it one of its own")
        elif table_of[subnet] in leading_out:
            yield Complaint(subnet, f"has a way out, {leading_out[table_of[subnet]]}: take it away")


@rule("A server that holds data is not to be in a subnet that the internet reaches.")
def databases_are_in_private_subnets(view: View) -> Iterator[Complaint]:
    public = _subnets(view, public=True)
    for name, group in view.of("AWS::RDS::DBSubnetGroup"):
        for subnet in public.keys() & set(group["SubnetIds"]):
            yield Complaint(name, f"{subnet} is public: name private subnets")
