"""CloudFormation by moto, and what moto leaves out of it, made by calls to each service's own API.

botocore checks the properties of those against the API's own shapes. What is left out still: CreationPolicy,
UpdatePolicy, and conditions on an update.
"""

import json
import os
import re
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from unittest.mock import patch

import boto3
from moto.cloudformation import models, parsing
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.iam.aws_managed_policies import aws_managed_policies_data
from moto.iam.models import AWSManagedPolicy, iam_backends
from moto.server import ThreadedMotoServer
from moto.ssm.models import ssm_backends

from template.body import REGION
from template.rules.access import MANAGED

IMAGE = "ami-12c6146b"
IMAGE_PARAMETER = "/aws/service/debian/release/12/latest/amd64"
ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "AKIATESTS",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "AWS_DEFAULT_REGION": REGION,
    # Neither a profile of whoever runs the tests nor the metadata of his machine.
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
}
Properties = dict[str, Any]


@contextmanager
def running() -> Iterator[None]:
    """Let every client of boto3 talk to an empty moto while the block runs."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    try:
        with (
            patch.dict(os.environ, {**environment, **ENVIRONMENT, "AWS_ENDPOINT_URL": url}, clear=True),
            patch.object(boto3, "DEFAULT_SESSION", _session()),
            patch.object(parsing, "clean_json", _clean),
            patch.object(parsing, "parse_and_create_resource", _create),
            patch.object(parsing, "get_references_from_template", _references),
            patch.object(models.ChangeSet, "apply", _apply),
            patch.object(parsing.ResourceMap, "delete", _delete),
        ):
            # The server's state is this process's: what an earlier one left.
            urllib.request.urlopen(urllib.request.Request(f"{url}/moto-api/reset", method="POST")).close()
            _know_image()
            _know_managed_policy()
            yield
    finally:
        server.stop()


@cache
def _session() -> boto3.Session:
    """Return one session for all: each reads the shapes of every service anew."""
    return boto3.Session(ENVIRONMENT["AWS_ACCESS_KEY_ID"], ENVIRONMENT["AWS_SECRET_ACCESS_KEY"])


def _know_image() -> None:
    """Enter the parameter that names Debian's image; nobody may write one of that name by the API."""
    boto3.client("ssm").put_parameter(Name="/image", Value=IMAGE, Type="String")
    parameters = ssm_backends[DEFAULT_ACCOUNT_ID][REGION]._parameters
    parameters[IMAGE_PARAMETER] = parameters["/image"]


def _know_managed_policy() -> None:
    """Enter the one policy of AWS's own that the template names; to load them all takes seconds."""
    name = MANAGED.rpartition("/")[2]
    policy = AWSManagedPolicy.from_data(name, DEFAULT_ACCOUNT_ID, REGION, _managed_policies()[name])
    iam_backends[DEFAULT_ACCOUNT_ID]["aws"].managed_policies[policy.arn] = policy


@cache
def _managed_policies() -> dict[str, Any]:
    return dict(json.loads(aws_managed_policies_data))


@dataclass
class Made:
    """A resource as moto's stacks handle one."""

    physical_resource_id: str
    delete_it: Callable[[], object]
    attributes: dict[str, str] = field(default_factory=dict)
    logical_resource_id: str = ""
    cf_resource_type: str = ""

    def is_created(self) -> bool:
        """Return whether a stack may go on."""
        return True

    def get_cfn_attribute(self, name: str) -> str:
        """Answer Fn::GetAtt."""
        return self.attributes[name]

    def delete(self, _account: str, _region: str) -> None:
        """Delete it, as its stack is."""
        self.delete_it()


def _alarm(name: str, properties: Properties) -> Made:
    alarms = boto3.client("cloudwatch")
    alarms.put_metric_alarm(AlarmName=name, **properties)
    return Made(name, lambda: alarms.delete_alarms(AlarmNames=[name]))


def _role_policy(name: str, properties: Properties) -> Made:
    iam = boto3.client("iam")
    place = {"RoleName": properties["RoleName"], "PolicyName": properties["PolicyName"]}
    iam.put_role_policy(**place, PolicyDocument=json.dumps(properties["PolicyDocument"]))
    return Made(name, lambda: iam.delete_role_policy(**place))


