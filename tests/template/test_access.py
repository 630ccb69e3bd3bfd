"""Who may do what in the stack, asked of the template's own policies."""

import json

import pytest
from moto.iam.aws_managed_policies import aws_managed_policies_data
from pin_schema.archive import PREFIX

from template.body import ACCOUNT, ARNS, REGION, STACK, View, read
from template.policies import Decision, Document, Request, decide, trusts

VIEW = View(read())
TLS = {"aws:SecureTransport": "true"}
CREATES = {"s3:ObjectCreationOperation": "true"}
ONLY_NEW = {**CREATES, "s3:if-none-match": "*"}
BUCKET = "arn:aws:s3:::ArchiveBucket"
PIN = f"{BUCKET}/{PREFIX}dt=2026-01-01/hr=00/p=00/00000000000000000000.ndjson.zst"
ROLES = [name for name, _ in VIEW.of("AWS::IAM::Role")]
ARCHIVE_ROLES = {"SinkRole", "BatchRole"}
INSTANCE = f"arn:aws:ec2:{REGION}:{ACCOUNT}:instance/i-0"
OF_THE_STACK = {"aws:ResourceTag/pinflow:stack": STACK}
ADMINISTRATOR: Document = {"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}
# AWS's own policies, as moto ships them.
BY_AWS: dict[str, Document] = {
    f"arn:aws:iam::aws:policy{said['Path']}{name}": said["Document"]
    for name, said in json.loads(aws_managed_policies_data).items()
}


def arn(role: str) -> str:
    return ARNS["AWS::IAM::Role"].format(role)


def identity(role: str) -> list[Document]:
    """Return every policy of a role."""
    properties = VIEW.resource(role)
    managed = [BY_AWS[policy] for policy in properties.get("ManagedPolicyArns", [])]
    inline = [policy["PolicyDocument"] for policy in properties.get("Policies", [])]
    attached = [
        policy["PolicyDocument"]
        for _, policy in VIEW.of("AWS::IAM::RolePolicy", "AWS::IAM::Policy")
        if role in (policy.get("RoleName"), *policy.get("Roles", []))
    ]
    return [*managed, *inline, *attached]


def bucket_policies() -> list[Document]:
    return [policy["PolicyDocument"] for _, policy in VIEW.of("AWS::S3::BucketPolicy")]


def in_archive(role: str, action: str, resource: str, **context: str) -> Decision:
    request = Request(arn(role), action, resource, {**TLS, **context})
    return decide(request, identity(role), bucket_policies())


def by_host(action: str, resource: str, context: dict[str, str] | None = None) -> bool:
    request = Request(arn("HostRole"), action, resource, context or {})
    return decide(request, identity("HostRole")) is Decision.ALLOWED


def test_the_sink_creates_objects_of_the_archive() -> None:
    assert in_archive("SinkRole", "s3:PutObject", PIN, **ONLY_NEW) is Decision.ALLOWED


def test_the_sink_writes_over_nothing() -> None:
    assert in_archive("SinkRole", "s3:PutObject", PIN, **CREATES) is Decision.DENIED


def test_an_administrator_writes_over_nothing() -> None:
    request = Request(arn("Admin"), "s3:PutObject", PIN, {**TLS, **CREATES})
    assert decide(request, [ADMINISTRATOR], bucket_policies()) is Decision.DENIED


def test_a_part_of_an_upload_needs_no_condition() -> None:
    part = {"s3:ObjectCreationOperation": "false"}
    assert in_archive("SinkRole", "s3:PutObject", PIN, **part) is Decision.ALLOWED


@pytest.mark.parametrize("resource", [f"{BUCKET}/other", f"{BUCKET}/raw", f"{BUCKET}x/{PREFIX}x"])
@pytest.mark.parametrize("action", ["s3:PutObject", "s3:GetObject"])
def test_the_sink_stays_below_raw(action: str, resource: str) -> None:
    assert in_archive("SinkRole", action, resource, **ONLY_NEW) is Decision.NOT_ALLOWED


# HeadObject asks for GetObject; a key that is missing is 404, and no 403, to whoever may list.
@pytest.mark.parametrize("role", sorted(ARCHIVE_ROLES))
def test_who_works_with_the_archive_reads_and_lists_it(role: str) -> None:
    assert in_archive(role, "s3:GetObject", PIN) is Decision.ALLOWED
    for prefix in (PREFIX, f"{PREFIX}dt=2026-01-01/", f"{PREFIX}dt=2026-01-01/hr=00/p=00/"):
        assert in_archive(role, "s3:ListBucket", BUCKET, **{"s3:prefix": prefix}) is Decision.ALLOWED
    # As S3 may ask when the key of a HeadObject is missing.
    assert in_archive(role, "s3:ListBucket", BUCKET) is Decision.ALLOWED


@pytest.mark.parametrize("prefix", ["", "raw", "other/"])
@pytest.mark.parametrize("role", sorted(ARCHIVE_ROLES))
def test_nobody_lists_what_is_not_the_archive(role: str, prefix: str) -> None:
    assert in_archive(role, "s3:ListBucket", BUCKET, **{"s3:prefix": prefix}) is Decision.NOT_ALLOWED


@pytest.mark.parametrize(
    "action",
    [
        *("PutBucketPolicy", "DeleteBucketPolicy", "PutLifecycleConfiguration", "PutBucketVersioning"),
        *("PutEncryptionConfiguration", "PutBucketPublicAccessBlock", "PutBucketOwnershipControls"),
        *("DeleteBucket", "ListBucketVersions", "GetBucketPolicy"),
    ],
)
@pytest.mark.parametrize("role", ROLES)
def test_no_role_configures_the_bucket(role: str, action: str) -> None:
    assert in_archive(role, f"s3:{action}", BUCKET) is Decision.NOT_ALLOWED


@pytest.mark.parametrize("action", ["s3:PutObject", "s3:PutObjectAcl", "s3:PutObjectTagging"])
def test_the_batch_job_writes_nothing(action: str) -> None:
    assert in_archive("BatchRole", action, PIN, **ONLY_NEW) is Decision.NOT_ALLOWED


@pytest.mark.parametrize("action", ["s3:DeleteObject", "s3:DeleteObjectVersion"])
@pytest.mark.parametrize("role", [*ROLES, "Admin"])
def test_nobody_deletes_from_the_archive(role: str, action: str) -> None:
    request = Request(arn(role), action, PIN, TLS)
    mine = [ADMINISTRATOR] if role == "Admin" else identity(role)
    assert decide(request, mine, bucket_policies()) is Decision.DENIED


@pytest.mark.parametrize(
    ("action", "resource"), [("s3:GetObject", PIN), ("s3:ListBucket", BUCKET), ("s3:GetBucketPolicy", BUCKET)]
)
def test_nobody_is_answered_without_tls(action: str, resource: str) -> None:
    request = Request(arn("Admin"), action, resource, {"aws:SecureTransport": "false"})
    assert decide(request, [ADMINISTRATOR], bucket_policies()) is Decision.DENIED


@pytest.mark.parametrize(
    ("action", "resource"),
    [("s3:GetObject", PIN), ("s3:PutObject", PIN), ("s3:ListBucket", BUCKET), ("s3:ListAllMyBuckets", "*")],
)
def test_the_host_itself_reads_no_pin(action: str, resource: str) -> None:
    context = {**ONLY_NEW, "s3:prefix": PREFIX}
    assert in_archive("HostRole", action, resource, **context) is Decision.NOT_ALLOWED


def test_the_host_takes_on_the_two_roles_of_the_archive_and_no_other() -> None:
    names = [*ROLES, "Admin"]
    assert {name for name in names if by_host("sts:AssumeRole", arn(name))} == ARCHIVE_ROLES


@pytest.mark.parametrize("role", ROLES)
def test_a_role_is_taken_on_by_one_alone(role: str) -> None:
    trust = VIEW.resource(role)["AssumeRolePolicyDocument"]
    services = ("ec2.amazonaws.com", "lambda.amazonaws.com", "ecs-tasks.amazonaws.com")
    candidates = [*(arn(name) for name in (*ROLES, "Admin")), *services]
    wanted = arn("HostRole") if role in ARCHIVE_ROLES else "ec2.amazonaws.com"
    assert [who for who in candidates if trusts(trust, who)] == [wanted]


def test_the_host_reads_the_secrets_of_its_stack_and_no_other() -> None:
    secrets = [VIEW.resolve({"Ref": name}) for name, _ in VIEW.of("AWS::SecretsManager::Secret")]
    assert len(secrets) == 2
    assert all(by_host("secretsmanager:GetSecretValue", secret) for secret in secrets)
    another = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:Another-AbCdEf"
    assert not by_host("secretsmanager:GetSecretValue", another)
    assert not any(by_host("secretsmanager:PutSecretValue", secret) for secret in secrets)


HELD = [
    ("ec2:AttachVolume", "volume/DataVolume"),
    ("ec2:AssociateAddress", "elastic-ip/Address.AllocationId"),
]


@pytest.mark.parametrize(("action", "held"), HELD)
def test_the_host_is_handed_its_own_volume_and_address(action: str, held: str) -> None:
    place = f"arn:aws:ec2:{REGION}:{ACCOUNT}:"
    assert by_host(action, f"{place}{held}")
    assert not by_host(action, f"{place}{held}-of-another")
    for target in (INSTANCE, f"{place}network-interface/eni-0"):
        assert by_host(action, target, OF_THE_STACK)
        assert not by_host(action, target)
        assert not by_host(action, target, {"aws:ResourceTag/pinflow:stack": f"{STACK}-2"})


@pytest.mark.parametrize(
    "action", ["DetachVolume", "DeleteVolume", "CreateSnapshot", "TerminateInstances", "CreateTags"]
)
def test_the_host_does_nothing_else_in_ec2(action: str) -> None:
    for resource in (INSTANCE, f"arn:aws:ec2:{REGION}:{ACCOUNT}:volume/DataVolume"):
        assert not by_host(f"ec2:{action}", resource, OF_THE_STACK)


def test_hosts_carry_the_tag_that_their_rights_ask_for() -> None:
    data = VIEW.resource("Template")["LaunchTemplateData"]
    tagged = {
        entry["ResourceType"]
        for entry in data["TagSpecifications"]
        if {"Key": "pinflow:stack", "Value": STACK} in entry["Tags"]
    }
    assert {"instance", "network-interface"} <= tagged


def test_the_host_reports_in_its_own_name_alone() -> None:
    namespace = "cloudwatch:namespace"
    assert by_host("cloudwatch:PutMetricData", "*", {namespace: "Pinflow"})
    assert not by_host("cloudwatch:PutMetricData", "*", {namespace: "AWS/EC2"})
    assert not by_host("cloudwatch:PutMetricData", "*")
    stack = f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/{{}}/b6a5"
    assert by_host("cloudformation:SignalResource", stack.format(STACK))
    assert not by_host("cloudformation:SignalResource", stack.format(f"{STACK}-2"))
    stream = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{{}}:log-stream:host"
    assert by_host("logs:PutLogEvents", stream.format("Logs"))
    assert not by_host("logs:PutLogEvents", stream.format("Another"))
