"""The template's user data, executed for real: up to a pin in the archive, replaced, and broken."""

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import boto3
import pytest
from native_stack.settings import NativeSettings

from cloud import database
from cloud.aws import Call
from cloud.host import BARE, Host
from cloud.network import HOST, run
from cloud.region import PROJECT, STACK, Region
from cloud.revisions import SECOND

pytestmark = pytest.mark.must(41, 42, 43, 44)

T = TypeVar("T")
TOLD_WITHIN_SECONDS = 900
# Also starts the stack a second time, and breaks more.
LONG = bool(os.environ.get("PINFLOW_LONG"))
COMPOSE = "cd /opt/pinflow && docker compose"
PIN = {
    "index": 1,
    "unique_id": "fbe53c66-3442-4773-b19e-d3ec6f54dddf",
    "title": "a first pin",
    "category": "art",
    "image_src": "https://example.org/1.jpg",
}
ASK_METADATA = (
    "from urllib.request import Request, urlopen;"
    "r = Request('http://169.254.169.254/latest/api/token', method='PUT');"
    "r.add_header('X-aws-ec2-metadata-token-ttl-seconds', '60'); print(urlopen(r, timeout=3).read().decode())"
)


@dataclass(frozen=True)
class Up:
    """A host that has told how its start went."""

    region: Region
    host: Host
    word: str

    def post(self) -> dict[str, int]:
        """Post the pin as a client does, who trusts the edge's authority alone; return its receipt."""
        authority = Path(f"{self.host.files}.crt")
        root = "/data/caddy/pki/authorities/local/root.crt"
        authority.write_text(self.host.run(f"{COMPOSE} exec --no-TTY edge cat {root}"))
        url = self.region.stack.outputs()["PinsUrl"].replace("/pins", "/pin/")
        connect = ("--connect-to", f"::{HOST}:443", "--cacert", str(authority))
        answer = run(
            "curl", "--silent", "--show-error", "--fail-with-body", "--max-time", "20", *connect,
            "--header", "Content-Type: application/json", "--data", json.dumps(PIN), url,
        )  # fmt: skip
        receipt = json.loads(answer)
        assert isinstance(receipt, dict)
        return receipt

    def demo(self, *question: str) -> list[dict[str, object]]:
        """Ask a store, as an analyst on the host does."""
        lines = self.host.run(f"{COMPOSE} run --rm --no-TTY demo {question[0]} '{question[1]}'").splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]