def _bucket_policy(name: str, properties: Properties) -> Made:
    s3, bucket = boto3.client("s3"), properties["Bucket"]
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps(properties["PolicyDocument"]))
    return Made(name, lambda: s3.delete_bucket_policy(Bucket=bucket))


def _secret(name: str, properties: Properties) -> Made:
    secrets = boto3.client("secretsmanager")
    how = dict(properties["GenerateSecretString"])
    key, fixed = how.pop("GenerateStringKey", None), how.pop("SecretStringTemplate", None)
    drawn = secrets.get_random_password(**how)["RandomPassword"]
    value = json.dumps({**json.loads(fixed), key: drawn}) if key else drawn
    arn = secrets.create_secret(Name=name, Description=properties["Description"], SecretString=value)["ARN"]
    return Made(arn, lambda: secrets.delete_secret(SecretId=arn))


def _association(_name: str, properties: Properties) -> Made:
    ec2 = boto3.client("ec2")
    association = ec2.associate_route_table(**properties)["AssociationId"]
    return Made(association, lambda: ec2.disassociate_route_table(AssociationId=association))


def _volume(_name: str, properties: Properties) -> Made:
    ec2 = boto3.client("ec2")
    tags = [{"ResourceType": "volume", "Tags": properties.pop("Tags")}]
    volume = ec2.create_volume(**properties, TagSpecifications=tags)["VolumeId"]
    return Made(volume, lambda: ec2.delete_volume(VolumeId=volume))


def _subnet_group(name: str, properties: Properties) -> Made:
    rds = boto3.client("rds")
    rds.create_db_subnet_group(DBSubnetGroupName=name, **properties)
    return Made(name, lambda: rds.delete_db_subnet_group(DBSubnetGroupName=name))


def _parameter_group(name: str, properties: Properties) -> Made:
    rds, family = boto3.client("rds"), properties["Family"]
    place = {"DBParameterGroupName": name}
    rds.create_db_parameter_group(
        **place, DBParameterGroupFamily=family, Description=properties["Description"]
    )
    parameters = [
        {"ParameterName": key, "ParameterValue": value, "ApplyMethod": "pending-reboot"}
        for key, value in properties["Parameters"].items()
    ]
    rds.modify_db_parameter_group(**place, Parameters=parameters)
    return Made(name, lambda: rds.delete_db_parameter_group(**place))


def _database(name: str, properties: Properties) -> Made:
    rds = boto3.client("rds")
    properties["VpcSecurityGroupIds"] = properties.pop("VPCSecurityGroups")
    properties["MasterUserPassword"] = _resolved(properties["MasterUserPassword"])
    made = rds.create_db_instance(DBInstanceIdentifier=name, **properties)["DBInstance"]
    address = made["Endpoint"]["Address"]
    return Made(
        name,
        lambda: rds.delete_db_instance(DBInstanceIdentifier=name, SkipFinalSnapshot=True),
        # Of Endpoint.Address moto asks for the first half.
        {"Endpoint": address},
    )


def _resolved(reference: str) -> str:
    found = re.fullmatch(r"\{\{resolve:secretsmanager:(arn:.+):SecretString:(\w+)\}\}", reference)
    assert found, reference
    secret = boto3.client("secretsmanager").get_secret_value(SecretId=found[1])["SecretString"]
    return str(json.loads(secret)[found[2]])


MAKERS: dict[str, Callable[[str, Properties], Made]] = {
    "AWS::CloudWatch::Alarm": _alarm,
    "AWS::EC2::SubnetRouteTableAssociation": _association,
    "AWS::EC2::Volume": _volume,
    "AWS::IAM::RolePolicy": _role_policy,
    "AWS::RDS::DBInstance": _database,
    "AWS::RDS::DBParameterGroup": _parameter_group,
    "AWS::RDS::DBSubnetGroup": _subnet_group,
    "AWS::S3::BucketPolicy": _bucket_policy,
    "AWS::SecretsManager::Secret": _secret,
}


