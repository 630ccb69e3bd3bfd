"""The archive: private, kept, and written once."""

from collections.abc import Iterator
from typing import Any

from template.body import Body, View, as_list
from template.rules.registry import Complaint, rule

BUCKET, POLICY = "AWS::S3::Bucket", "AWS::S3::BucketPolicy"
BLOCKS = ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets")
DELETES = {"s3:DeleteObject", "s3:DeleteObjectVersion"}
OBJECTS = "/raw/*"


@rule("One wrong statement would show every pin to the internet; each block stops another one.")
def archive_is_private(view: View) -> Iterator[Complaint]:
    for name, bucket in view.of(BUCKET):
        blocks = bucket.get("PublicAccessBlockConfiguration", {})
        for block in BLOCKS:
            if blocks.get(block) is not True:
                yield Complaint(name, f"{block} is not set: set all four")


@rule("Encryption that is written down does not depend on what an account's default is.")
def archive_is_encrypted(view: View) -> Iterator[Complaint]:
    for name, bucket in view.of(BUCKET):
        rules = bucket.get("BucketEncryption", {}).get("ServerSideEncryptionConfiguration", [])
        if not any("ServerSideEncryptionByDefault" in entry for entry in rules):
            yield Complaint(name, "has no BucketEncryption")


@rule("With versions a wrong delete is a marker that is taken away again.")
def archive_has_versions(view: View) -> Iterator[Complaint]:
    for name, bucket in view.of(BUCKET):
        if bucket.get("VersioningConfiguration", {}).get("Status") != "Enabled":
            yield Complaint(name, "has no versions: set VersioningConfiguration")


@rule("Halves of uploads and old versions are paid for, and nobody sees them.")
def archive_forgets_leftovers(view: View) -> Iterator[Complaint]:
    for name, bucket in view.of(BUCKET):
        rules = bucket.get("LifecycleConfiguration", {}).get("Rules", [])
        known = {key for entry in rules if entry["Status"] == "Enabled" for key in entry}
        for wanted in ("AbortIncompleteMultipartUpload", "NoncurrentVersionExpiration"):
            if wanted not in known:
                yield Complaint(name, f"no rule of its lifecycle has {wanted}")


@rule("An access list of a single object is a policy that nobody reads.")
def archive_knows_no_access_lists(view: View) -> Iterator[Complaint]:
    for name, bucket in view.of(BUCKET):
        rules = bucket.get("OwnershipControls", {}).get("Rules", [])
        if rules != [{"ObjectOwnership": "BucketOwnerEnforced"}]:
            yield Complaint(name, "ObjectOwnership is not BucketOwnerEnforced")


def _denied(view: View, bucket: str, condition: dict[str, Any] | None) -> Iterator[Body]:
    """Return what everybody is denied in a bucket under this condition, or under none."""
    for _, policy in view.of(POLICY):
        for statement in policy["PolicyDocument"]["Statement"] if policy["Bucket"] == bucket else []:
            everybody = statement.get("Principal") in ("*", {"AWS": "*"})
            given = statement.get("Condition", {})
            holds = given == {} if condition is None else condition.items() <= given.items()
            if statement["Effect"] == "Deny" and everybody and holds:
                yield statement


@rule("Pins and credentials do not cross a network in the clear.")
def archive_speaks_tls(view: View) -> Iterator[Complaint]:
    for name, _ in view.of(BUCKET):
        wanted = {f"arn:aws:s3:::{name}", f"arn:aws:s3:::{name}/*"}
        insecure = {"Bool": {"aws:SecureTransport": "false"}}
        if not any(
            statement["Action"] == "s3:*" and wanted <= set(as_list(statement["Resource"]))
            for statement in _denied(view, name, insecure)
        ):
            yield Complaint(name, "is reached without TLS: deny s3:* where aws:SecureTransport is false")


@rule("Whoever comes second must not write over what the first has archived.")
def archive_is_written_once(view: View) -> Iterator[Complaint]:
    for name, _ in view.of(BUCKET):
        unconditional = {"Null": {"s3:if-none-match": "true"}}
        if not any(
            "s3:PutObject" in as_list(statement["Action"]) and statement["Resource"].endswith(name + OBJECTS)
            for statement in _denied(view, name, unconditional)
        ):
            yield Complaint(name, "may be written over: deny s3:PutObject where s3:if-none-match is null")


@rule("An object that is deleted can be created again, and its offsets are then in two objects.")
def archive_is_never_deleted(view: View) -> Iterator[Complaint]:
    for name, _ in view.of(BUCKET):
        denied = {
            action
            for statement in _denied(view, name, None)
            if statement["Resource"].endswith(name + OBJECTS)
            for action in as_list(statement["Action"])
        }
        for action in sorted(DELETES - denied):
            yield Complaint(name, f"{action} below raw/ is not denied to everybody")
