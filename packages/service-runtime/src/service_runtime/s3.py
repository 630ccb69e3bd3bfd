"""The real object store: aioboto3 behind the protocol of `object_store.py`."""

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

import aioboto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from service_runtime.object_store import StoredObject, StoreUnavailable
from service_runtime.settings import S3Settings

if TYPE_CHECKING:
    from types_aiobotocore_s3 import S3Client

_CONFIG = Config(
    connect_timeout=3,
    read_timeout=10,
    # The callers retry: only they can tell a repeated conditional write from a lost race.
    retries={"total_max_attempts": 1},
    max_pool_connections=32,
    # Else the SDK wraps bodies in aws-chunked trailers, which S3 clones store as a content encoding.
    request_checksum_calculation="when_required",
    response_checksum_validation="when_required",
)


@asynccontextmanager
async def s3_client(settings: S3Settings) -> AsyncIterator["S3Client"]:
    """Open an S3 client that never repeats a call by itself, and close it at the end."""
    secret = settings.s3_secret_access_key
    session = aioboto3.Session(
        aws_access_key_id=settings.s3_access_key_id,
        aws_secret_access_key=secret.get_secret_value() if secret else None,
        region_name=settings.s3_region,
    )
    async with session.client("s3", endpoint_url=settings.s3_endpoint_url, config=_CONFIG) as client:
        yield client


@asynccontextmanager
async def s3_bucket(settings: S3Settings) -> AsyncIterator["S3Bucket"]:
    """Open the bucket with the one client of this process."""
    async with s3_client(settings) as client:
        yield S3Bucket(client, settings.s3_bucket)


def error_code(error: ClientError) -> str:
    """Return S3's own word for what it refused."""
    return str(error.response.get("Error", {}).get("Code", "unknown"))


@contextmanager
def _or_unavailable() -> Iterator[None]:
    """Turn whatever is no definite answer into StoreUnavailable."""
    try:
        yield
    except ClientError as error:
        raise StoreUnavailable(f"{error.operation_name} was refused: {error_code(error)}") from error
    except (BotoCoreError, OSError) as error:
        raise StoreUnavailable(f"{type(error).__name__}: {error}") from error


class S3Bucket:
    """A bucket behind the protocol of `object_store.py`."""

    def __init__(self, client: "S3Client", bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    async def put_if_absent(self, key: str, body: bytes, metadata: Mapping[str, str]) -> bool:
        """Create the object; False when the key is taken."""
        with _or_unavailable():
            try:
                await self._client.put_object(
                    Bucket=self._bucket, Key=key, Body=body, Metadata=dict(metadata), IfNoneMatch="*"
                )
            except ClientError as error:
                if error_code(error) != "PreconditionFailed":
                    raise
                return False
            return True

    async def metadata(self, key: str) -> Mapping[str, str] | None:
        """Return the object's user metadata, or None."""
        with _or_unavailable():
            try:
                return (await self._client.head_object(Bucket=self._bucket, Key=key))["Metadata"]
            except ClientError as error:
                if error_code(error) not in {"404", "NoSuchKey", "NotFound"}:
                    raise
                return None

    async def get(self, key: str) -> StoredObject | None:
        """Return the object, or None; the body is read before the connection is used again."""
        with _or_unavailable():
            try:
                answer = await self._client.get_object(Bucket=self._bucket, Key=key)
            except ClientError as error:
                if error_code(error) != "NoSuchKey":
                    raise
                return None
            async with answer["Body"] as stream:
                return StoredObject(await stream.read(), answer["Metadata"])

    async def list_keys(self, prefix: str) -> list[str]:
        """Return all keys with the prefix, in byte order."""
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=prefix)
        with _or_unavailable():
            return [item["Key"] async for page in pages for item in page.get("Contents", [])]

    async def list_folders(self, prefix: str) -> list[str]:
        """Return the distinct path segments right below `prefix`, each with its slash, in byte order."""
        pages = self._client.get_paginator("list_objects_v2").paginate(
            Bucket=self._bucket, Prefix=prefix, Delimiter="/"
        )
        with _or_unavailable():
            found = [item["Prefix"] async for page in pages for item in page.get("CommonPrefixes", [])]
        return [folder.removeprefix(prefix) for folder in found]
