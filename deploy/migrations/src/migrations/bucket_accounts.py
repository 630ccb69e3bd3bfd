"""Makes the archive's accounts on versitygw, over its admin API: signed requests with bodies of XML.

On AWS principals are roles that others make: no secret is told, and nothing happens here.
"""

import asyncio
import re
from urllib.parse import urlencode
from xml.sax.saxutils import escape

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from botocore.httpsession import URLLib3Session
from pydantic import SecretStr
from service_runtime.s3 import error_code, s3_client

from migrations.errors import MissingSettingError
from migrations.progress import Plan
from migrations.settings import MigrateSettings

TIMEOUT_SECONDS = 10
FIRST_ERROR = 400
LOGIN_REFUSED = {"InvalidAccessKeyId", "SignatureDoesNotMatch"}
EXISTS = "XAdminUserExists"


async def ensure(settings: MigrateSettings, plan: Plan) -> None:
    """Leave every principal whose secret is told an account with that secret; raises botocore's errors."""
    for who, name, secret in (
        ("SINK", settings.s3_sink_principal, settings.s3_sink_secret),
        ("BATCH", settings.s3_batch_principal, settings.s3_batch_secret),
    ):
        if secret is None:
            continue
        if not (name and settings.s3_endpoint_url and settings.s3_secret_access_key):
            raise MissingSettingError(
                f"MIGRATE_S3_{who}_SECRET makes an account of versitygw: set MIGRATE_S3_{who}_PRINCIPAL, "
                "MIGRATE_S3_ENDPOINT_URL, MIGRATE_S3_ACCESS_KEY_ID and MIGRATE_S3_SECRET_ACCESS_KEY too"
            )
        if not await _logs_in(name, secret, settings) and plan.does("make the S3 account", name=name):
            await asyncio.to_thread(_make, name, secret.get_secret_value(), settings)


async def _logs_in(name: str, secret: SecretStr, settings: MigrateSettings) -> bool:
    login = {"s3_access_key_id": name, "s3_secret_access_key": secret}
    async with s3_client(settings.model_copy(update=login)) as client:
        try:
            await client.list_buckets()
        except ClientError as error:
            if error_code(error) in LOGIN_REFUSED:
                return False
            raise
    return True


def _make(name: str, secret: str, settings: MigrateSettings) -> None:
    own = f"<Secret>{escape(secret)}</Secret><Role>user</Role>"
    try:
        _ask("create-user", f"<Account><Access>{escape(name)}</Access>{own}</Account>", settings)
    except ClientError as error:
        if error_code(error) != EXISTS:
            raise
        _ask(f"update-user?{urlencode({'access': name})}", f"<MutableProps>{own}</MutableProps>", settings)


def _ask(what: str, body: str, settings: MigrateSettings) -> None:
    secret = settings.s3_secret_access_key
    assert secret is not None  # noqa: S101 (asked for before)
    request = AWSRequest("PATCH", f"{settings.s3_endpoint_url}/{what}", data=body.encode())
    root = Credentials(settings.s3_access_key_id, secret.get_secret_value())
    S3SigV4Auth(root, "s3", settings.s3_region).add_auth(request)
    answer = URLLib3Session(timeout=TIMEOUT_SECONDS).send(request.prepare())
    if answer.status_code >= FIRST_ERROR:
        said = {
            name: found[1] if (found := re.search(f"<{name}>(.*?)</{name}>", answer.text)) else answer.text
            for name in ("Code", "Message")
        }
        status = {"HTTPStatusCode": answer.status_code}
        raise ClientError({"Error": said, "ResponseMetadata": status}, what.partition("?")[0])
