"""Creates accounts and bucket, states who may use the archive, proves that the store keeps its promise."""

import json
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as NoConnectionError
from service_runtime.s3 import error_code, s3_client

from migrations import bucket_accounts, conditional_put
from migrations.errors import RefusedError
from migrations.progress import Plan, until_it_answers
from migrations.settings import MigrateSettings

if TYPE_CHECKING:
    from types_aiobotocore_s3 import S3Client

ARCHIVE_PREFIX = "raw/"
US_EAST_1 = "us-east-1"
FIRST_SERVER_ERROR = 500


class StoreAwayError(Exception):
    """The store does not answer, or answers that it is not well."""


async def migrate(settings: MigrateSettings, plan: Plan) -> None:
    """Leave a bucket with its policy; raise StoreNotAtomicError when the store cannot hold the archive."""
    async with s3_client(settings) as client:

        async def attempt() -> None:
            try:
                await bucket_accounts.ensure(settings, plan)
                await _migrate(client, settings, plan)
            except (HTTPClientError, NoConnectionError) as error:
                raise StoreAwayError(str(error)) from error
            except ClientError as error:
                raise _refused_or_away(error) from error
            except BotoCoreError as error:
                raise RefusedError(
                    f"the S3 client cannot work: {error}. Check the MIGRATE_S3_… variables"
                ) from error

        address = settings.s3_endpoint_url or f"AWS S3 in {settings.s3_region}"
        await until_it_answers("the object store", address, attempt, (StoreAwayError, OSError))


async def _migrate(client: "S3Client", settings: MigrateSettings, plan: Plan) -> None:
    exists = await _exists(client, settings.s3_bucket)
    if not exists and plan.does("create bucket", bucket=settings.s3_bucket):
        await _create(client, settings)
        exists = True
    sink, batch = settings.s3_sink_principal, settings.s3_batch_principal
    if sink or batch:
        wanted = archive_policy(settings.s3_bucket, sink=sink, batch=batch)
        found = await _policy(client, settings.s3_bucket) if exists else None
        if wanted != found and plan.does("put bucket policy", sink=sink, batch=batch):
            await client.put_bucket_policy(Bucket=settings.s3_bucket, Policy=json.dumps(wanted))
    if plan.does("race conditional PUTs", rounds=conditional_put.ROUNDS, racers=conditional_put.RACERS):
        await conditional_put.prove(client, settings.s3_bucket)


def archive_policy(bucket: str, *, sink: str | None, batch: str | None) -> dict[str, object]:
    """Return the policy by which the sink writes the archive, the batch job reads it, and nobody deletes."""
    whole = f"arn:aws:s3:::{bucket}"
    archive = f"{whole}/{ARCHIVE_PREFIX}*"
    granted = (
        ("SinkWritesTheArchive", sink, ["s3:PutObject", "s3:GetObject"], archive),
        ("SinkListsTheArchive", sink, ["s3:ListBucket"], whole),
        ("BatchReadsTheArchive", batch, ["s3:GetObject"], archive),
        ("BatchListsTheArchive", batch, ["s3:ListBucket"], whole),
    )
    statements = [
        {
            "Sid": name,
            "Effect": "Allow",
            "Principal": {"AWS": [principal]},
            "Action": actions,
            "Resource": [resource],
        }
        for name, principal, actions, resource in granted
        if principal
    ]
    return {"Version": "2012-10-17", "Statement": statements}


async def _exists(client: "S3Client", bucket: str) -> bool:
    try:
        await client.head_bucket(Bucket=bucket)
    except ClientError as error:
        if error_code(error) in {"404", "NoSuchBucket"}:
            return False
        raise
    return True


async def _create(client: "S3Client", settings: MigrateSettings) -> None:
    try:
        if settings.s3_region == US_EAST_1:
            # S3 refuses to be told its default region.
            await client.create_bucket(Bucket=settings.s3_bucket)
        else:
            region: Any = {"LocationConstraint": settings.s3_region}
            await client.create_bucket(Bucket=settings.s3_bucket, CreateBucketConfiguration=region)
    except ClientError as error:
        if error_code(error) != "BucketAlreadyOwnedByYou":
            raise


async def _policy(client: "S3Client", bucket: str) -> object:
    try:
        answer = await client.get_bucket_policy(Bucket=bucket)
    except ClientError as error:
        if error_code(error) == "NoSuchBucketPolicy":
            return None
        raise
    return json.loads(answer["Policy"])


def _refused_or_away(error: ClientError) -> Exception:
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if status >= FIRST_SERVER_ERROR:
        return StoreAwayError(str(error))
    return RefusedError(
        f"the object store refused: {error}. Check MIGRATE_S3_ACCESS_KEY_ID and its secret, "
        "MIGRATE_S3_BUCKET, MIGRATE_S3_SINK_PRINCIPAL and MIGRATE_S3_BATCH_PRINCIPAL"
    )
