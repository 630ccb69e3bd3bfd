"""The real object store: one aioboto3 client for one bucket."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
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
async def s3_bucket(settings: S3Settings) -> AsyncIterator["S3Bucket"]:
    """Open the client of this process and close it at the end."""
    secret = settings.s3_secret_access_key
    session = aioboto3.Session(
        aws_access_key_id=settings.s3_access_key_id,
        aws_secret_access_key=secret.get_secret_value() if secret else None,
        region_name=settings.s3_region,
    )
    async with session.client("s3", endpoint_url=settings.s3_endpoint_url, config=_CONFIG) as client:
        yield S3Bucket(client, settings.s3_bucket)


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", "unknown"))


def _unavailable(error: Exception) -> StoreUnavailable:
    if isinstance(error, ClientError):
        return StoreUnavailable(f"{error.operation_name} was refused: {_code(error)}")
    return StoreUnavailable(f"{type(error).__name__}: {error}")


class S3Bucket:
    """A bucket behind the protocol of `object_store.py`."""

    def __init__(self, client: "S3Client", bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    async def put_if_absent(self, key: str, body: bytes, metadata: Mapping[str, str]) -> bool:
        """Create the object; False when the key is taken."""
        try:
            await self._client.put_object(
                Bucket=self._bucket, Key=key, Body=body, Metadata=dict(metadata), IfNoneMatch="*"
            )
        except ClientError as error:
            if _code(error) == "PreconditionFailed":
                return False
            raise _unavailable(error) from error
        except (BotoCoreError, OSError) as error:
            raise _unavailable(error) from error
        return True

    async def metadata(self, key: str) -> Mapping[str, str] | None:
        """Return the object's user metadata, or None."""
        try:
            answer = await self._client.head_object(Bucket=self._bucket, Key=key)
        except ClientError as error:
            if _code(error) in {"404", "NoSuchKey", "NotFound"}:
                return None
            raise _unavailable(error) from error
        except (BotoCoreError, OSError) as error:
            raise _unavailable(error) from error
        return answer["Metadata"]

    async def get(self, key: str) -> StoredObject | None:
        """Return the object, or None; the body is read before the connection is used again."""
        try:
            answer = await self._client.get_object(Bucket=self._bucket, Key=key)
            async with answer["Body"] as stream:
                return StoredObject(await stream.read(), answer["Metadata"])
        except ClientError as error:
            if _code(error) == "NoSuchKey":
                return None
            raise _unavailable(error) from error
        except (BotoCoreError, OSError) as error:
            raise _unavailable(error) from error

    async def list_keys(self, prefix: str) -> list[str]:
        """Return all keys with the prefix, in byte order."""
        try:
            pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=prefix)
            return [item["Key"] async for page in pages for item in page.get("Contents", [])]
        except (ClientError, BotoCoreError, OSError) as error:
            raise _unavailable(error) from error

    async def list_folders(self, prefix: str) -> list[str]:
        """Return the distinct next path segments below `prefix`, in byte order."""
        paginator = self._client.get_paginator("list_objects_v2")
        try:
            pages = paginator.paginate(Bucket=self._bucket, Prefix=prefix, Delimiter="/")
            found = [item["Prefix"] async for page in pages for item in page.get("CommonPrefixes", [])]
        except (ClientError, BotoCoreError, OSError) as error:
            raise _unavailable(error) from error
        return [folder.removeprefix(prefix) for folder in found]
