"""The template becomes what it says: every resource is looked at where its service shows it."""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import boto3
import pytest

from template.body import REGION, read
from template.deployed import Deployed
from template.formation import IMAGE, running

BODY = read()
CHOSEN = {
    "Revision": "v0.2.0",
    "DomainName": "pins.example.org",
    "ClientCidr": "203.0.113.0/24",
    "KeyName": "pin_app",
    "DataVolumeGiB": "200",
    "UseRds": "false",
    "AlarmEmail": "on-call@example.org",
    "ArchiveExpireDays": "400",
    "LogRetentionDays": "7",
}
Test = TypeVar("Test", bound=Callable[..., None])
LOOKED_AT: set[str] = set()


def looks_at(*names: str) -> Callable[[Test], Test]:
    """Say which resources a test looks at."""
    LOOKED_AT.update(names)
    return lambda test: test


@pytest.fixture(scope="module")
def both() -> Iterator[tuple[Deployed, Deployed]]:
    with running():
        boto3.client("ec2").create_key_pair(KeyName=CHOSEN["KeyName"])
        plain, chosen = Deployed("pins"), Deployed("other")
        plain.change("CREATE")
        chosen.change("CREATE", **CHOSEN)
        yield plain, chosen


@pytest.fixture
def stack(both: tuple[Deployed, Deployed]) -> Deployed:
    """As it is by default."""
    return both[0]


@pytest.fixture
def chosen(both: tuple[Deployed, Deployed]) -> Deployed:
    """With every choice made another way."""
    return both[1]


@looks_at("Network", "Gateway", "GatewayAttachment")
def test_the_network_has_a_gateway(stack: Deployed) -> None:
    network = stack.one("ec2", "describe_vpcs", VpcIds=[stack.ids["Network"]])
    assert network["CidrBlock"] == "10.20.0.0/16"
    for attribute in ("enableDnsSupport", "enableDnsHostnames"):
        answer = boto3.client("ec2").describe_vpc_attribute(VpcId=network["VpcId"], Attribute=attribute)
        assert answer[attribute[0].upper() + attribute[1:]] == {"Value": True}
    gateway = stack.one("ec2", "describe_internet_gateways", InternetGatewayIds=[stack.ids["Gateway"]])
    assert [entry["VpcId"] for entry in gateway["Attachments"]] == [network["VpcId"]]


SUBNETS = {
    "PublicSubnetA": ("10.20.0.0/24", "a", True),
    "PublicSubnetB": ("10.20.1.0/24", "b", True),
    "PrivateSubnetA": ("10.20.10.0/24", "a", False),
    "PrivateSubnetB": ("10.20.11.0/24", "b", False),
}


@looks_at(*SUBNETS)
@pytest.mark.parametrize("name", SUBNETS)
def test_a_subnet_is_in_its_zone(stack: Deployed, name: str) -> None:
    subnet = stack.one("ec2", "describe_subnets", SubnetIds=[stack.ids[name]])
    found = (
        subnet["CidrBlock"],
        subnet["AvailabilityZone"].removeprefix(REGION),
        subnet["MapPublicIpOnLaunch"],
    )
    assert found == SUBNETS[name]
    assert subnet["VpcId"] == stack.ids["Network"]


@looks_at("PublicRoutes", "WayOut", "PublicRoutesA", "PublicRoutesB")
@looks_at("PrivateRoutes", "PrivateRoutesA", "PrivateRoutesB")
@pytest.mark.parametrize(("kind", "gateways"), [("Public", {"local", "Gateway"}), ("Private", {"local"})])
def test_only_public_subnets_have_a_way_out(stack: Deployed, kind: str, gateways: set[str]) -> None:
    table = stack.one("ec2", "describe_route_tables", RouteTableIds=[stack.ids[f"{kind}Routes"]])
    subnets = {entry["SubnetId"] for entry in table["Associations"]}
    assert subnets == {stack.ids[f"{kind}SubnetA"], stack.ids[f"{kind}SubnetB"]}
    routes = {route["GatewayId"]: route["DestinationCidrBlock"] for route in table["Routes"]}
    assert routes.keys() == {stack.ids.get(name, name) for name in gateways}
    assert routes.get(stack.ids["Gateway"], "0.0.0.0/0") == "0.0.0.0/0"