def _complete_bucket(bucket: str, properties: Properties) -> None:
    s3, place = boto3.client("s3"), {"Bucket": bucket}
    s3.put_public_access_block(
        **place, PublicAccessBlockConfiguration=properties["PublicAccessBlockConfiguration"]
    )
    s3.put_bucket_ownership_controls(**place, OwnershipControls=properties["OwnershipControls"])
    s3.put_bucket_versioning(**place, VersioningConfiguration=properties["VersioningConfiguration"])
    rules = [_lifecycle_rule(dict(rule)) for rule in properties["LifecycleConfiguration"]["Rules"]]
    s3.put_bucket_lifecycle_configuration(**place, LifecycleConfiguration={"Rules": rules})


def _lifecycle_rule(rule: Properties) -> Properties:
    """Return a rule in the words of S3, which are not CloudFormation's."""
    rule |= {"ID": rule.pop("Id"), "Filter": {"Prefix": rule.pop("Prefix", "")}}
    if days := rule.pop("ExpirationInDays", None):
        rule["Expiration"] = {"Days": int(days)}
    return rule


def _complete_group(group: str, properties: Properties) -> None:
    """Put the rules for what goes out in the place of the one that every group begins with."""
    ec2 = boto3.client("ec2")
    begun = ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"][0]["IpPermissionsEgress"]
    ec2.revoke_security_group_egress(GroupId=group, IpPermissions=begun)
    wanted = [
        {
            "IpProtocol": rule["IpProtocol"],
            "FromPort": rule["FromPort"],
            "ToPort": rule["ToPort"],
            "IpRanges": [{"CidrIp": rule["CidrIp"], "Description": rule["Description"]}],
        }
        for rule in properties["SecurityGroupEgress"]
    ]
    ec2.authorize_security_group_egress(GroupId=group, IpPermissions=wanted)


def _complete_network(network: str, properties: Properties) -> None:
    ec2 = boto3.client("ec2")
    for name in ("EnableDnsSupport", "EnableDnsHostnames"):
        ec2.modify_vpc_attribute(VpcId=network, **{name: {"Value": properties[name]}})


def _complete_role(role: str, properties: Properties) -> None:
    for arn in properties.get("ManagedPolicyArns", []):
        boto3.client("iam").attach_role_policy(RoleName=role, PolicyArn=arn)


def _complete_subnet(subnet: str, properties: Properties) -> None:
    public = {"Value": properties.get("MapPublicIpOnLaunch", False)}
    boto3.client("ec2").modify_subnet_attribute(SubnetId=subnet, MapPublicIpOnLaunch=public)


COMPLETIONS: dict[str, Callable[[str, Properties], None]] = {
    "AWS::EC2::SecurityGroup": _complete_group,
    "AWS::EC2::Subnet": _complete_subnet,
    "AWS::EC2::VPC": _complete_network,
    "AWS::IAM::Role": _complete_role,
    "AWS::S3::Bucket": _complete_bucket,
}
_moto_clean = parsing.clean_json
_moto_create = parsing.parse_and_create_resource
_moto_references = parsing.get_references_from_template
_moto_apply = models.ChangeSet.apply
_moto_delete = parsing.ResourceMap.delete


def _clean(node: Any, stack: Any) -> Any:
    """Resolve a node; of a list AWS::NoValue leaves nothing."""
    # Moto takes every stack to be in us-east-1 here, and knows no zone of a subnet.
    if node == {"Fn::GetAZs": ""}:
        node = {"Fn::GetAZs": REGION}
    if isinstance(node, dict) and "AvailabilityZone" in node.get("Fn::GetAtt", []):
        return stack[node["Fn::GetAtt"][0]].availability_zone
    cleaned = _moto_clean(node, stack)
    return [item for item in cleaned if item is not None] if isinstance(cleaned, list) else cleaned


