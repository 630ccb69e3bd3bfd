"""AWS as the host under test sees it: moto, what moto lacks, and those whom a host fetches things from."""

import asyncio
import gzip
import json
import os
import re
import ssl
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import aiohttp
import trustme
from aiohttp import web
from template import formation
from template.body import REGION

from cloud.aside import loop_aside
from cloud.network import AWS, METADATA

GIT = "git.example.org"
# Whom a host calls by name. EC2, S3 and all the others answer at one address.
SERVICES = ("cloudformation", "ec2", "logs", "monitoring", "s3", "secretsmanager", "sts")
AUTHORITIES_OF_RDS = "truststore.pki.rds.amazonaws.com"
OTHERS = (AUTHORITIES_OF_RDS, "download.docker.com", GIT)
LARGEST_BODY = 64 * 1024**2
TOKEN = "a-token-of-the-second-version"
CREDENTIALS = {
    "Code": "Success",
    "Type": "AWS-HMAC",
    "AccessKeyId": "ASIAHOST",
    "SecretAccessKey": "secret",
    "Token": "token",
    "LastUpdated": "2026-01-01T00:00:00Z",
    "Expiration": "2099-01-01T00:00:00Z",
}


@dataclass(frozen=True)
class Call:
    """One request to AWS."""

    action: str
    "GetSecretValue; PUT of S3."
    key: str
    "The access key id that signed it."
    body: dict[str, str]
    "What a query said; `path` and `if-none-match` of one to S3."


