"""The real object store: aioboto3 behind the protocol of `object_store.py`."""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Container, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

import aioboto3
from botocore.config import Config
from botocore.exceptions import ClientError, ParamValidationError
from botocore.parsers import ResponseParserError

from service_runtime.object_store import StoredObject, StoreUnavailable
from service_runtime.settings import S3Settings

if TYPE_CHECKING:
    from types_aiobotocore_s3 import S3Client
    from types_aiobotocore_s3.type_defs import ListObjectsV2OutputTypeDef

# The timeout of reads starts when the body is sent: a server that takes no body never meets it.
PUT_SECONDS = 30.0

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
    """Open an S3 client that repeats no call that was answered, and close it at the end.

    A connection that closes without an answer is aiohttp's to ask again, once: it takes a PUT for idempotent.
    """
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
def _or_unavailable(operation: str) -> Iterator[None]:
    """Turn whatever is no definite answer into StoreUnavailable; only the library's calls belong inside.

    Below botocore's own errors lie those of aiohttp, ssl, asyncio and of the parsers of what came: no list of
    them is complete, and each of them leaves the question open.
    """
    try:
        yield
    except ParamValidationError:
        raise  # nothing was asked: the mistake is ours
    except ClientError as error:
        raise StoreUnavailable(f"{operation}: {error_code(error)}") from error
    except Exception as error:
        raise StoreUnavailable(f"{operation}: {type(error).__name__}: {error}") from error


def _require(answer: Container[str], *fields: str) -> None:
    """Refuse a 200 that no S3 sent: a proxy, or a server in trouble, can answer one without a body."""
    missing = [field for field in fields if field not in answer]
    if missing:
        raise ResponseParserError(f"the answer has no {', '.join(missing)}")


class S3Bucket:
    """A bucket behind the protocol of `object_store.py`."""

    def __init__(self, client: "S3Client", bucket: str) -> None:
        self._client = client
        self._bucket = bucket
        self._lister = client.get_paginator("list_objects_v2")

    async def put_if_absent(self, key: str, body: bytes, metadata: Mapping[str, str]) -> bool:
        """Create the object; False when the key is taken."""
        with _or_unavailable("PutObject"):
            try:
                async with asyncio.timeout(PUT_SECONDS):
                    answer = await self._client.put_object(
                        Bucket=self._bucket, Key=key, Body=body, Metadata=dict(metadata), IfNoneMatch="*"
                    )
            except ClientError as error:
                if error_code(error) != "PreconditionFailed":
                    raise
                return False
            _require(answer, "ETag")
            return True

    async def metadata(self, key: str) -> Mapping[str, str] | None:
        """Return the object's user metadata, or None."""
        with _or_unavailable("HeadObject"):
            try:
                answer = await self._client.head_object(Bucket=self._bucket, Key=key)
            except ClientError as error:
                if error_code(error) not in {"404", "NoSuchKey", "NotFound"}:
                    raise
                return None
            _require(answer, "ETag")
            return answer["Metadata"]

    async def get(self, key: str) -> StoredObject | None:
        """Return the object, or None; the body is read before the connection is used again."""
        with _or_unavailable("GetObject"):
            try:
                answer = await self._client.get_object(Bucket=self._bucket, Key=key)
            except ClientError as error:
                if error_code(error) != "NoSuchKey":
                    raise
                return None
            async with answer["Body"] as stream:
                # Without a length, a body that was cut looks like a whole one.
                _require(answer, "ETag", "ContentLength")
                return StoredObject(await stream.read(), answer["Metadata"])

    async def list_keys(self, prefix: str, start_after: str = "") -> list[str]:
        """Return all keys with the prefix that are greater than `start_after`, in byte order."""
        with _or_unavailable("ListObjectsV2"):
            pages = self._lister.paginate(Bucket=self._bucket, Prefix=prefix, StartAfter=start_after)
            return [item["Key"] async for page in _to_the_end(pages) for item in page.get("Contents", [])]

    async def list_folders(self, prefix: str) -> list[str]:
        """Return the distinct path segments right below `prefix`, each with its slash, in byte order."""
        with _or_unavailable("ListObjectsV2"):
            pages = self._lister.paginate(Bucket=self._bucket, Prefix=prefix, Delimiter="/")
            return [
                item["Prefix"].removeprefix(prefix)
                async for page in _to_the_end(pages)
                for item in page.get("CommonPrefixes", [])
            ]


async def _to_the_end(
    pages: AsyncIterable["ListObjectsV2OutputTypeDef"],
) -> AsyncIterator["ListObjectsV2OutputTypeDef"]:
    """Yield the pages of a listing; refuse one that does not tell whether it is the last."""
    async for page in pages:
        _require(page, "Name", "KeyCount", "IsTruncated")
        if page["IsTruncated"]:
            _require(page, "NextContinuationToken")  # else the paginator takes it for the last one
        yield page