def _create(logical: str, resource: Properties, stack: Any, **place: str) -> Any:
    """Create a resource, all of it."""
    kind = resource["Type"]
    holds = "Condition" not in resource or stack.lazy_condition_map[resource["Condition"]]
    if not holds or kind not in MAKERS.keys() | COMPLETIONS.keys():
        return _moto_create(logical, resource, stack, **place)
    properties = parsing.clean_json(resource.get("Properties", {}), stack)
    if kind in COMPLETIONS:
        made: Any = _moto_create(logical, resource, stack, **place)
        COMPLETIONS[kind](made.physical_resource_id, properties)
        return made
    made = MAKERS[kind](f"{stack['AWS::StackName']}-{logical}".lower(), properties)
    made.logical_resource_id, made.cf_resource_type = logical, kind
    return made


def _references(node: Any) -> list[str]:
    """Return what a resource names, by Fn::Sub too."""
    texts = re.findall(r"\$\{(\w+)", json.dumps(node))
    return [*_moto_references(node), *texts]


def _snapshot_of_volume(volume: str) -> None:
    boto3.client("ec2").create_snapshot(VolumeId=volume)


def _snapshot_of_database(database: str) -> None:
    boto3.client("rds").create_db_snapshot(
        DBInstanceIdentifier=database, DBSnapshotIdentifier=f"{database}-last"
    )


def _detach(role: str) -> None:
    iam = boto3.client("iam")
    for policy in iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"]:
        iam.detach_role_policy(RoleName=role, PolicyArn=policy["PolicyArn"])


def _release(address: str) -> None:
    ec2 = boto3.client("ec2")
    (found,) = ec2.describe_addresses(PublicIps=[address])["Addresses"]
    ec2.release_address(AllocationId=found["AllocationId"])


def _delete_network(network: str) -> None:
    ec2 = boto3.client("ec2")
    attached = [{"Name": "attachment.vpc-id", "Values": [network]}]
    for gateway in ec2.describe_internet_gateways(Filters=attached)["InternetGateways"]:
        ec2.detach_internet_gateway(InternetGatewayId=gateway["InternetGatewayId"], VpcId=network)
        ec2.delete_internet_gateway(InternetGatewayId=gateway["InternetGatewayId"])
    here = [{"Name": "vpc-id", "Values": [network]}, {"Name": "association.main", "Values": ["false"]}]
    for table in ec2.describe_route_tables(Filters=here)["RouteTables"]:
        ec2.delete_route_table(RouteTableId=table["RouteTableId"])
    ec2.delete_vpc(VpcId=network)


SNAPSHOTS: dict[str, Callable[[str], None]] = {
    "AWS::EC2::Volume": _snapshot_of_volume,
    "AWS::RDS::DBInstance": _snapshot_of_database,
}
# What moto takes for deleted when it has deleted nothing, or leaves for what hangs on it.
LEFT_OVER: dict[str, Callable[[str], None]] = {
    "AWS::EC2::EIP": _release,
    "AWS::EC2::VPC": _delete_network,
}


def _delete(stack: Any) -> None:
    """Delete what no policy keeps, last made first; moto knows Retain, and none of the others."""
    bodies = stack._resource_json_map
    there = {name: made for name, made in stack._parsed_resources.items() if name in bodies and made}
    for name, made in reversed(there.items()):
        kind, policy = bodies[name]["Type"], bodies[name].get("DeletionPolicy", "Delete")
        if policy == "Snapshot":
            SNAPSHOTS[kind](made.physical_resource_id)
        if policy == "RetainExceptOnCreate":
            bodies[name]["DeletionPolicy"] = "Retain"
        elif isinstance(made, Made):
            stack._parsed_resources.pop(name).delete_it()
        elif kind in LEFT_OVER:
            stack._parsed_resources.pop(name)
        elif kind == "AWS::IAM::Role":
            _detach(made.physical_resource_id)
    _moto_delete(stack)
    for name, made in reversed(there.items()):
        if delete := LEFT_OVER.get(bodies[name]["Type"]):
            delete(made.physical_resource_id)


def _apply(change: models.ChangeSet) -> None:
    """Execute a change set, outputs and all."""
    _moto_apply(change)
    change.stack.template = change.template
    change.stack._parse_template()
    change.stack.output_map = change.stack._create_output_map()