@dataclass
class Aws:
    """What it was asked, and what it is to refuse."""

    moto: str
    "Where moto answers, for the test itself."
    docker_packages: Path
    repositories: Path
    authority: trustme.CA
    calls: list[Call] = field(default_factory=list)
    refuses: set[str] = field(default_factory=set)
    "Actions that are denied now."
    forged: bool = False
    "Whether somebody else's key is said to be Docker's."
    instance_id: str = ""
    user_data: str = ""
    hooks: dict[str, Callable[[Call], None]] = field(default_factory=dict)
    "What the test does when an action is called, before the caller has its answer."

    def called(self, action: str) -> list[Call]:
        """Return the calls of an action."""
        return [call for call in self.calls if call.action == action]

    def role_of(self, key: str) -> str:
        """Return the role whose temporary key this is: the host's own, or one that was taken on."""
        return self._roles.get(key, key)

    _roles: dict[str, str] = field(default_factory=dict)
    session: aiohttp.ClientSession = field(init=False)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Answer by the name that was called."""
        name = request.host.split(":")[0]
        if name == GIT:
            return await _git(self.repositories, request)
        if name == "download.docker.com":
            if self.forged and request.path.endswith("/gpg"):
                return _file(self.docker_packages, "/somebody-elses.gpg")
            return _file(self.docker_packages, request.path)
        if name == AUTHORITIES_OF_RDS:
            await self._hook(Call("Download", "", {}))
            return web.Response(body=self.authority.cert_pem.bytes())
        if request.path.endswith("/amazon-ssm-agent.deb"):
            return _file(self.docker_packages, "/amazon-ssm-agent.deb")
        return await self._of_aws(request)

    async def _of_aws(self, request: web.Request) -> web.StreamResponse:
        call = _call(request, await request.read())
        self.calls.append(call)
        if call.action in self.refuses:
            return _denied(call)
        # Moto knows no signals.
        if call.action == "SignalResource":
            return web.Response(text="<SignalResourceResponse/>", content_type="text/xml")
        answer = await self._by_moto(request)
        if call.action == "AssumeRole":
            key = re.search(r"<AccessKeyId>(.*?)</AccessKeyId>", answer.text or "")
            self._roles[key[1] if key else ""] = call.body["RoleArn"]
        if answer.status == HTTPStatus.OK:
            await self._hook(call)
        return answer

    async def _hook(self, call: Call) -> None:
        if hook := self.hooks.get(call.action):
            await asyncio.to_thread(hook, call)

    async def _by_moto(self, request: web.Request) -> web.Response:
        async with self.session.request(
            request.method,
            f"{self.moto}{request.raw_path}",
            headers={**request.headers, "Host": request.host},
            data=await request.read(),
            allow_redirects=False,
            auto_decompress=False,
        ) as answer:
            headers = {
                name: value
                for name, value in answer.headers.items()
                if name.lower() not in {"content-length", "transfer-encoding", "connection"}
            }
            return web.Response(status=answer.status, headers=headers, body=await answer.read())

    async def metadata(self, request: web.Request) -> web.Response:
        """Answer as the metadata service does to whoever has a token."""
        if request.method == "PUT" and request.path == "/latest/api/token":
            return web.Response(text=TOKEN, headers={"X-aws-ec2-metadata-token-ttl-seconds": "21600"})
        if request.headers.get("X-aws-ec2-metadata-token") != TOKEN:
            raise web.HTTPUnauthorized
        path = re.sub(r"^/[^/]+/", "", request.path).rstrip("/")
        known = {
            "meta-data": "instance-id\nlocal-hostname\n",
            "meta-data/instance-id": self.instance_id,
            "meta-data/local-hostname": "pinflow-host",
            "user-data": self.user_data,
            "dynamic/instance-identity": "document",
            "dynamic/instance-identity/document": json.dumps({"region": REGION}),
            "meta-data/placement/region": REGION,
            "meta-data/placement/availability-zone": f"{REGION}a",
            "meta-data/iam/security-credentials": "host",
            "meta-data/iam/security-credentials/host": json.dumps(CREDENTIALS),
        }
        if path not in known:
            raise web.HTTPNotFound
        return web.Response(text=known[path])


@contextmanager
def running(docker_packages: Path, repositories: Path, authority: trustme.CA) -> Iterator[Aws]:
    """Run it on its side of the cable while the block runs."""
    with formation.running(), loop_aside() as wait:
        aws = Aws(os.environ["AWS_ENDPOINT_URL"], docker_packages, repositories, authority)
        stop = wait(_serve(aws))
        try:
            yield aws
        finally:
            wait(stop())


def names() -> list[str]:
    """Return every name that leads here."""
    return [*(f"{service}.{REGION}.amazonaws.com" for service in SERVICES), *OTHERS]


async def _serve(aws: Aws) -> Callable[[], Coroutine[Any, Any, None]]:
    """Begin to answer at all addresses; return what ends it."""
    aws.session = aiohttp.ClientSession()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    wildcards = (f"*.{REGION}.amazonaws.com", f"*.s3.{REGION}.amazonaws.com")
    aws.authority.issue_cert(*names(), *wildcards).configure_cert(context)
    runners = [
        await _site(aws.answer, AWS, 443, context),
        await _site(aws.metadata, METADATA, 80, None),
    ]

    async def stop() -> None:
        for runner in runners:
            await runner.cleanup()
        await aws.session.close()

    return stop


async def _site(
    handler: Callable[[web.Request], Awaitable[web.StreamResponse]],
    address: str,
    port: int,
    tls: ssl.SSLContext | None,
) -> web.AppRunner:
    app = web.Application(client_max_size=LARGEST_BODY)
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app, access_log=None, auto_decompress=False, shutdown_timeout=5)
    await runner.setup()
    await web.TCPSite(runner, address, port, ssl_context=tls).start()
    return runner


def _call(request: web.Request, body: bytes) -> Call:
    signed = re.search(r"Credential=([^/]+)/", request.headers.get("Authorization", ""))
    key = signed[1] if signed else ""
    target = request.headers.get("X-Amz-Target")
    if target:
        return Call(target.rpartition(".")[2], key, {})
    if request.content_type == "application/x-www-form-urlencoded":
        said = {name: values[0] for name, values in parse_qs(body.decode()).items()}
        return Call(said.get("Action", ""), key, said)
    said = {"path": request.path_qs, "if-none-match": request.headers.get("If-None-Match", "")}
    return Call(f"{request.method} of S3", key, said)


def _denied(call: Call) -> web.Response:
    """Refuse, as the service that was called words it."""
    if call.body:
        error = f"<Code>UnauthorizedOperation</Code><Message>{call.action} is not allowed</Message>"
        text = f"<Response><Errors><Error>{error}</Error></Errors><RequestID>0</RequestID></Response>"
        return web.Response(status=403, text=text, content_type="text/xml")
    text = json.dumps({"__type": "AccessDeniedException", "Message": f"{call.action} is not allowed"})
    return web.Response(status=400, text=text, content_type="application/x-amz-json-1.1")


def _file(directory: Path, path: str) -> web.StreamResponse:
    file = directory / path.lstrip("/")
    if not file.is_file():
        raise web.HTTPNotFound
    return web.FileResponse(file)


async def _git(repositories: Path, request: web.Request) -> web.Response:
    """Answer as a server of git does, by git's own program for it."""
    body = await request.read()
    if request.headers.get("Content-Encoding") == "gzip":
        body = gzip.decompress(body)
    environment = {
        "PATH": os.defpath, "GIT_PROJECT_ROOT": str(repositories), "GIT_HTTP_EXPORT_ALL": "1",
        "REQUEST_METHOD": request.method, "PATH_INFO": request.path, "QUERY_STRING": request.query_string,
        "CONTENT_TYPE": request.headers.get("Content-Type", ""), "CONTENT_LENGTH": str(len(body)),
        "HTTP_GIT_PROTOCOL": request.headers.get("Git-Protocol", ""),
        "GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*",
    }  # fmt: skip
    process = await asyncio.create_subprocess_exec(
        "git", "http-backend", env=environment, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate(body)
    head, _, content = output.partition(b"\r\n\r\n")
    headers = dict(line.split(": ", 1) for line in head.decode().splitlines())
    status = int(headers.pop("Status", "200").split()[0])
    return web.Response(status=status, headers=headers, body=content)