def rules(group: Any, direction: str = "") -> set[tuple[int, int, str]]:
    """Return the ports of each rule and whom it is for; all are of TCP."""
    permissions = group[f"IpPermissions{direction}"]
    assert {permission["IpProtocol"] for permission in permissions} <= {"tcp"}
    return {
        (permission["FromPort"], permission["ToPort"], peer.get("CidrIp") or peer["GroupId"])
        for permission in permissions
        for peer in (*permission["IpRanges"], *permission["UserIdGroupPairs"])
    }


@looks_at("HostSecurityGroup")
def test_clients_reach_one_port_of_the_host(stack: Deployed, chosen: Deployed) -> None:
    for deployed, clients in ((stack, "0.0.0.0/0"), (chosen, CHOSEN["ClientCidr"])):
        group = stack.one("ec2", "describe_security_groups", GroupIds=[deployed.ids["HostSecurityGroup"]])
        assert rules(group) == {(443, 443, clients)}
        web = {(80, 80, "0.0.0.0/0"), (443, 443, "0.0.0.0/0")}
        assert rules(group, "Egress") == {*web, (1024, 65535, "10.20.0.0/16")}


@looks_at("DatabaseSecurityGroup")
def test_the_host_alone_reaches_postgresql(stack: Deployed) -> None:
    group = stack.one("ec2", "describe_security_groups", GroupIds=[stack.ids["DatabaseSecurityGroup"]])
    assert rules(group) == {(5432, 5432, stack.ids["HostSecurityGroup"])}
    assert rules(group, "Egress") == {(1, 1, "127.0.0.1/32")}