@pytest.fixture(scope="module")
def up(region: Region, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """The first host of a new stack, with RDS."""
    region.deploy()
    name = region.stack.outputs()["DatabaseEndpoint"]
    password = json.loads(region.stack.secret("DatabaseSecret"))["password"]
    settings = NativeSettings.for_tests(tmp_path_factory.mktemp("rds"))
    with (
        database.running(name, password, region.cloud.authority, settings),
        region.host("first", BARE) as host,
    ):
        yield Up(region, host, told(region, host))


@pytest.fixture(scope="module")
def replaced(up: Up) -> Iterator[Up]:
    """A host of another revision, which has taken the first one's place."""
    up.region.shut_down(up.host)
    up.region.deploy(SECOND)
    up.region.replace_instance()
    with up.region.host("second") as host:
        yield Up(up.region, host, told(up.region, host))


def told(region: Region, host: Host) -> str:
    """Wait until the host tells the stack how it went, and return the word."""
    before, deadline = len(region.signals()), time.monotonic() + TOLD_WITHIN_SECONDS
    while len(region.signals()) == before and time.monotonic() < deadline:
        time.sleep(0.5)
    assert len(region.signals()) == before + 1, host.said()
    signal = region.signals()[-1].body
    assert (signal["StackName"], signal["LogicalResourceId"]) == (STACK, "Host")
    assert signal["UniqueId"] == region.cloud.instance_id
    return signal["Status"]


def test_the_stack_hears_that_the_host_is_ready(up: Up) -> None:
    assert up.word == "SUCCESS", up.host.said()
    assert "pinflow: ready, at " in up.host.said()


def test_a_pin_is_archived_by_the_role_that_may_only_add(up: Up) -> None:
    assert up.post()["offset"] == 0
    for call in eventually(lambda: of_the_archive(up.region, "PUT of S3")):
        assert up.region.cloud.role_of(call.key) == up.region.stack.role("SinkRole")
        assert call.body["if-none-match"] == "*"


def test_the_batch_job_reads_by_a_role_of_its_own(up: Up) -> None:
    up.host.run(f"{COMPOSE} run --rm --no-TTY batch-etl run")
    reading = {up.region.cloud.role_of(call.key) for call in of_the_archive(up.region, "GET of S3")}
    assert up.region.stack.role("BatchRole") in reading
    assert up.demo("cql", "SELECT title FROM pins") == [{"title": PIN["title"]}]


def test_the_live_windows_are_in_rds(up: Up) -> None:
    assert eventually(lambda: up.demo("sql", "SELECT title FROM pins")) == [{"title": PIN["title"]}]
    assert up.host.run(f"docker ps --all --quiet --filter name={PROJECT}-postgres-1") == ""


def test_logs_and_metrics_are_in_cloudwatch(up: Up) -> None:
    logs = boto3.client("logs")
    group = up.region.stack.outputs()["LogGroup"]
    streams = {
        stream["logStreamName"] for stream in logs.describe_log_streams(logGroupName=group)["logStreams"]
    }
    assert {
        f"{PROJECT}-{name}-1" for name in ("kafka", "ingest-api", "s3-sink", "airflow-scheduler")
    } <= streams
    # Airflow follows jobs by what the engine still has.
    assert up.host.run(f"docker logs {PROJECT}-ingest-api-1 2>&1").strip()
    metrics = boto3.client("cloudwatch")
    eventually(lambda: metrics.list_metrics(Namespace="Pinflow")["Metrics"])
    assert {metric["MetricName"] for metric in metrics.list_metrics(Namespace="Pinflow")["Metrics"]} == {
        "Ready",
        "DataVolumeUsed",
    }


def test_only_who_takes_on_a_role_reaches_the_metadata_service(up: Up) -> None:
    def reaches(service: str) -> bool:
        return (
            up.host.attempt(f'{COMPOSE} exec --no-TTY {service} python -c "{ASK_METADATA}"').returncode == 0
        )

    rule = "DOCKER-USER -d 169.254.169.254 ! -i pinflow-aws -j REJECT"
    assert reaches("s3-sink")
    assert not reaches("airflow-api-server")
    up.host.run(f"iptables --delete {rule}")
    assert reaches("airflow-api-server")
    up.host.run(f"iptables --insert {rule}")


def test_passwords_are_in_memory_alone(up: Up) -> None:
    assert (
        up.host.run("findmnt --noheadings --output FSTYPE --target /run/pinflow/secrets").strip() == "tmpfs"
    )
    password = up.host.run("cat /run/pinflow/secrets/kafka-admin-password")
    search = ("grep", "--recursive", "--no-messages", "--files-with-matches", "--fixed-strings", password)
    root = subprocess.run([*search, up.host.files], capture_output=True, text=True, check=False)
    data = up.host.attempt(f"{' '.join(search)} /var/lib/pinflow")
    assert root.stdout + data.stdout == ""


def test_the_engine_is_tied_to_the_data_volume(up: Up) -> None:
    assert (
        up.host.run("findmnt --noheadings --output FSTYPE --target /var/lib/docker/volumes").strip() == "ext4"
    )
    assert "/var/lib/docker/volumes" in up.host.run("systemctl show docker --property RequiresMountsFor")


def test_nothing_but_the_edge_listens_beyond_loopback(up: Up) -> None:
    listening = {
        line.split()[3] for line in up.host.run("ss --listening --tcp --numeric --no-header").splitlines()
    }
    assert {address for address in listening if not address.startswith(("127.", "[::1]"))} == {
        "0.0.0.0:443",
        "[::]:443",
    }


def test_bringing_it_up_again_changes_nothing(up: Up) -> None:
    started = (
        "docker ps --format {{.ID}} | xargs docker inspect --format '{{.Name}} {{.State.StartedAt}}' | sort"
    )
    before = up.host.run(started).splitlines()
    up.host.run("/opt/pinflow/deploy/cloudformation/host/bring-up")
    assert up.host.run(started).splitlines() == before


@pytest.mark.skipif(not LONG, reason="starts the stack a second time: make test-long")
def test_another_revision_takes_the_place_with_all_that_was_there(replaced: Up) -> None:
    assert replaced.word == "SUCCESS", replaced.host.said()
    assert replaced.host.run("git -C /opt/pinflow log -1 --format=%s").strip() == SECOND
    assert replaced.post()["offset"] == 1
    assert [row["title"] for row in replaced.demo("cql", "SELECT title FROM pins")] == [PIN["title"]]


@dataclass(frozen=True)
class Fault:
    """Something that a host may find broken, and the words in which its log says so."""

    said: str
    revision: str = SECOND
    refused: str = ""
    "An action that AWS denies."
    before: str = ""
    "What is done on the host before its user data run."
    forged: bool = False
    "Whether Docker's packages are signed by somebody else."


# One before the host has this repository, and one after.
FAULTS = {
    "packages that Docker has not signed": Fault("is not signed", forged=True),
    "a secret that is refused": Fault("pinflow: no passwords: ", refused="GetSecretValue"),
}
if LONG:
    FAULTS |= {
        "a revision that is not there": Fault(
            "couldn't find remote ref no-such-revision", revision="no-such-revision"
        ),
        "a data volume that is refused": Fault("was refused: ", refused="AttachVolume"),
        "a port that is taken": Fault(
            "the stack did not become healthy", before="systemd-run python3 -m http.server 443"
        ),
    }


@pytest.fixture(scope="module")
def latest(request: pytest.FixtureRequest) -> Up:
    """The host whose place those that do not come up take."""
    found = request.getfixturevalue("replaced" if LONG else "up")
    assert isinstance(found, Up)
    return found


@pytest.mark.parametrize("name", FAULTS)
def test_a_host_that_does_not_come_up_says_so(latest: Up, name: str) -> None:
    fault, region = FAULTS[name], latest.region
    if latest.host.runs:
        region.shut_down(latest.host)
    region.deploy(fault.revision)
    region.replace_instance()
    region.cloud.refuses = {fault.refused}
    region.cloud.forged = fault.forged
    with region.host(name.replace(" ", "-"), before=fault.before) as host:
        assert told(region, host) == "FAILURE"
        assert fault.said in host.said()


def of_the_archive(region: Region, action: str) -> list[Call]:
    """Return the calls that were about objects under raw/."""
    return [call for call in region.cloud.called(action) if "/raw/" in call.body["path"]]


def eventually(found: Callable[[], list[T]]) -> list[T]:
    """Ask again for a minute, until there is something."""
    deadline = time.monotonic() + 60
    while not (result := found()) and time.monotonic() < deadline:
        time.sleep(1)
    assert result, "nothing within a minute"
    return result