@looks_at("ArchiveBucket")
def test_the_bucket_is_private_encrypted_and_keeps_versions(stack: Deployed) -> None:
    s3, bucket = boto3.client("s3"), {"Bucket": stack.ids["ArchiveBucket"]}
    assert set(s3.get_public_access_block(**bucket)["PublicAccessBlockConfiguration"].values()) == {True}
    (owned,) = s3.get_bucket_ownership_controls(**bucket)["OwnershipControls"]["Rules"]
    assert owned == {"ObjectOwnership": "BucketOwnerEnforced"}
    (encrypted,) = s3.get_bucket_encryption(**bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    assert encrypted["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"
    assert s3.get_bucket_versioning(**bucket)["Status"] == "Enabled"


def test_the_bucket_forgets_leftovers_and_what_is_too_old(stack: Deployed, chosen: Deployed) -> None:
    for deployed, ages in ((stack, []), (chosen, [("raw/", int(CHOSEN["ArchiveExpireDays"]))])):
        bucket = deployed.ids["ArchiveBucket"]
        found = boto3.client("s3").get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]
        leftovers, *more = sorted(found, key=lambda rule: rule["ID"] != "leftovers")
        assert leftovers["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 7}
        assert leftovers["NoncurrentVersionExpiration"] == {"NoncurrentDays": 30}
        assert [(rule["Filter"]["Prefix"], rule["Expiration"]["Days"]) for rule in more] == ages


@looks_at("ArchivePolicy")
def test_the_bucket_policy_names_the_bucket_itself(stack: Deployed) -> None:
    bucket = stack.ids["ArchiveBucket"]
    policy = json.loads(boto3.client("s3").get_bucket_policy(Bucket=bucket)["Policy"])
    resources = {statement["Sid"]: statement["Resource"] for statement in policy["Statement"]}
    arn = f"arn:aws:s3:::{bucket}"
    raw = f"{arn}/raw/*"
    assert resources == {"TlsOnly": [arn, f"{arn}/*"], "CreateOnly": raw, "NobodyDeletes": raw}


@looks_at("Seed")
def test_every_stack_has_a_seed_of_its_own(stack: Deployed, chosen: Deployed) -> None:
    seeds = {deployed.secret("Seed") for deployed in (stack, chosen)}
    assert len(seeds) == 2
    assert all(re.fullmatch(r"[A-Za-z0-9]{64}", seed) for seed in seeds)


@looks_at("DatabaseSecret", "Database", "DatabaseSubnets", "DatabaseParameters")
def test_the_database_is_private_and_takes_its_password_from_the_secret(stack: Deployed) -> None:
    database = stack.one("rds", "describe_db_instances", DBInstanceIdentifier=stack.ids["Database"])
    wanted = {
        "Engine": "postgres", "EngineVersion": "18", "DBInstanceClass": "db.t4g.micro",
        "AllocatedStorage": 20, "StorageType": "gp3", "StorageEncrypted": True, "PubliclyAccessible": False,
        "DBName": "pinflow", "BackupRetentionPeriod": 7, "CopyTagsToSnapshot": True,
        "MasterUsername": "pinflow",
    }  # fmt: skip
    assert {key: database[key] for key in wanted} == wanted
    groups = [group["VpcSecurityGroupId"] for group in database["VpcSecurityGroups"]]
    assert groups == [stack.ids["DatabaseSecurityGroup"]]
    subnets = {subnet["SubnetIdentifier"] for subnet in database["DBSubnetGroup"]["Subnets"]}
    assert subnets == {stack.ids["PrivateSubnetA"], stack.ids["PrivateSubnetB"]}
    parameters = boto3.client("rds").describe_db_parameters(
        DBParameterGroupName=stack.ids["DatabaseParameters"]
    )
    told = {entry["ParameterName"]: entry["ParameterValue"] for entry in parameters["Parameters"]}
    assert told == {"rds.force_ssl": "1"}
    # The API shows no password; that the reference led to one is known from the instance being there.
    assert re.fullmatch(r"[A-Za-z0-9]{48}", json.loads(stack.secret("DatabaseSecret"))["password"])


def test_without_rds_nothing_of_it_is_there(chosen: Deployed) -> None:
    assert [name for name in chosen.ids if name.startswith("Database")] == []
    assert "DatabaseEndpoint" not in chosen.outputs()
    assert chosen.host_env()["DATABASE_HOST"] == chosen.host_env()["DATABASE_SECRET"] == ""


ROLES = {"HostRole": ["bring-up", "report", "take-roles"], "SinkRole": ["archive"], "BatchRole": ["archive"]}


@looks_at("HostTakesRoles", *ROLES)
@pytest.mark.parametrize("name", ROLES)
def test_a_role_has_its_policies_and_names_real_resources(stack: Deployed, name: str) -> None:
    iam, role = boto3.client("iam"), {"RoleName": stack.ids[name]}
    assert sorted(iam.list_role_policies(**role)["PolicyNames"]) == ROLES[name]
    attached = [entry["PolicyName"] for entry in iam.list_attached_role_policies(**role)["AttachedPolicies"]]
    assert attached == (["AmazonSSMManagedInstanceCore"] if name == "HostRole" else [])
    trust = iam.get_role(**role)["Role"]["AssumeRolePolicyDocument"]["Statement"][0]["Principal"]
    host = {"AWS": stack.role("HostRole")}
    assert trust == ({"Service": "ec2.amazonaws.com"} if name == "HostRole" else host)
    documents = [iam.get_role_policy(**role, PolicyName=policy)["PolicyDocument"] for policy in ROLES[name]]
    assert "${" not in json.dumps(documents)
    assert "Fn::" not in json.dumps(documents)


@looks_at("HostProfile")
def test_the_profile_is_the_host_role(stack: Deployed) -> None:
    profile = boto3.client("iam").get_instance_profile(InstanceProfileName=stack.ids["HostProfile"])
    assert [role["RoleName"] for role in profile["InstanceProfile"]["Roles"]] == [stack.ids["HostRole"]]


@looks_at("DataVolume")
def test_the_data_volume_is_encrypted_and_where_the_host_is(stack: Deployed, chosen: Deployed) -> None:
    for deployed, size in ((stack, 100), (chosen, 200)):
        volume = stack.one("ec2", "describe_volumes", VolumeIds=[deployed.ids["DataVolume"]])
        found = volume["Size"], volume["VolumeType"], volume["Encrypted"], volume["AvailabilityZone"]
        assert found == (size, "gp3", True, f"{REGION}a")


@looks_at("Address")
def test_the_address_lasts(stack: Deployed) -> None:
    address = stack.one("ec2", "describe_addresses", PublicIps=[stack.ids["Address"]])
    assert address["Domain"] == "vpc"
    assert address["AllocationId"] == stack.host_env()["ADDRESS"]


@looks_at("Template")
def test_the_host_is_launched_as_the_template_says(stack: Deployed, chosen: Deployed) -> None:
    data = stack.launches()
    assert data["MetadataOptions"]["HttpTokens"] == "required"
    assert data["MetadataOptions"]["HttpPutResponseHopLimit"] == 2
    assert (data["ImageId"], data["InstanceType"]) == (IMAGE, "t3.xlarge")
    assert data["SecurityGroupIds"] == [stack.ids["HostSecurityGroup"]]
    profile = boto3.client("iam").get_instance_profile(InstanceProfileName=stack.ids["HostProfile"])
    assert data["IamInstanceProfile"] == {"Arn": profile["InstanceProfile"]["Arn"]}
    (disk,) = data["BlockDeviceMappings"]
    assert disk["Ebs"] == {
        "VolumeType": "gp3",
        "VolumeSize": 50,
        "Encrypted": True,
        "DeleteOnTermination": True,
    }
    assert "KeyName" not in data
    assert chosen.launches()["KeyName"] == CHOSEN["KeyName"]


def test_user_data_are_filled_in(stack: Deployed, chosen: Deployed) -> None:
    for deployed in (stack, chosen):
        assert "${" not in deployed.user_data()
        ids = deployed.ids
        wanted = {
            "STACK": deployed.name, "AWS_DEFAULT_REGION": REGION, "ARCHIVE_BUCKET": ids["ArchiveBucket"],
            "SINK_ROLE": deployed.role("SinkRole"), "BATCH_ROLE": deployed.role("BatchRole"),
            "SEED_SECRET": ids["Seed"],
            "DATA_VOLUME": ids["DataVolume"], "LOG_GROUP": ids["Logs"],
        }  # fmt: skip
        assert wanted.items() <= deployed.host_env().items()
    assert stack.host_env()["DOMAIN"] == stack.ids["Address"]
    assert chosen.host_env()["DOMAIN"] == CHOSEN["DomainName"]
    assert stack.host_env()["DATABASE_SECRET"] == stack.ids["DatabaseSecret"]
    assert stack.host_env()["DATABASE_HOST"] == stack.outputs()["DatabaseEndpoint"]
    assert f"'{chosen.repository}' '{CHOSEN['Revision']}'" in chosen.user_data()


@looks_at("Host")
def test_the_group_keeps_one_host_where_its_volume_is(stack: Deployed) -> None:
    # Moto keeps neither CreationPolicy nor UpdatePolicy: rules.host looks at them.
    group = stack.one(
        "autoscaling", "describe_auto_scaling_groups", AutoScalingGroupNames=[stack.ids["Host"]]
    )
    assert (group["MinSize"], group["MaxSize"], group["HealthCheckType"]) == (1, 1, "EC2")
    assert group["VPCZoneIdentifier"] == stack.ids["PublicSubnetA"]
    assert group["LaunchTemplate"]["LaunchTemplateId"] == stack.ids["Template"]
    (instance,) = group["Instances"]
    tags = stack.one("ec2", "describe_instances", InstanceIds=[instance["InstanceId"]])["Instances"][0][
        "Tags"
    ]
    assert {"Key": "pinflow:stack", "Value": stack.name} in tags


@looks_at("Logs")
def test_logs_are_kept_as_long_as_said(stack: Deployed, chosen: Deployed) -> None:
    for deployed, days in ((stack, 30), (chosen, 7)):
        group = stack.one("logs", "describe_log_groups", logGroupNamePrefix=deployed.ids["Logs"])
        assert group["retentionInDays"] == days
        assert deployed.outputs()["LogGroup"] == group["logGroupName"]


@looks_at("AlarmTopic")
def test_alarms_go_to_the_address_if_there_is_one(stack: Deployed, chosen: Deployed) -> None:
    assert "AlarmTopic" not in stack.ids
    subscription = chosen.one("sns", "list_subscriptions_by_topic", TopicArn=chosen.ids["AlarmTopic"])
    assert (subscription["Protocol"], subscription["Endpoint"]) == ("email", CHOSEN["AlarmEmail"])


# And of whom: the stack itself, or the resource that a dimension names.
ALARMS = {
    "NotReady": ("Pinflow", "Ready", "LessThanThreshold", 1, "breaching", "Stack", ""),
    "DataVolumeFills": ("Pinflow", "DataVolumeUsed", "GreaterThanThreshold", 80, None, "Stack", ""),
    "HostImpaired": (
        *("AWS/EC2", "StatusCheckFailed", "GreaterThanThreshold", 0, None, "AutoScalingGroupName", "Host"),
    ),
    "DatabaseFills": (
        *("AWS/RDS", "FreeStorageSpace", "LessThanThreshold", 2 * 1024**3),
        *(None, "DBInstanceIdentifier", "Database"),
    ),
}


@looks_at(*ALARMS)
@pytest.mark.parametrize("name", ALARMS)
def test_an_alarm_looks_at_this_stack(stack: Deployed, chosen: Deployed, name: str) -> None:
    for deployed in (stack, chosen):
        if name not in deployed.ids:
            continue
        answer = boto3.client("cloudwatch").describe_alarms(AlarmNames=[deployed.ids[name]])
        (alarm,) = answer["MetricAlarms"]
        keys = ("Namespace", "MetricName", "ComparisonOperator", "Threshold", "TreatMissingData")
        *wanted, dimension, resource = ALARMS[name]
        assert [alarm.get(key) for key in keys] == wanted
        whom = deployed.ids[resource] if resource else deployed.name
        assert alarm["Dimensions"] == [{"Name": dimension, "Value": whom}]
        told = [deployed.ids["AlarmTopic"]] if "AlarmTopic" in deployed.ids else []
        assert alarm["AlarmActions"] == alarm["OKActions"] == told


def test_outputs_are_what_a_person_needs_next(stack: Deployed, chosen: Deployed) -> None:
    outputs = stack.outputs()
    assert outputs.keys() == BODY["Outputs"].keys()
    assert outputs["PinsUrl"] == f"https://{stack.ids['Address']}/pins"
    assert outputs["PublicAddress"] == stack.ids["Address"]
    assert outputs["ArchiveBucketName"] == stack.ids["ArchiveBucket"]
    assert chosen.outputs()["PinsUrl"] == f"https://{CHOSEN['DomainName']}/pins"
    for page in ("Shell", "AirflowPage", "GrafanaPage", "PrometheusPage", "AlertmanagerPage", "SparkPage"):
        assert f"Values={stack.name} " in outputs[page]
        assert "${" not in outputs[page]


def test_no_resource_is_left_out_here() -> None:
    assert BODY["Resources"].keys() == LOOKED_AT


def test_another_revision_is_what_the_next_host_runs(both: tuple[Deployed, Deployed]) -> None:
    # On an update moto follows parameters, and no condition: what another choice makes is looked at above.
    stack = Deployed("third")
    stack.change("CREATE")
    before = stack.host_env()
    stack.change("UPDATE", Revision="v0.2.0")
    assert "'v0.2.0'" in stack.user_data()
    assert stack.host_env() == before


LISTS = {
    "autoscaling": ["describe_auto_scaling_groups"],
    "cloudwatch": ["describe_alarms"],
    "ec2": [
        *("describe_vpcs", "describe_subnets", "describe_route_tables", "describe_internet_gateways"),
        *("describe_security_groups", "describe_addresses", "describe_volumes", "describe_launch_templates"),
    ],
    "iam": ["list_roles", "list_instance_profiles"],
    "logs": ["describe_log_groups"],
    "rds": ["describe_db_instances", "describe_db_subnet_groups", "describe_db_parameter_groups"],
    "s3": ["list_buckets"],
    "secretsmanager": ["list_secrets"],
}


def there(ids: dict[str, str]) -> set[str]:
    """Return whose ids the services list now."""
    answers = [getattr(boto3.client(service), ask)() for service, asked in LISTS.items() for ask in asked]
    told = json.dumps(answers, default=str)
    return {name for name, physical in ids.items() if f'"{physical}"' in told}


@pytest.mark.usefixtures("both")
def test_of_a_deleted_stack_the_data_stay_and_nothing_else() -> None:
    stack = Deployed("gone")
    stack.change("CREATE")
    ids = stack.ids
    kept = {"ArchiveBucket", "Seed"}
    # Routes, associations and policies are in no list by themselves.
    assert len(there(ids)) > 25
    boto3.client("cloudformation").delete_stack(StackName=stack.name)
    assert there(ids) == kept
    assert boto3.client("s3").get_bucket_policy(Bucket=ids["ArchiveBucket"])["Policy"]
    taken = boto3.client("ec2").describe_snapshots(OwnerIds=["self"])["Snapshots"]
    assert ids["DataVolume"] in {snapshot["VolumeId"] for snapshot in taken}
    saved = boto3.client("rds").describe_db_snapshots()["DBSnapshots"]
    assert ids["Database"] in {snapshot["DBInstanceIdentifier"] for snapshot in saved}
